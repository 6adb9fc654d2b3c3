"""Socket.IO over a link in memory: the client's end, and a driver for the real server."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import Any

import orjson

from master.model import JsonObject
from simulator.actors.transport import AckLate, LinkDown, Listener
from simulator.virtual.machine.network import Frame, Link, ServerEnd

CONNECT_TIMEOUT_S = 10.0
PATIENCE_S = 45.0
"""python-engineio's ping interval and timeout together."""
QUERY = "EIO=4&transport=websocket"


class _LinkSocket:
    """python-engineio's driver class for WebSockets, on a link."""

    def __init__(self, handler: Callable[[Any], Awaitable[None]], server: Any) -> None:
        self._handler = handler

    async def __call__(self, environ: dict[str, Any]) -> str:
        """Serve one connection until its end."""
        link: Link = environ["simulator.link"]
        link.served_as = self._handler.__self__.sid  # type: ignore[attr-defined]
        end = ServerEnd(link)
        self.wait, self.send, self.send_all, self.close = (
            end.wait,
            end.send,
            end.send_all,
            end.close,
        )
        await self._handler(self)
        return ""


DRIVER: dict[str, Any] = {
    "asyncio": True,
    "translate_request": lambda environ: environ,
    "make_response": lambda status, headers, payload, environ: (status, headers, payload),
    "websocket": _LinkSocket,
}


def make_environ(link: Link) -> dict[str, Any]:
    """Return the request by which a WebSocket over `link` reaches python-engineio."""
    return {
        "REQUEST_METHOD": "GET",
        "QUERY_STRING": QUERY,
        "HTTP_UPGRADE": "websocket",
        "HTTP_CONNECTION": "upgrade",
        "PATH_INFO": "/socket.io/",
        "REMOTE_ADDR": "127.0.0.1",  # a Master without tokens serves loopback alone
        "wsgi.url_scheme": "http",
        "simulator.link": link,
    }


class LinkTransport:
    """The client's end: a Transport (actors/transport.py) that speaks Socket.IO 5 by itself."""

    def __init__(self, serve: Callable[[Link], object], link: Link, namespace: str) -> None:
        self._serve = serve
        self._link = link
        self._namespace = namespace
        self._listeners: dict[str, Listener] = {}
        self._acks: dict[int, asyncio.Future[JsonObject]] = {}
        self._numbers = itertools.count(1)
        self._unanswered: dict[int, tuple[str, float]] = {}
        self._joined: asyncio.Future[None] | None = None
        self._gone = asyncio.Event()
        self._context = copy_context()
        self._loop = asyncio.get_running_loop()
        self._heard = self._loop.time()
        link.down.deliver = self._arrive

    @property
    def closed(self) -> bool:
        """Whether the connection has ended, or never opened."""
        return self._gone.is_set() or self._joined is None or not self._joined.done()

    @property
    def ended(self) -> bool:
        """Whether the connection has ended; False while it is being opened."""
        return self._gone.is_set()

    def list_unanswered(self, before: float) -> list[str]:
        """Return the unacknowledged events sent before that loop time, while the connection is
        open.

        An event counts even if its caller has stopped waiting.
        """
        return [event for event, sent in self._unanswered.values() if sent < before]

    def on(self, event: str, listener: Listener) -> None:
        """Call `listener` with the first argument of each `event`; before `connect`."""
        self._listeners[event] = listener

    async def connect(self) -> None:
        """Open the connection. Errors: LinkDown."""
        self._joined = asyncio.get_running_loop().create_future()
        self._serve(self._link)
        self._loop.call_later(PATIENCE_S, self._mind_pings)
        self._link.up.put(f"40{self._namespace},")
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._joined
        except TimeoutError:
            self.cut()
            raise LinkDown("Master did not answer") from None

    async def call(self, event: str, data: JsonObject, timeout_s: float) -> JsonObject:
        """Send an event and return its acknowledgement. Errors: LinkDown, AckLate."""
        if self._gone.is_set():
            raise LinkDown("the connection is gone")
        number = next(self._numbers)
        answer = self._acks[number] = self._loop.create_future()
        self._unanswered[number] = event, self._loop.time()
        self._link.up.put(f"42{self._namespace},{number}{orjson.dumps([event, data]).decode()}")
        timer = self._loop.call_later(timeout_s, _time_out, answer, event)
        try:
            acknowledged: JsonObject = await answer
            return acknowledged
        finally:
            timer.cancel()
            self._acks.pop(number, None)

    def send_raw(self, frame: str) -> None:
        """Send a frame unchanged."""
        if not self._gone.is_set():
            self._link.up.put(frame)

    async def disconnect(self) -> None:
        """Close the connection properly."""
        if not self._gone.is_set():
            self._link.up.put(f"41{self._namespace},")
            self.cut()

    def cut(self) -> None:
        """End the connection as a crashed process does: without a goodbye."""
        self._link.sever()
        self._end()

    async def wait_closed(self) -> None:
        """Return once the connection has ended."""
        await self._gone.wait()

    def _arrive(self, frame: Frame | None) -> None:
        """Pass a frame from the network, which belongs to no life, into the life of this end."""
        self._loop.call_soon(self._receive, frame, context=self._context)

    def _receive(self, frame: Frame | None) -> None:
        if self._gone.is_set():
            return
        self._heard = self._loop.time()
        if frame is None:
            self._end()
        elif isinstance(frame, str):
            if frame[0] == "4":
                self._receive_packet(frame)
            elif frame == "2":
                self._link.up.put("3")
            elif frame == "1":
                self._link.sever()
                self._end()

    def _receive_packet(self, frame: str) -> None:
        kind, start = frame[1], frame.find("[")
        if kind in "23" and not frame.startswith(self._namespace, 2):
            return  # a refusal for another namespace
        if kind == "2":
            event, *args = orjson.loads(frame[start:])
            listener = self._listeners.get(event)
            if listener is not None:
                listener(args[0] if args else {})
        elif kind == "3":
            number = int(frame[2 + len(self._namespace) + 1 : start])
            self._unanswered.pop(number, None)
            answer = self._acks.get(number)
            if answer is not None and not answer.done():
                answer.set_result(orjson.loads(frame[start:])[0])
        elif kind == "0" and self._joined is not None and not self._joined.done():
            self._joined.set_result(None)
        elif kind in "14":
            self._link.sever()
            self._end()

    def _mind_pings(self) -> None:
        """End the connection if no ping has come for too long, as Engine.IO's clients do."""
        if self._gone.is_set():
            return
        left_s = self._heard + PATIENCE_S - self._loop.time()
        if left_s > 0:
            self._loop.call_later(left_s, self._mind_pings)
        else:
            self.cut()

    def _end(self) -> None:
        if self._gone.is_set():
            return
        self._gone.set()
        self._unanswered.clear()
        waiting: list[asyncio.Future[Any]] = [*self._acks.values()]
        if self._joined is not None:
            waiting.append(self._joined)
        for future in waiting:
            if not future.done():
                future.set_exception(LinkDown("the connection broke"))
                future.exception()


def _time_out(answer: asyncio.Future[Any], event: str) -> None:
    if not answer.done():
        answer.set_exception(AckLate(event))
