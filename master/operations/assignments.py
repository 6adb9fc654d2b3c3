"""Assigns and revokes accounts and informs the workers; accounts change owners only here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import structlog

from master.decisions.assignment import place_accounts, wants_worker
from master.decisions.schedule import portion
from master.model import Account, Worker
from master.operations.telling import choose_told, find_ahead, measure_accounts
from master.protocol.words import RevokeReason
from master.protocol.worker import ASSIGN_LIMIT, TaskAssign, TaskRevoke
from master.record import change
from master.sessions import CAUGHT_UP_BYTES, Sessions
from master.turn import PORTION, HandOut, Turn, worker_address

log = structlog.get_logger(__name__)

SHOWN = 20
"""Most ids that one log line names."""


def assign_account(turn: Turn, account: Account, worker_id: str) -> Account:
    """Assign an account without an owner; return it as changed.

    Its worker must still be told (`hand_out`).
    """
    return turn.draft.assign(account, worker_id, turn.at)


def revoke_accounts(
    turn: Turn,
    accounts: Sequence[Account],
    worker_id: str,
    reason: RevokeReason,
    *,
    reachable: bool = True,
    gone: bool = False,
) -> list[Account]:
    """Revoke accounts of one worker; return them as changed.

    An unreachable worker is told when it returns. A worker that is `gone` was silent for longer
    than it may act, or said goodbye. Any other may act on the accounts until it receives the
    revocation, at most until it stops by itself before the timeout. That timeout counts from this
    turn, because no heartbeat of the worker is answered until the turn is stored.
    """
    assert not turn.is_placed, "a turn revokes accounts before it assigns waiting ones"
    if not accounts:
        return []
    revoked = turn.draft.release_all(accounts, worker_id, turn.at)
    turn.draft.explain("accounts", (account.id for account in revoked), reason)
    account_ids = [account.id for account in revoked]
    if not gone:
        now, until = turn.monotonic, turn.monotonic + turn.settings.heartbeat_timeout_s
        turn.deadlines.record_handovers(account_ids, worker_id, now=now, until=until)
    tell_to_stop(turn, worker_id, account_ids, reason, reachable=reachable)
    _log_moved("accounts_revoked", worker_id, revoked, reason=reason)
    return revoked


def tell_to_stop(
    turn: Turn, worker_id: str, account_ids: Sequence[str], reason: RevokeReason, *, reachable: bool
) -> None:
    """Tell a worker to stop watching accounts; if it may miss this, again when it returns."""
    for some in portion(account_ids, ASSIGN_LIMIT):
        turn.tell(worker_address(worker_id), TaskRevoke(list(some), reason))
    if not reachable or turn.draft.socket_of(worker_id) is None:
        turn.draft.owe(worker_id, account_ids)


def place_what_waits(turn: Turn, *, only: str | None = None) -> list[Account]:
    """Assign every waiting account that fits, or only the account `only`; return those assigned.

    This runs once per turn, last: all revocations, ended logins and evicted workers of the turn
    are known then, so no account goes to a worker that the turn evicts. At most a portion is
    assigned; the next turn continues.
    """
    assert not turn.is_placed, "a turn assigns waiting accounts once"
    turn.is_placed = True
    if turn.draft.maintenance is not None:
        return []
    queues = _list_queues(turn, only)
    if not queues:
        return []
    workers = count_reserved(turn, turn.draft.list_connected())
    ahead = find_ahead(turn, workers)
    placed = place_accounts(queues, workers, turn.draft.keeper_of, limit=PORTION, ahead=ahead)
    chosen: dict[str, list[Account]] = {}
    for account, worker_id in placed:
        chosen.setdefault(worker_id, []).append(account)
    assigned = {
        worker_id: turn.draft.assign_all(some, worker_id, turn.at)
        for worker_id, some in chosen.items()
    }
    hand_out(turn, assigned)
    if len(placed) == PORTION or placed.is_deferred:
        turn.go_on(place_more)
    accounts = [account for some in assigned.values() for account in some]
    if accounts:
        shown = {account.id: account.assigned_worker_id for account in accounts[:SHOWN]}
        log.info("accounts_placed", count=len(accounts), workers=len(assigned), accounts=shown)
    return accounts


def place_more(event: None, turn: Turn) -> int:
    """Assign the next portion of waiting accounts; return how many."""
    return len(place_what_waits(turn))


def fill_worker(turn: Turn, worker_id: str) -> list[Account]:
    """Assign waiting accounts to a worker up to its free slots; return them as changed.

    The oldest come first. The worker is not told of them here. At most a portion is assigned; the
    next turn assigns the rest.
    """
    [worker] = count_reserved(turn, [_find_worker(turn, worker_id)])
    if turn.draft.maintenance is not None:
        return []
    queues = [
        turn.draft.accounts.find("waiting", (platform, pinned))
        for platform in worker.capabilities
        for pinned in (None, worker.id)
    ]
    ahead = find_ahead(turn, [worker])
    placed = place_accounts(queues, [worker], turn.draft.keeper_of, limit=PORTION, ahead=ahead)
    if len(placed) == PORTION or placed.is_deferred:
        turn.go_on(place_more)
    assigned = (
        turn.draft.assign_all([account for account, _ in placed], worker_id, turn.at)
        if placed
        else []
    )
    if assigned:
        _log_moved("accounts_assigned", worker_id, assigned)
    return assigned


def _find_worker(turn: Turn, worker_id: str) -> Worker:
    worker = turn.draft.workers.get(worker_id)
    assert worker is not None, "only a known worker is filled"
    return worker


def _list_queues(turn: Turn, only: str | None) -> list[Iterable[Account]]:
    """Return the waiting accounts by platform and pinned worker, each queue oldest first."""
    accounts = turn.draft.accounts
    if only is not None:
        account = accounts.get(only)
        return [[account]] if account is not None and wants_worker(account) else []
    return [accounts.find("waiting", key) for key in accounts.list_groups("waiting")]


def count_reserved(turn: Turn, workers: Iterable[Worker]) -> list[Worker]:
    """Return workers with one slot more in use for each of their reservations.

    A login of an account that the worker does not own yet has a reservation. Its success makes the
    worker the owner, so the slot must stay free while the person scans.
    """
    count = turn.draft.count_reserved
    return [
        change(worker, assigned_accounts=worker.assigned_accounts + reserved)
        if (reserved := count(worker.id))
        else worker
        for worker in workers
    ]


def hand_out(turn: Turn, portions: Mapping[str, Sequence[Account]]) -> None:
    """Tell workers, by their ids, to watch these accounts, at most 100 per event.

    A worker is sent as many as its reader accepts now; the others follow as it reads on, the newest
    last.
    """
    for worker_id, accounts in portions.items():
        behind = worker_id in turn.sessions.untold
        now = [] if behind else choose_told(turn, worker_id, accounts)
        _tell_to_watch(turn, worker_id, now)
        if len(now) < len(accounts):
            leave_untold(turn, worker_id, accounts[len(now) :])


def leave_untold(turn: Turn, worker_id: str, accounts: Sequence[Account]) -> None:
    """Queue accounts of a worker, to be sent as it reads the earlier ones."""
    sizes = measure_accounts(accounts)
    turn.after_commit(lambda: turn.sessions.leave_untold(worker_id, sizes))
    turn.go_on(tell_more, worker_id)


def tell_more(event: str, turn: Turn) -> int:
    """Send the worker `event` the next accounts from its queue of untold ones; return how many.

    Accounts that it does not own any more are left out. The next turn continues once the worker has
    read these.
    """
    untold, sid = turn.sessions.untold.get(event), turn.draft.socket_of(event)
    if untold is None or sid is None:
        return 0
    held: list[Account] = []
    gone: list[str] = []
    for account_id in untold.sizes:
        account = turn.draft.accounts.get(account_id)
        if account is None or account.assigned_worker_id != event:
            gone.append(account_id)
        else:
            held.append(account)
        if len(held) == ASSIGN_LIMIT:
            break
    now = choose_told(turn, event, held) if not turn.draft.measure_told(event) else []
    _tell_to_watch(turn, event, now)
    sessions, finished = turn.sessions, [*gone, *(account.id for account in now)]
    turn.after_commit(lambda: sessions.forget_untold(event, finished))
    left = len(untold.sizes) - len(finished)
    if left and now:
        turn.go_on(tell_more, event)
    elif left:
        turn.after_commit(
            lambda: sessions.outlets.call_when_caught_up(sid, lambda: sessions.tell_on(event))
        )
    if finished and _has_use_for(turn, event):
        place_what_waits(turn)
    return len(now)


def _has_use_for(turn: Turn, worker_id: str) -> bool:
    """Tell whether a waiting account fits a free slot of this worker."""
    worker, accounts = turn.draft.workers.get(worker_id), turn.draft.accounts
    return (
        worker is not None
        and worker.takes_accounts
        and worker.room > 0
        and any(
            accounts.first("waiting", (platform, pinned)) is not None
            for platform in worker.capabilities
            for pinned in (None, worker_id)
        )
    )


def tell_all_more(event: None, turn: Turn) -> int:
    """Run `tell_more` for every worker of `find_ready`."""
    ready = find_ready(turn.sessions)
    for worker_id in ready:
        turn.go_on(tell_more, worker_id)
    return 0


def find_ready(sessions: Sessions) -> list[str]:
    """Return the workers with untold accounts that have read what they were sent.

    A refused turn leaves such workers behind.
    """
    return [
        worker_id
        for worker_id in sessions.untold
        if sessions.seats[worker_id].sid is not None
        and sessions.measure_waiting(worker_id) <= CAUGHT_UP_BYTES
    ]


def _tell_to_watch(turn: Turn, worker_id: str, accounts: Sequence[Account]) -> None:
    for some in portion(accounts, ASSIGN_LIMIT):
        handout = HandOut(worker_id, {account.id: account.epoch for account in some}, is_task=True)
        turn.handouts.append(handout)
        turn.tell(worker_address(worker_id), TaskAssign(handout.shown))


def _log_moved(event: str, worker_id: str, accounts: Sequence[Account], **details: str) -> None:
    shown = [account.id for account in accounts[:SHOWN]]
    log.info(event, worker=worker_id, count=len(accounts), accounts=shown, **details)
