"""A lean WebSocket path under python-engineio: no task, no timer and no log line per frame.

The library waits for each frame in a task of its own under a timer, and for each packet to send under another. Here one
coroutine reads and one writes. Who has gone silent is found by the library's own pings, which go on as before.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from aiohttp import WSMsgType
from aiohttp.web import WebSocketResponse
from engineio.async_drivers.aiohttp import WebSocket
from engineio.async_socket import AsyncSocket
from engineio.packet import NOOP, Packet

log = structlog.get_logger(__name__)


class PlainWebSocket(WebSocket):
    """The library's driver without compression, which costs four times the memory of a connection without it."""

    async def __call__(self, environ: dict[str, Any]) -> WebSocketResponse:
        """Shake hands and serve until the end."""
        self._sock = WebSocketResponse(max_msg_size=self.server.max_http_buffer_size, compress=False)
        await self._sock.prepare(environ["aiohttp.request"])
        self.environ = environ
        await self.handler(self)
        return self._sock

    async def wait(self) -> str | bytes | None:
        """Return the next frame; None at the end."""
        assert self._sock is not None, "called only while served"
        message = await self._sock.receive()
        return message.data if message.type in (WSMsgType.TEXT, WSMsgType.BINARY) else None

    async def send(self, frame: str | bytes) -> None:
        """Send a frame; wait while the transport's own buffer is full."""
        assert self._sock is not None, "called only while served"
        if isinstance(frame, str):
            await self._sock.send_str(frame)
        else:
            await self._sock.send_bytes(frame)


class LeanSocket(AsyncSocket):
    """A connection of python-engineio whose WebSocket is read and written leanly; long-polling is the library's."""

    async def send(self, pkt: Packet) -> None:
        """Queue a packet; one for a closed connection is dropped."""
        if not self.closed:
            self.queue.put_nowait(pkt)

    async def close(self, wait: bool = True, abort: bool = False, reason: str | None = None) -> None:
        """Close the connection; its writer ends once it has sent what waits."""
        await super().close(wait=False, abort=abort, reason=reason)
        self.queue.put_nowait(None)

    async def _websocket_handler(self, ws: Any) -> None:
        if self.connected and not await self._upgrade(ws):
            return
        self.connected = self.upgraded = True
        writing = asyncio.ensure_future(self._write(ws))
        try:
            await self._read(ws)
        finally:
            self.queue.put_nowait(None)
            await writing
            await self.close(abort=True, reason=self.server.reason.TRANSPORT_CLOSE)

    async def _upgrade(self, ws: Any) -> bool:
        """Take over from long-polling: a probe, its echo, the end of the open poll, the client's word."""
        self.upgrading = True  # nothing but the answers of the handshake goes to the new transport meanwhile
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
            while (packet := await queue.get()) is not None:
                queue.task_done()
                await ws.send(packet.encode())
        except (OSError, RuntimeError):
            pass  # the reader has gone; the reading side ends with it
        await ws.close()

    async def _read(self, ws: Any) -> None:
        take = self.server.handlers["message"]
        while True:
            try:
                frame = await ws.wait()
            except OSError:
                return
            if not frame or self.closed:
                return
            try:
                if isinstance(frame, bytes):
                    await take(self.sid, frame)
                elif frame[0] == "4":
                    await take(self.sid, frame[1:])
                else:
                    await self.receive(Packet(encoded_packet=frame))
            except Exception:
                log.exception("frame_failed", connection=self.sid)
