"""Evicts silent workers, unless the silence is more likely Master's own fault."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from master.decisions import liveness
from master.draft import Draft
from master.farm import Table
from master.memory import Memory, Watch
from master.model import Login, Worker, WorkerStatus
from master.operations.notifications import raise_alarm
from master.operations.workers import evict
from master.sessions import Sessions
from master.turn import PORTION, Turn

log = structlog.get_logger(__name__)

SHOWN_WORKERS = 20


class Holdings(Protocol):
    """The tables, of a draft or of the farm, that tell what each worker owns."""

    @property
    def workers(self) -> Table[Worker]:
        """Return the workers."""
        ...

    @property
    def logins(self) -> Table[Login]:
        """Return the open logins."""
        ...


def find_silent_workers(memory: Memory, monotonic: float, timeout_s: float) -> list[str]:
    """Return the workers that a sweep should evict now, by the committed farm."""
    return liveness.find_silent(memory.find_heard(), monotonic, timeout_s)


def find_heard(draft: Draft) -> list[tuple[str, float]]:
    """Return (worker id, monotonic second last heard) of every worker not offline in the draft."""
    return [
        (worker_id, seat.heard)
        for worker_id, seat in draft.memory.sessions.seats.items()
        if (worker := draft.workers.get(worker_id)) is not None
        and worker.status is not WorkerStatus.OFFLINE
    ]


def find_silent(turn: Turn) -> list[str]:
    """Return the workers silent for longer than the timeout, by this turn's draft."""
    return liveness.find_silent(
        find_heard(turn.draft), turn.monotonic, turn.settings.heartbeat_timeout_s
    )


def holds_something(tables: Holdings, worker_id: str) -> bool:
    """Tell whether a worker has accounts or an open login, so that losing it loses something."""
    worker = tables.workers.get(worker_id)
    if worker is not None and worker.assigned_accounts > 0:
        return True
    return next(iter(tables.logins.find("worker", worker_id)), None) is not None


def evict_silent(event: None, turn: Turn) -> int:
    """Evict the workers silent for longer than the timeout, and reassign their accounts.

    All of it is one turn. If the silence is more likely Master's fault, nothing is revoked for one
    further timeout; workers still silent then are evicted.
    """
    silent = choose_judged(turn, find_silent(turn))
    if silent and is_braked(turn, silent):
        return 0
    return evict_some(turn, silent)


def evict_some(turn: Turn, silent: list[str]) -> int:
    """Evict these workers, a portion of accounts per turn; return how many.

    The sweep or the audit found them. Each with accounts or an open login counts for the brake.
    """
    now, timeout_s = turn.monotonic, turn.settings.heartbeat_timeout_s
    lost, weight = [], 0
    for number, worker_id in enumerate(silent):
        lost.append(worker_id)
        worker = turn.draft.workers.get(worker_id)
        weight += worker.assigned_accounts if worker is not None else 0
        if weight >= PORTION and number + 1 < len(silent):
            turn.go_on(evict_silent)
            break
    if not lost:
        return 0
    watch = turn.draft.watch
    lately = tuple(at for at in watch.evictions if now - at <= timeout_s)
    counted = sum(holds_something(turn.draft, worker_id) for worker_id in lost)
    turn.draft.watch = replace(watch, evictions=(*lately, *[now] * counted))
    evict(turn, lost, liveness.SILENCE, reachable=False)
    return len(lost)


def choose_judged(turn: Turn, silent: list[str]) -> list[str]:
    """Return the silent workers to judge first, and together.

    These are the workers that no brake protects any more; else those that an expired brake was put
    on for; else all.
    """
    return find_unprotected(turn, silent) or find_waited_for(turn, silent) or silent


def find_unprotected(turn: Turn, silent: list[str]) -> list[str]:
    """Return the silent workers that no brake protects any more, whatever put it on."""
    return _find_unprotected(
        turn.sessions, silent, turn.monotonic, turn.settings.heartbeat_timeout_s
    )


def _find_unprotected(
    sessions: Sessions, silent: list[str], now: float, timeout_s: float
) -> list[str]:
    stalls, seats = sessions.list_stalls(now), sessions.seats
    return [
        name
        for name in silent
        if not liveness.may_be_protected(seats[name].heard, now, timeout_s, stalls)
    ]


