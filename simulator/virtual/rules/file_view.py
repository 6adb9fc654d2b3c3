"""Accounts, workers and open logins as stored, read over a separate connection."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from master.model import OPEN_SESSION, WorkerStatus
from simulator.virtual.rules.evenness import Taker


@dataclass(slots=True)
class AccountRow:
    """One account: the columns about its ownership, and whether it is to be watched."""

    owner: str | None
    epoch: int
    platform: str
    pinned: str | None
    status: str


@dataclass(slots=True)
class WorkerRow:
    """One worker; `load` is its row's `assigned_accounts`."""

    status: str
    load: int
    capabilities: Sequence[str]
    max_accounts: int
    drain_since: int | None = None
    """Since when it takes no accounts; None: it is in service."""
    drain_deadline: int | None = None
    drain_done: bool = False


@dataclass(frozen=True, slots=True)
class LoginRow:
    """One login session; `expires_at` is Unix seconds."""

    account_id: str
    worker_id: str
    status: str
    expires_at: int


@dataclass(slots=True)
class View:
    """The file at one moment. A view shares its unchanged tables with the view before it."""

    accounts: dict[str, AccountRow] = field(default_factory=dict)
    workers: dict[str, WorkerRow] = field(default_factory=dict)
    logins: dict[str, LoginRow] = field(default_factory=dict)
    """Open sessions by their id."""
    last_row: int = 0

    def list_holding(self) -> set[str]:
        """Return the workers that own accounts or have an open login."""
        holding = {worker_id for worker_id, worker in self.workers.items() if worker.load > 0}
        return holding | {
            login.worker_id for login in self.logins.values() if login.status in OPEN_SESSION
        }

    def show_takers(self) -> dict[str, Taker]:
        """Return the workers that take accounts, with their loads and reservations for logins."""
        kept = Counter(
            login.worker_id
            for login in self.logins.values()
            if login.status in OPEN_SESSION
            and login.account_id in self.accounts
            and self.accounts[login.account_id].owner != login.worker_id
        )
        return {
            worker_id: Taker(
                worker.load + kept[worker_id], worker.max_accounts, worker.capabilities
            )
            for worker_id, worker in self.workers.items()
            if worker.status == WorkerStatus.CONNECTED and worker.drain_since is None
        }


class Reader:
    """Reads the file at `path`, which may not exist yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._account_rows: list[Any] = []
        self._worker_rows: list[Any] = []

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()

    def ask(self, query: str, values: Sequence[Any] = ()) -> Iterator[Any]:
        """Yield the rows of a query."""
        if self._connection is None:
            self._connection = sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True)
        return self._connection.execute(query, values)

    def read(self, view: View, dirty: AbstractSet[str]) -> View:
        """Return the view after `view`, reading again the tables in `dirty`."""
        accounts, workers = view.accounts, view.workers
        if "accounts" in dirty:
            rows = list(
                self.ask(
                    "SELECT id, assigned_worker_id, epoch, platform, pinned_worker_id, status "
                    "FROM accounts"
                )
            )
            if rows != self._account_rows:  # most writes change none of these columns
                self._account_rows = rows
                accounts = {row[0]: AccountRow(*row[1:]) for row in rows}
        if "workers" in dirty:
            rows = list(
                self.ask(
                    "SELECT id, status, assigned_accounts, metadata, drain_since, drain_deadline, "
                    "drain_done FROM workers"
                )
            )
            if rows != self._worker_rows:
                self._worker_rows = rows
                workers = {row[0]: _read_worker(*row[1:]) for row in rows}
        new = View(accounts, workers, dict(view.logins), view.last_row)
        if "login_sessions" in dirty:
            listed = self.ask(
                "SELECT rowid, id, account_id, worker_id, status, expires_at FROM login_sessions "
                "WHERE rowid > ? OR status IN (?, ?) OR id IN (SELECT value FROM json_each(?)) "
                "ORDER BY rowid",
                (view.last_row, *OPEN_SESSION, orjson.dumps(list(view.logins))),
            )
            new.logins = {}
            for row_id, session_id, *columns in listed:
                new.logins[session_id] = LoginRow(*columns)
                new.last_row = max(new.last_row, row_id)
        return new


def _read_worker(status: str, load: int, text: str | None, *drain: Any) -> WorkerRow:
    told = orjson.loads(text or "{}")
    return WorkerRow(status, load, told.get("capabilities", ()), told.get("maxAccounts", 0), *drain)


def snapshot(path: Path) -> list[tuple[Any, ...]]:
    """Return the columns of accounts that a restart of Master must preserve."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        query = (
            "SELECT id, assigned_worker_id, epoch, status, login_status FROM accounts ORDER BY id"
        )
        return list(connection.execute(query))
