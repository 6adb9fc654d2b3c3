"""Database files filled before a server starts: with waiting accounts, or with assigned ones."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from loadtest.bench.loads import PLATFORM
from loadtest.bench.process import BenchFailed

CREATED_AT = 1_759_000_000
"""Creation time of the accounts, in Unix seconds: before any clock that the bench uses."""

UPGRADE_LIMIT_S = 60
PEER = Path(__file__).resolve().parent.parent / "peer"


def name_worker(number: int) -> str:
    """Return the id of a worker in a filled database; ids sort as their numbers do."""
    return f"w-{number:05d}"


def fill_accounts(path: Path, accounts: int, workers: int = 0) -> None:
    """Add accounts to a database of either side, assigned evenly to `workers`; with 0 they wait.

    Only columns of the source document are written, and the epoch of assigned accounts, which
    only Master's table has.
    """
    with closing(sqlite3.connect(path)) as connection, connection:
        metadata = json.dumps({"capabilities": [PLATFORM], "maxAccounts": 2 * accounts})
        connection.executemany(
            "INSERT INTO workers (id, host, port, status, assigned_accounts, last_heartbeat, "
            "started_at, version, metadata, created_at, updated_at) "
            "VALUES (?, '127.0.0.1', 4000, 'connected', ?, ?, ?, '1.0.0', ?, ?, ?)",
            (
                (
                    name_worker(number),
                    accounts // workers,
                    *(CREATED_AT,) * 2,
                    metadata,
                    *(CREATED_AT,) * 2,
                )
                for number in range(workers)
            ),
        )
        holders = [name_worker(number % workers) if workers else None for number in range(accounts)]
        connection.executemany(
            "INSERT INTO accounts (id, platform, account_name, assigned_worker_id, created_at, "
            "updated_at) VALUES (?, ?, ?, ?, ?, ?)",
            (
                (f"a-{number:06d}", PLATFORM, f"Account {number}", holder, CREATED_AT, CREATED_AT)
                for number, holder in enumerate(holders)
            ),
        )
        if workers:
            connection.execute("UPDATE accounts SET epoch = 1")


def make_master_file(path: Path, python: str, root: Path) -> None:
    """Make an empty database and its key file by a checkout's Master. Errors: BenchFailed."""
    if not (
        root / "master" / "app.py"
    ).is_file():  # else another Master, installed in the interpreter, might run
        raise BenchFailed(f"{root} is no checkout of Master.")
    environment = {**os.environ, "PYTHONPATH": str(root), "DB_PATH": str(path)}
    done = subprocess.run(  # noqa: S603
        [python, "-m", "master", "db", "upgrade"],
        cwd=path.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=UPGRADE_LIMIT_S,
        check=False,
    )
    if done.returncode != 0:
        raise BenchFailed(f"The Master of {root} makes no database:\n{done.stdout}{done.stderr}")


def make_peer_file(path: Path) -> None:
    """Make an empty database of the Node peer."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((PEER / "schema.sql").read_text(encoding="utf-8"))


def copy_file(source: Path, target: Path) -> None:
    """Copy a closed database, and the key file beside it if there is one."""
    for suffix in ("", ".keys"):
        beside = source.with_name(source.name + suffix)
        if beside.exists():
            shutil.copy(beside, target.with_name(target.name + suffix))
