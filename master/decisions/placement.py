"""Why an account that is to be watched has no worker: a pure reading of the placement's rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from master.model import Worker, WorkerStatus
from master.reasons import Unplaced


def explain_waiting(platform: str, pinned: str | None, workers: Mapping[str, Worker]) -> Unplaced:
    """Return why accounts of a platform with this pin wait.

    The loads of `workers` include reservations, as for a placement.
    """
    if pinned is not None:
        return _explain_pinned(platform, workers.get(pinned))
    able = [worker for worker in workers.values() if worker.supports(platform)]
    if not able:
        return Unplaced.NO_WORKER_SERVES
    connected = list(_list_connected(able))
    if not connected:
        return Unplaced.NO_WORKER_CONNECTED
    serving = [worker for worker in connected if worker.takes_accounts]
    if any(worker.room > 0 for worker in serving):
        return Unplaced.BEING_PLACED
    # if one that is out of service has room, its return would help; so it would if none serves
    if not serving or any(worker.room > 0 for worker in connected):
        return Unplaced.DRAINING
    return Unplaced.NO_ROOM


def _list_connected(workers: Iterable[Worker]) -> Iterable[Worker]:
    return (worker for worker in workers if worker.status is WorkerStatus.CONNECTED)


def _explain_pinned(platform: str, worker: Worker | None) -> Unplaced:
    if worker is None or worker.status is WorkerStatus.OFFLINE:
        return Unplaced.PINNED_WORKER_GONE
    if not worker.supports(platform):
        return Unplaced.PINNED_WORKER_UNFIT
    if worker.status is WorkerStatus.DISCONNECTED:
        return Unplaced.PINNED_WORKER_DISCONNECTED
    if not worker.takes_accounts:
        return Unplaced.PINNED_WORKER_DRAINING
    return Unplaced.PINNED_WORKER_FULL if worker.room <= 0 else Unplaced.BEING_PLACED
