"""Judges which connected workers do their work: signs of life alone do not prove it.

A quiet account has no messages for days, so a worker without a success is judged only by what it
says itself: that it tells of successes and has none, or that its errors grow.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from master.model import Account, JsonObject, LoginStatus
from master.record import change

LEAST_S = 600.0
"""The shortest time without a success that means anything."""


class HealthState(StrEnum):
    """How a connected worker does its work."""

    OK = "ok"
    QUIET = "quiet"
    """It tells of successes, and has had none for too long."""
    FAILING = "failing"
    """Its errors grow, and it has had no success for too long."""


class HealthReason(StrEnum):
    """Why a worker is not `ok`."""

    ERRORS = "errors"
    NO_SUCCESS = "no_success"


STATES = {
    HealthReason.ERRORS: HealthState.FAILING,
    HealthReason.NO_SUCCESS: HealthState.QUIET,
}


@dataclass(frozen=True, slots=True)
class Health:
    """The state of a worker that is not `ok`, and since when (Unix seconds)."""

    reason: HealthReason
    since: int

    @property
    def state(self) -> HealthState:
        """Return the state that the reason leads to."""
        return STATES[self.reason]


def render_health(health: Health | None) -> JsonObject:
    """Return a worker's health as people read it; None is `ok`."""
    if health is None:
        return {"state": HealthState.OK, "reason": None, "since": None}
    return {"state": health.state, "reason": health.reason, "since": health.since}


@dataclass(frozen=True, slots=True)
class Signs:
    """The signs of work in a worker's figures; None if a figure is missing.

    `errors` and `successes` are numbers that grow. `last_success` is Unix seconds of the worker's
    clock, which may be wrong: only its progress counts.
    """

    errors: float | None = None
    successes: float | None = None
    last_success: float | None = None


@dataclass(frozen=True, slots=True)
class Track:
    """The record of a worker's work; moments are monotonic seconds of Master.

    `succeeded` is the last success, or when Master first read the worker's signs. `signs` are the
    newest ones, each with its last value. Errors have grown without a long pause and without a
    success from `errors_from` to `errors_at`.
    """

    succeeded: float
    signs: Signs = Signs()
    errors_from: float | None = None
    errors_at: float | None = None

    @property
    def tells(self) -> bool:
        """Tell whether the worker has ever told of successes."""
        return self.signs.successes is not None or self.signs.last_success is not None


def has_grown(before: float | None, after: float | None) -> bool:
    """Tell whether a figure has grown; a smaller one means that the worker began anew."""
    return before is not None and after is not None and after > before


def follow(
    track: Track, signs: Signs, now: float, period_s: float, seen: float | None = None
) -> Track:
    """Return what is known after new signs; `seen` is the last success that Master saw itself."""
    before = track.signs
    if signs == before and (seen is None or seen <= track.succeeded):
        return track
    known = Signs(
        *(
            old if new is None else new
            for old, new in (
                (before.errors, signs.errors),
                (before.successes, signs.successes),
                (before.last_success, signs.last_success),
            )
        )
    )
    track = change(track, signs=known)
    if has_grown(before.successes, signs.successes) or has_grown(
        before.last_success, signs.last_success
    ):
        return change(track, succeeded=now, errors_from=None, errors_at=None)
    if seen is not None and seen > track.succeeded:
        track = change(track, succeeded=seen, errors_from=None, errors_at=None)
    if has_grown(before.errors, signs.errors):
        goes_on = track.errors_at is not None and now - track.errors_at <= period_s / 2
        track = change(track, errors_from=track.errors_from if goes_on else now, errors_at=now)
    return track


def find_period(accounts: Iterable[Account], intervals: int, now: float) -> float | None:
    """Return how long a worker with these accounts may be without a success (seconds).

    None means that there is nothing to judge: no account is watched with a valid login, or each of
    them came or changed too short a time ago. `now` is Unix seconds.
    """
    watched = [
        one for one in accounts if one.is_served and one.login_status is LoginStatus.LOGGED_IN
    ]
    if not watched:
        return None
    period_s = max(LEAST_S, intervals * max(one.monitor_interval for one in watched))
    is_settled = any(now - one.updated_at >= period_s for one in watched)
    return period_s if is_settled else None


def judge(track: Track, now: float, period_s: float | None) -> HealthReason | None:
    """Return why a worker does not do its work, or None if nothing speaks against it."""
    if period_s is None or now - track.succeeded <= period_s:
        return None
    grows = track.errors_at is not None and now - track.errors_at <= period_s / 2
    if grows and (
        track.tells or (track.errors_from is not None and now - track.errors_from > period_s)
    ):
        return HealthReason.ERRORS
    return HealthReason.NO_SUCCESS if track.tells else None
