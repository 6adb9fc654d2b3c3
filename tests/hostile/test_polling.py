"""Misbehaving long-polling peers: broken posts, missing sessions, unknown transports."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import product

import aiohttp
import orjson
import pytest
from yarl import URL

from tests.conftest import Bench
from tests.hostile.conftest import Errors
from tests.hostile.test_http_bytes import send
from tests.hostile.world import Bystanders, count_kept, wait_until_gone
from tests.waiting import PATIENCE_S

QUESTION = '42/worker,77["worker:heartbeat",[]]'
SEPARATOR = "\x1e"

BROKEN_POSTS = [
    b"4",
    b"d=42",
    b"bAAAA",
    b"4" + b"[" * 100_000,
    b"42/worker,",
    b"4x",
    b"3",
    b"5",
    b"",
]
"""Bodies of readable Engine.IO packets that need no answer."""

UNREADABLE_POSTS = [b"x", b"\xff\xfe", b"9", b"dd", b"d=", b"bA", b"\x1e", b"\x00"]
"""Bodies that are no Engine.IO packet."""

QUERIES = [
    "", "EIO=3&transport=polling", "EIO=4", "EIO=4&transport=x", "EIO=4&transport=",
    "transport=polling", "EIO=4&transport=websocket", "EIO=4&EIO=4&transport=polling",
    "EIO=4&transport=polling&sid=x", "EIO=4&transport=polling&sid=",
    "EIO=4&transport=polling&sid=%00%ff", "EIO=4&transport=polling&sid=%ed%a0%80",
    "EIO=4&transport=polling&sid=" + "x" * 5_000, "EIO=4&transport=polling&j=x",
    "EIO=4&transport=polling&j=", "EIO=4&transport=polling&j=" + "9" * 5_000,
    "EIO=4&transport=polling&b64=x", "EIO=4&transport=polling&t=%", "&" * 5_000, "=%",
    "EIO[]=4&transport[]=polling",
]  # fmt: skip


class PollingPeer:
    """One long-polling connection in /worker."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self.url = url

    async def post(self, body: bytes | str | io.BytesIO | AsyncIterator[bytes]) -> int:
        """Send a body unchanged; return the status."""
        async with self._session.post(self.url, data=body) as answer:
            await answer.read()
            return answer.status

    async def poll(self) -> str:
        """Read the waiting packets."""
        async with self._session.get(self.url) as answer:
            assert answer.status == 200
            return await answer.text()

    async def ask_again(self) -> str:
        """Check with a valid event that the connection works; return all packets until then."""
        assert await self.post(QUESTION) == 200
        said = ""
        while "43/worker,77[" not in said:
            said += await self.poll() + SEPARATOR
        return said


@asynccontextmanager
async def poll(bench: Bench) -> AsyncIterator[PollingPeer]:
    """Provide a peer over long-polling."""
    url = f"http://127.0.0.1:{bench.master.port}/socket.io/?EIO=4&transport=polling"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(PATIENCE_S)) as session:
        async with session.get(url) as answer:
            opened = orjson.loads((await answer.text())[1:])
        peer = PollingPeer(session, f"{url}&sid={opened['sid']}")
        assert await peer.post("40/worker,") == 200
        assert (await peer.poll()).startswith("40/worker,")
        yield peer
        with suppress(aiohttp.ClientOSError):
            await peer.post("1")


async def test_a_broken_post_does_no_harm(bench: Bench, bystanders: Bystanders) -> None:
    async with poll(bench) as peer:
        for body in BROKEN_POSTS:
            assert await peer.post(body) in (200, 400)
            await peer.ask_again()
    await bystanders.work()


async def test_a_post_that_contains_no_packet_is_no_error_of_ours(
    bench: Bench, errors: Errors
) -> None:
    async with poll(bench) as peer:
        for body in UNREADABLE_POSTS:
            assert await peer.post(body) in (200, 400)
            await peer.ask_again()
    assert errors.pop_all() == []


async def test_a_packet_that_cannot_be_read_costs_no_other_its_answer(bench: Bench) -> None:
    packets = [
        "x",
        '42/worker,1["worker:heartbeat",[]]',
        "",
        '42/worker,2["worker:heartbeat",[]]',
        "9",
    ]
    async with poll(bench) as peer:
        await peer.post(SEPARATOR.join(packets))
        said = await peer.ask_again()
    assert "43/worker,1[" in said
    assert "43/worker,2[" in said


async def test_a_post_over_the_limit_is_refused_though_its_peer_does_not_poll(bench: Bench) -> None:
    before = count_kept(bench)
    async with poll(bench) as peer:
        # Master closes while the peer still sends, so it may not read the reason
        with suppress(aiohttp.ClientOSError):
            assert await peer.post(io.BytesIO(b"4" * 17_000_000)) == 400
        assert count_kept(bench) == before
    async with poll(bench) as peer:
        assert await peer.post(SEPARATOR.join("3" * 10_001)) == 400
        assert count_kept(bench) == before


async def test_a_post_in_chunks_is_read_and_one_without_end_is_not(bench: Bench) -> None:
    async def write(*chunks: bytes) -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    before = count_kept(bench)
    async with poll(bench) as peer:
        assert await peer.post(write(b'42/worker,1["worker:', b'heartbeat",[]]')) == 200
        assert "43/worker,1[" in await peer.ask_again()
        # Master closes while the peer still sends, so it may not read the reason
        with suppress(aiohttp.ClientOSError):
            assert await peer.post(write(*[b"4" * 1_000_000] * 17)) == 400
        assert count_kept(bench) == before


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 100\r\n\r\n42",
        b"Transfer-Encoding: chunked\r\n\r\n2\r\n42\r\n",
    ],
    ids=["cut", "chunks"],
)
async def test_a_post_that_cannot_be_read_ends_the_connection(
    bench: Bench, bystanders: Bystanders, rest: bytes
) -> None:
    """Queued packets are lost; the connection ends, so the peer sends them again."""
    before = count_kept(bench)
    async with poll(bench) as peer:
        request = f"POST {URL(peer.url).raw_path_qs} HTTP/1.1\r\nHost: x\r\n".encode()
        await send(bench, request + rest, hang_up=True)
        await wait_until_gone(bench, before)
    await bystanders.work()


async def test_a_post_to_a_session_that_has_ended_is_refused(bench: Bench) -> None:
    async with poll(bench) as peer:
        assert await peer.post("1") == 200
        assert await peer.post(QUESTION) == 400


async def test_a_strange_question_is_refused(bench: Bench, bystanders: Bystanders) -> None:
    methods = ("GET", "POST", "OPTIONS", "PUT", "DELETE", "HEAD")
    async with aiohttp.ClientSession() as session:
        for method, query in product(methods, QUERIES):
            url = URL(f"http://127.0.0.1:{bench.master.port}/socket.io/?{query}", encoded=True)
            async with session.request(
                method, url, data=b"x" if method in ("POST", "PUT") else None
            ) as answer:
                await answer.read()
                assert answer.status < 500, query
    await bystanders.work()
