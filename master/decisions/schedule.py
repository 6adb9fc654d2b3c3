"""Finds the accounts that are due to be watched again; splits sequences into portions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from master.model import Account, LoginStatus

T = TypeVar("T")


def is_watchable(account: Account) -> bool:
    """Tell whether the scheduler hands this account out at all (the source document's query)."""
    return (
        account.login_status is LoginStatus.LOGGED_IN
        and account.is_served
        and account.assigned_worker_id is not None
    )


def find_due(
    accounts: Iterable[Account], handed_out: Mapping[str, float], now: float
) -> dict[str, list[Account]]:
    """Return the due accounts by worker id.

    `handed_out` maps an account to the monotonic second of its last hand-out; an account never
    handed out is due. The others are due once their `monitor_interval` has passed, to the second.
    """
    due: dict[str, list[Account]] = {}
    for account in accounts:
        if not is_watchable(account):
            continue
        last = handed_out.get(account.id)
        if last is None or now - last >= account.monitor_interval:
            assert account.assigned_worker_id is not None
            due.setdefault(account.assigned_worker_id, []).append(account)
    return due


def portion(things: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield `things` in slices of at most `size`."""
    assert size > 0
    for start in range(0, len(things), size):
        yield things[start : start + size]