def find_waited_for(turn: Turn, silent: list[str]) -> list[str]:
    """Return the workers that an expired brake was put on for, and silent ever since.

    The others fell silent while it was on; whether that is their fault is still to be judged.
    """
    watch, seats = turn.draft.watch, turn.sessions.seats
    if watch.brake_until is None or turn.monotonic < watch.brake_until:
        return []
    heard = [(name, seats[name].heard) for name in silent]
    return liveness.find_silent(heard, watch.put_on_at, turn.settings.heartbeat_timeout_s)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on the silence of some workers.

    `protected`: the brake protects them, as the fault is more likely Master's. `begins`: the brake
    is to be put on now. `lost` of `total` workers with accounts or an open login fell silent within
    a timeout.
    """

    protected: bool
    begins: bool
    stalled: bool
    lost: int
    total: int


def judge_silence(turn: Turn, silent: list[str]) -> Judgement:
    """Judge whether the brake protects the accounts of these workers.

    `silent` are judged together (`choose_judged`). Workers without accounts and open logins alone
    put on no brake; after a stall they are spared like the others.
    """
    watch, now, timeout_s = turn.draft.watch, turn.monotonic, turn.settings.heartbeat_timeout_s
    stalls = turn.sessions.list_stalls(now)
    stalled_at = stalls[-1].ended if stalls else -math.inf
    stalled = now - stalled_at <= timeout_s
    holding = {name for name, _ in find_heard(turn.draft) if holds_something(turn.draft, name)}
    losing = sum(name in holding for name in silent)
    lately = sum(now - at <= timeout_s for at in watch.evictions)
    lost, total = losing + lately, len(holding) + lately
    if find_unprotected(turn, silent):
        return Judgement(False, False, stalled, lost, total)
    # a stall while the brake is on restarts it: no worker could be heard meanwhile
    is_braked_already = watch.brake_until is not None and stalled_at <= watch.put_on_at
    is_on = watch.brake_until is not None and now < watch.brake_until
    if is_braked_already and (is_on or find_waited_for(turn, silent)):
        return Judgement(is_on, False, stalled, lost, total)
    begins = losing > 0 and liveness.is_more_likely_us(lost, total, stalled)
    return Judgement(begins or stalled, begins, stalled, lost, total)


def is_braked(turn: Turn, silent: list[str]) -> bool:
    """Tell whether the brake protects these workers' accounts; put it on, with an alarm, if due."""
    now, timeout_s = turn.monotonic, turn.settings.heartbeat_timeout_s
    judged = judge_silence(turn, silent)
    if not judged.begins:
        return judged.protected
    why = (
        "Master's own loop stalled"
        if judged.stalled
        else f"{judged.lost} of {judged.total} workers fell silent at once"
    )
    if turn.draft.maintenance is None:
        raise_alarm(
            turn,
            f"{why}: nothing is revoked for {timeout_s:g} s.",
            {
                "silent": silent[:SHOWN_WORKERS],
                "silent_count": len(silent),
                "workers": judged.total,
                "stalled": judged.stalled,
            },
        )
    watch = turn.draft.watch
    turn.draft.watch = replace(
        watch, brake_until=now + timeout_s, put_on_at=now, brakes=watch.brakes + 1
    )
    log.error("brake_put_on", silent=len(silent), workers=judged.total, stalled=judged.stalled)
    return True


def is_somebody_due(memory: Memory, monotonic: float, timeout_s: float) -> bool:
    """Tell whether a sweep should judge silence: a worker is silent, and no brake protects it."""
    release_brake(memory, monotonic, timeout_s)
    silent, brake_until = (
        find_silent_workers(memory, monotonic, timeout_s),
        memory.watch.brake_until,
    )
    if silent and brake_until is not None and monotonic < brake_until:
        return bool(_find_unprotected(memory.sessions, silent, monotonic, timeout_s))
    return bool(silent)


def release_brake(memory: Memory, monotonic: float, timeout_s: float) -> None:
    """Release the brake once no worker is silent any more, or all of them have been evicted."""
    watch: Watch = memory.watch
    if watch.brake_until is not None and not find_silent_workers(memory, monotonic, timeout_s):
        memory.watch = replace(watch, brake_until=None)
