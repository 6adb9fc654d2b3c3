"""How an actor talks to Master: one small protocol, and its implementation over real WebSockets.

The actors reconnect themselves (connection.py), so that jitter and backoff come from the seed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import aiohttp
import orjson
import socketio

from master.model import JsonObject

Listener = Callable[[JsonObject], None]
"""What an actor does with an event. It must not block: events of one connection are taken in the order sent."""

CONNECT_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 5.0
MAX_FRAME_BYTES = 16_000_000


class LinkDown(Exception):
    """There is no connection, or it broke before the answer came."""


class AckLate(Exception):
    """The connection stands, but the acknowledgement did not come in time."""


class Transport(Protocol):
    """One connection to one namespace of Master; it is opened once and never again."""

    @property
    def closed(self) -> bool:
        """Whether the connection is gone, or never came about."""
        ...

    def on(self, event: str, listener: Listener) -> None:
        """Call `listener` with the first argument of each `event`; before `connect`."""
        ...

    async def connect(self) -> None:
        """Open the connection. Errors: LinkDown."""
        ...

    async def call(self, event: str, data: JsonObject, timeout_s: float) -> JsonObject:
        """Send an event and return its acknowledgement. Errors: LinkDown, AckLate."""
        ...

    async def disconnect(self) -> None:
        """Close the connection properly."""
        ...

    def cut(self) -> None:
        """End the connection as a crashed process does: without a word."""
        ...

    async def wait_closed(self) -> None:
        """Return once the connection is gone."""
        ...


OpenTransport = Callable[[str], Transport]
"""Returns a connection to be opened to the namespace it is given."""


class OrJson:
    """The `json` module that python-socketio asks for, on orjson."""

    @staticmethod
    def dumps(value: Any, **_: Any) -> str:
        """Return compact JSON text."""
        return orjson.dumps(value).decode()

    @staticmethod
    def loads(text: str | bytes, **_: Any) -> Any:
        """Return the value of a JSON text."""
        return orjson.loads(text)


def open_http_session() -> aiohttp.ClientSession:
    """Return the one session that all connections share: one connector and no cookies, whatever their number."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=3600),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=30, sock_connect=CONNECT_TIMEOUT_S),
    )


def silence_wire_logs() -> logging.Logger:
    """Return a logger that says nothing: a broken connection is an event of the simulation, not a fault to print."""
    log = logging.getLogger("simulator.wire")
    log.setLevel(logging.CRITICAL + 1)
    return log


TOKENS = {
    "/worker": "MASTER_WORKER_TOKEN",
    "/admin": "MASTER_ADMIN_TOKEN",
    "/client": "MASTER_CLIENT_TOKEN",
}
"""Which environment variable holds the token for a namespace, where Master asks for tokens."""


class SocketTransport:
    """A real WebSocket to a real Master; it says who it is if the environment has a token for the namespace."""

    def __init__(self, session: aiohttp.ClientSession, url: str, namespace: str) -> None:
        log = silence_wire_logs()
        self._url = url
        self._namespace = namespace
        token = os.environ.get(TOKENS[namespace])
        self._auth = {"token": token} if token else None
        self._listeners: dict[str, Listener] = {}
        self._waiting: set[asyncio.Future[Any]] = set()
        self._gone = asyncio.Event()
        self._open = False
        self._client = socketio.AsyncClient(
            reconnection=False,
            logger=log,
            engineio_logger=log,
            json=OrJson,
            handle_sigint=False,
            http_session=session,
            websocket_extra_options={"max_msg_size": MAX_FRAME_BYTES},
        )
        self._client.on("*", self._take_event, namespace=namespace)
        self._client.on("disconnect", self._take_end, namespace=namespace)

    @property
    def closed(self) -> bool:
        """Whether the connection is gone, or never came about."""
        return not self._open

    def on(self, event: str, listener: Listener) -> None:
        """Call `listener` with the first argument of each `event`."""
        self._listeners[event] = listener

    async def connect(self) -> None:
        """Open the WebSocket and the namespace. Errors: LinkDown."""
        try:
            await self._client.connect(
                self._url,
                auth=self._auth,
                namespaces=[self._namespace],
                transports=["websocket"],
                wait_timeout=CONNECT_TIMEOUT_S,
            )
        except (
            Exception
        ) as fault:  # the library passes on whatever a half-made handshake tripped over
            self._take_end()
            raise LinkDown(str(fault)) from fault
        except asyncio.CancelledError:
            self.cut()
            raise
        task = asyncio.current_task()
        if (
            task is not None and task.cancelling()
        ):  # the library's `asyncio.wait_for` has swallowed it
            self.cut()
            raise asyncio.CancelledError
        self._open = not self._gone.is_set()
        if not self._open:
            raise LinkDown("closed while opening")

    async def call(self, event: str, data: JsonObject, timeout_s: float) -> JsonObject:
        """Send an event and return its acknowledgement. Errors: LinkDown, AckLate."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.add(answer)
        try:
            await self._send(event, data, partial(_settle, answer))
            async with asyncio.timeout(timeout_s):
                reply = await answer
        except TimeoutError:
            raise AckLate(event) from None
        finally:
            self._waiting.discard(answer)
        return (
            reply
            if isinstance(reply, dict)
            else {"success": False, "error": {"code": "malformed_ack"}}
        )

    async def disconnect(self) -> None:
        """Close the connection properly; one that does not close in time is cut."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._client.disconnect()
        except (TimeoutError, OSError, aiohttp.ClientError, socketio.exceptions.SocketIOError):
            self.cut()
        self._take_end()

    def cut(self) -> None:
        """Shut the TCP connection down under the WebSocket: no closing frame, no goodbye."""
        websocket = self._client.eio.ws
        wire = websocket.get_extra_info("socket") if websocket is not None else None
        if wire is not None and wire.fileno() >= 0:
            # A duplicate, because uvloop's sockets refuse shutdown().
            with (
                contextlib.suppress(OSError),
                socket.socket(fileno=os.dup(wire.fileno())) as double,
            ):
                double.shutdown(socket.SHUT_RDWR)
        self._take_end()

    async def wait_closed(self) -> None:
        """Return once the connection is gone."""
        await self._gone.wait()

    async def _send(self, event: str, data: JsonObject, callback: Callable[..., None]) -> None:
        if self.closed:
            raise LinkDown("not connected")
        try:
            await self._client.emit(event, data, namespace=self._namespace, callback=callback)
        except socketio.exceptions.SocketIOError as fault:
            raise LinkDown(str(fault)) from fault

    def _take_event(self, event: str, *arguments: Any) -> None:
        listener = self._listeners.get(event)
        if listener is not None and not self._gone.is_set():
            listener(arguments[0] if arguments and isinstance(arguments[0], dict) else {})

    def _take_end(self, *_: Any) -> None:
        self._open = False
        self._gone.set()
        for answer in self._waiting:
            if not answer.done():
                answer.set_exception(LinkDown("the connection broke before the answer came"))


def _settle(answer: asyncio.Future[Any], *arguments: Any) -> None:
    if not answer.done():
        answer.set_result(arguments[0] if arguments else None)
