"""Which worker takes which account: by capability, room and load, ties by id (protocol.md section 5)."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Sequence

from master.errors import NoWorker, WorkerFull, WorkerNotConnected, WorkerUnfit
from master.model import Account, AccountStatus, Worker, WorkerStatus


def may_take(worker: Worker, account: Account) -> bool:
    """Tell whether `worker` is connected, lists the account's platform, has room, and no person said otherwise."""
    return (
        worker.status is WorkerStatus.CONNECTED
        and worker.supports(account.platform)
        and worker.room > 0
        and account.pinned_worker_id in (None, worker.id)
    )


def wants_worker(account: Account) -> bool:
    """Tell whether the account is to be watched and nobody does."""
    return account.status is AccountStatus.ACTIVE and account.assigned_worker_id is None


def place_accounts(accounts: Iterable[Account], workers: Collection[Worker]) -> list[tuple[Account, str]]:
    """Return (account, worker id) for every account that fits somewhere, the least loaded worker first.

    Accounts are placed in the given order; loads grow with each placement. What fits nowhere is left out.
    """
    by_id = {worker.id: worker for worker in workers if worker.status is WorkerStatus.CONNECTED}
    room = {worker.id: worker.room for worker in by_id.values()}
    heaps: dict[str, list[tuple[int, str]]] = {}
    load = {worker.id: worker.assigned_accounts for worker in by_id.values()}
    placed = []
    for account in accounts:
        if account.pinned_worker_id is not None:
            pinned = by_id.get(account.pinned_worker_id)
            chosen = pinned.id if pinned and pinned.supports(account.platform) and room[pinned.id] > 0 else None
        else:
            heap = heaps.get(account.platform)
            if heap is None:
                heap = [(load[w.id], w.id) for w in by_id.values() if w.supports(account.platform) and room[w.id] > 0]
                heapq.heapify(heap)
                heaps[account.platform] = heap
            chosen = _pop_least_loaded(heap, load, room)
        if chosen is None:
            continue
        load[chosen] += 1
        room[chosen] -= 1
        placed.append((account, chosen))
    return placed


def _pop_least_loaded(heap: list[tuple[int, str]], load: dict[str, int], room: dict[str, int]) -> str | None:
    """Return the least loaded worker with room and put it back with its coming load.

    Another platform's heap may have loaded a worker meanwhile: an entry with an old load is renewed, not trusted.
    """
    while heap:
        known, worker_id = heap[0]
        if room[worker_id] <= 0:
            heapq.heappop(heap)
        elif known != load[worker_id]:
            heapq.heapreplace(heap, (load[worker_id], worker_id))
        else:
            heapq.heapreplace(heap, (known + 1, worker_id))
            return worker_id
    return None


def choose_login_worker(account: Account, wanted: Worker | None, workers: Sequence[Worker]) -> Worker:
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
