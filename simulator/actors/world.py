"""The surroundings of a run's actors: clock, connections to Master, platform, ledger and tally."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import orjson
import segno

from master.clock import Clock
from master.model import JsonObject
from simulator.actors.transport import AckLate, Listener, OpenTransport, Transport
from simulator.scenario import Scenario
from simulator.truth.ledger import Ledger
from simulator.truth.platform import Platform
from simulator.truth.tally import ANSWERED, SENT, Tally


def draw_qr_code(text: str) -> str:
    """Return a QR code of `text` as a data URL with a PNG image."""
    return str(segno.make_qr(text, error="l").png_data_uri(scale=4))


@dataclass(frozen=True, slots=True)
class World:
    """One run's surroundings; `prefix` begins the names of workers and devices."""

    scenario: Scenario
    clock: Clock
    open_transport: OpenTransport
    platform: Platform
    ledger: Ledger
    tally: Tally
    prefix: str = "sim"
    draw_code: Callable[[str], str] = draw_qr_code
    """Draws a text as a QR code: a data URL with a PNG image."""


class WatchedTransport:
    """A transport that times acknowledgements and searches events for secrets."""

    def __init__(self, inner: Transport, namespace: str, ledger: Ledger, tally: Tally) -> None:
        self._inner = inner
        self._ledger = ledger
        self._tally = tally
        self._namespace = namespace

    @property
    def closed(self) -> bool:
        """Whether the connection is gone, or was never opened."""
        return self._inner.closed

    def on(self, event: str, listener: Listener) -> None:
        """Call `listener` with each `event`, searched first: only workers may receive secrets."""
        if self._namespace == "/worker":
            self._inner.on(event, listener)
            return

        def search_first(data: JsonObject) -> None:
            self._ledger.search_secrets(f"{self._namespace} {event}", orjson.dumps(data))
            listener(data)

        self._inner.on(event, search_first)

    async def connect(self) -> None:
        """Open the connection. Errors: LinkDown."""
        await self._inner.connect()

    async def call(self, event: str, data: JsonObject, timeout_s: float) -> JsonObject:
        """Send an event, time its acknowledgement and return it. Errors: LinkDown, AckLate."""
        sent = self._tally.clock.monotonic()
        self._tally.note_call(SENT, event)
        try:
            ack = await self._inner.call(event, data, timeout_s)
        except AckLate:
            self._tally.counts.acks_late += 1
            raise
        self._tally.note_call(ANSWERED, event)
        self._tally.note_latency(event, self._tally.clock.monotonic() - sent)
        if self._namespace != "/worker":
            self._ledger.search_secrets(f"{self._namespace} answer to {event}", orjson.dumps(ack))
        return ack

    async def disconnect(self) -> None:
        """Close the connection cleanly."""
        await self._inner.disconnect()

    def cut(self) -> None:
        """Break the connection without a goodbye."""
        self._inner.cut()

    async def wait_closed(self) -> None:
        """Return once the connection is gone."""
        await self._inner.wait_closed()
