"""A maintenance of the whole farm: nothing is placed or evened, and people are not woken."""

from __future__ import annotations

import structlog

from master.drains import FARM
from master.errors import NotInMaintenance
from master.farm import Maintenance
from master.memory import Memory
from master.operations.assignments import place_what_waits
from master.protocol.answers import ShownMaintenance
from master.protocol.drains import BeginMaintenance, MaintenanceChanged
from master.protocol.http import Nothing
from master.settings import Settings
from master.turn import ADMINS, Turn

log = structlog.get_logger(__name__)


def begin_maintenance(event: BeginMaintenance, turn: Turn) -> ShownMaintenance:
    """Begin a maintenance: no account is placed or moved, and no alarm raised for silence.

    One under way gets the new deadline and reason.
    """
    known = turn.draft.maintenance
    return _set(
        turn,
        Maintenance(
            since=known.since if known is not None else turn.at,
            deadline_at=turn.at + event.deadline_s,
            reason=event.reason,
            by=turn.caller.name or turn.caller.kind,
        ),
    )


def end_maintenance(event: Nothing, turn: Turn) -> ShownMaintenance:
    """End the maintenance; accounts that wait are placed at once. Errors: NotInMaintenance."""
    if turn.draft.maintenance is None:
        raise NotInMaintenance
    shown = _set(turn, None)
    place_what_waits(turn)
    return shown


def show_maintenance(event: Nothing, turn: Turn) -> ShownMaintenance:
    """Return whether the farm is under maintenance."""
    return render_row(turn.draft.maintenance)


def render_row(maintenance: Maintenance | None) -> ShownMaintenance:
    """Return a maintenance as people read it."""
    if maintenance is None:
        return {"active": False, "since": None, "deadline_at": None, "reason": None, "by": None}
    return {
        "active": True,
        "since": maintenance.since,
        "deadline_at": maintenance.deadline_at,
        "reason": maintenance.reason,
        "by": maintenance.by,
    }


def is_maintenance_over(memory: Memory, settings: Settings, now: float, monotonic: float) -> bool:
    """Tell whether the time of a maintenance is up."""
    return memory.farm.maintenance is not None and not memory.drains.find_left(FARM, now, monotonic)


def finish_maintenance(event: None, turn: Turn) -> int:
    """End the maintenance whose time is up; return how many accounts are placed then."""
    memory = turn.draft.memory
    if turn.draft.maintenance is None or memory.drains.find_left(FARM, turn.now, turn.monotonic):
        return 0
    _set(turn, None)
    return len(place_what_waits(turn))


def _set(turn: Turn, maintenance: Maintenance | None) -> ShownMaintenance:
    turn.draft.maintenance = maintenance
    shown = render_row(maintenance)
    turn.tell(ADMINS, MaintenanceChanged(shown, turn.rev))
    log.info("farm_maintenance", **shown)
    return shown
