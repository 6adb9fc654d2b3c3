"""Frames under python-engineio: no task, timer or log line for each, and a rate limit per sender.

The library waits for each frame in a task of its own under a timer, and for each packet to send
under another. Here one coroutine reads and one writes.

The library sends no ping before the last one is answered. Here a ping goes out on each interval,
before everything that waits: a client gives up unless it hears one in time, and its own answer may
wait behind megabytes that it still sends.
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
    QueueEmpty,
    SocketIsClosedError,
    UnknownPacketError,
)
from engineio.packet import CLOSE, MESSAGE, NOOP, PING, PONG, UPGRADE, Packet

from master.budgets import STRANGER_BYTES
from master.clock import Clock
from master.meter import Flow
from master.sockets.outbound import measure

log = structlog.get_logger(__name__)

FROM_PEERS = frozenset({CLOSE, PONG, MESSAGE, UPGRADE})
"""Types of packets that a peer may send; only Master sends the others."""

AT_ONCE = 64
"""Most frames that are written to the transport at once."""

AT_ONCE_BYTES = 64 * 1024
"""Bytes of frames past which no further frame is written with them: no ping overtakes those."""

POLL_PACKETS = 16
"""Most packets in the answer to a poll: python-engineio's client refuses an answer with more."""

POLL_BYTES = 256 * 1024
"""Bytes of packets past which the answer to a poll gets no further one."""

BREATH = 20
"""Frames of one peer that are processed before other tasks run, however many have arrived."""

SEPARATOR = "\x1e"


class Owner(Protocol):
    """The methods of its server that a connection calls."""

    async def settle(self, eio_sid: str) -> None:
        """Wait until everything that was read from a connection is processed."""
        ...

    def adopt(self, eio_sid: str, request: Any) -> None:
        """Note the request whose TCP connection carries this connection from now on."""
        ...


