"""Accounts change hands here and nowhere else: who takes one, who loses one, and what their workers are told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import structlog

from master.decisions.assignment import place_accounts, wants_worker
from master.decisions.schedule import portion
from master.farm import is_open
from master.model import Account, Worker, change
from master.protocol.worker import ASSIGN_LIMIT, TaskAssign, TaskRevoke
from master.turn import PORTION, HandOut, Turn, worker_address

log = structlog.get_logger(__name__)

SHOWN = 20
"""How many ids a log line names at most."""


def give_account(turn: Turn, account: Account, worker_id: str) -> Account:
    """Assign an account that nobody holds; return it as it is now. Its worker is still to be told (`hand_out`)."""
    return turn.draft.assign(account, worker_id, turn.at)


def take_accounts(
    turn: Turn, accounts: Sequence[Account], worker_id: str, reason: str, *, reachable: bool = True, gone: bool = False
) -> list[Account]:
    """Revoke accounts of one worker; return them as they are now. An unreachable worker is told when it returns.

    One that is not `gone` (silent for longer than it may act, or leaving by its own word) may act on them until it has
    heard of it, and no longer than until its own stop before the timeout. That counts from this turn, for none of its
    heartbeats is answered until this is stored.
    """
    assert not turn.is_placed, "what a turn takes it takes before it places what waits"
    if not accounts:
        return []
    taken = turn.draft.release_all(accounts, worker_id, turn.at)
    account_ids = [account.id for account in taken]
    if not gone:
        now, until = turn.monotonic, turn.monotonic + turn.settings.heartbeat_timeout_s
        turn.deadlines.part(account_ids, worker_id, now=now, until=until)
    revoke(turn, worker_id, account_ids, reason, reachable=reachable)
    _log_moved("accounts_revoked", worker_id, taken, reason=reason)
    return taken


def revoke(turn: Turn, worker_id: str, account_ids: Sequence[str], reason: str, *, reachable: bool) -> None:
    """Tell a worker to stop, at once and, where it may not hear it, again when it returns."""
    for some in portion(account_ids, ASSIGN_LIMIT):
        turn.tell(worker_address(worker_id), TaskRevoke(list(some), reason))
    if not reachable or turn.draft.socket_of(worker_id) is None:
        turn.draft.owe(worker_id, account_ids)


def place_what_waits(turn: Turn, *, only: str | None = None) -> list[Account]:
    """Place every account that waits (or just the one named) and fits, once per turn and last; return those placed.

    Everything that this turn takes, ends or gives up is known by then: nothing goes to a worker that it gives up. Of
    many, a portion is placed; the next turn goes on.
    """
    assert not turn.is_placed, "a turn has one plan"
    turn.is_placed = True
    queues = _list_queues(turn, only)
    if not queues:
        return []
    workers = count_reserved(turn, turn.draft.list_connected())
    placed = place_accounts(queues, workers, find_kept(turn), limit=PORTION)
    chosen: dict[str, list[Account]] = {}
    for account, worker_id in placed:
        chosen.setdefault(worker_id, []).append(account)
    given = {worker_id: turn.draft.assign_all(some, worker_id, turn.at) for worker_id, some in chosen.items()}
    hand_out(turn, given)
    if len(placed) == PORTION:
        turn.go_on(place_more)
    accounts = [account for some in given.values() for account in some]
    if accounts:
        shown = {account.id: account.assigned_worker_id for account in accounts[:SHOWN]}
        log.info("accounts_placed", count=len(accounts), workers=len(given), accounts=shown)
    return accounts


def place_more(event: None, turn: Turn) -> int:
    """Place the next portion of what waits."""
    return len(place_what_waits(turn))


def fill_worker(turn: Turn, worker_id: str) -> list[Account]:
    """Give a worker waiting accounts up to its room, the longest known first; return them as they are now.

    It is not told of them here. Of many it gets a portion; the next turn places what is left.
    """
    [worker] = count_reserved(turn, [_find_worker(turn, worker_id)])
    queues = [
        turn.draft.accounts.find("waiting", (platform, pinned))
        for platform in worker.capabilities
        for pinned in (None, worker.id)
    ]
    placed = place_accounts(queues, [worker], find_kept(turn), limit=PORTION)
    if len(placed) == PORTION:
        turn.go_on(place_more)
    given = turn.draft.assign_all([account for account, _ in placed], worker_id, turn.at) if placed else []
    if given:
        _log_moved("accounts_assigned", worker_id, given)
    return given


def _find_worker(turn: Turn, worker_id: str) -> Worker:
    worker = turn.draft.workers.get(worker_id)
    assert worker is not None, "only a known worker is filled"
    return worker


def _list_queues(turn: Turn, only: str | None) -> list[Iterable[Account]]:
    """Return what waits, by platform and pinned worker, each the longest known first."""
    accounts = turn.draft.accounts
    if only is not None:
        account = accounts.get(only)
        return [[account]] if account is not None and wants_worker(account) else []
    return [accounts.find("waiting", key) for key in accounts.list_groups("waiting")]


def find_kept(turn: Turn) -> dict[str, str]:
    """Return, per account that is being logged in, the worker that keeps a place for its login."""
    return {
        login.account_id: login.worker_id
        for login in turn.draft.logins.all()
        if login.worker_id is not None and is_open(login)
    }


def count_reserved(turn: Turn, workers: Iterable[Worker]) -> list[Worker]:
    """Return workers with a place counted as taken for each login of an account not theirs yet.

    A login that succeeds makes its worker the owner: the place must not be given away while the person scans.
    """
    reserved = Counter(
        worker_id
        for account_id, worker_id in find_kept(turn).items()
        if (account := turn.draft.accounts.get(account_id)) is None or account.assigned_worker_id != worker_id
    )
    return [
        change(worker, assigned_accounts=worker.assigned_accounts + reserved[worker.id])
        if worker.id in reserved
        else worker
        for worker in workers
    ]


def hand_out(turn: Turn, portions: Mapping[str, Sequence[Account]]) -> None:
    """Tell workers, by their ids, to watch these accounts now, at most 100 per event."""
    for worker_id, accounts in portions.items():
        for some in portion(accounts, ASSIGN_LIMIT):
            handout = HandOut(worker_id, {account.id: account.epoch for account in some}, is_task=True)
            turn.handouts.append(handout)
            turn.tell(worker_address(worker_id), TaskAssign(handout.shown))


def _log_moved(event: str, worker_id: str, accounts: Sequence[Account], **details: str) -> None:
    shown = [account.id for account in accounts[:SHOWN]]
    log.info(event, worker=worker_id, count=len(accounts), accounts=shown, **details)
