"""The farm as it was before a draft, for who lets memory run ahead of the file."""

from __future__ import annotations

from typing import Any


class Before:
    """A table of the farm as it was before a draft, of which nothing is asked but single records."""

    def __init__(self, table: Any, changes: Any) -> None:
        self._table = table
        self.records = {key: table.get(key) for key in changes.changed}

    def get(self, key: str) -> Any:
        """Return one record as it was, or None."""
        return self.records[key] if key in self.records else self._table.get(key)


class Behind:
    """The farm as it was before a draft."""

    def __init__(self, draft: Any) -> None:
        farm = draft.memory.farm
        self.last_seq = farm.last_seq
        self.tables = [Before(*pair) for pair in zip(farm.tables, draft.tables, strict=True)]
        self.workers, self.accounts = self.tables[0], self.tables[3]

    def restore(self, draft: Any) -> None:
        """Let the farm be again what it was."""
        for table, before in zip(draft.memory.farm.tables, self.tables, strict=True):
            put_all(table, before.records)


def put_all(table: Any, records: dict[str, Any]) -> None:
    """Let a table hold these records; None is one that is removed."""
    for key, record in records.items():
        if record is None or not table.kind.is_kept(record):
            table.remove(key)
        else:
            table.put(record)
