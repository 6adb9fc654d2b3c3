"""The changes of a draft to one table of the farm, copy on write."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Hashable, Iterator
from typing import Any, Generic, TypeVar

from master.farm import Kind, Table

R = TypeVar("R")


class Changes(Generic[R]):
    """The changes to one table (None: removed), over the table below it."""

    __slots__ = ("_below", "_come", "_gone", "_growth", "_moved", "changed", "kind")

    def __init__(self, below: Table[R]) -> None:
        self.kind: Kind[R] = below.kind
        self._below = below
        self.changed: dict[str, R | None] = {}
        self._growth = 0
        """The number of records minus that of the table below."""
        self._moved: dict[str, dict[Hashable, dict[str, bool]]] = {}
        """Index -> key -> record key -> whether the record is under that key now."""
        self._come: dict[tuple[str, Hashable], dict[str, None]] = {}
        """Ordered index and key -> the records that this draft put there."""
        self._gone: dict[tuple[str, Hashable], Any] = {}
        """Ordered index and key -> the rank up to which no record from below is left there."""

    def get(self, key: str) -> R | None:
        """Return one record, or None."""
        return self.changed[key] if key in self.changed else self._below.get(key)

    def find(self, index: str, key: Hashable, after: Any = None) -> Iterator[R]:
        """Yield a key's records in index order; if the index is ordered, those past `after`.

        If the draft is written during the iteration, iterate over a list, unless only records
        already yielded change.
        """
        return (
            self._find(index, key, after) if self.changed else self._below.find(index, key, after)
        )

    def _find(self, index: str, key: Hashable, after: Any) -> Iterator[R]:
        moved = self._moved.get(index, {}).get(key)
        if index in self.kind.ordered:
            yield from self._find_ranked(index, key, moved or {}, after)
            return
        changed, record_key = self.changed, self.kind.key
        for record in self._below.find(index, key):
            name = record_key(record)
            if moved is None or name not in moved:
                yield changed.get(name) or record
        if moved:
            yield from [
                come for name, here in moved.items() if here and (come := changed[name]) is not None
            ]

    def _find_ranked(
        self, index: str, key: Hashable, moved: dict[str, bool], after: Any
    ) -> Iterator[R]:
        rank = self.kind.rank
        come = [
            record
            for name in self._come.get((index, key), ())
            if (record := self.changed[name]) is not None
        ]
        if after is not None:
            come = [record for record in come if rank(record) > after]
        kept = self._find_kept(index, key, moved, after)
        yield from heapq.merge(kept, sorted(come, key=rank), key=rank) if come else kept

    def _find_kept(
        self, index: str, key: Hashable, moved: dict[str, bool], after: Any
    ) -> Iterator[R]:
        """Yield the records from below that this draft leaves under a key of an ordered index.

        Records leave from the beginning. The draft stores up to which rank all are gone; otherwise
        each item of a batch would scan the records that earlier items removed.
        """
        changed, record_key, rank = self.changed, self.kind.key, self.kind.rank
        gone_to = self._gone.get((index, key))
        start = gone_to if after is None or (gone_to is not None and gone_to > after) else after
        at_beginning = start is gone_to
        for record in self._below.find(index, key, start):
            name = record_key(record)
            if name in moved:
                if at_beginning:
                    self._gone[index, key] = rank(record)
                continue
            at_beginning = False
            yield changed.get(name) or record

    def list_groups(self, index: str) -> list[Hashable]:
        """Return the keys under which an index may have records."""
        return list(
            {
                **dict.fromkeys(self._below.list_groups(index)),
                **dict.fromkeys(self._moved.get(index, ())),
            }
        )

    def first(self, index: str, key: Hashable) -> R | None:
        """Return the first record under a key of an index, or None."""
        return next(self.find(index, key), None)

    def all(self) -> Iterator[R]:
        """Yield every record."""
        record_key = self.kind.key
        yield from (
            record for record in self._below.all() if record_key(record) not in self.changed
        )
        yield from [record for record in self.changed.values() if record is not None]

    def count(self, tally: str) -> Counter[str]:
        """Return the number of records per value of a tally."""
        counts, value = self._below.count(tally), self.kind.tallies[tally]
        for key, record in self.changed.items():
            if (old := self._below.get(key)) is not None:
                counts[value(old)] -= 1
            if record is not None:
                counts[value(record)] += 1
        return +counts

    def __len__(self) -> int:
        return len(self._below) + self._growth

    def put(self, record: R) -> None:
        """Insert a record, or replace the record with the same key."""
        self._write(self.kind.key(record), record)

    def remove(self, key: str) -> None:
        """Remove a record."""
        self._write(key, None)

    def _write(self, key: str, record: R | None) -> None:
        old = self.get(key)
        self.changed[key] = record
        self._growth += (record is not None) - (old is not None)
        for index, keys in self.kind.indexes:
            was, now = (
                keys(old) if old is not None else (),
                keys(record) if record is not None else (),
            )
            if was == now:
                continue
            moved = self._moved.setdefault(index, {})
            for one in was:
                moved.setdefault(one, {})[key] = False
                if (index, one) in self._come:
                    self._come[index, one].pop(key, None)
            for one in now:
                moved.setdefault(one, {})[key] = True
                if index in self.kind.ordered:
                    self._come.setdefault((index, one), {})[key] = None

    def touches(self, index: str, key: Hashable) -> bool:
        """Return whether the records under a key of an index have changed."""
        return index in self._moved and key in self._moved[index]

    def absorb(self, other: Changes[R]) -> None:
        """Merge the changes of a draft over this one."""
        if not other.changed:
            return
        self.changed.update(other.changed)
        self._growth += other._growth
        for index, keys in other._moved.items():
            moved = self._moved.setdefault(index, {})
            for key, names in keys.items():
                moved.setdefault(key, {}).update(names)
                if (index, key) in self._come:
                    for name, here in names.items():
                        if not here:
                            self._come[index, key].pop(name, None)
        for key, come in other._come.items():
            self._come.setdefault(key, {}).update(come)


def changes_of(below: Table[R], changes: Changes[R]) -> Iterator[tuple[R | None, R | None]]:
    """Yield (before, after) of the records that a draft changes, except if added and removed."""
    for key, after in changes.changed.items():
        before = below.get(key)
        if before is not after and not (before is None and after is None):
            yield before, after
