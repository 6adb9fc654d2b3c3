"""The three namespaces under python-socketio: who comes and goes, and each event in order to the reception."""

from __future__ import annotations

from asyncio import IncompleteReadError
from typing import Any

import socketio
import structlog
from aiohttp import StreamReader
from aiohttp.web import Request
from engineio.async_drivers.aiohttp import translate_request
from socketio import packet

from master.errors import Unreadable
from master.operations.notifications import greet_admin
from master.operations.workers import note_disconnect
from master.presence import Presence
from master.protocol.wire import FastJson, refuse
from master.reception import Lane, Reception
from master.turn import Caller, Turns

log = structlog.get_logger(__name__)


class _WholeBody:
    """A request body that `read` returns whole.

    Engine.IO asks aiohttp's stream once for the whole length and takes what has arrived so far: a long-polling message
    of some hundred kilobytes would be cut.
    """

    def __init__(self, content: StreamReader) -> None:
        self._content = content

    async def read(self, length: int) -> bytes:
        """Return `length` bytes, or fewer only where the peer sent fewer."""
        try:
            return await self._content.readexactly(length)
        except IncompleteReadError as fault:
            return fault.partial


def _translate_whole(request: Request) -> dict[str, Any]:
    environ: dict[str, Any] = translate_request(request)
    environ["wsgi.input"] = _WholeBody(request.content)
    return environ


class SocketServer(socketio.AsyncServer):
    """python-socketio with one change: events go to the reception in order, never to a handler found by name.

    The library would let a peer's event called `connect` or `disconnect` run our own handlers of those names, and would
    leave an event unanswered whose name is no text.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(async_handlers=False, json=FastJson, **options)
        self.eio._async = {**self.eio._async, "translate_request": _translate_whole}
        self.reception: Reception | None = None
        self.lanes: dict[str, Lane] = {}

    async def _handle_event(self, eio_sid: str, namespace: str | None, id: int | None, data: Any) -> None:
        namespace = namespace or "/"
        sid = self.manager.sid_from_eio_sid(eio_sid, namespace)
        if sid is None or not self.manager.is_connected(sid, namespace):
            return

        async def reply(answer: dict[str, Any]) -> None:
            if id is not None:
                await self._send_packet(
                    eio_sid, self.packet_class(packet.ACK, namespace=namespace, id=id, data=[answer])
                )

        lane = self.lanes.get(sid)
        if not isinstance(data, list) or not data or lane is None or self.reception is None:
            await reply(refuse(Unreadable()))
            return
        await self.reception.receive(Caller(namespace[1:], sid), data[0], data[1:], lane, reply)


class Namespace(socketio.AsyncNamespace):
    """One namespace's coming and going."""

    def __init__(self, name: str, turns: Turns, presence: Presence, sockets: SocketServer) -> None:
        super().__init__(f"/{name}")
        self._kind = name
        self._turns = turns
        self._presence = presence
        self._sockets = sockets

    async def on_connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        """Give a new socket its lane; an administrator is sent what has reached nobody yet."""
        self._sockets.lanes[sid] = Lane()
        if self._kind == "admin":
            self._presence.admins[sid] = "admin"
            self._turns.submit(greet_admin, None, Caller("admin", sid))
        elif self._kind == "client":
            self._presence.clients[sid] = None

    async def on_disconnect(self, sid: str, reason: Any = None) -> None:
        """Forget a socket; a worker whose newest one it was may return."""
        self._sockets.lanes.pop(sid, None)
        self._presence.admins.pop(sid, None)
        self._presence.clients.pop(sid, None)
        if self._kind == "worker":
            worker_id = self._presence.leave(sid)
            if worker_id is not None:
                self._turns.submit(note_disconnect, (worker_id, sid), Caller("worker", sid))