class LeanSocket(AsyncSocket):
    """A connection of python-engineio: a lean WebSocket, and POSTs processed packet by packet."""

    processing = 0
    """Frames being processed; while this is above 0, the peer is not read."""

    processed_at = float("-inf")
    """Monotonic second at which the latest frame was processed."""

    pinged_at: float | None = None
    """Monotonic second of the first ping since the last answer; None if all are answered."""

    drained_at = float("-inf")
    """Monotonic second at which the peer had read a part of what waited in the transport."""

    flow: Flow
    _clock: Clock
    _owner: Owner
    _posting = False
    _frames = 0
    _unsent = 0
    """Bytes in the transport at the latest look."""
    _pinging: asyncio.TimerHandle | None = None

    @staticmethod
    def convert(connection: Any, clock: Clock, flow: Flow, owner: Owner) -> None:
        """Make a new connection a LeanSocket: the library always makes its own class."""
        connection.__class__ = LeanSocket
        connection._clock, connection.flow, connection._owner = clock, flow, owner

    @property
    def is_known(self) -> bool:
        """Tell whether the peer is authenticated and no upgrade is under way."""
        return self.flow.is_known and not self.upgrading

    @property
    def largest_message(self) -> int:
        """Return the size limit, in bytes, of the message being read."""
        return self.flow.budget.packet_bytes if self.is_known else STRANGER_BYTES

    def schedule_ping(self) -> None:
        """Start the pings of a new connection; later, note that the peer has answered one."""
        self.pinged_at = None
        if self._pinging is None:
            self._ping_later()

    def _ping_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._pinging = loop.call_later(self.server.ping_interval, self._ping)

    def _ping(self) -> None:
        """Send a ping, answered or not: `check_ping_timeout` judges the silence of a peer."""
        if self.closing or self.closed:
            return
        if self.pinged_at is None:
            self.pinged_at = self._clock.monotonic()
        self.queue.put_ahead(Packet(PING))
        self._ping_later()

    async def check_ping_timeout(self) -> bool:
        """Close the connection if a ping was not answered in time; return whether it stays open.

        The answer arrives behind frames sent earlier, so neither the time in which Master does not
        read those nor that in which a large one still arrives is counted; nor that in which the
        peer still reads what was written before the ping. Errors: SocketIsClosedError.
        """
        if self.closed:
            raise SocketIsClosedError
        now, unsent = self._clock.monotonic(), self.flow.measure_unsent()
        if 0 < unsent < self._unsent:
            self.drained_at = now
        self._unsent = unsent
        if self.pinged_at is None or self.processing:
            return True
        alive_at = max(self.pinged_at, self.processed_at, self.flow.progressed_at, self.drained_at)
        if now - alive_at <= self.server.ping_timeout:
            return True
        await self.close(reason=self.server.reason.PING_TIMEOUT)
        return False

    async def send(self, pkt: Packet) -> None:
        """Queue a packet; drop it if the connection is closed."""
        if not self.closed:
            self.queue.put_nowait(pkt)

    async def close(
        self, wait: bool = True, abort: bool = False, reason: str | None = None
    ) -> None:
        """Close the connection; its writer ends once it has sent the queued packets."""
        await super().close(wait=False, abort=abort, reason=reason)
        if self._pinging is not None:
            self._pinging.cancel()
        self.queue.put_nowait(None)
        # the library fails on a request for a closed connection that it still keeps
        if self.closed:
            self.server.sockets.pop(self.sid, None)

    async def poll(self) -> list[Packet]:
        """Wait for packets and return some; the next poll gets the others.

        An empty list is the end of the connection. Errors: QueueEmpty if none came in time.
        """
        queue = self.queue
        try:
            async with asyncio.timeout(self.server.ping_interval + self.server.ping_timeout):
                packets = [await queue.get()]
        except (TimeoutError, asyncio.CancelledError):
            raise QueueEmpty from None
        size = measure(packets[0])
        while packets[-1] is not None and len(packets) < POLL_PACKETS and not queue.empty():
            if size + measure(queue.peek()) > POLL_BYTES:
                break
            packets.append(queue.get_nowait())
            size += measure(packets[-1])
        if packets[-1] is None:
            packets.pop()
            if packets:
                queue.put_nowait(None)  # the next poll learns of the end
        return packets

    async def handle_post_request(self, environ: dict[str, Any]) -> None:
        """Process one POST of a long-polling peer; a peer may send one at a time.

        Errors: ContentTooLongError, UnknownPacketError; either ends the connection, because the
        packets are lost. Neither is raised once the connection has ended: the library fails on
        ending it again.
        """
        if self._posting:
            raise UnknownPacketError  # Engine.IO allows a client one POST at a time
        self._posting = True
        try:
            frames = await self._read_post(environ)
            while frames and not self.closed:
                await self._process(frames.popleft())
        except EngineIOError:
            if self.sid in self.server.sockets:
                raise
        finally:
            self._posting = False

    async def _read_post(self, environ: dict[str, Any]) -> deque[str]:
        """Return the frames of a POST; too many are refused before the body is split."""
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
            if not self.connected:  # the handshake failed: no peer will ever use this connection
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
        """Upgrade from long-polling and return whether that succeeded.

        The steps: a probe, its echo, the end of the open poll, the client's UPGRADE packet.
        """
        # until the upgrade is done, the new transport carries only the answers of the handshake
        self.upgrading = True
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
                frames: list[str] = []
                size = 0
                packet = await queue.get()
                while packet is not None:
                    frames.append(packet.encode())
                    size += len(frames[-1])
                    if len(frames) == AT_ONCE or size > AT_ONCE_BYTES or queue.empty():
                        break
                    packet = queue.get_nowait()
                ending = packet is None
                if frames and await ws.send_all(frames):
                    self.drained_at = self._clock.monotonic()
        except (OSError, RuntimeError):
            pass  # the peer has gone; the reading side ends too
        await ws.close()

    async def _read(self, ws: Any) -> None:
        while True:
            try:
                frame = await ws.wait()
            except OSError:
                return
            if frame is None or self.closed:
                return
            processing = self._process(frame)
            frame = None  # a large frame is kept in memory once, in `_process`
            await processing

    async def _process(self, frame: str | bytes) -> None:
        """Process one frame at its sender's pace; skip any that a peer may not send."""
        self.processing += 1
        try:
            wait_s = self._count(frame)
            self._frames += 1
            if wait_s or self._frames % BREATH == 0:
                await asyncio.sleep(wait_s)
            if self.closed or isinstance(frame, bytes) or frame[:1] == "b":
                return  # no event has binary parts
            if frame[:1] == "4":
                received = self.server.handlers["message"](self.sid, frame[1:])
                frame = ""  # a large packet is kept in memory once, also while it waits
                await received
                if not self.flow.has_room():
                    await self._wait_for_room()
            elif (packet := _read_packet(frame)) is not None:
                if packet.packet_type == CLOSE:
                    # the events still waiting were sent before the CLOSE
                    await self._owner.settle(self.sid)
                await self.receive(packet)
        except Exception:
            log.exception("frame_failed", connection=self.sid)
        finally:
            self.processing -= 1
            self.processed_at = self._clock.monotonic()

    async def _wait_for_room(self) -> None:
        """Wait while the events under way exceed the flow's budget of bytes."""
        free = asyncio.get_running_loop().create_future()
        self.flow.call_when_free(lambda: None if free.done() else free.set_result(None))
        await free

    def _count(self, frame: str | bytes) -> float:
        """Charge a frame to the flow; return the seconds to wait before it is processed.

        Events of authenticated peers are charged in bytes only: their socket paces them.
        """
        flow = self.flow
        wait_s = flow.charge_bytes(len(frame))
        if frame[:2] != "42" or not flow.is_known:
            wait_s = max(wait_s, flow.charge_loose())
        return wait_s


def _read_packet(frame: str) -> Packet | None:
    try:
        packet = Packet(encoded_packet=frame)
    except ValueError:
        return None
    return packet if packet.packet_type in FROM_PEERS else None
