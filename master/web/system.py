"""`/condition`, `/system` and `/settings`: what Master knows of itself."""

from __future__ import annotations

import asyncio
import platform
import sqlite3
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from master.keys import locate_key_file
from master.protocol.http import Nothing
from master.protocol.system import (
    ShownCondition,
    ShownDatabase,
    ShownSetting,
    ShownSweep,
    ShownSystem,
    ShownVersion,
)
from master.secret import Secret
from master.sessions import Sessions
from master.settings import SECRET_SETTINGS, Settings, describe_settings
from master.store.sqlite.notes import read_backup_note
from master.vault import Vault
from master.web.condition import Conditions
from master.web.health import Vitals
from master.writer import Turns

LIBRARIES = (
    "aiohttp", "python-socketio", "python-engineio", "SQLAlchemy", "aiosqlite", "pydantic",
    "cryptography", "orjson", "structlog",
)  # fmt: skip


class System:
    """Answers what people ask of Master itself."""

    def __init__(
        self,
        settings: Settings,
        vitals: Vitals,
        conditions: Conditions,
        turns: Turns,
        vault: Vault,
        sessions: Sessions,
        *,
        list_sweeps: Callable[[], Sequence[ShownSweep]] = list,
        measure_outbound: Callable[[], int] = lambda: 0,
    ) -> None:
        self.database_version = ""  # known once the database is open
        self._settings = settings
        self._vitals = vitals
        self._conditions = conditions
        self._turns = turns
        self._vault = vault
        self._list_sweeps = list_sweeps
        self._sessions = sessions
        self._measure_outbound = measure_outbound
        self._versions: list[ShownVersion] = []

    async def show_condition(self, event: Nothing) -> ShownCondition:
        """Return what people must know of Master at once; `master:condition` tells of changes."""
        return self._conditions.render()

    async def show(self, event: Nothing) -> ShownSystem:
        """Return checks, queues, sweeps, the database file and versions."""
        if not self._versions:
            self._versions = await asyncio.to_thread(_list_versions)
        return {
            **self._vitals.render(),
            "now_ms": int(self._vitals.clock.now() * 1000),
            "condition": self._conditions.render(),
            "checks": self._conditions.list_checks(),
            "queues": self._count_queues(),
            "sockets": self._sessions.count_sockets(),
            "sweeps": list(self._list_sweeps()),
            "database": await self._render_database(),
            "vault": {
                "writing": self._vault.writing,
                "known": self._vault.key_ids,
                "source": self._name_key_source(),
            },
            "versions": [{"name": "Master", "version": self._vitals.version}, *self._versions],
        }

    async def show_settings(self, event: Nothing) -> list[ShownSetting]:
        """Return every setting as it is in effect; of secret ones only whether they are set."""
        return show_settings(self._settings)

    def _count_queues(self) -> dict[str, int]:
        """Return how much waits in each queue, and the bounds of the two that peers can fill."""
        return {
            "writes": self._turns.waiting,
            "writes_limit": self._settings.write_queue_items,
            "outbound_bytes": self._measure_outbound(),
            "outbound_limit_bytes": self._settings.outbound_queue_bytes,
            "heartbeats": len(self._sessions.unwritten),
            "untold_accounts": sum(len(one.sizes) for one in self._sessions.untold.values()),
        }

    def _name_key_source(self) -> str:
        if self._settings.master_keys is not None:
            return "MASTER_KEYS"
        return str(locate_key_file(self._settings.db_path))

    async def _render_database(self) -> ShownDatabase:
        path = self._settings.db_path
        size, log_size, note = await asyncio.to_thread(_measure, path)
        return {
            "path": str(path),
            "version": self.database_version,
            "bytes": size,
            "wal_bytes": log_size,
            "rev": self._turns.rev,
            "last_backup": note,
        }


def show_settings(settings: Settings) -> list[ShownSetting]:
    """Return every setting with its value, and where the value comes from."""
    shown: list[ShownSetting] = []
    for one in describe_settings():
        name = one.name.lower()
        value, is_secret = getattr(settings, name), name in SECRET_SETTINGS
        shown.append(
            {
                "name": one.name,
                "value": None if is_secret else _write(value),
                "is_secret": is_secret,
                "is_set": bool(value) if is_secret else settings.find_source(name) != "default",
                "source": settings.find_source(name),
                "default": one.default,
                "allowed": one.allowed,
                "description": one.description,
            }
        )
    return shown


def _write(value: Any) -> str:
    """Return a value as it is written in the environment."""
    assert not isinstance(value, Secret), "a secret setting is in SECRET_SETTINGS"
    if value is None:
        return "(none)"
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return str(int(value))
    return f"{value:g}" if isinstance(value, float) and value < 1e6 else str(value)


def _measure(path: Path) -> tuple[int, int, Any]:
    """Return the bytes of a database and of its log, and the note of its newest backup."""
    log = path.with_name(path.name + "-wal")
    size, log_size = (one.stat().st_size if one.exists() else 0 for one in (path, log))
    return size, log_size, read_backup_note(path)


def _list_versions() -> list[ShownVersion]:
    found = {
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "system": platform.platform(terse=True),
    }
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # a frozen program has no metadata
            continue
    return [{"name": name, "version": one} for name, one in found.items()]
