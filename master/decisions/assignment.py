"""Assigns accounts to workers by capability, free slots and load, ties by worker id.

The source document requires these rules.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from master.errors import (
    NoWorker,
    WorkerDraining,
    WorkerFull,
    WorkerNotConnected,
    WorkerUnfit,
)
from master.model import Account, LoginStatus, Worker, WorkerStatus


def may_take(worker: Worker, account: Account) -> bool:
    """Tell whether `worker` may be assigned `account`.

    The worker must be connected and in service, support the platform and have a free slot, and the
    account must not be pinned to another worker.
    """
    return (
        worker.takes_accounts
        and worker.supports(account.platform)
        and worker.room > 0
        and account.pinned_worker_id in (None, worker.id)
    )


def may_move(account: Account) -> bool:
    """Tell whether the account may move to even out loads.

    It must be active and not pinned, and no login of it may be open.
    """
    return (
        account.is_served
        and account.pinned_worker_id is None
        and account.login_status is not LoginStatus.LOGGING_IN
    )


def wants_worker(account: Account) -> bool:
    """Tell whether the account is active and has no owner."""
    return account.is_served and account.assigned_worker_id is None


@dataclass(frozen=True, slots=True)
class Ahead:
    """How many bytes of accounts a worker may be assigned before they are sent to it.

    `weigh` returns the bytes of an account. `most` is the limit of each worker; `left` maps the
    workers with less than that remaining.
    """

    most: int
    left: Mapping[str, int]
    weigh: Callable[[Account], int]


class _Loads:
    """Loads and free slots of the workers that take accounts, while these are assigned."""

    deferred = False
    """Whether a worker with free slots has reached its limit of unsent accounts (`Ahead`)."""

    def __init__(self, workers: Iterable[Worker], ahead: Ahead | None = None) -> None:
        self.workers = {worker.id: worker for worker in workers if worker.takes_accounts}
        self.load = {worker.id: worker.assigned_accounts for worker in self.workers.values()}
        self.room = {worker.id: worker.room for worker in self.workers.values()}
        self.ahead = ahead
        self.left = dict(ahead.left) if ahead is not None else {}
        for worker_id, left in self.left.items():
            if left <= 0 and self.room.get(worker_id, 0) > 0:
                self.room[worker_id] = 0
        self._heaps: dict[str, list[tuple[int, str]]] = {}

    def has_room(self, worker_id: str, platform: str, *, kept: int = 0) -> bool:
        """Tell whether the worker takes accounts of the platform and has a free slot.

        `kept` slots are counted as free in addition.
        """
        worker = self.workers.get(worker_id)
        return worker is not None and worker.supports(platform) and self.room[worker_id] + kept > 0

    def find_least(self, platform: str) -> str | None:
        """Return the least loaded worker with the platform and a free slot, ties by id; or None.

        A heap entry with an outdated load is replaced: a worker is in the heaps of all its
        platforms.
        """
        heap = self._heaps.get(platform)
        if heap is None:
            heap = [
                (self.load[name], name) for name in self.workers if self.has_room(name, platform)
            ]
            heapq.heapify(heap)
            self._heaps[platform] = heap
        while heap:
            known, worker_id = heap[0]
            if self.room[worker_id] <= 0:
                heapq.heappop(heap)
            elif known != self.load[worker_id]:
                heapq.heapreplace(heap, (self.load[worker_id], worker_id))
            else:
                return worker_id
        return None

    def choose(self, account: Account, keeper: str | None) -> str | None:
        """Return the worker for an account and count the account there; None if none fits.

        `keeper` is the worker with the reservation of the account's login: there it needs no other
        slot. A worker that reaches its limit of unsent accounts has no free slot left.
        """
        chosen = account.pinned_worker_id
        if chosen is None:
            chosen = self.find_least(account.platform)
        elif not self.has_room(chosen, account.platform, kept=int(chosen == keeper)):
            chosen = None
        if chosen is not None and chosen != keeper:
            self.add(chosen)
        if chosen is not None and self.ahead is not None:
            left = self.left[chosen] = self.left.get(chosen, self.ahead.most) - self.ahead.weigh(
                account
            )
            if left <= 0:
                self.room[chosen] = min(self.room[chosen], 0)
                self.deferred = True
        return chosen

    def add(self, worker_id: str) -> None:
        """Count one account more."""
        self.load[worker_id] += 1
        self.room[worker_id] -= 1

    def remove(self, worker_id: str) -> None:
        """Count one account less."""
        self.load[worker_id] -= 1
        self.room[worker_id] += 1
        # find_least corrects only entries whose load has grown; a lower load needs a new entry
        for platform, heap in self._heaps.items():
            if self.has_room(worker_id, platform):
                heapq.heappush(heap, (self.load[worker_id], worker_id))


class Plan(list[tuple[Account, str]]):
    """Pairs of account and worker id.

    `is_deferred`: a worker may be assigned more once these accounts have been sent to it.
    """

    is_deferred = False


def place_accounts(
    queues: Iterable[Iterable[Account]],
    workers: Iterable[Worker],
    find_keeper: Callable[[str], str | None],
    *,
    limit: int | None = None,
    rank: Callable[[Account], Any] = attrgetter("created_at", "id"),
    ahead: Ahead | None = None,
) -> Plan:
    """Return (account, worker id) for the accounts that fit, at most `limit`.

    The account lowest in `rank` (the oldest by default) comes first and goes to the least loaded
    worker; loads grow with each assignment.
    A queue is sorted by `rank`, and its accounts are pinned to one worker or to none and have one
    platform. Once an unpinned account fits nowhere, the rest of its queue is skipped, so few
    accounts are examined however many wait.
    `find_keeper` returns the worker with the reservation of an account's login, by account id, or
    None; an account assigned to that worker uses the reservation.
    """
    loads = _Loads(workers, ahead)
    placed = Plan()
    heads: list[tuple[Any, int, Account, Iterator[Account]]] = []

    def move_on(number: int, queue: Iterator[Account]) -> None:
        account = next(queue, None)
        if account is not None:
            heapq.heappush(heads, (rank(account), number, account, queue))

    for number, queue in enumerate(queues):
        move_on(number, iter(queue))
    while heads and (limit is None or len(placed) < limit):
        _, number, account, queue = heapq.heappop(heads)
        chosen = loads.choose(account, find_keeper(account.id))
        if chosen is not None:
            placed.append((account, chosen))
        # a later pinned account may have a reservation of its own
        if chosen is not None or account.pinned_worker_id is not None:
            move_on(number, queue)
    placed.is_deferred = loads.deferred
    return placed


def find_moves(
    accounts: Iterable[Account], held: Mapping[str, int], workers: Iterable[Worker]
) -> list[tuple[Account, str]]:
    """Return (account, target worker id) of moves that even out loads, at most one per owner.

    `held` is the number of accounts of each worker. The loads of `workers` include reservations as
    well, but no account moves away because of a reservation.
    An account moves only to a worker with at least two fewer, so each move lowers the sum of
    squared account counts. Repeated calls therefore come to an end, and then equal workers differ
    by at most one, except for accounts that may not move.
    Accounts that are not logged in move first because they lose nothing, then those that have moved
    least often.
    """
    mine: dict[str, list[Account]] = {}
    for account in accounts:
        if account.assigned_worker_id is not None and may_move(account):
            mine.setdefault(account.assigned_worker_id, []).append(account)
    loads, left = _Loads(workers), Counter(held)
    moves = []
    for owner in sorted(mine.keys() & loads.workers.keys(), key=lambda name: (-left[name], name)):
        for account in sorted(mine[owner], key=_rank):
            taker = loads.find_least(account.platform)
            if taker is not None and loads.load[taker] + 2 <= left[owner]:
                loads.remove(owner)
                loads.add(taker)
                left[owner] -= 1
                left[taker] += 1
                moves.append((account, taker))
                break
    return moves


def find_leaving(
    accounts: Iterable[Account], workers: Iterable[Worker], number: int
) -> list[tuple[Account, str]]:
    """Return (account, target worker id) of at most `number` accounts that leave their worker.

    Each goes to the least loaded worker that fits. An account that no worker has room for stays, so
    that none is without an owner.
    """
    loads, moves = _Loads(workers), list[tuple[Account, str]]()
    for account in sorted(accounts, key=_rank):
        taker = loads.find_least(account.platform) if len(moves) < number else None
        if taker is not None and may_move(account):
            loads.add(taker)
            moves.append((account, taker))
    return moves


def _rank(account: Account) -> tuple[bool, int, str]:
    return account.login_status is LoginStatus.LOGGED_IN, account.epoch, account.id


def choose_login_worker(
    account: Account, wanted: Worker | None, workers: Sequence[Worker]
) -> Worker:
    """Return the worker that is to log `account` in.

    `wanted` is the administrator's choice. Without it, the account's owner if connected, else the
    worker that an assignment would choose. A worker that is taken out of service logs in only
    accounts that it owns: a success would not make it the owner of others.
    Errors: WorkerNotConnected, WorkerUnfit, WorkerDraining, WorkerFull for `wanted`; NoWorker.
    """
    if wanted is not None:
        if wanted.status is not WorkerStatus.CONNECTED:
            raise WorkerNotConnected
        if not wanted.supports(account.platform):
            raise WorkerUnfit
        if wanted.id != account.assigned_worker_id:
            if wanted.drain_since is not None:
                raise WorkerDraining
            if wanted.room <= 0:
                raise WorkerFull
        return wanted
    for worker in workers:
        if worker.id == account.assigned_worker_id and worker.status is WorkerStatus.CONNECTED:
            return worker
    fitting = [worker for worker in workers if may_take(worker, account)]
    if not fitting:
        raise NoWorker
    return min(fitting, key=lambda worker: (worker.assigned_accounts, worker.id))


def find_misplaced(worker: Worker, accounts: Iterable[Account]) -> list[Account]:
    """Return the accounts of `worker` whose platform it no longer supports."""
    return [account for account in accounts if not worker.supports(account.platform)]
