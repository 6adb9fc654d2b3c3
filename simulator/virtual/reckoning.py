"""What must hold once everything is well again (simulation.md, invariants 11 to 19)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from master.model import OPEN_SESSION, WorkerStatus
from simulator.api import ApiTrouble
from simulator.invariants import check_all, read_stored
from simulator.stored_file import StoredFile, check_file, compare_owners, read_file
from simulator.tally import WorkerState
from simulator.virtual.view import snapshot

if TYPE_CHECKING:
    from master.presence import Presence
    from simulator.virtual.lab import Lab


async def reckon(lab: Lab, account_ids: list[str]) -> None:
    """Hold lists, file and memory against what really happened; every difference is a violation."""
    facts = lab.ledger.freeze()
    try:
        stored = await read_stored(lab.api, account_ids)
    except ApiTrouble as trouble:
        lab.ledger.complain("api", str(trouble))
        return
    check_all(stored, facts, lab.ledger, lab.platform, [client.seen for client in lab.clients])
    found = read_file(lab.house.path, thorough=True)
    check_file(found, facts, lab.ledger, lab.platform, lab.ledger.complain)
    _check_liveness(lab, found)
    await _check_rebuilt(lab)


def _check_liveness(lab: Lab, found: StoredFile) -> None:
    """Check that every worker is connected, every login has ended, and every account that fits somewhere is there."""
    complain = lab.ledger.complain
    for worker in lab.workers:
        state = lab.tally.worker_states[worker.profile.id]
        if state is not WorkerState.CONNECTED:
            complain("not_reconnected", f"{worker.profile.id} is {state}: {worker.trouble}")
    for session_id, (account_id, status) in found.logins.items():
        if status in OPEN_SESSION:
            complain("login_stays_open", f"{session_id} of {account_id} is {status}")
    master = lab.house.master
    assert master is not None, "Master was opened when all was healed"
    rooms = {}
    for worker in lab.workers:
        seat = master.presence.seats.get(worker.profile.id)
        if seat is not None and seat.status is WorkerStatus.CONNECTED:
            rooms[worker.profile.id] = worker.profile.max_accounts - len(seat.owned)
    owners = {row[0]: row[1] for row in snapshot(lab.house.path)}
    for account_id, (platform, status, pinned) in lab.overseer.read_wishes().items():
        if owners[account_id] is not None or status != "active":
            continue
        fitting = [
            worker.profile.id
            for worker in lab.workers
            if rooms.get(worker.profile.id, 0) > 0
            and platform in worker.profile.capabilities
            and pinned in (None, worker.profile.id)
        ]
        if fitting:
            complain("not_assigned", f"{account_id} waits, though {', '.join(fitting)} would take it")
    if lab.settings.rebalance_interval_s:
        lab.overseer.check_even()
    for detail in compare_owners(owners, lab.ledger.ownership.show_owners()):
        complain("owner_differs", detail)


async def _check_rebuilt(lab: Lab) -> None:
    """Stop Master, start another on the same file, and check that it knows what the first one knew."""
    house = lab.house
    assert house.master is not None
    before, rows = _describe(house.master.presence), snapshot(house.path)
    house.kill("rebuilt")
    await lab.open_master()
    after = _describe(house.master.presence)
    if before != after:
        lab.ledger.complain("rebuilt_differs", f"memory was {before}, is {after}")
    if snapshot(house.path) != rows:
        lab.ledger.complain("rebuilt_differs", "the rows of accounts are others")


def _describe(presence: Presence) -> tuple[dict[str, dict[str, int]], dict[str, int]]:
    owned = {worker_id: dict(sorted(seat.owned.items())) for worker_id, seat in sorted(presence.seats.items())}
    return owned, dict(sorted(presence.deadlines.items()))
