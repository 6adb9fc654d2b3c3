"""The private seams of libraries that Master uses: a new version without one fails here first.

pyproject.toml bounds these libraries from above; check this list when raising a bound.
"""

from __future__ import annotations

import asyncio
import inspect

import aiohttp.web
import engineio.async_server
import engineio.async_socket
import engineio.packet
import pytest
import socketio
from aiohttp._websocket.reader import WebSocketDataQueue, WebSocketReader
from aiohttp.base_protocol import BaseProtocol
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest
from engineio.async_drivers import aiohttp as driver

SEAMS = {
    aiohttp.web.WebSocketResponse: (
        "_reader",
        "_start",
        "prepare",
        "receive",
        "pong",
        "close",
        "closed",
    ),
    BaseProtocol: (
        "_buffer_paused",
        "_drain_helper",
        "_pause_transport_reading",
        "_reading_paused",
        "_resume_transport_reading",
        "_upgraded",
        "pause_reading",
        "resume_reading",
    ),
    RequestHandler: (
        "_lingering_time",
        "_messages",
        "_request_count",
        "data_received",
        "finish_response",
        "handle_error",
    ),
    aiohttp.web.Server: ("__call__", "connection_lost", "connection_made"),
    WebSocketDataQueue: ("set_exception",),
    WebSocketReader: ("feed_data", "feed_eof"),
    engineio.async_server.AsyncServer: (
        "create_queue",
        "generate_id",
        "handle_request",
        "_handle_connect",
        "_service_task",
        "_trigger_event",
    ),
    engineio.async_socket.AsyncSocket: (
        "check_ping_timeout",
        "close",
        "handle_get_request",
        "handle_post_request",
        "poll",
        "receive",
        "schedule_ping",
        "send",
        "_upgrade_websocket",
        "_websocket_handler",
    ),
    engineio.packet.Packet: ("encode",),
    driver.WebSocket: ("__call__", "send", "wait"),
    socketio.AsyncServer: (
        "_handle_connect",
        "_handle_eio_connect",
        "_handle_eio_disconnect",
        "_handle_eio_message",
        "_send_packet",
    ),
    socketio.AsyncManager: (
        "basic_disconnect",
        "basic_enter_room",
        "basic_leave_room",
        "eio_sid_from_sid",
        "get_participants",
        "is_connected",
    ),
}


@pytest.mark.parametrize("kind", SEAMS, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_seam_is_there(kind: type) -> None:
    assert [name for name in SEAMS[kind] if not hasattr(kind, name)] == []


def test_what_instances_have_is_there() -> None:
    server = socketio.AsyncServer(async_mode="aiohttp")
    assert {"create_route", "translate_request", "websocket"} <= set(server.eio._async)
    assert (server.environ, server.packet_class.__name__) == ({}, "Packet")
    assert {"connect", "message", "disconnect"} <= set(server.eio.handlers)
    assert server.eio.sockets == {}
    source = inspect.getsource(RequestHandler)
    assert "self._payload_parser.feed_data(data)" in source, (
        "master/sockets/plain.py stands before the parser"
    )
    assert "self._manager.connection_made(self, " in source, (
        "master/lines.py notes connections there"
    )
    assert "self._manager.connection_lost(self, " in source
    assert (
        "_payload_writer" in BaseRequest.__slots__
        or hasattr(BaseRequest, "_payload_writer")
        or ("payload_writer" in inspect.signature(BaseRequest.__init__).parameters)
    )


def test_the_library_makes_its_queue_by_the_server_and_its_socket_by_itself() -> None:
    source = inspect.getsource(engineio.base_socket.BaseSocket.__init__)
    assert "self.server.create_queue()" in source
    assert "AsyncSocket(self, sid)" in inspect.getsource(
        engineio.async_server.AsyncServer._handle_connect
    )


async def test_the_servers_own_options_are_there() -> None:
    from master.web.connections import OPTIONS

    server = aiohttp.web.Server(lambda request: None, **OPTIONS)  # type: ignore[arg-type]
    assert (server._kwargs, isinstance(server._loop, asyncio.AbstractEventLoop)) == (OPTIONS, True)
    options = inspect.signature(RequestHandler.__init__).parameters
    assert set(OPTIONS) <= set(options)
