"""The revision: one number for the whole state that people see, which only grows.

It grows by one with each batch that changes rows people see. A page that read a list at revision 7
applies the events of revision 8 and later to it, and drops the others.
"""

from __future__ import annotations

from dataclasses import dataclass

RESERVED = 1_000_000
"""Revisions that one write reserves, so that a batch need not store its number."""


@dataclass(slots=True)
class Revision:
    """The revision of the committed state, and the highest one that the database has reserved.

    A start goes on at the highest one reserved: a crash may have lost numbers that were told.
    """

    value: int = 0
    reserved: int = 0

    def resume(self, stored: int) -> None:
        """Go on after a start, or after a commit in doubt."""
        self.value, self.reserved = self.value or stored, stored

    @property
    def must_reserve(self) -> bool:
        """Tell whether the next revision is not reserved yet."""
        return self.value >= self.reserved

    @property
    def next_reserved(self) -> int:
        """Return the highest revision after the next reservation."""
        return self.value + RESERVED

    def advance(self) -> int:
        """Advance to the next revision; the batch that has it is stored."""
        if self.must_reserve:
            self.reserved = self.next_reserved
        self.value += 1
        return self.value
