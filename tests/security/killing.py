"""Restores that are killed, each at another point: `python -m tests.security.killing FOLDER
[reader]`.

FOLDER has `old/` (a database with its log and its keys) and `backup.db`. A point is a change of a
name or a file, a statement of SQLite's, or a step of its copying. Each line reports the state after
a kill and, for every fourth one, after a further restore: `[point, accounts, sound, accounts after,
left over]`. The last line's restore was not killed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from master.store.sqlite.backup import restore
from master.store.sqlite.keyring import sweep_leftovers

NOW = 1_790_000_000.0
EVENTS = {"os.rename", "os.remove", "os.link", "os.chmod", "os.chown", "shutil.copyfile"}
QUIET = (
    "PRAGMA synchronous",
    "PRAGMA secure_delete",
    "PRAGMA trusted_schema",
    "PRAGMA table_info",
    "SELECT",
)
"""Statements that change no file."""
CONNECT = sqlite3.connect


class Points:
    """Counts the points of one process; kills the process at the chosen one."""

    def __init__(self, fatal: int | None) -> None:
        self.count = 0
        self._fatal = fatal

    def come_by(self) -> None:
        """Record the next point."""
        if self.count == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1


def watch(points: Points) -> None:
    """Count in this process from here on."""

    class Watched(sqlite3.Connection):
        def execute(self, *words: Any) -> Any:
            if not words[0].startswith(QUIET):
                points.come_by()
            return super().execute(*words)

        def backup(self, target: sqlite3.Connection, *, progress: Any = None, **_: Any) -> None:
            def count(*state: int) -> None:
                points.come_by()
                progress(*state)

            super().backup(target, pages=16, progress=count)

    sqlite3.connect = partial(CONNECT, factory=Watched)  # type: ignore[assignment]
    sys.addaudithook(lambda event, _: points.come_by() if event in EVENTS else None)


def fork(work: Callable[[], None]) -> int:
    """Call a function in a process of its own; return the process id."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return child


def read_until(path: Path, begun: int, over: int) -> None:
    """Read the database from here on; check at the end that the reader's view has not changed."""
    with closing(CONNECT(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        before = reader.execute("SELECT id FROM accounts").fetchall()
        os.write(begun, b"!")
        os.read(over, 1)
        assert reader.execute("SELECT id FROM accounts").fetchall() == before


def add_rows(path: Path) -> None:
    """Write rows that stay in the log because of a reader."""
    with closing(CONNECT(path)) as writer:
        writer.execute("PRAGMA wal_autocheckpoint=0")
        writer.execute(
            "INSERT INTO accounts (id, platform, account_name, created_at, updated_at) VALUES "
            "('z', 'd', 'n', 0, 0)"
        )
        writer.commit()


def look(path: Path) -> tuple[int, bool]:
    """Return how many accounts there are, and whether the file is sound."""
    with closing(CONNECT(path)) as connection:
        count = connection.execute("SELECT count(*) FROM accounts").fetchone()[0]
        return count, connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def kill_at(folder: Path, point: int, *, with_reader: bool) -> tuple[bool, list[Any]]:
    """Kill a restore at a point; return whether it reached the point, and the report."""
    copy = folder / f"at-{point}"
    shutil.copytree(folder / "old", copy)
    path, backup = copy / "master.db", folder / "backup.db"
    begun, over = os.pipe(), os.pipe()
    reader = fork(lambda: read_until(path, begun[1], over[0])) if with_reader else None
    if reader is not None:
        os.read(begun[0], 1)
    os.waitpid(fork(lambda: add_rows(path)), 0)

    def put_back() -> None:
        watch(Points(point))
        restore(path, backup, None, NOW)

    _, status = os.waitpid(fork(put_back), 0)
    found = look(path)
    os.write(over[1], b"!")
    if reader is not None:
        _, read = os.waitpid(reader, 0)
        assert read == 0, "the reader saw something change"
    for end in (*begun, *over):
        os.close(end)
    if point % 4 == 0:
        restore(path, backup, None, NOW)
    after = look(path)[0] if point % 4 == 0 else None
    sweep_leftovers(path)
    left = sorted(one.name for one in copy.iterdir() if one.name.endswith("part"))
    shutil.rmtree(copy)
    assert status == 0 or os.WIFSIGNALED(status), status
    return os.WIFSIGNALED(status), [point, *found, after, left]


def main() -> None:
    """Kill at each point until there is none left."""
    folder, with_reader = Path(sys.argv[1]), "reader" in sys.argv[2:]
    point = 0
    while True:
        killed, told = kill_at(folder, point, with_reader=with_reader)
        print(json.dumps(told), flush=True)
        if not killed:
            return
        point += 1


if __name__ == "__main__":
    main()
