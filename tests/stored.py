"""Comparison of memory with the file, column by column; the file is read past Master."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from master.farm import Farm
from master.login_link import OPEN_LINK
from master.model import OPEN_SESSION
from master.store.columns import JsonText
from master.store.mapping import FARM, Rows

SEALED_FLAGS = {
    "has_credentials": "credentials",
    "has_fingerprint": "fingerprint",
    "has_profile": "profile",
    "has_qr_code": "qr_code_data",
    "has_password": "password",
}
"""Stands for a column that memory does not have."""

Described = dict[str, dict[str, dict[str, Any]]]
"""Table -> key -> column -> value."""


def describe_file(path: Path) -> tuple[Described, int]:
    """Return the rows of the file that memory should have, and the latest sequence number."""
    with closing(sqlite3.connect(path)) as connection:
        tables = {rows.table.name: _read_rows(connection, rows) for rows in FARM}
        [(last_seq,)] = connection.execute(
            "SELECT value FROM counters WHERE name = 'notification_seq'"
        ).fetchall()
    return tables, last_seq


def _read_rows(connection: sqlite3.Connection, rows: Rows[Any]) -> dict[str, dict[str, Any]]:
    columns = list(rows.columns)
    flags = [flag for flag in SEALED_FLAGS if flag in rows.derived]
    shown = ", ".join([*columns, *(f"{SEALED_FLAGS[flag]} IS NOT NULL" for flag in flags)])
    found = {}
    for values in connection.execute(f"SELECT {shown} FROM {rows.table.name}"):  # noqa: S608 - ours
        row = dict(zip([*columns, *flags], values, strict=True))
        for column in columns:
            if isinstance(rows.table.c[column].type, JsonText) and row[column] is not None:
                row[column] = orjson.loads(row[column])
        opens = {"login_sessions": ("status", OPEN_SESSION), "login_links": ("state", OPEN_LINK)}
        column, states = opens.get(rows.table.name, ("", None))
        if states is None or row[column] in states:
            found[row[rows.key]] = row
    return found


def describe_farm(farm: Farm) -> tuple[Described, int]:
    """Return the same of memory."""
    return {
        rows.table.name: {
            table.kind.key(record): {
                **rows.to_row(record),
                **{
                    flag: int(getattr(record, flag))
                    for flag in SEALED_FLAGS
                    if flag in rows.derived
                },
            }
            for record in table.all()
        }
        for rows, table in zip(FARM, farm.tables, strict=True)
    }, farm.last_seq


def check_farm(farm: Farm, path: Path) -> None:
    """Check that memory equals the file, and each worker's load is the number of its accounts."""
    known, last_seq = describe_farm(farm)
    assert (known, last_seq) == describe_file(path)
    for worker in farm.workers.all():
        assert worker.assigned_accounts == len(farm.accounts.list_keys("owner", worker.id))
