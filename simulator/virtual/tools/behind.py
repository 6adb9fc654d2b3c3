"""The farm before a draft, for the ablation that lets memory run ahead of the file."""

from __future__ import annotations

from typing import Any


class Before:
    """A table of the farm before a draft; it serves single records only."""

    def __init__(self, table: Any, changes: Any) -> None:
        self._table = table
        self.records = {key: table.get(key) for key in changes.changed}

    def get(self, key: str) -> Any:
        """Return one record before the draft, or None."""
        return self.records[key] if key in self.records else self._table.get(key)


class Behind:
    """The farm before a draft."""

    def __init__(self, draft: Any) -> None:
        farm = draft.memory.farm
        self.last_seq, self.last_event = farm.last_seq, farm.last_event
        self.maintenance, self.messages = farm.maintenance, farm.messages
        self.tables = [Before(*pair) for pair in zip(farm.tables, draft.tables, strict=True)]
        self.workers, self.accounts = self.tables[0], self.tables[3]

    def restore(self, draft: Any) -> None:
        """Put the farm back as it was before the draft."""
        for table, before in zip(draft.memory.farm.tables, self.tables, strict=True):
            put_all(table, before.records)


def put_all(table: Any, records: dict[str, Any]) -> None:
    """Put these records into a table; None removes one."""
    for key, record in records.items():
        if record is None or not table.kind.is_kept(record):
            table.remove(key)
        else:
            table.put(record)
