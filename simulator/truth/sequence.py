"""One device's view of the notification sequence, and checks of Master's promise.

The promise (docs/protocol.md, `client:sync:request`): `after_seq` returns every notification once,
in order, without
a gap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence


class SeenSequence:
    """One device's position in the sequence: it has seen everything up to `last`."""

    def __init__(self, device_id: str, complain: Callable[[str, str], None]) -> None:
        self._device_id = device_id
        self._complain = complain
        self._ahead: set[int] = set()
        self._pushed = 0
        self.last: int | None = None

    @property
    def has_gap(self) -> bool:
        """Whether the device has seen a notification before its predecessor."""
        return bool(self._ahead)

    def begin(self, last_seq: int) -> None:
        """Start at the newest sequence number when the device registers for the first time."""
        if self.last is None:
            self.last = last_seq

    def reconnect(self) -> None:
        """Start a new connection: it may repeat earlier pushes."""
        self._pushed = 0

    def record_push(self, seq: int) -> bool:
        """Record a pushed notification; True if it is new. Pushes of one connection must ascend."""
        if seq <= self._pushed:
            self._complain("push_order", f"{self._device_id} was pushed {seq} after {self._pushed}")
        self._pushed = max(self._pushed, seq)
        if self.last is None or seq <= self.last or seq in self._ahead:
            return False
        self._ahead.add(seq)
        self._advance()
        return True

    def record_page(self, after: int, seqs: Sequence[int]) -> int:
        """Record one page of a sync after `after`; return how many notifications are new."""
        expected, new = after + 1, 0
        for seq in seqs:
            if seq != expected:
                self._complain(
                    "sync_gap",
                    f"{self._device_id} asked after {after} and got {seq} instead of {expected}",
                )
            expected = seq + 1
            if self.last is not None and seq > self.last and seq not in self._ahead:
                new += 1
        self.last = max(self.last or 0, after, expected - 1)
        self._ahead = {seq for seq in self._ahead if seq > self.last}
        self._advance()
        return new

    def judge_end(self, newest: int) -> None:
        """Complain if the device has not seen everything up to `newest` after a last sync."""
        if self.last is None or self.last < newest or self.has_gap:
            self._complain(
                "device_gap",
                f"{self._device_id} has everything up to {self.last}, the newest is {newest}",
            )

    def _advance(self) -> None:
        assert self.last is not None, "`last` is known before anything is kept"
        while self.last + 1 in self._ahead:
            self.last += 1
            self._ahead.discard(self.last)
