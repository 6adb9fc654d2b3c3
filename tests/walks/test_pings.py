"""Pings go on while the peer sends or reads, and overtake what waits; no poll is too long."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import aiohttp
import pytest
from engineio.packet import CLOSE, PING, Packet
from engineio.payload import Payload

from master.clock import ManualClock
from master.sockets.lean import AT_ONCE_BYTES, POLL_BYTES, POLL_PACKETS
from master.sockets.outbound import Frame, OutboundQueue
from master.sockets.plain import DRAIN_BYTES, KERNEL_BYTES
from tests.conftest import Bench
from tests.security.test_slow_senders import frame
from tests.waiting import PATIENCE_S, until
from tests.walks.test_messages import comment
from tests.walks.test_workers import make_account

TIMEOUT_S = 20.0
"""How long Engine.IO waits for the answer to a ping."""
RECEIVED_BYTES = 16 * 1024
"""The reader's own buffer; the kernel doubles it."""


@pytest.fixture
def quick(bench: Bench) -> Bench:
    """A Master whose connections are pinged all the time; its clock stands still."""
    bench.master.sockets.eio.ping_interval = 0.01
    return bench


async def join(bench: Bench, namespace: str) -> tuple[Any, Any]:
    """Open a WebSocket by hand; return its streams. Nothing of it is read ahead."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVED_BYTES)
    line.setblocking(False)
    await asyncio.get_running_loop().sock_connect(line, ("127.0.0.1", bench.master.port))
    reader, writer = await asyncio.open_connection(sock=line, limit=1024)
    writer.write(
        b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
        b"Sec-WebSocket-Version: 13\r\n\r\n" + frame(f"40/{namespace},")
    )
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def read_frame(reader: Any) -> str:
    """Return the text of Master's next frame."""
    async with asyncio.timeout(PATIENCE_S):
        size = (await reader.readexactly(2))[1]
        if size > 125:
            size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
        return (await reader.readexactly(size)).decode()


def get_connection(bench: Bench) -> Any:
    return list(bench.master.sockets.eio.sockets.values())[-1]


async def test_pings_go_on_while_a_large_message_arrives_and_its_answer_waits_behind_it(quick):
    reader, writer = await join(quick, "worker")
    await until(lambda: get_connection(quick).flow.is_known)
    connection = get_connection(quick)
    whole = frame('42/worker,["worker:message:detected",{"x":"' + "x" * 400_000 + '"}]')
    for start in range(0, 400_000, 40_000):
        quick.clock.advance(TIMEOUT_S - 1)
        writer.write(whole[start : start + 40_000])
        now = quick.clock.monotonic()
        await until(lambda: connection.flow.progressed_at == now)  # noqa: B023 - awaited at once
        for _ in range(2):
            while await read_frame(reader) != "2":
                pass
        assert await connection.check_ping_timeout()
    quick.clock.advance(TIMEOUT_S + 1)
    assert not await connection.check_ping_timeout(), "silent, though pinged again and again"
    writer.close()


async def test_an_answer_to_one_ping_ends_the_wait_and_starts_no_second_row_of_pings(quick):
    reader, writer = await join(quick, "worker")
    while await read_frame(reader) != "2":
        pass
    connection = get_connection(quick)
    before = connection._pinging
    quick.master.sockets.eio.ping_interval = 1_000
    writer.write(frame("3") * 3)
    await until(lambda: connection.pinged_at is None or connection._pinging is not before)
    quick.clock.advance(1)
    await until(lambda: connection._pinging is not before)
    last = connection._pinging
    writer.write(frame("3") * 3)
    await until(lambda: connection.pinged_at is None)
    assert connection._pinging is last
    await connection.close()
    assert last.cancelled()
    writer.close()


