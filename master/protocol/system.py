"""Master itself as people read it: its condition, its settings, and the machine it runs on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from typing_extensions import TypedDict

from master.protocol.answers import ShownMaintenance, ShownVitals
from master.protocol.wire import Outbound


class ShownBrake(TypedDict):
    """The brake: until it ends, no silent worker loses its accounts.

    `silent` are up to 20 of the `silent_count` workers that are silent for too long.
    """

    since: int
    until: int
    silent: list[str]
    silent_count: int


class ShownTrouble(TypedDict):
    """Why nothing can be stored, and since when."""

    since: int
    reason: str


class ShownCondition(TypedDict):
    """The condition of Master: everything that is wrong or out of the ordinary."""

    brake: ShownBrake | None
    storage: ShownTrouble | None
    stopping: bool
    maintenance: ShownMaintenance


@dataclass(frozen=True, slots=True)
class ConditionChanged(Outbound):
    """Master's condition, whenever it changes."""

    event: ClassVar[str] = "master:condition"
    brake: ShownBrake | None
    storage: ShownTrouble | None
    stopping: bool
    maintenance: ShownMaintenance

    @property
    def state_key(self) -> str | None:
        """Return the key of the condition: a newer one replaces an older one."""
        return "condition"


class ShownCheck(TypedDict):
    """One check of Master's health: whether it is passed, since when, and why not."""

    name: str
    ok: bool
    since: int
    detail: str | None


class ShownSweep(TypedDict):
    """A periodic check: its interval, when it last ran, and what it has found since the start."""

    name: str
    interval_s: float
    last_run: int | None
    found: int


class ShownBackup(TypedDict):
    """The newest backup that `python -m master db backup` has made of this database."""

    at: int
    file: str


class ShownDatabase(TypedDict):
    """The database: its file, the sizes of file and write-ahead log, and its newest backup."""

    path: str
    version: str
    bytes: int
    wal_bytes: int
    rev: int
    last_backup: ShownBackup | None


class ShownKeys(TypedDict):
    """The ids of the vault's keys, never the keys; `writing` seals new values."""

    writing: str
    known: list[str]
    source: str


class ShownVersion(TypedDict):
    """A program or library that Master runs with."""

    name: str
    version: str


class ShownSystem(ShownVitals):
    """Everything that Master knows of itself; no secret is among it."""

    now_ms: int
    condition: ShownCondition
    checks: list[ShownCheck]
    queues: dict[str, int]
    sockets: dict[str, int]
    sweeps: list[ShownSweep]
    database: ShownDatabase
    vault: ShownKeys
    versions: list[ShownVersion]


class ShownSetting(TypedDict):
    """A setting as it is in effect; `value` of a secret one is null, and `is_set` tells of it.

    `source` is `env`, `.env` or `default`.
    """

    name: str
    value: str | None
    is_secret: bool
    is_set: bool
    source: str
    default: str
    allowed: str
    description: str


class ShownMinutes(TypedDict):
    """How many messages were stored in each of the last 60 minutes, the present one last.

    Repeated reports are not counted. null is a minute before this process started.
    """

    stored: list[int | None]
    ends_at: int
    since: int
    last_seq: int
