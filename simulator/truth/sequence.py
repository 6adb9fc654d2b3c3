"""What one device has seen of the clients' sequence of notifications, and whether Master kept its promise.

The promise (protocol.md section 6): `after_seq` gives every notification once, in order, without a gap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence


class SeenSequence:
    """One device's place in the sequence: everything up to `last` was seen."""

    def __init__(self, device_id: str, complain: Callable[[str, str], None]) -> None:
        self._device_id = device_id
        self._complain = complain
        self._ahead: set[int] = set()
        self._pushed = 0
        self.last: int | None = None

    @property
    def has_gap(self) -> bool:
        """Whether something was seen whose predecessor was not."""
        return bool(self._ahead)

    def begin(self, last_seq: int) -> None:
        """Start at the newest place when the device is registered for the first time."""
        if self.last is None:
            self.last = last_seq

    def reconnect(self) -> None:
        """Start a new connection: what is pushed again on it is no fault."""
        self._pushed = 0

    def take_push(self, seq: int) -> bool:
        """Take a pushed notification; True if it is new. Pushes of one connection must grow."""
        if seq <= self._pushed:
            self._complain("push_order", f"{self._device_id} was pushed {seq} after {self._pushed}")
        self._pushed = max(self._pushed, seq)
        if self.last is None or seq <= self.last or seq in self._ahead:
            return False
        self._ahead.add(seq)
        self._advance()
        return True

    def take_page(self, after: int, seqs: Sequence[int]) -> int:
        """Take one page of a sync after `after` and return how many of its notifications are new."""
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
        """Complain if, after a last sync, the device has not seen everything up to `newest`."""
        if self.last is None or self.last < newest or self.has_gap:
            self._complain(
                "device_gap",
                f"{self._device_id} has everything up to {self.last}, the newest is {newest}",
            )

    def _advance(self) -> None:
        assert self.last is not None, "a place is known before anything is kept"
        while self.last + 1 in self._ahead:
            self.last += 1
            self._ahead.discard(self.last)
