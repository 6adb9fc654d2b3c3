"""Worker processes as people follow them: their states, and their output as it is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field
from typing_extensions import TypedDict

from master.protocol.answers import ShownProcess
from master.protocol.http import ById
from master.protocol.wire import Id, Outbound, Payload, matching

Position = Annotated[
    str, matching(r"^[0-9]{1,20}\.[0-9]{1,15}$", "a position is two numbers, for example 17.2048")
]
"""A position in a worker's output: the log file's number and the byte in it."""


class LogPartQuery(ById):
    """Asks for lines of a worker's output: those behind the position `after`, or the last ones.

    Of more than `lines` lines the first ones are skipped.
    """

    after: Position | None = None
    lines: Annotated[int, Field(ge=1, le=5_000)] = 500


class FollowLog(Payload):
    """Follow a worker's output from now on, instead of another's; null: follow none."""

    worker_id: Id | None = None


class ShownLogPart(TypedDict):
    """Lines of a worker's output; `skipped` lines before them are left out.

    `before` and `after` are the positions before and behind them. `skipped` is null if the output
    was replaced meanwhile: how many lines that were is unknown.
    """

    lines: list[str]
    before: str
    after: str
    skipped: int | None


@dataclass(frozen=True, slots=True)
class ProcessLog(Outbound):
    """A worker's process has written; sent to the sockets that follow it (`admin:follow`)."""

    event: ClassVar[str] = "process:log"
    worker_id: str
    lines: list[str]
    before: str
    after: str
    skipped: int | None


@dataclass(frozen=True, slots=True)
class ProcessLogBehind(Outbound):
    """This socket reads too slowly to follow a worker's output: it reads it over HTTP instead."""

    event: ClassVar[str] = "process:log:behind"
    worker_id: str

    @property
    def state_key(self) -> str | None:
        """Return the key of the worker's output: one hint is enough."""
        return f"log {self.worker_id}"


@dataclass(frozen=True, slots=True)
class ProcessChanged(Outbound):
    """The state of a worker's process has changed."""

    event: ClassVar[str] = "process:status"
    beside: ClassVar[str] = "row"
    row: ShownProcess

    @property
    def state_key(self) -> str | None:
        """Return the key of the process whose state this event carries."""
        return f"process {self.row['worker_id']}"
