"""The figures of a worker's heartbeat: kept as they come, validated when they are read."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from math import isfinite
from typing import Annotated, Any

from pydantic import (
    AliasChoices,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from master.model import LARGEST_EXACT, JsonObject
from master.protocol.shown import FIGURE_TEXTS, render_figures
from master.protocol.times import read_seconds
from master.protocol.wire import Count, Payload


def _forgive(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    """Return None for a value that cannot be read: a bad figure must not cost a heartbeat."""
    try:
        return read(value)
    except ValidationError:
        return None


Forgiven = WrapValidator(_forgive)


class Stats(Payload):
    """A worker's figures: memory in MB, processor in percent. An unreadable figure is None.

    Beside these, up to 16 figures of the worker's own are kept: numbers and truth values under any
    name of at most 64 characters, texts under the names that docs/security.md lists.
    """

    active_accounts: Annotated[Count | None, Forgiven] = Field(
        default=None, validation_alias=AliasChoices("activeAccounts", "active_accounts")
    )
    memory_usage: Annotated[Annotated[float, Field(ge=0, le=1e9)] | None, Forgiven] = Field(
        default=None, validation_alias=AliasChoices("memoryUsage", "memory_usage")
    )
    cpu_usage: Annotated[Annotated[float, Field(ge=0, le=1e6)] | None, Forgiven] = Field(
        default=None, validation_alias=AliasChoices("cpuUsage", "cpu_usage")
    )


STATS = ("activeAccounts", "memoryUsage", "cpuUsage")
STANDARD = frozenset({*STATS, *Stats.model_fields})
LONGEST_FIGURE = 64
"""Characters of a name or of a text."""

MOST_EXTRAS = 16
MOST_LOOKED_AT = 64
"""Figures of one heartbeat that are read; the others are ignored."""


def keep_figures(value: Any) -> dict[str, Any] | None:
    """Return a heartbeat's figures, unvalidated, or None if they are no object.

    `read_stats` validates them when they are requested.
    """
    if not isinstance(value, dict):
        return None
    figures = {}
    for name in STATS:
        figure = value.get(name)
        if type(figure) is float or (
            isinstance(figure, (int, str)) and len(str(figure)) <= LONGEST_FIGURE
        ):
            figures[name] = figure
    if len(value) > len(figures):
        _keep_extras(value, figures)
    return figures


def _keep_extras(sent: Mapping[str, Any], figures: dict[str, Any]) -> None:
    """Add the figures of the worker's own; a text under an unlisted name may be a secret."""
    room = MOST_EXTRAS
    for name, value in islice(sent.items(), MOST_LOOKED_AT):
        kind = type(value)
        if (
            name not in figures
            and len(name) <= LONGEST_FIGURE
            and name.isprintable()
            and (
                kind in (float, bool)
                or (kind is int and abs(value) <= LARGEST_EXACT)
                or (kind is str and len(value) <= LONGEST_FIGURE and name in FIGURE_TEXTS)
            )
        ):
            figures[name] = value
            room -= 1
            if room == 0:
                return


def read_stats(figures: Mapping[str, Any]) -> JsonObject:
    """Return a worker's figures as people read them, validated; an unreadable one is None."""
    if not figures:
        return {}
    extras = {
        name: value if type(value) is not float or isfinite(value) else None
        for name, value in figures.items()
        if name not in STANDARD
    }
    return render_figures(extras) | Stats.model_validate(figures).model_dump()


TIME = "last_success"
SIGNS: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "errors", "errorCount", "error_count", "errorsTotal", "errors_total", "totalErrors",
            "total_errors", "failures", "failureCount", "failure_count", "failed",
        ),
        "errors",
    ),
    **dict.fromkeys(
        (
            "successes", "successCount", "success_count", "successesTotal", "successes_total",
            "totalSuccesses", "total_successes", "succeeded", "looks",
        ),
        "successes",
    ),
    **dict.fromkeys(
        (
            "lastSuccess", "last_success", "lastSuccessAt", "last_success_at", "lastSuccessTime",
            "last_success_time", "lastLook", "last_look", "lastLookAt", "last_look_at",
        ),
        TIME,
    ),
}  # fmt: skip
"""Usual names of the figures that tell whether a worker does its work, and their meaning."""

EARLIEST_TIME = 10**9
"""A smaller number under the name of a time is no time; it may be an age in seconds."""


def read_signs(figures: Mapping[str, Any]) -> dict[str, float]:
    """Return what figures say of a worker's work, by meaning; empty if they say nothing.

    Several figures of one meaning count as their sum, several times as the latest.
    """
    signs: dict[str, float] = {}
    for name, value in figures.items():
        meaning = SIGNS.get(name)
        if meaning is None or (number := _read_sign(meaning, value)) is None:
            continue
        if meaning == TIME:
            signs[meaning] = max(number, signs.get(meaning, number))
        else:
            signs[meaning] = number + signs.get(meaning, 0)
    return signs


def _read_sign(meaning: str, value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        if meaning == TIME:
            moment = read_seconds(value)
            return float(moment) if moment >= EARLIEST_TIME else None
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if isfinite(number) else None