async def test_a_ping_overtakes_the_burst_that_waits_for_a_slow_reader_and_it_gets_a_hint(bench):
    account, worker = await make_account(bench), await bench.worker()
    reader, writer = await join(bench, "admin")
    await until(lambda: bench.master.memory.sessions.admins)
    connection = get_connection(bench)
    for part in range(10):
        batch = [comment(part * 500 + one) | {"content": "x" * 500} for one in range(500)]
        report = {"type": "comment", "account_id": account["id"], "messages": batch}
        assert (await worker.ask("worker:message:detected", report))["inserted"] == 500
    assert connection.queue.is_crowded
    connection._ping()
    size, frames = 0, [""]
    while frames[-1] != "2":
        frames.append(await read_frame(reader))
        size += len(frames[-1])
    # what had been written before it: Master's last write, and both kernels' buffers
    assert size < DRAIN_BYTES + 2 * AT_ONCE_BYTES + 2 * KERNEL_BYTES + 4 * RECEIVED_BYTES
    while '"client:sync"' not in frames[-1]:
        frames.append(await read_frame(reader))
        if frames[-1] == "2":
            writer.write(frame("3"))
    assert json.loads(frames[-1].partition(",")[2])[1] == {"last_seq": 5_000}
    assert bench.master.metrics.slow_consumers._value.get() == 0
    assert not connection.closed
    writer.close()


async def test_a_peer_that_still_reads_what_was_written_before_the_ping_is_kept(bench):
    reader, writer = await join(bench, "admin")
    await until(lambda: bench.master.memory.sessions.admins)
    connection, unsent = get_connection(bench), 3_000_000
    (line,) = connection.flow.lines
    line.measure_unsent = lambda: unsent
    connection.pinged_at = bench.clock.monotonic()
    assert await connection.check_ping_timeout()
    for _ in range(2):
        bench.clock.advance(TIMEOUT_S + 1)
        unsent -= 1_000_000
        assert await connection.check_ping_timeout()
    bench.clock.advance(TIMEOUT_S + 1)
    assert not await connection.check_ping_timeout()
    writer.close()
    assert reader


class TestPoll:
    """The answer to a poll has few packets and bytes; the next polls get the others, in order."""

    @pytest.fixture
    async def connection(self, bench: Bench) -> Any:
        url = f"http://127.0.0.1:{bench.master.port}/socket.io/?EIO=4&transport=polling"
        async with aiohttp.ClientSession() as http, http.get(url) as opened:
            assert opened.status == 200
        return get_connection(bench)

    async def test_sixteen_packets_are_the_most_that_pythons_client_accepts(self, connection):
        assert Payload.max_decode_packets == POLL_PACKETS
        for number in range(40):
            connection.queue.put_nowait(Frame(f"42{number}"))
        answers = [await connection.poll() for _ in range(3)]
        assert [len(answer) for answer in answers] == [16, 16, 8]
        texts = [packet.encode() for answer in answers for packet in answer]
        assert texts == [f"42{number}" for number in range(40)]

    async def test_large_packets_come_alone_and_a_ping_comes_first(self, connection):
        for size in (POLL_BYTES // 2, POLL_BYTES // 2, 10, 2 * POLL_BYTES, 10):
            connection.queue.put_nowait(Frame("4" * size))
        connection._ping()
        answers = [await connection.poll() for _ in range(4)]
        sizes = [[len(packet.encode()) for packet in answer] for answer in answers]
        assert sizes == [[1, POLL_BYTES // 2, POLL_BYTES // 2], [10], [2 * POLL_BYTES], [10]]

    async def test_the_end_comes_behind_what_waited(self, connection):
        for number in range(20):
            connection.queue.put_nowait(Frame(f"42{number}"))
        await connection.close()
        answers = [await connection.poll() for _ in range(3)]
        assert [len(answer) for answer in answers] == [16, 5, 0]
        assert answers[1][-1].packet_type == CLOSE


async def test_of_the_packets_that_go_ahead_only_the_newest_waits():
    queue = OutboundQueue(10_000, ManualClock())
    queue.put_nowait(Frame("42"))
    for _ in range(3):
        queue.put_ahead(Packet(PING))
    assert queue.qsize() == 2
    assert queue.peek().packet_type == PING
    assert [(await queue.get()).encode() for _ in range(2)] == ["2", "42"]
    assert queue.empty()
    with pytest.raises(asyncio.QueueEmpty):
        queue.get_nowait()


async def test_a_ping_wakes_the_writer_and_is_dropped_after_an_overflow():
    queue = OutboundQueue(1, ManualClock())
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.put_ahead(Packet(PING))
    assert (await waiting).packet_type == PING
    queue.put_ahead(Packet(PING))
    for _ in range(3):
        queue.put_nowait(Frame("4" * 1_000))
    assert queue.overflowed
    queue.put_ahead(Packet(PING))
    assert queue.empty()
