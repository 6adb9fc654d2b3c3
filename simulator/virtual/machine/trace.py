"""The trace of a run and its hash: equal seeds give equal hashes."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from master.clock import Clock
from master.model import JsonObject
from simulator.actors.transport import Listener, Transport

SIGNS_OF_LIFE = frozenset({"worker:register", "worker:heartbeat"})

KEPT = 20_000
"""Latest entries that are kept, to explain a violation."""


KEPT_BYTES = 2_000
"""Longest payload that is kept; of a longer one its hash is kept instead."""

WORD = re.compile(r"[\w-]+")


class Entry(NamedTuple):
    """One thing that an actor sent, received or suffered. `at` is virtual seconds."""

    at: float
    actor: str
    event: str
    payload: bytes
    detail: str = ""

    @property
    def digest(self) -> str:
        """Return a digest of the payload; computed on use, as few entries are printed."""
        return hashlib.blake2b(self.payload, digest_size=6).hexdigest()


class Trace:
    """The timeline of a run: a hash over all entries, the latest entries, and counts."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._hash = hashlib.sha256()
        self.latest: deque[Entry] = deque(maxlen=KEPT)
        self.counts: Counter[str] = Counter()
        self.record: Callable[[Entry], object] | None = None
        self.refusals: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.marks: list[tuple[float, str]] = []

    def note(self, actor: str, event: str, payload: Any = None) -> None:
        """Add one entry."""
        at = self._clock.monotonic()
        raw = orjson.dumps(payload, default=str, option=orjson.OPT_SORT_KEYS)
        self._hash.update(b"%.6f %b %d\n%b" % (at, f"{actor} {event}".encode(), len(raw), raw))
        kept = raw if len(raw) <= KEPT_BYTES else hashlib.blake2b(raw).digest()
        entry = Entry(at, actor, event, kept, payload if isinstance(payload, str) else "")
        self.latest.append(entry)
        if self.record is not None:
            self.record(entry)
        if actor == "fault":
            self.faults[event] += 1
            self.marks.append((at, event))
        else:
            self.counts[event] += 1

    def note_refusal(self, answer: JsonObject) -> None:
        """Count a refusal by its code."""
        self.refusals[str((answer.get("error") or {}).get("code"))] += 1

    def show_latest(self, violation: str, limit: int) -> list[str]:
        """Return the latest entries of the actors named in a violation's text, oldest first.

        They include the faults of Master, the disk and the clock, and those of these actors. For a
        violation that names no actor: all entries but heartbeats.
        """
        actors = {entry.actor for entry in self.latest} - {"fault"}
        named = _find_named(actors, violation)
        shown: list[str] = []
        for entry in reversed(self.latest):
            if entry.actor == "fault":
                others = _find_named(actors, entry.detail) - named
                told = not named or not others
            else:
                told = entry.actor in named or (
                    not named and not entry.event.endswith(":heartbeat")
                )
            if told:
                shown.append(
                    f"{entry.at:12.6f} {entry.actor} {entry.event} {entry.detail or entry.digest}"
                )
            if len(shown) == limit:
                break
        return shown[::-1]

    @property
    def hash(self) -> str:
        """Return the SHA-256 over all entries so far."""
        return self._hash.hexdigest()


def _find_named(actors: set[str], text: str) -> set[str]:
    """Return the actors named in a text; all administrators are one actor, all devices another."""
    words = set(WORD.findall(text))
    words |= {"client" for word in words if "-device-" in word} | {
        "admin" for word in words if "-admin-" in word
    }
    return actors & words


class TracedTransport:
    """A transport that adds all its traffic to the trace; `sign` receives each accepted sign of
    life.

    `success` receives each login whose success is reported, with the epoch that the worker names.
    """

    def __init__(
        self,
        inner: Transport,
        actor: str,
        trace: Trace,
        clock: Clock,
        sign: Callable[[str, float, int], None] | None,
        success: Callable[[str, int | None], None] | None = None,
    ) -> None:
        self._inner = inner
        self._actor = actor
        self._trace = trace
        self._clock = clock
        self._sign = sign
        self._success = success

    @property
    def closed(self) -> bool:
        """Whether the connection has ended, or never opened."""
        return self._inner.closed

    def on(self, event: str, listener: Listener) -> None:
        """Call `listener` at each `event`."""

        def note_first(data: JsonObject) -> None:
            self._trace.note(self._actor, f"<{event}", data)
            listener(data)

        self._inner.on(event, note_first)

    async def connect(self) -> None:
        """Open the connection. Errors: LinkDown."""
        await self._inner.connect()
        self._trace.note(self._actor, "connected")

    async def call(self, event: str, data: JsonObject, timeout_s: float) -> JsonObject:
        """Send an event and return its acknowledgement. Errors: LinkDown, AckLate."""
        self._trace.note(self._actor, f">{event}", data)
        sent = self._clock.monotonic()
        if (
            self._success is not None
            and event == "worker:login:status"
            and str(data.get("status")).lower() == "success"
        ):
            self._success(data["session_id"], data.get("epoch"))
        answer = await self._inner.call(event, data, timeout_s)
        self._trace.note(self._actor, f"={event}", answer)
        if answer.get("success") is not True:
            self._trace.note_refusal(answer)
        elif self._sign is not None and event in SIGNS_OF_LIFE:
            self._sign(data["workerId"], sent, answer["timestamp"])
        return answer

    async def disconnect(self) -> None:
        """Close the connection properly."""
        await self._inner.disconnect()

    def cut(self) -> None:
        """End the connection as a crashed process does."""
        self._inner.cut()

    async def wait_closed(self) -> None:
        """Return once the connection has ended."""
        await self._inner.wait_closed()
