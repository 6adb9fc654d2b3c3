"""Broken HTTP, byte by byte: bodies cut or of a wrong length, and raw WebSocket frames."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from tests.conftest import Bench
from tests.hostile.conftest import Errors
from tests.hostile.world import Bystanders, count_kept, wait_until_gone
from tests.waiting import PATIENCE_S

POST = b"POST /api/v1/accounts HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
POLL = b"POST /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
GET = b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
SHAKE = b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
SHAKE += b"Connection: Upgrade\r\n"
KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

REFUSED = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01",
    "no path": b"GET\r\n\r\n",
    "another protocol": b"SSH-2.0-x\r\n\r\n",
    "an unknown version": b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "an unknown method": b"FOO /api/v1/accounts HTTP/1.1\r\nHost: x\r\n\r\n",
    "a long line": b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a long header": GET + b"A: " + b"x" * 20_000 + b"\r\n\r\n",
    "too many headers": GET + b"A: b\r\n" * 5_000 + b"\r\n",
    "a control character in a header": GET + b"A: secret-of-the-request\x00\r\n\r\n",
    "no colon": GET + b"Authorization Bearer secret-of-the-request\r\n\r\n",
    "a blank in the first line": b"GET /secret-of-the-request x HTTP/1.1\r\nHost: x\r\n\r\n",
    "headers of 100 kB": GET
    + b"A: "
    + b"x" * 8_000
    + b"\r\n"
    + (b"B: " + b"x" * 8_000 + b"\r\n") * 12
    + b"\r\n",
    "bytes in the path": b"GET /api/v1/accounts/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    "no such address": b"GET http://[::1/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "a negative length": POST + b"Content-Length: -1\r\n\r\n{}",
    "a length that is no number": POST + b"Content-Length: x\r\n\r\n{}",
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "length and chunks": POST
    + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "a chunk that is no number": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "an unknown transfer": POST + b"Transfer-Encoding: x\r\n\r\n{}",
    "an unknown expectation": POST + b"Expect: x\r\nContent-Length: 2\r\n\r\n{}",
    "a strange type": POST + b"Content-Type: \xff; charset=x\r\nContent-Length: 2\r\n\r\n{}",
    "an unknown encoding": POST + b"Content-Encoding: x\r\nContent-Length: 2\r\n\r\n{}",
    "no key": SHAKE + b"\r\n",
    "a bad key": SHAKE + b"Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n",
    "another version": SHAKE + KEY + b"Sec-WebSocket-Version: 99\r\n\r\n",
}
"""Requests answered with 4xx, by Master or by the HTTP library."""

FRAMES = {
    "not masked": b"\x81\x0540/x,",
    "cut off": b"\x81\x85\x00\x00\x00\x00he",
    "an unknown opcode": b"\x83\x80\x00\x00\x00\x00",
    "a reserved bit": b"\xf1\x81\x00\x00\x00\x00x",
    "compressed": b"\xc1\x81\x00\x00\x00\x00x",
    "no bytes of many": b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00",
    "a negative length": b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00",
    "half a close code": b"\x88\x81\x00\x00\x00\x00x",
    "a close code that does not exist": b"\x88\x82\x00\x00\x00\x00\x00\x01",
    "a long ping": b"\x89\xfe\x00\x7e\x00\x00\x00\x00" + b"x" * 126,
    "the rest of nothing": b"\x80\x81\x00\x00\x00\x00x",
    "a text inside a text": b"\x01\x81\x00\x00\x00\x004\x81\x81\x00\x00\x00\x00x",
    "not UTF-8": b"\x81\x82\x00\x00\x00\x00\xff\xfe",
}


async def send(bench: Bench, data: bytes, *, hang_up: bool = False) -> bytes:
    """Send bytes; return the answer up to the end, or at once if the test closes first."""
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.master.port)
    try:
        writer.write(data)
        await writer.drain()
        if hang_up:
            return b""
        async with asyncio.timeout(PATIENCE_S):
            return await reader.read(65_536)
    finally:
        writer.close()
        await writer.wait_closed()


async def test_what_is_hardly_http_is_refused_and_not_repeated(
    bench: Bench, bystanders: Bystanders
) -> None:
    for label, data in REFUSED.items():
        answer = await send(bench, data)
        assert answer.startswith(b"HTTP/1."), label
        assert answer[9:10] == b"4", (label, answer)
        assert b"secret-of-the-request" not in answer, label
    await bystanders.work()


async def test_nothing_is_left_of_a_socket_that_breaks_the_protocol(
    bench: Bench, bystanders: Bystanders
) -> None:
    before = count_kept(bench)
    for frame in FRAMES.values():
        await send(bench, SHAKE + KEY + b"Sec-WebSocket-Version: 13\r\n\r\n" + frame)
        await wait_until_gone(bench, before)
    await bystanders.work()


async def test_a_packed_body_is_refused_unread_whatever_it_contains(
    bench: Bench, bystanders: Bystanders
) -> None:
    for content in (b'{"platform": "p", "account_name": "n"}', b" " * 50_000_000):
        packed = gzip.compress(content)
        head = (
            b"Content-Encoding: gzip\r\nContent-Length: " + str(len(packed)).encode() + b"\r\n\r\n"
        )
        assert (await send(bench, POST + head + packed))[9:12] == b"415"
        assert (await send(bench, POLL + head + packed))[9:12] == b"415"
    await bystanders.work()


@pytest.mark.parametrize(
    "rest",
    [b"Content-Length: 100\r\n\r\n{}", b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"],
    ids=["cut", "chunks"],
)
async def test_a_body_that_ends_in_the_middle_is_no_error_of_ours(
    bench: Bench, bystanders: Bystanders, errors: Errors, rest: bytes
) -> None:
    await send(bench, POST + rest, hang_up=True)
    await bystanders.work()
    await bystanders.work()
    assert errors.pop_all() == []


async def test_nothing_is_left_of_a_handshake_that_failed(bench: Bench) -> None:
    before = count_kept(bench)
    await send(bench, SHAKE + KEY + b"Sec-WebSocket-Version: 99\r\n\r\n")
    assert count_kept(bench) == before
