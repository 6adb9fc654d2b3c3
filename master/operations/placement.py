"""Accounts without a worker: why, since when, and telling people after a minute."""

from __future__ import annotations

import structlog

from master.decisions.assignment import wants_worker
from master.decisions.placement import explain_waiting
from master.draft import Draft
from master.memory import Memory
from master.model import Account, Priority, Worker
from master.operations.notifications import send_system_notification
from master.protocol.answers import Placement
from master.reasons import Unplaced
from master.record import change
from master.settings import Settings
from master.turn import PORTION, Turn

log = structlog.get_logger(__name__)

TOLD_AFTER_S = 60.0
"""Seconds after which people are told of an account that waits for a worker."""

SHOWN = 20
"""Most ids of accounts that one notification has."""

TITLE = "账号无人监控"
"""The title of a notification about accounts that wait for a worker."""


class Placements:
    """Says of accounts where they are, or why they wait; each reason is found once."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._workers: dict[str, Worker] | None = None
        self._reasons: dict[tuple[str, str | None], Unplaced] = {}

    def judge(self, account: Account) -> Placement:
        """Return an account's placement: placed, waiting with a reason, or not wanted."""
        if not account.is_served:
            return {"state": "not_wanted", "reason": f"account_{account.status}", "since": None}
        if account.assigned_worker_id is not None:
            return {"state": "placed", "reason": None, "since": None}
        # one that has waited only since this turn is not noted yet
        noted = self._draft.memory.deadlines.waiting.get(account.id)
        since = account.updated_at if noted is None else noted[0]
        return {"state": "waiting", "reason": self.explain(account), "since": since}

    def explain(self, account: Account) -> Unplaced:
        """Return why an account waits.

        A pinned account may use the slot that its own login keeps there, as in `place_accounts`.
        """
        keeper = self._draft.keeper_of(account.id)
        workers = self._list_workers()
        if keeper is None or keeper != account.pinned_worker_id or keeper not in workers:
            return self.explain_alike(account)
        if self._draft.maintenance is not None:
            return Unplaced.MAINTENANCE
        worker = workers[keeper]
        its_own = change(worker, assigned_accounts=worker.assigned_accounts - 1)
        return explain_waiting(
            account.platform, account.pinned_worker_id, {**workers, keeper: its_own}
        )

    def explain_alike(self, account: Account) -> Unplaced:
        """Return why accounts of its platform and its pin wait, if no login keeps a slot."""
        if self._draft.maintenance is not None:
            return Unplaced.MAINTENANCE
        key = account.platform, account.pinned_worker_id
        known = self._reasons.get(key)
        if known is None:
            known = self._reasons[key] = explain_waiting(*key, self._list_workers())
        return known

    def _list_workers(self) -> dict[str, Worker]:
        if self._workers is None:
            reserved = self._draft.count_reserved
            self._workers = {
                one.id: change(one, assigned_accounts=one.assigned_accounts + reserved(one.id))
                for one in self._draft.workers.all()
            }
        return self._workers


def count_unplaced(memory: Memory) -> dict[str, int]:
    """Return the number of waiting accounts by reason, 0 for a reason of none."""
    counts = dict.fromkeys((str(reason) for reason in Unplaced), 0)
    placements = Placements(Draft(memory))
    for key in memory.farm.accounts.list_groups("waiting"):
        first = memory.farm.accounts.first("waiting", key)
        if first is not None:
            counts[placements.explain_alike(first)] += memory.farm.accounts.measure("waiting", key)
    return counts


def is_somebody_unplaced(memory: Memory, settings: Settings, now: float, monotonic: float) -> bool:
    """Tell whether an account has waited for a worker for a minute, and people are to be told."""
    return memory.farm.maintenance is None and bool(memory.deadlines.unplaced.find(monotonic, 1))


def tell_unplaced(event: None, turn: Turn) -> int:
    """Tell people of accounts that have waited for a minute, once each; one line per reason."""
    due = turn.deadlines.unplaced.find(turn.monotonic, PORTION)
    placements, waiting = Placements(turn.draft), dict[Unplaced, list[Account]]()
    noted, told = turn.deadlines.waiting, set[str]()
    for account_id in due:
        account = turn.draft.accounts.get(account_id)
        is_over = account_id in noted and noted[account_id][1] <= turn.monotonic
        if account is not None and is_over and wants_worker(account):
            waiting.setdefault(placements.explain(account), []).append(account)
            told.add(account_id)
    for reason, accounts in waiting.items():
        _announce(turn, reason, accounts)
        log.warning(
            "accounts_unplaced",
            reason=reason,
            count=len(accounts),
            accounts=[one.id for one in accounts[:SHOWN]],
        )
    if len(due) == PORTION:
        turn.go_on(tell_unplaced)

    def forget() -> None:
        # one that found a worker in this batch may have lost it again in the same batch
        now = turn.monotonic
        left = [one for one in due if one in noted and noted[one][1] <= now and one not in told]
        turn.deadlines.unplaced.forget(set(due) - set(left))

    turn.after_commit(forget)
    return sum(map(len, waiting.values()))


def _announce(turn: Turn, reason: Unplaced, accounts: list[Account]) -> None:
    first = accounts[0]
    of = f"{first.platform} {first.account_name}" if len(accounts) == 1 else len(accounts)
    alone = first.id if len(accounts) == 1 else None
    send_system_notification(
        turn,
        TITLE,
        f"{'An account' if alone else 'Accounts'} without a worker: {of} ({reason}).",
        {
            "reason": reason,
            "count": len(accounts),
            "account_ids": [one.id for one in accounts[:SHOWN]],
            "platforms": sorted({one.platform for one in accounts})[:SHOWN],
        },
        Priority.HIGH,
        alone,
    )
