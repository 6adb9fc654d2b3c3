"""Workers fall silent: who is given up when, and when it is more likely our own fault."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import structlog

from master.decisions import liveness
from master.model import WorkerStatus
from master.operations.assignments import place_waiting, settle_loads
from master.operations.notifications import raise_alarm
from master.operations.workers import FLUSH_INTERVAL_S, give_up
from master.presence import Presence
from master.store import workers as worker_rows
from master.turn import Turn

log = structlog.get_logger(__name__)

SHOWN_WORKERS = 20


def find_silent_workers(presence: Presence, monotonic: float, timeout_s: float) -> list[str]:
    """Return the workers that a sweep should give up now."""
    return liveness.find_silent(presence.find_heard(), monotonic, timeout_s)


async def give_up_silent(event: None, turn: Turn) -> int:
    """Give up every worker silent for longer than the timeout and place its accounts elsewhere, in one turn.

    Where it is more likely us than them, nothing is revoked until one further timeout has passed; who is still silent
    then is given up after all.
    """
    silent = find_silent_workers(turn.presence, turn.monotonic, turn.settings.heartbeat_timeout_s)
    silent = _find_waited_for(turn, silent) or silent
    if silent and await _is_braked(turn, silent):
        return 0
    return await _give_up(turn, silent)


async def _give_up(turn: Turn, silent: list[str]) -> int:
    """Give these workers up, whichever look found them, unless they were heard since: each counts for the brake."""
    presence, now, timeout_s = turn.presence, turn.monotonic, turn.settings.heartbeat_timeout_s
    silent = [name for name in silent if name not in presence.seats or now - presence.seats[name].heard > timeout_s]

    def note() -> None:
        lately = [at for at in presence.given_up if now - at <= timeout_s]
        presence.given_up = [*lately, *[now] * len(silent)]

    turn.after_commit(note)
    await give_up(turn, silent, liveness.SILENCE, reachable=False)
    return len(silent)


def _find_waited_for(turn: Turn, silent: list[str]) -> list[str]:
    """Return those that a brake whose time is over was put on for; the others fell silent since."""
    brake_until, timeout_s = turn.presence.brake_until, turn.settings.heartbeat_timeout_s
    if brake_until is None or turn.monotonic < brake_until:
        return []
    put_on_at, seats = brake_until - timeout_s, turn.presence.seats
    return [name for name in silent if name not in seats or seats[name].heard <= put_on_at]


@dataclass(frozen=True, slots=True)
class _Judgement:
    """What the silence of some workers is taken for: theirs, or ours (`held`), and whether the brake `begins` now."""

    held: bool
    begins: bool
    stalled: bool
    lost: int
    total: int


def _judge_silence(turn: Turn, silent: list[str]) -> _Judgement:
    """Judge whether the brake holds these workers' accounts; a brake was put on for all of them, or for none."""
    presence, now, timeout_s = turn.presence, turn.monotonic, turn.settings.heartbeat_timeout_s
    stalled_at, brake_until = presence.find_stall(now), presence.brake_until
    stalled = stalled_at is not None and now - stalled_at <= timeout_s
    lost = len(silent) + sum(now - at <= timeout_s for at in presence.given_up)
    total = lost + sum(1 for _ in presence.find_heard()) - len(silent)
    if brake_until is not None:
        if stalled_at is None or stalled_at <= brake_until - timeout_s:
            if now < brake_until or _find_waited_for(turn, silent):
                return _Judgement(now < brake_until, False, stalled, lost, total)
        else:
            stalled = True  # while the brake was on nobody could be heard: it must begin anew
    held = liveness.is_more_likely_us(lost, total, stalled)
    return _Judgement(held, held, stalled, lost, total)


async def _is_braked(turn: Turn, silent: list[str]) -> bool:
    """Tell whether the brake holds these workers' accounts; put it on, with an alarm, where it must be."""
    presence, now, timeout_s = turn.presence, turn.monotonic, turn.settings.heartbeat_timeout_s
    judged = _judge_silence(turn, silent)
    if not judged.begins:
        return judged.held
    why = (
        "Master's own loop stalled"
        if judged.stalled
        else f"{judged.lost} of {judged.total} workers fell silent at once"
    )
    await raise_alarm(
        turn,
        f"{why}: nothing is revoked for {timeout_s:g} s.",
        {
            "silent": silent[:SHOWN_WORKERS],
            "silent_count": len(silent),
            "workers": judged.total,
            "stalled": judged.stalled,
        },
    )

    def put_on() -> None:
        presence.brake_until = now + timeout_s
        presence.brakes += 1

    turn.after_commit(put_on)
    log.error("brake_put_on", silent=len(silent), workers=judged.total, stalled=judged.stalled)
    return True


def release_brake(presence: Presence, monotonic: float, timeout_s: float) -> None:
    """Take the brake off once nobody is silent any more, or what it held has been given up."""
    if presence.brake_until is not None and not find_silent_workers(presence, monotonic, timeout_s):
        presence.brake_until = None


async def audit_workers(event: None, turn: Turn) -> int:
    """Look over the table for silent workers that the sweep has missed, and for accounts that wait though they fit.

    The source document's check: it is the outer bound and should find nothing. Returns what it found.
    """
    overdue = turn.at - turn.settings.heartbeat_timeout_s - FLUSH_INTERVAL_S
    missed = []
    for worker in await worker_rows.find_all_workers(turn.connection):
        seat = turn.presence.seats.get(worker.id)
        quiet = seat is None or turn.monotonic - seat.heard > turn.settings.heartbeat_timeout_s
        if worker.status is not WorkerStatus.OFFLINE and quiet and (worker.last_heartbeat or 0) < overdue:
            missed.append(worker.id)
        elif seat is not None and seat.sid is not None and seat.status is not worker.status:
            # somebody else wrote into our file: the next heartbeat takes the worker in again
            log.warning("audit_found_changed_row", worker=worker.id, row=worker.status.value)
            turn.after_commit(partial(turn.presence.set_status, worker.id, worker.status))
    missed, found = _find_waited_for(turn, missed) or missed, 0
    if missed and not _judge_silence(turn, missed).held:  # the brake may have been put on a turn ago, in this group
        log.warning("audit_found_silent_workers", workers=missed)
        found = await _give_up(turn, missed)
    placed = await place_waiting(turn)
    if placed:
        log.warning("audit_placed_accounts", workers=sorted(placed))
        await settle_loads(turn, placed)
    return found + len(placed)
