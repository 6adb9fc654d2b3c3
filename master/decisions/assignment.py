"""Which worker takes which account: by capability, room and load, ties by id (protocol.md section 5)."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from master.errors import NoWorker, WorkerFull, WorkerNotConnected, WorkerUnfit
from master.model import Account, AccountStatus, LoginStatus, Worker, WorkerStatus


def may_take(worker: Worker, account: Account) -> bool:
    """Tell whether `worker` is connected, lists the account's platform, has room, and no person said otherwise."""
    return (
        worker.status is WorkerStatus.CONNECTED
        and worker.supports(account.platform)
        and worker.room > 0
        and account.pinned_worker_id in (None, worker.id)
    )


def may_move(account: Account) -> bool:
    """Tell whether the account may be moved to make loads even: nobody pinned it, and nobody is logging it in."""
    return (
        account.status is AccountStatus.ACTIVE
        and account.pinned_worker_id is None
        and account.login_status is not LoginStatus.LOGGING_IN
    )


def wants_worker(account: Account) -> bool:
    """Tell whether the account is to be watched and nobody does."""
    return account.status is AccountStatus.ACTIVE and account.assigned_worker_id is None


@dataclass(frozen=True, slots=True)
class Ahead:
    """How many bytes of accounts, as `weigh` has them, a worker may be given before it is told of them.

    `left` names the workers that may be given less than `most`.
    """

    most: int
    left: Mapping[str, int]
    weigh: Callable[[Account], int]


class _Loads:
    """What connected workers hold and have room for while accounts are placed one after the other."""

    held_back = False
    """Whether somebody with room has been given as much as it can be told of."""

    def __init__(self, workers: Iterable[Worker], ahead: Ahead | None = None) -> None:
        self.workers = {
            worker.id: worker for worker in workers if worker.status is WorkerStatus.CONNECTED
        }
        self.load = {worker.id: worker.assigned_accounts for worker in self.workers.values()}
        self.room = {worker.id: worker.room for worker in self.workers.values()}
        self.ahead = ahead
        self.left = dict(ahead.left) if ahead is not None else {}
        for worker_id, left in self.left.items():
            if left <= 0 and self.room.get(worker_id, 0) > 0:
                self.room[worker_id] = 0
        self._heaps: dict[str, list[tuple[int, str]]] = {}

    def has_room(self, worker_id: str, platform: str, *, kept: int = 0) -> bool:
        """Tell whether this worker is connected, lists the platform and has room, `kept` places more than it seems."""
        worker = self.workers.get(worker_id)
        return worker is not None and worker.supports(platform) and self.room[worker_id] + kept > 0

    def find_least(self, platform: str) -> str | None:
        """Return the least loaded worker that lists the platform and has room, ties by id; None if there is none.

        An entry with an old load is renewed, not trusted: a worker is in the heaps of all its platforms.
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
        """Return who takes an account, counted from now on, or None; `keeper` keeps a place for its login.

        Who has been given as much as it can be told of has no room left.
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
                self.held_back = True
        return chosen

    def add(self, worker_id: str) -> None:
        """Count one account more."""
        self.load[worker_id] += 1
        self.room[worker_id] -= 1

    def remove(self, worker_id: str) -> None:
        """Count one account less."""
        self.load[worker_id] -= 1
        self.room[worker_id] += 1
        for (
            platform,
            heap,
        ) in self._heaps.items():  # only what is dearer than it says is found on top of a heap
            if self.has_room(worker_id, platform):
                heapq.heappush(heap, (self.load[worker_id], worker_id))


class Plan(list[tuple[Account, str]]):
    """Which account goes to which worker. `is_held_back`: somebody may be given more once it was told of this."""

    is_held_back = False


def place_accounts(
    queues: Iterable[Iterable[Account]],
    workers: Iterable[Worker],
    find_keeper: Callable[[str], str | None],
    *,
    limit: int | None = None,
    rank: Callable[[Account], Any] = attrgetter("created_at", "id"),
    ahead: Ahead | None = None,
) -> Plan:
    """Return (account, worker id) for what fits somewhere, at most `limit`: the longest known first, the least loaded.

    A queue holds, by `rank`, accounts of one platform that are pinned to the same worker or to none: once one of them
    fits nowhere, none behind it does, and so few are looked at however many wait. Loads grow with each placement.
    `find_keeper` returns the worker whose load counts a place for the login of the account of an id, or None: there it
    takes that place.
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
        if (
            chosen is not None or account.pinned_worker_id is not None
        ):  # one behind it may have a place of its own
            move_on(number, queue)
    placed.is_held_back = loads.held_back
    return placed


def find_moves(
    accounts: Iterable[Account], held: Mapping[str, int], workers: Iterable[Worker]
) -> list[tuple[Account, str]]:
    """Return (account, worker id to move it to) for what makes loads more even: at most one account of each worker.

    `held` is how many accounts each worker has; the loads of `workers` count the places kept for logins as well, which
    nobody moves for. An account moves only to a worker with at least two fewer, so that the sum of the squares of what
    workers hold falls with each move: repeated, this comes to an end, and then equal workers differ by at most one, but
    for what may not move. What is not logged in goes first, for it loses nothing; then what has moved least.
    """
    mine: dict[str, list[Account]] = {}
    for account in accounts:
        if account.assigned_worker_id is not None and may_move(account):
            mine.setdefault(account.assigned_worker_id, []).append(account)
    loads, left = _Loads(workers), Counter(held)
    moves = []
    for giver in sorted(mine.keys() & loads.workers.keys(), key=lambda name: (-left[name], name)):
        for account in sorted(mine[giver], key=_rank):
            taker = loads.find_least(account.platform)
            if taker is not None and loads.load[taker] + 2 <= left[giver]:
                loads.remove(giver)
                loads.add(taker)
                left[giver] -= 1
                left[taker] += 1
                moves.append((account, taker))
                break
    return moves


def _rank(account: Account) -> tuple[bool, int, str]:
    return account.login_status is LoginStatus.LOGGED_IN, account.epoch, account.id


def choose_login_worker(
    account: Account, wanted: Worker | None, workers: Sequence[Worker]
) -> Worker:
    """Return the worker that is to log `account` in.

    `wanted` is the administrator's choice; without it the account's owner if it is connected, else as an assignment.
    Errors: WorkerNotConnected, WorkerUnfit, WorkerFull for `wanted`; NoWorker.
    """
    if wanted is not None:
        if wanted.status is not WorkerStatus.CONNECTED:
            raise WorkerNotConnected
        if not wanted.supports(account.platform):
            raise WorkerUnfit
        if wanted.id != account.assigned_worker_id and wanted.room <= 0:
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
    """Return the accounts of `worker` whose platform it no longer lists."""
    return [account for account in accounts if not worker.supports(account.platform)]
