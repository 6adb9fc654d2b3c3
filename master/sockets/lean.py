"""A lean path under python-engineio: no task, no timer and no log line per frame, and each frame at its sender's pace.

The library waits for each frame in a task of its own under a timer, and for each packet to send under another. Here one
coroutine reads and one writes. Who has gone silent is found by the library's own pings, which go on as before.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Protocol

import structlog
from engineio.async_socket import AsyncSocket
from engineio.exceptions import (
    ContentTooLongError,
    EngineIOError,
    SocketIsClosedError,
    UnknownPacketError,
)
from engineio.packet import CLOSE, MESSAGE, NOOP, PONG, UPGRADE, Packet

from master.budgets import STRANGER_BYTES
from master.clock import Clock
from master.meter import Flow

log = structlog.get_logger(__name__)

FROM_PEERS = frozenset({CLOSE, PONG, MESSAGE, UPGRADE})
"""Kinds of packets that a peer may send; the others are Master's own."""

AT_ONCE = 64
"""Frames that are handed to the transport in one piece."""

BREATH = 20
"""Frames of one peer that are taken before the loop is given up, however many are there."""

SEPARATOR = "\x1e"


class Owner(Protocol):
    """The server of a connection, as the connection needs it."""

    async def settle(self, eio_sid: str) -> None:
        """Wait until everything that was read from a connection has been dealt with."""
        ...

    def adopt(self, eio_sid: str, request: Any) -> None:
        """Note the request over which a connection speaks from now on."""
        ...


