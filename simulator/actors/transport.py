"""An actor's connection to Master: a small protocol, and its implementation over WebSockets.

Actors reconnect by themselves (connection.py), so that jitter and backoff come from the seed.
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
"""Handles one event. It must not block: a connection's events are handled in the order sent."""

CONNECT_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 5.0
MAX_FRAME_BYTES = 16_000_000


class LinkDown(Exception):
    """The connection is missing, or it broke before the answer came."""


class AckLate(Exception):
    """The connection is open, but the acknowledgement did not come in time."""


class Transport(Protocol):
    """One connection to one namespace of Master; it is opened once and never reopened."""

    @property
    def closed(self) -> bool:
        """Whether the connection is gone, or was never opened."""
        ...

    def on(self, event: str, listener: Listener) -> None:
        """Call `listener` with the first argument of each `event`; used before `connect`."""
        ...

    async def connect(self) -> None:
        """Open the connection. Errors: LinkDown."""
        ...

    async def call(self, event: str, data: JsonObject, timeout_s: float) -> JsonObject:
        """Send an event and return its acknowledgement. Errors: LinkDown, AckLate."""
        ...

    async def disconnect(self) -> None:
        """Close the connection cleanly."""
        ...

    def cut(self) -> None:
        """Break the connection without a closing frame, as a crashed process does."""
        ...

    async def wait_closed(self) -> None:
        """Return once the connection is gone."""
        ...


OpenTransport = Callable[[str], Transport]
"""Returns an unopened connection to a namespace."""


class OrJson:
    """The `json` module for python-socketio, based on orjson."""

    @staticmethod
    def dumps(value: Any, **_: Any) -> str:
        """Return compact JSON text."""
        return orjson.dumps(value).decode()

    @staticmethod
    def loads(text: str | bytes, **_: Any) -> Any:
        """Return the value of a JSON text."""
        return orjson.loads(text)


def open_http_session() -> aiohttp.ClientSession:
    """Return the session that all connections share: one unlimited connector, and no cookies."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=3600),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=30, sock_connect=CONNECT_TIMEOUT_S),
    )


def silence_wire_logs() -> logging.Logger:
    """Return a logger that drops everything: a broken connection is part of the simulation."""
    log = logging.getLogger("simulator.wire")
    log.setLevel(logging.CRITICAL + 1)
    return log


TOKENS = {
    "/worker": "MASTER_WORKER_TOKEN",
    "/admin": "MASTER_ADMIN_TOKEN",
    "/client": "MASTER_CLIENT_TOKEN",
}
"""The environment variable with each namespace's token, for a Master that requires tokens."""


class SocketTransport:
    """A WebSocket to a real Master; it sends the namespace's token if the environment has one."""

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
        self._client.on("*", self._on_event, namespace=namespace)
        self._client.on("disconnect", self._on_end, namespace=namespace)

    @property
    def closed(self) -> bool:
        """Whether the connection is gone, or was never opened."""
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
        except Exception as fault:  # a failed handshake raises errors of many types
            self._on_end()
            raise LinkDown(str(fault)) from fault
        except asyncio.CancelledError:
            self.cut()
            raise
        task = asyncio.current_task()
        # The library's `asyncio.wait_for` may swallow a cancellation.
        if task is not None and task.cancelling():
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
            await self._send(event, data, partial(_resolve, answer))
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
        """Close the connection cleanly; cut it if it does not close in time."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._client.disconnect()
        except (TimeoutError, OSError, aiohttp.ClientError, socketio.exceptions.SocketIOError):
            self.cut()
        self._on_end()

    def cut(self) -> None:
        """Shut down the TCP connection below the WebSocket: no closing frame, no goodbye."""
        websocket = self._client.eio.ws
        wire = websocket.get_extra_info("socket") if websocket is not None else None
        if wire is not None and wire.fileno() >= 0:
            # A duplicate, because uvloop's own sockets refuse shutdown().
            with (
                contextlib.suppress(OSError),
                socket.socket(fileno=os.dup(wire.fileno())) as double,
            ):
                double.shutdown(socket.SHUT_RDWR)
        self._on_end()

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

    def _on_event(self, event: str, *arguments: Any) -> None:
        listener = self._listeners.get(event)
        if listener is not None and not self._gone.is_set():
            listener(arguments[0] if arguments and isinstance(arguments[0], dict) else {})

    def _on_end(self, *_: Any) -> None:
        self._open = False
        self._gone.set()
        for answer in self._waiting:
            if not answer.done():
                answer.set_exception(LinkDown("the connection broke before the answer came"))


def _resolve(answer: asyncio.Future[Any], *arguments: Any) -> None:
    if not answer.done():
        answer.set_result(arguments[0] if arguments else None)
