"""The three namespaces: sockets that connect and disconnect."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import socketio
import structlog
from socketio.exceptions import ConnectionRefusedError

from master.access import Access, is_loopback, name_address, read_bearer
from master.errors import Conflict, Refusal, Stopping, Unauthorized
from master.lane import Lane
from master.model import Grant, Scope
from master.operations.notifications import greet_admin
from master.operations.workers import note_disconnect
from master.protocol.admin import Auth
from master.sessions import Sessions
from master.signins import SIGNIN
from master.sockets.server import SocketServer
from master.turn import Caller, Operation
from master.writer import Turns

log = structlog.get_logger(__name__)

RETRY_S = 1.0
LONGEST_TOKEN = 4_096


class Namespace(socketio.AsyncNamespace):
    """Connects and disconnects the sockets of one namespace.

    A socket without the token that it needs is refused at once, except in /admin: there
    `admin:auth` may follow, and until it does the socket receives no event and may send no other.
    """

    def __init__(
        self, name: str, turns: Turns, sessions: Sessions, sockets: SocketServer, access: Access
    ) -> None:
        super().__init__(f"/{name}")
        self._kind = name
        self._turns = turns
        self._sessions = sessions
        self._sockets = sockets
        self._access = access
        self._tasks: set[asyncio.Task[None]] = set()

    async def on_connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        """Authenticate a new socket and open its lane.

        Errors: ConnectionRefusedError, with the refusal as its data.
        """
        remote = find_remote(environ)
        token = find_token(environ, auth)
        try:
            if self._kind == "admin" and token is None and self._access.signins.join(environ, sid):
                grant = environ[SIGNIN].grant
            elif self._kind == "admin" and self._access.guarded and token is None:
                grant = Grant("admin", "", Scope.NONE)
            else:
                grant = self._access.identify(self._kind, token, remote)
        except Refusal as refusal:
            raise ConnectionRefusedError(refusal.message, refusal.to_wire()) from None
        caller = _make_caller(grant, sid)
        flow = self._sockets.find_flow(sid, self._kind)
        lane = Lane(caller, lambda event: self._authenticate(sid, remote, event), flow)
        self._sockets.open_lane(sid, self._kind, lane)
        if grant.scope is Scope.NONE:
            self._sockets.expect(sid, self._kind)
        else:
            self._welcome(caller, sid)
        if self._kind == "worker":
            self._sessions.addresses[sid] = (
                "this machine" if is_loopback(remote) else name_address(remote)
            )

    def _welcome(self, caller: Caller, sid: str) -> None:
        """Register an authenticated socket.

        An administrator receives events from now on, beginning with the notifications that
        have reached no socket.
        """
        self._sockets.welcome(sid, self._kind)
        if self._kind == "worker":
            self._sessions.worker_sockets.add(sid)
            # a large report may take longer to arrive than a worker may be silent, and its
            # heartbeats wait behind it
            self._sockets.call_on_progress(
                sid, lambda now, at: self._sessions.hear_socket(sid, monotonic=now, at=at)
            )
        elif self._kind == "admin":
            self._sessions.admins[sid] = caller.name or "admin"
            self._greet(sid)
        elif self._kind == "client":
            self._sessions.clients[sid] = None

    def _greet(self, sid: str) -> None:
        """Greet an administrator in a turn; retry after a refusal while the socket is connected."""
        lane, reception = self._sockets.lanes.get(sid), self._sockets.reception
        if lane is None or reception is None:
            return

        def note(answer: dict[str, Any]) -> None:
            if not answer["success"] and answer["error"]["code"] != Stopping.code:
                asyncio.get_running_loop().call_later(RETRY_S, self._greet, sid)

        reception.greet(lane, greet_admin, note)

    def _authenticate(self, sid: str, remote: str, event: Auth) -> str:
        """Authenticate an administrator by token and return their name.

        An authenticated socket may repeat its token; another token is a Conflict.
        Errors: Unauthorized, Forbidden, Conflict, Throttled.
        """
        lane = self._sockets.lanes.get(sid)
        if lane is None:
            raise Unauthorized
        if self._access.guarded and (event.token is not None or lane.caller.scope is Scope.NONE):
            caller = _make_caller(self._access.identify("admin", event.token, remote), sid)
            if lane.caller.scope is Scope.NONE:
                lane.caller = caller
                self._welcome(caller, sid)
            elif caller != lane.caller:
                raise Conflict(
                    "This connection has authenticated already; connect again to use another token."
                )
        return event.userId or lane.caller.name or "admin"

    async def on_disconnect(self, sid: str, reason: Any = None) -> None:
        """Forget a socket; a worker that loses its newest socket is disconnected and may return."""
        self._sockets.close_lane(sid, self._kind)
        self._sockets.expected.pop(sid, None)
        self._sessions.admins.pop(sid, None)
        self._sessions.followers.pop(sid, None)
        self._sessions.clients.pop(sid, None)
        if self._kind == "admin":
            self._access.signins.leave(sid)
        if self._kind == "worker":
            worker_id = self._sessions.leave(sid)
            if worker_id is not None:
                caller, wanted = Caller("worker", sid), partial(self._sessions.is_away, worker_id)
                self._insist(note_disconnect, worker_id, caller, wanted)

    def _insist(
        self, operation: Operation, event: Any, caller: Caller, wanted: Callable[[], bool]
    ) -> None:
        """Run an operation in a turn; after a refusal, retry it while `wanted` is true."""

        async def insist() -> None:
            while True:
                try:
                    await self._turns.run(operation, event, caller)
                    return
                except Stopping:
                    return
                except Refusal:
                    await asyncio.sleep(RETRY_S)
                except Exception:
                    log.exception("insisting_failed", operation=operation.__name__)
                    return
                if not wanted():
                    return

        task = asyncio.create_task(insist())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def find_remote(environ: dict[str, Any]) -> str:
    """Return the address of a connection's peer as the HTTP edge named it."""
    return str(environ.get("REMOTE_ADDR", ""))


def find_token(environ: dict[str, Any], auth: Any) -> str | None:
    """Return the token of the `auth` object, or of the header `Authorization: Bearer`.

    A proxy in front may add that header. A token in the query string is ignored: every server on
    the way would log it.
    """
    sent = auth.get("token") if isinstance(auth, dict) else None
    if sent is None:
        return read_bearer(environ.get("HTTP_AUTHORIZATION"))
    return sent[:LONGEST_TOKEN] if isinstance(sent, str) else ""


def _make_caller(grant: Grant, sid: str) -> Caller:
    return Caller(grant.kind, sid, grant.name, grant.scope, grant.accounts)
