"""The three namespaces under python-socketio: who comes and goes, and each event in order to the reception."""

from __future__ import annotations

from typing import Any

import socketio
import structlog
from socketio import packet

from master.errors import Unreadable
from master.operations.notifications import greet_admin
from master.operations.workers import note_disconnect
from master.presence import Presence
from master.protocol.wire import FastJson, refuse
from master.reception import Lane, Reception
from master.turn import Caller, Turns

log = structlog.get_logger(__name__)


class SocketServer(socketio.AsyncServer):  # type: ignore[misc]
    """python-socketio with one change: events go to the reception in order, never to a handler found by name.

    The library would let a peer's event called `connect` or `disconnect` run our own handlers of those names, and would
    leave an event unanswered whose name is no text.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(async_handlers=False, json=FastJson, **options)
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


class Namespace(socketio.AsyncNamespace):  # type: ignore[misc]
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
