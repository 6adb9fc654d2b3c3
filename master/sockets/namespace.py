"""The three namespaces: who comes and who goes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import socketio
import structlog

from master.errors import Refusal, Stopping
from master.operations.notifications import greet_admin
from master.operations.workers import note_disconnect
from master.presence import Presence
from master.reception import Lane
from master.sockets.server import SocketServer
from master.turn import Caller, Operation, Turns

log = structlog.get_logger(__name__)

RETRY_S = 1.0


class Namespace(socketio.AsyncNamespace):
    """One namespace's coming and going."""

    def __init__(self, name: str, turns: Turns, presence: Presence, sockets: SocketServer) -> None:
        super().__init__(f"/{name}")
        self._kind = name
        self._turns = turns
        self._presence = presence
        self._sockets = sockets
        self._tasks: set[asyncio.Task[None]] = set()

    async def on_connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        """Give a new socket its lane; an administrator hears from here on, beginning with what has reached nobody."""
        self._sockets.lanes[sid] = Lane()
        if self._kind == "worker":
            self._presence.worker_sockets.add(sid)
        elif self._kind == "admin":
            self._presence.admins[sid] = "admin"
            self._insist(greet_admin, None, sid, lambda: sid in self._presence.admins)
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
                claims = self._presence.claims
                self._insist(note_disconnect, (worker_id, sid), sid, lambda: claims.get(worker_id) == sid)

    def _insist(self, operation: Operation, event: Any, sid: str, wanted: Callable[[], bool]) -> None:
        """Give an operation its turn as soon as the database takes it, as long as it is still `wanted`."""

        async def insist() -> None:
            while wanted():
                try:
                    await self._turns.run(operation, event, Caller(self._kind, sid))
                    return
                except Stopping:
                    return
                except Refusal:
                    await asyncio.sleep(RETRY_S)
                except Exception:
                    log.exception("insisting_failed", operation=operation.__name__)
                    return

        task = asyncio.create_task(insist())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
