"""Finds connected workers that do not do their work, and tells people when that begins and ends."""

from __future__ import annotations

from itertools import islice

import structlog

from master.decisions.sickness import (
    LEAST_S,
    Health,
    HealthReason,
    Signs,
    Track,
    find_period,
    follow,
    has_grown,
    judge,
)
from master.memory import Memory
from master.model import Account, JsonObject, Priority, WorkerStatus
from master.operations.notifications import raise_alarm
from master.protocol.stats import read_signs
from master.settings import Settings
from master.turn import PORTION, Turn

log = structlog.get_logger(__name__)

INTERVAL_S = 5
PORTION_COST = 5_000
WORKER_COST = 10
"""One sweep looks at 500 workers; an account that it has to read costs a tenth of a worker."""

NAMED_ALONE = 5
"""Workers that get a notification each; more that fall sick at once share one."""

NAMED_TOGETHER = 20

WORDS = {
    HealthReason.ERRORS: "its errors grow and nothing succeeds",
    HealthReason.NO_SUCCESS: "it tells of no success any more",
}


def look_around(memory: Memory, settings: Settings, now: float, monotonic: float) -> bool:
    """Look at a portion of the workers; tell whether people must be told of a change.

    Only memory is read, and most workers cost one look at their figures: their accounts are read
    once 10 minutes have passed without a success.
    """
    wards, seats = memory.wards, memory.sessions.seats
    if not wards.waiting:
        wards.waiting.extend(seats)
        wards.waiting.extend(name for name in wards.tracks if name not in seats)
    room = PORTION_COST
    while wards.waiting and room > 0:
        worker_id = wards.waiting.popleft()
        room -= WORKER_COST + _look_at(worker_id, memory, settings, now, monotonic)
    return bool(wards.found)


def _look_at(
    worker_id: str, memory: Memory, settings: Settings, now: float, monotonic: float
) -> int:
    """Look at one worker; return how many accounts were read."""
    wards, seat = memory.wards, memory.sessions.seats.get(worker_id)
    worker = memory.farm.workers.get(worker_id)
    if seat is None or worker is None or worker.status is WorkerStatus.OFFLINE:
        if wards.tracks.pop(worker_id, None) is not None:
            _note(memory, worker_id, None, now)
        return 0
    track, figures = wards.tracks.get(worker_id), read_signs(seat.stats)
    if track is None and not figures:
        return 0  # it says nothing of its work
    is_silent = monotonic - seat.heard > settings.heartbeat_timeout_s
    if worker.status is not WorkerStatus.CONNECTED or is_silent:
        return 0  # that is told otherwise
    track, signs = track or Track(monotonic), Signs(**figures)
    accounts: list[Account] = []
    if (
        monotonic - track.succeeded > LEAST_S
        or has_grown(track.signs.errors, signs.errors)
        or worker_id in wards.health
    ):
        accounts = list(memory.farm.accounts.find("owner", worker_id))
    period_s = find_period(accounts, settings.sick_after_intervals, now)
    track = follow(track, signs, monotonic, period_s or LEAST_S, seat.succeeded)
    wards.tracks[worker_id] = track
    _note(memory, worker_id, judge(track, monotonic, period_s), now)
    return len(accounts)


def _note(memory: Memory, worker_id: str, reason: HealthReason | None, now: float) -> None:
    """Keep a finding until people are told of it; drop it if they know it."""
    wards = memory.wards
    known = wards.health.get(worker_id)
    if reason == (known.reason if known is not None else None):
        wards.found.pop(worker_id, None)
    elif (found := wards.found.get(worker_id)) is None or found.reason != reason:
        wards.found[worker_id] = Health(reason, int(now)) if reason is not None else None


def tell_findings(event: None, turn: Turn) -> int:
    """Record the newest findings, and tell people of each worker that fell sick or recovered.

    Another reason for the same sickness makes no notification.
    """
    found = dict(islice(turn.draft.memory.wards.found.items(), PORTION))
    begun: list[tuple[str, Health]] = []
    over: list[str] = []
    for worker_id, health in found.items():
        before = turn.draft.health_of(worker_id)
        turn.draft.health[worker_id] = health
        if health is None:
            over.append(worker_id)
            log.info("worker_well", worker=worker_id)
            continue
        log.warning("worker_sick", worker=worker_id, state=health.state, reason=health.reason)
        if before is None:
            begun.append((worker_id, health))
    _tell_begun(turn, begun)
    _tell_over(turn, over)
    return len(found)


def _tell_begun(turn: Turn, begun: list[tuple[str, Health]]) -> None:
    if len(begun) > NAMED_ALONE:
        names = [worker_id for worker_id, _ in begun]
        content = f"{len(names)} workers are connected, but do not do their work."
        raise_alarm(turn, content, _name_all(names), Priority.HIGH)
        return
    for worker_id, health in begun:
        raise_alarm(
            turn,
            f"Worker {worker_id} is connected, but {WORDS[health.reason]}.",
            {
                "worker_id": worker_id,
                "state": health.state,
                "reason": health.reason,
                "since": health.since,
            },
            Priority.HIGH,
        )


def _tell_over(turn: Turn, names: list[str]) -> None:
    if len(names) > NAMED_ALONE:
        content = f"{len(names)} workers are well again, or no longer judged."
        raise_alarm(turn, content, _name_all(names), Priority.LOW)
        return
    for worker_id in names:
        worker = turn.draft.workers.get(worker_id)
        track = turn.draft.memory.wards.tracks.get(worker_id)
        is_judged = worker is not None and track is not None
        content = (
            f"Worker {worker_id} is well again, or has no logged-in account to judge it by."
            if is_judged
            else f"Worker {worker_id} is gone; it is no longer judged."
        )
        raise_alarm(turn, content, {"worker_id": worker_id, "state": "ok"}, Priority.LOW)


def _name_all(names: list[str]) -> JsonObject:
    return {"workers": names[:NAMED_TOGETHER], "workers_count": len(names)}
