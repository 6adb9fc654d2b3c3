"""Proxy trials over real connections: HTTP and SOCKS5 proxies, and servers that are neither."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

TARGET = "target.example:443"
SECRET = "top-secret"

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serve(talk: Talk) -> AsyncIterator[str]:
    """Run a server that speaks like a proxy; yield its host:port."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


def answer_connect(status: str, heard: list[bytes]) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(f"HTTP/1.1 {status}\r\n\r\n".encode())
        await writer.drain()

    return talk


def answer_socks(method: int, accepted: bool, reply: int, heard: list[bytes]) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, count = await reader.readexactly(2)
        await reader.readexactly(count)
        writer.write(bytes([5, method]))
        if method == 2:
            _, size = await reader.readexactly(2)
            name = await reader.readexactly(size)
            word = await reader.readexactly((await reader.readexactly(1))[0])
            heard.extend([name, word])
            writer.write(b"\x01\x00" if accepted else b"\x01\x01")
        _, _, _, kind = await reader.readexactly(4)
        size = {1: 4, 4: 16}.get(kind) or (await reader.readexactly(1))[0]
        heard.append(await reader.readexactly(size + 2))
        writer.write(bytes([5, reply, 0, 1, 0, 0, 0, 0, 0, 0]))
        await writer.drain()

    return talk


async def try_proxy(site, server, target=TARGET, timeout_s=5.0, **fields):
    proxy = (
        await site.call("POST", "/proxies", 201, json={"name": "p", "server": server, **fields})
    )["proxy"]
    body = {"target": target, "timeout_s": timeout_s}
    answer = await site.call("POST", f"/proxies/{proxy['id']}/test", json=body)
    assert SECRET not in str(answer)
    assert answer["result"] == answer["data"]
    assert answer["result"]["latency_ms"] >= 0
    return answer["result"]


async def test_an_http_proxy_that_opens_the_tunnel_reaches_the_target(site):
    heard: list[bytes] = []
    async with serve(answer_connect("200 Connection established", heard)) as server:
        result = await try_proxy(site, server, username="u", password=SECRET)
    assert result["reachable"] is True
    assert "error" not in result
    lines = heard[0].decode().split("\r\n")
    assert lines[0] == f"CONNECT {TARGET} HTTP/1.1"
    assert (
        "Proxy-Authorization: Basic " + base64.b64encode(f"u:{SECRET}".encode()).decode() in lines
    )


@pytest.mark.parametrize(
    ("status", "word"),
    [("407 Proxy Authentication Required", "password"), ("502 Bad Gateway", "502")],
)
async def test_an_http_proxy_that_refuses_is_not_reachable(site, status, word):
    async with serve(answer_connect(status, [])) as server:
        result = await try_proxy(site, server, username="u", password=SECRET)
    assert result["reachable"] is False
    assert word in result["error"]


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        (TARGET, b"target.example\x01\xbb"),
        ("127.0.0.1:80", b"\x7f\x00\x00\x01\x00\x50"),
        ("[::1]:80", bytes(15) + b"\x01\x00\x50"),
    ],
)
async def test_a_socks_proxy_is_asked_for_the_target_with_its_password(site, target, sent):
    heard: list[bytes] = []
    async with serve(answer_socks(2, True, 0, heard)) as server:
        result = await try_proxy(
            site, server, target, protocol="socks5", username="u", password=SECRET
        )
    assert result["reachable"] is True
    assert heard == [b"u", SECRET.encode(), sent]


@pytest.mark.parametrize(
    ("method", "accepted", "reply", "word"),
    [
        (2, False, 0, "password"),
        (0, True, 5, "refused"),
        (0, True, 99, "refused"),
        (255, True, 0, "log in"),
    ],
)
async def test_a_socks_proxy_that_refuses_is_not_reachable(site, method, accepted, reply, word):
    async with serve(answer_socks(method, accepted, reply, [])) as server:
        result = await try_proxy(site, server, protocol="socks5", username="u", password=SECRET)
    assert result["reachable"] is False
    assert word in result["error"]


@pytest.mark.parametrize("protocol", ["http", "https", "socks5"])
async def test_a_server_that_is_no_proxy_is_not_reachable(site, protocol):
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ready\r\n")
        await reader.read(1)

    async with serve(talk) as server:
        result = await try_proxy(site, server, protocol=protocol)
    assert result["reachable"] is False
    assert result["error"]


@pytest.mark.parametrize("protocol", ["http", "socks5"])
async def test_a_proxy_that_hangs_up_or_floods_is_not_reachable(site, protocol):
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x" * 100_000)
        await reader.read(100_000)
        await reader.read(1)

    for number, talk in enumerate((hang_up, flood)):
        async with serve(talk) as server:
            result = await try_proxy(site, server, protocol=protocol, name=f"p{number}")
        assert result["reachable"] is False


async def test_a_silent_proxy_is_abandoned_in_time(site):
    async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serve(keep_silent) as server:
        result = await try_proxy(site, server, timeout_s=0.05)
    assert (result["reachable"], result["error"]) == (False, "no answer within 0.05 s")


async def test_a_proxy_that_is_not_there_is_not_reachable(site):
    async def nobody(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pass

    async with serve(nobody) as server:
        pass
    result = await try_proxy(site, server)
    assert result["reachable"] is False
    assert "no connection" in result["error"]


async def test_a_trial_needs_a_proxy_and_a_target(site):
    await site.refused("POST", "/proxies/nobody/test", 404, json={"target": TARGET})
    proxy = (await site.call("POST", "/proxies", 201, json={"name": "p", "server": "h:1"}))["proxy"]
    for body in ({}, {"target": "nowhere"}, {"target": "h:0"}, {"target": TARGET, "timeout_s": 31}):
        await site.refused("POST", f"/proxies/{proxy['id']}/test", 422, json=body)
