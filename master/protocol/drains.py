"""Taking workers out of service, and the farm's maintenance: requests, and events to /admin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from master.protocol.answers import ShownMaintenance, ShownStay
from master.protocol.http import ById
from master.protocol.wire import HttpPayload, Outbound, ShortText
from master.protocol.words import DrainState

DrainSeconds = Annotated[int, Field(ge=10, le=86_400)]


class DrainWorker(ById):
    """Take a worker out of service; after `deadline_s` what is left stays with it."""

    deadline_s: DrainSeconds
    reason: ShortText | None = None


class RestartWorker(ById):
    """Restart a worker's process; with `drain_s`, its accounts leave it first."""

    drain_s: DrainSeconds | None = None
    reason: ShortText | None = None


class BeginMaintenance(HttpPayload):
    """Begin a maintenance of the farm, which ends by itself after `deadline_s`."""

    deadline_s: DrainSeconds
    reason: ShortText | None = None


@dataclass(frozen=True, slots=True)
class DrainChanged(Outbound):
    """A worker is taken out of service: begin, progress or end."""

    event: ClassVar[str] = "worker:drain"
    worker_id: str
    state: DrainState
    left: int
    moved: int
    unplaceable: list[ShownStay]
    rev: int


@dataclass(frozen=True, slots=True)
class MaintenanceChanged(Outbound):
    """A maintenance of the farm has begun or ended; its row as it is now."""

    event: ClassVar[str] = "farm:maintenance"
    beside: ClassVar[str] = "row"
    row: ShownMaintenance
    rev: int