class LeanSocket(AsyncSocket):
    """A connection of python-engineio with a WebSocket read and written leanly, and POSTs taken packet by packet."""

    taking = 0
    """How many frames are being taken: more than none for long means that this peer is not read meanwhile."""

    taken_at = float("-inf")
    """Monotonic second at which the latest frame was taken."""

    pinged_at: float | None = None
    """Monotonic second at which the ping was sent that is not answered yet."""

    flow: Flow
    _clock: Clock
    _owner: Owner
    _posting = False
    _frames = 0

    @staticmethod
    def take_over(connection: Any, clock: Clock, flow: Flow, owner: Owner) -> None:
        """Make a new connection a lean one, for the library makes its own class and takes no other."""
        connection.__class__ = LeanSocket
        connection._clock, connection.flow, connection._owner = clock, flow, owner
        connection.pinged_at = (
            clock.monotonic()
        )  # so the library knows that it is to send the first one

    @property
    def is_known(self) -> bool:
        """Tell whether somebody known speaks here, over this transport."""
        return self.flow.is_known and not self.upgrading

    @property
    def largest_message(self) -> int:
        """Return how large a message may be that is being read."""
        return self.flow.budget.packet_bytes if self.is_known else STRANGER_BYTES

    @property
    def last_ping(self) -> bool:
        """Tell whether a ping waits for its answer. The library writes here when one was sent, by the wall clock."""
        return self.pinged_at is not None

    @last_ping.setter
    def last_ping(self, sent: float | None) -> None:
        self.pinged_at = None if sent is None else self._clock.monotonic()

    async def check_ping_timeout(self) -> bool:
        """Close the connection of a peer that has not answered a ping in time; return whether it goes on.

        What a peer answers stands behind what it has sent before: the time in which that is not read is not the peer's.
        Errors: SocketIsClosedError.
        """
        if self.closed:
            raise SocketIsClosedError
        if self.pinged_at is None or self.taking:
            return True
        if self._clock.monotonic() - max(self.pinged_at, self.taken_at) <= self.server.ping_timeout:
            return True
        await self.close(reason=self.server.reason.PING_TIMEOUT)
        return False

    async def send(self, pkt: Packet) -> None:
        """Queue a packet; one for a closed connection is dropped."""
        if not self.closed:
            self.queue.put_nowait(pkt)

    async def close(
        self, wait: bool = True, abort: bool = False, reason: str | None = None
    ) -> None:
        """Close the connection; its writer ends once it has sent what waits."""
        await super().close(wait=False, abort=abort, reason=reason)
        self.queue.put_nowait(None)
        if (
            self.closed
        ):  # the library fails on a request for a closed connection that it still knows
            self.server.sockets.pop(self.sid, None)

    async def handle_post_request(self, environ: dict[str, Any]) -> None:
        """Take what a long-polling peer has sent, one POST at a time.

        Errors: ContentTooLongError, UnknownPacketError; either ends the connection, for what was sent is lost. One that
        has ended meanwhile is not ended again: the library fails on that.
        """
        if self._posting:
            raise UnknownPacketError  # Engine.IO allows a client one POST at a time
        self._posting = True
        try:
            frames = await self._read_post(environ)
            while frames and not self.closed:
                await self._take(frames.popleft())
        except EngineIOError:
            if self.sid in self.server.sockets:
                raise
        finally:
            self._posting = False

    async def _read_post(self, environ: dict[str, Any]) -> deque[str]:
        """Return the frames of a POST, refused before they are made if they are too many."""
        budget = self.flow.budget
        if int(environ.get("CONTENT_LENGTH", "0")) > budget.packet_bytes:
            raise ContentTooLongError
        body = await environ["wsgi.input"].read(budget.packet_bytes)
        if body.count(SEPARATOR.encode()) >= budget.post_packets:
            raise ContentTooLongError
        return deque(body.decode("utf-8", "replace").split(SEPARATOR))

    async def _upgrade_websocket(self, environ: dict[str, Any]) -> Any:
        try:
            return await super()._upgrade_websocket(environ)
        finally:
            if (
                not self.connected
            ):  # not even the handshake came about: nobody would ever speak here
                await self.close(abort=True, reason=self.server.reason.TRANSPORT_ERROR)

    async def _websocket_handler(self, ws: Any) -> None:
        if self.connected and not await self._upgrade(ws):
            return
        self.connected = self.upgraded = True
        self._owner.adopt(self.sid, getattr(ws, "environ", {}).get("aiohttp.request"))
        writing = asyncio.create_task(self._write(ws))
        try:
            await self._read(ws)
            if not self.closed:
                await self._owner.settle(self.sid)
        finally:
            self.queue.put_nowait(None)
            await writing
            await self.close(abort=True, reason=self.server.reason.TRANSPORT_CLOSE)

    async def _upgrade(self, ws: Any) -> bool:
        """Take over from long-polling: a probe, its echo, the end of the open poll, the client's word."""
        self.upgrading = (
            True  # nothing but the answers of the handshake goes to the new transport meanwhile
        )
        try:
            if await ws.wait() != "2probe":
                return False
            await ws.send("3probe")
            self.queue.put_nowait(Packet(NOOP))
            return bool(await ws.wait() == "5")
        except OSError:
            return False
        finally:
            self.upgrading = False

    async def _write(self, ws: Any) -> None:
        queue = self.queue
        try:
            ending = False
            while not ending:
                packets = [await queue.get()]
                while len(packets) < AT_ONCE and not queue.empty():
                    packets.append(queue.get_nowait())
                ending = None in packets
                frames = [
                    packet.encode() for packet in packets[: packets.index(None) if ending else None]
                ]
                if frames:
                    await ws.send_all(frames)
        except (OSError, RuntimeError):
            pass  # the reader has gone; the reading side ends with it
        await ws.close()

    async def _read(self, ws: Any) -> None:
        while True:
            try:
                frame = await ws.wait()
            except OSError:
                return
            if frame is None or self.closed:
                return
            taking = self._take(frame)
            frame = None  # what is large is kept once: as what its type asks for
            await taking

    async def _take(self, frame: str | bytes) -> None:
        """Deal with one frame at its sender's pace; what is no packet, or none that a peer may send, is skipped."""
        self.taking += 1
        try:
            wait_s = self._count(frame)
            self._frames += 1
            if wait_s or self._frames % BREATH == 0:
                await asyncio.sleep(wait_s)
            if self.closed or isinstance(frame, bytes) or frame[:1] == "b":
                return  # no event has binary parts
            if frame[:1] == "4":
                taken = self.server.handlers["message"](self.sid, frame[1:])
                frame = ""  # what is large is kept once, also while it waits
                await taken
                if not self.flow.has_room():
                    await self._wait_for_room()
            elif (packet := _read_packet(frame)) is not None:
                if packet.packet_type == CLOSE:
                    await self._owner.settle(
                        self.sid
                    )  # who leaves has said before what still waits
                await self.receive(packet)
        except Exception:
            log.exception("frame_failed", connection=self.sid)
        finally:
            self.taking -= 1
            self.taken_at = self._clock.monotonic()

    async def _wait_for_room(self) -> None:
        """Wait while too much of what was read here is under way."""
        free = asyncio.get_running_loop().create_future()
        self.flow.call_when_free(lambda: None if free.done() else free.set_result(None))
        await free

    def _count(self, frame: str | bytes) -> float:
        """Take a frame; return the seconds until it may be dealt with. Known ones' events have their socket's pace."""
        flow = self.flow
        wait_s = flow.take_bytes(len(frame))
        if frame[:2] != "42" or not flow.is_known:
            wait_s = max(wait_s, flow.take_loose())
        return wait_s


def _read_packet(frame: str) -> Packet | None:
    try:
        packet = Packet(encoded_packet=frame)
    except ValueError:
        return None
    return packet if packet.packet_type in FROM_PEERS else None
