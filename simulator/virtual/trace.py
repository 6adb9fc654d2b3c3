"""What happened, in one number: equal seeds give equal hashes, or something outside the seed had a say."""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from dataclasses import dataclass
from typing import Any

import orjson

from master.clock import Clock

KEPT = 20_000
"""Entries that are kept for whoever must find out how it came to a violation."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that an actor said, was told, or had done to it. `at` is virtual seconds."""

    at: float
    actor: str
    event: str
    digest: str


class Trace:
    """A run's timeline: its hash over everything, its latest entries, and counts."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._hash = hashlib.sha256()
        self.latest: deque[Entry] = deque(maxlen=KEPT)
        self.counts: Counter[str] = Counter()

    def note(self, actor: str, event: str, payload: Any = None) -> None:
        """Add one entry."""
        at = self._clock.monotonic()
        raw = orjson.dumps(payload, default=str, option=orjson.OPT_SORT_KEYS)
        digest = hashlib.blake2b(raw, digest_size=6).hexdigest()
        self._hash.update(f"{at:.6f} {actor} {event} {digest}\n".encode())
        self.latest.append(Entry(at, actor, event, digest))
        self.counts[event] += 1

    @property
    def hash(self) -> str:
        """Return the SHA-256 over all entries so far."""
        return self._hash.hexdigest()
