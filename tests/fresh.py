"""Databases as Master makes them, made once per process of tests and then copied.

Migrations are half of a first start. Tests of migrations, keys and first starts make their own.
"""

from __future__ import annotations

import shutil
from functools import cached_property
from pathlib import Path

from master.keys import locate_key_file
from master.store.sqlite.keyring import prepare_database
from master.store.sqlite.upgrade import upgrade
from master.vault import Vault


class FreshFiles:
    """Two models in a folder: a file after the migrations, and one after Master's first start."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def _empty(self) -> Path:
        path = self._folder / "empty.db"
        upgrade(path)
        return path

    @cached_property
    def _started(self) -> Path:
        path = self._folder / "started.db"
        prepare_database(path, Vault(), None)
        return path

    def lay_empty(self, path: Path) -> Path:
        """Copy a file of this version that no key was used with; return `path`."""
        shutil.copy2(self._empty, path)
        return path

    def lay_started(self, path: Path) -> Path:
        """Copy a file and its keys as they are after the first start; return `path`."""
        shutil.copy2(self._started, path)
        shutil.copy2(locate_key_file(self._started), locate_key_file(path))
        return path
