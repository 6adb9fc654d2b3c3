"""The TCP connections of the HTTP server: each has a line in the meter, which can abort it.

A limit on a library's object would leave the connection open; this one is on the transport itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from master.access import name_address
from master.meter import Flow, Line, Meter


class Lines:
    """Finds the line of each request; there is none if no server is watched, as in some tests.

    Servers, protocols and requests are aiohttp's; neither edge is imported here for their types.
    """

    def __init__(
        self, meter: Meter, is_relay: Callable[[str], bool] = lambda address: False
    ) -> None:
        self.meter = meter
        self._is_relay = is_relay
        """Tells whether an address is a trusted proxy's."""
        self._lines: dict[Any, Line] = {}
        self.most = sys.maxsize
        """Connections for which there are file descriptors."""

    def __len__(self) -> int:
        return len(self._lines)

    def watch(self, server: Any) -> None:
        """Track every connection of a server from now on, until it is lost."""
        made: Callable[..., None] = server.connection_made
        lost: Callable[..., None] = server.connection_lost

        def note_made(protocol: Any, transport: Any) -> None:
            made(protocol, transport)
            peer = transport.get_extra_info("peername")
            remote = str(peer[0]) if peer else ""
            line = self._lines[protocol] = self.meter.connect(
                name_address(remote), transport.abort, is_relay=self._is_relay(remote)
            )
            line.measure_unsent = transport.get_write_buffer_size
            if len(self._lines) > self.most:
                self.meter.make_room()

        def note_lost(protocol: Any, fault: BaseException | None = None) -> None:
            lost(protocol, fault)
            line = self._lines.pop(protocol, None)
            if line is not None:
                self.meter.leave(line)

        server.connection_made, server.connection_lost = note_made, note_lost

    def find(self, request: Any) -> Line | None:
        """Return the line that carries a request; None once it has ended."""
        return self.find_of(request.protocol)

    def find_of(self, protocol: Any) -> Line | None:
        """Return the line of a connection's protocol; None once it has ended."""
        return self._lines.get(protocol)

    def is_known(self, request: Any) -> bool:
        """Return whether a request's line is authenticated; True if there is no line."""
        line = self.find(request)
        return line is None or line.is_known

    def carry(self, request: Any, flow: Flow) -> None:
        """Note that a request's line carries a flow's packets.

        A trusted proxy's line carries requests of many peers, unless it became one's WebSocket.
        """
        line = self.find(request)
        if line is not None and not (line.is_relay and "Upgrade" not in request.headers):
            self.meter.attach(line, flow)

    def welcome(self, request: Any) -> None:
        """Note that an authenticated peer sent a request: its line has no deadline."""
        line = self.find(request)
        if line is not None and not line.is_known:
            self.meter.welcome(line)

    @contextmanager
    def patience(self, request: Any, sender: Flow | None = None) -> Iterator[None]:
        """Close the line if the block (reading a body, sending an answer) exceeds PATIENCE_S.

        A body whose bytes go on to arrive may take longer; `sender` is its flow, if it has one.
        """
        line = self.find(request)
        if line is None:
            yield
            return
        self.meter.begin(line, sender)
        try:
            yield
        finally:
            self.meter.end(line)
