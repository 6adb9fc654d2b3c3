"""The TCP connections of the HTTP server, each with its line in the meter: noted when made, ended by an abort.

A limit that is kept on a library's object leaves the connection standing; this one is kept on the transport itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from master.access import name_place
from master.meter import Line, Meter


class Lines:
    """Knows the line of each request. Where no server is watched, as in a test of the application alone, there is none.

    Servers, protocols and requests are aiohttp's, and are named so that neither edge is imported here.
    """

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self._lines: dict[Any, Line] = {}

    def __len__(self) -> int:
        return len(self._lines)

    def watch(self, server: Any) -> None:
        """Note every connection of a server from now on, until it is lost."""
        made: Callable[..., None] = server.connection_made
        lost: Callable[..., None] = server.connection_lost

        def note_made(protocol: Any, transport: Any) -> None:
            made(protocol, transport)
            peer = transport.get_extra_info("peername")
            place = name_place(str(peer[0])) if peer else ""
            self._lines[protocol] = self.meter.connect(place, transport.abort)

        def note_lost(protocol: Any, fault: BaseException | None = None) -> None:
            lost(protocol, fault)
            line = self._lines.pop(protocol, None)
            if line is not None:
                self.meter.leave(line)

        server.connection_made, server.connection_lost = note_made, note_lost

    def find(self, request: Any) -> Line | None:
        """Return the line over which a request comes; None once it has ended."""
        return self._lines.get(request.protocol)

    def welcome(self, request: Any) -> None:
        """Note that somebody known asks: their line may stand."""
        line = self.find(request)
        if line is not None and not line.is_known:
            self.meter.welcome(line)

    @contextmanager
    def patience(self, request: Any) -> Iterator[None]:
        """Hang up if what is inside, a body to be read or an answer to be taken, does not end in PATIENCE_S."""
        line = self.find(request)
        if line is None:
            yield
            return
        self.meter.begin(line)
        try:
            yield
        finally:
            self.meter.end(line)
