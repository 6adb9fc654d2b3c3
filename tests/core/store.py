"""A real database file, and memory equal to it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from master.draft import Draft
from master.farm import Farm
from master.keys import make_key
from master.memory import Memory
from master.store.comparison import find_difference
from master.store.farm import load, write
from master.store.sqlite.database import Database
from master.vault import Vault
from simulator.virtual.machine.database import COMPILATION
from tests.core.growth import Model


class Store:
    """A database, and memory equal to it."""

    def __init__(self, path: Path) -> None:
        vault = Vault()
        vault.use([make_key(os.urandom)])
        self.path = path
        self.database = Database(path, vault)
        COMPILATION.share(self.database)
        self.memory = Memory()

    async def commit(self, draft: Draft) -> None:
        """Store a draft and apply it to the farm; the farm keeps open logins only."""
        farm = self.memory.farm
        async with self.database.write() as transaction:
            await write(await transaction.connect(), farm, draft)
        for table, changes in zip(farm.tables, draft.tables, strict=True):
            for key, record in changes.changed.items():
                if record is None or not table.kind.is_kept(record):
                    table.remove(key)
                else:
                    table.put(record)
        farm.last_seq = draft.last_seq

    async def load(self) -> Farm:
        """Return the farm as a start would load it."""
        async with self.database.read() as connection:
            return await load(connection)

    async def difference(self) -> str | None:
        """Return the differences between file and farm that the audit finds."""
        async with self.database.read() as connection:
            return await find_difference(connection, self.memory.farm)

    def ask_file(self, question: str, *values: Any) -> list[Any]:
        """Read or write past Master."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            return connection.execute(question, values).fetchall()


def model_of(farm: Farm) -> Model:
    model = Model()
    for table in farm.tables:
        model.records[table.kind.name] = {table.kind.key(one): one for one in table.all()}
    return model
