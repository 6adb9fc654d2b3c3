"""Counts the messages of each account, all and unread.

A page about one account of a million messages must not count them, so the writer keeps the numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from master.model import MessageKind

Key = tuple[str, MessageKind]
"""An account and a kind of message."""

Numbers = tuple[int, int]
"""How many messages there are, and how many of them are unread."""

NONE: Numbers = (0, 0)


def add(one: Numbers, other: Numbers) -> Numbers:
    """Return the sums."""
    return one[0] + other[0], one[1] + other[1]


class Tallies:
    """The committed numbers of messages; only the farm changes them."""

    def __init__(self, rows: Iterable[tuple[Key, Numbers]] = ()) -> None:
        self._known: dict[Key, Numbers] = {}
        self._of_kind: dict[MessageKind, Numbers] = dict.fromkeys(MessageKind, NONE)
        for key, numbers in rows:
            self.add(key, numbers)

    def get(self, key: Key) -> Numbers:
        """Return the numbers of an account's messages of one kind."""
        return self._known.get(key, NONE)

    def count(self, kind: MessageKind) -> Numbers:
        """Return the numbers of all messages of one kind."""
        return self._of_kind[kind]

    def count_all(self) -> int:
        """Return the number of all messages."""
        return sum(total for total, _ in self._of_kind.values())

    def add(self, key: Key, numbers: Numbers) -> None:
        """Add to the numbers of an account's messages of one kind."""
        self._of_kind[key[1]] = add(self._of_kind[key[1]], numbers)
        sums = add(self.get(key), numbers)
        if sums == NONE:
            self._known.pop(key, None)
        else:
            self._known[key] = sums

    def forget(self, account_id: str) -> None:
        """Forget the messages of a removed account."""
        for kind in MessageKind:
            total, unread = self.get((account_id, kind))
            self.add((account_id, kind), (-total, -unread))

    def find_most_unread(self, limit: int) -> list[tuple[str, int]]:
        """Return the accounts with most unread messages, each with their number."""
        return self.list_unread().most_common(limit)

    def list_unread(self) -> Counter[str]:
        """Return the number of unread messages of each account that has some."""
        unread: Counter[str] = Counter()
        for (account_id, _), numbers in self._known.items():
            if numbers[1]:
                unread[account_id] += numbers[1]
        return unread
