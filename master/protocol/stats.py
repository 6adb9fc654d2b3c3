"""The figures of a worker's heartbeat: kept as they come, validated when they are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from master.model import JsonObject
from master.protocol.wire import Count, Payload


def _forgive(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    """Return None for a value that cannot be read: a bad figure must not cost a heartbeat."""
    try:
        return read(value)
    except ValidationError:
        return None


Forgiven = WrapValidator(_forgive)


class Stats(Payload):
    """A worker's figures: memory in MB, processor in percent. An unreadable figure is None."""

    active_accounts: Annotated[Count | None, Forgiven] = Field(
        default=None, validation_alias="activeAccounts"
    )
    memory_usage: Annotated[Annotated[float, Field(ge=0, le=1e9)] | None, Forgiven] = Field(
        default=None, validation_alias="memoryUsage"
    )
    cpu_usage: Annotated[Annotated[float, Field(ge=0, le=1e6)] | None, Forgiven] = Field(
        default=None, validation_alias="cpuUsage"
    )


STATS = ("activeAccounts", "memoryUsage", "cpuUsage")
LONGEST_FIGURE = 64


def keep_figures(value: Any) -> dict[str, Any] | None:
    """Return a heartbeat's known figures, unvalidated, or None if they are no object.

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
    return figures


def read_stats(figures: Mapping[str, Any]) -> JsonObject:
    """Return a worker's figures, validated; an unreadable one is None."""
    return Stats.model_validate(figures).model_dump() if figures else {}
