"""Checks which file the database's path names: a replaced or removed one gets no more writes.

Connections go on working with the file that they opened, whatever happens to its name. All that
they store would be gone after the next start.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

GONE = "{} was replaced or removed while Master runs: restore it and restart Master"


class Identity:
    """The file that the first connection opened, by its device and inode.

    Once the path has named another file or none, `is_lost` stays true: data may be in either.
    """

    def __init__(self, path: Path) -> None:
        self.is_lost = False
        self._path = path
        self._known: tuple[int, int] | None = None

    def check(self) -> None:
        """Compare the file with the one that was opened first. It waits for the disk.

        Errors: sqlite3.OperationalError, as if SQLite itself had found the fault.
        """
        if not self.is_lost:
            try:
                found = self._path.stat()
            except FileNotFoundError:
                self.is_lost = self._known is not None
            except OSError as fault:
                raise sqlite3.OperationalError(f"{self._path}: {fault.strerror}") from fault
            else:
                key = found.st_dev, found.st_ino
                self._known = self._known or key
                self.is_lost = key != self._known
        if self.is_lost:
            raise sqlite3.OperationalError(GONE.format(self._path.name))

    def connect(self, *args: Any, **options: Any) -> sqlite3.Connection:
        """Open a connection that checks the file, in its thread; a `factory` of sqlite3.connect."""
        self.check()  # SQLite would create a file that is missing
        return _Connection(self, *args, **options)


class _Connection(sqlite3.Connection):
    """Checks the file around each commit: without a name, its data would be lost."""

    def __init__(self, identity: Identity, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._identity = identity
        identity.check()

    def commit(self) -> None:
        """Commit to the file that the path names. Errors: sqlite3.OperationalError."""
        self._identity.check()
        super().commit()
        self._identity.check()
