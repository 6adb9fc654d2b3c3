"""Fixes that can be undone for a run: a regression plan is useful only if it notices the missing
fix.

Each name is that of a plan in fixtures/simulation. As with ablations, a function of Master (or of
the laboratory) is replaced by its version before the fix; there are no switches for this.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import FunctionType
from typing import Any
from unittest.mock import patch

from master.deadlines import Deadlines
from master.decisions import assignment
from master.model import Account
from master.operations import (
    account_states,
    accounts,
    assignments,
    audit,
    login_ends,
    logins,
    rebalance,
    silence,
    workers,
)
from master.sessions import Sessions
from simulator.virtual.lab import Lab
from simulator.virtual.rules.deadlines import Silence


def _audit_with(stack: ExitStack, **others: Any) -> None:
    """Let the audit alone call other functions than those of its module."""
    known = audit.look_over
    look_over = FunctionType(known.__code__, {**vars(audit), **others}, known.__name__)
    stack.enter_context(patch.object(audit, "look_over", look_over))


def _audit_knows_no_brake(stack: ExitStack) -> None:
    """The audit ignores whether a brake is on or would begin."""
    judge = silence.judge_silence
    _audit_with(
        stack, judge_silence=lambda turn, silent: replace(judge(turn, silent), protected=False)
    )


def _grace_begins_early(stack: ExitStack) -> None:
    """The grace after a start begins with the load of the file, before any peer can connect."""

    def begin_early(self: Sessions, _: float, *, grace_s: float) -> None:
        for seat in self.seats.values():
            seat.heard += grace_s  # since the farm was loaded

    stack.enter_context(patch.object(Sessions, "begin_grace", begin_early))


def _assigned_keeps_slot(stack: ExitStack) -> None:
    """The reservation for a login remains when its worker becomes the account's owner."""

    def count_all(turn: Any, some: Any) -> list[Any]:
        kept = Counter(login.worker_id for login in turn.draft.logins.all())
        return [
            replace(worker, assigned_accounts=worker.assigned_accounts + kept[worker.id])
            for worker in some
        ]

    for module in (accounts, assignments, logins, rebalance):
        stack.enter_context(patch.object(module, "count_reserved", count_all))


def _failed_keeps_slot(stack: ExitStack) -> None:
    """The slot reserved for a failed login is freed by the next audit only."""
    stack.enter_context(patch.object(login_ends, "place_what_waits", lambda _: []))


def _wall_clock_alone(stack: ExitStack) -> None:
    """A login ends by the wall clock alone."""

    def find_overdue(self: Deadlines, now: float, monotonic: float) -> list[str]:
        return [login_id for login_id, expires_at in self.expiries.items() if expires_at <= now]

    stack.enter_context(patch.object(Deadlines, "find_overdue", find_overdue))


def _login_asks_no_platform(stack: ExitStack) -> None:
    """A login assigns its account to its worker, even if that no longer serves the platform."""

    def may_take_anything(worker: Any, account: Any) -> bool:
        return assignment.may_take(
            replace(worker, capabilities=(*worker.capabilities, account.platform)), account
        )

    stack.enter_context(patch.object(login_ends, "may_take", may_take_anything))


def _registration_is_no_sign(stack: ExitStack) -> None:
    """A registering worker counts as heard after the commit only."""
    bind = workers._bind_socket

    def bind_unheard(turn: Any, worker: Any, before: Any) -> None:
        with patch.object(Sessions, "hear", lambda *_, **__: None):
            bind(turn, worker, before)
        turn.after_commit(
            lambda: turn.sessions.hear(worker.id, monotonic=turn.monotonic, at=turn.at)
        )

    stack.enter_context(patch.object(workers, "_bind_socket", bind_unheard))


def _no_handover(stack: ExitStack) -> None:
    """A new owner acts at once, though the former one may act still."""
    stack.enter_context(patch.object(Deadlines, "find_wait", lambda *_: 0.0))


def _reckoning_waits_for_no_start(stack: ExitStack) -> None:
    """The reckoning does not wait until new owners may act, so its findings are false."""
    stack.enter_context(patch.object(Lab, "_count_waiting_to_act", lambda _: 0))


def _arrivals_are_read_at_once(stack: ExitStack) -> None:
    """The laboratory counts arrivals at a stalled Master as heard at once."""

    def hear_at_once(self: Silence, worker_id: str) -> None:
        self.of(worker_id).arrived = self._clock.monotonic()

    stack.enter_context(patch.object(Silence, "note_arrived", hear_at_once))


def _no_brake_begins_anew(stack: ExitStack) -> None:
    """The laboratory allows a brake one timeout only, though Master stalled during it."""
    stack.enter_context(patch.object(Silence, "_may_have_been_braked", lambda *_: False))


def _last_login_counts_in_the_future(stack: ExitStack) -> None:
    """An observation is outdated by a login that is still to come, by the wall clock."""

    def is_outdated(observed_at: int | None, account: Account, _: int) -> bool:
        return observed_at is not None and observed_at < (account.last_login_time or 0)

    stack.enter_context(patch.object(account_states, "is_outdated", is_outdated))


UNDONE: dict[str, Callable[[ExitStack], None]] = {
    "brake-anew-after-a-stall": _no_brake_begins_anew,
    "brake-and-audit": _audit_knows_no_brake,
    "grace-on-a-slow-disk": _grace_begins_early,
    "kept-slot-of-an-assigned": _assigned_keeps_slot,
    "kept-slot": _failed_keeps_slot,
    "login-after-a-step-back": _wall_clock_alone,
    "login-on-unfit-worker": _login_asks_no_platform,
    "read-after-a-stall": _arrivals_are_read_at_once,
    "logout-after-a-step-back": _last_login_counts_in_the_future,
    "reckoning-after-the-last-login": _reckoning_waits_for_no_start,
    "registered-and-given-up": _registration_is_no_sign,
    "two-owners": _no_handover,
}
"""Name of a plan -> function that undoes its fix."""


@contextmanager
def undone(name: str) -> Iterator[None]:
    """Undo a fix while the context lasts."""
    with ExitStack() as stack:
        UNDONE[name](stack)
        yield
