"""Everything is bounded: queues, rates, registrations."""

from __future__ import annotations

import asyncio
import json
import struct
from typing import Any

import aiohttp
import orjson
import pytest
from engineio.payload import Payload

from master.clock import ManualClock
from master.decisions.pace import Pace
from master.model import WorkerStatus
from master.protocol.admin import AccountChanged, WorkerChanged, render_account, render_worker
from master.protocol.answers import Placement
from master.sockets.outbound import FEW, HARD_FACTOR, SLOW_READER_S, Frame, OutboundQueue
from tests import records
from tests.conftest import registration
from tests.records import make_worker
from tests.waiting import until
from tests.walks.test_messages import comment
from tests.walks.test_workers import make_account


@pytest.mark.parametrize(
    ("charged_at", "waits"),
    [
        ([0, 0, 0], [0, 0, 0.5]),
        ([0, 0, 0.5], [0, 0, 0]),
        ([0, 100, 100, 100], [0, 0, 0, 0.5]),
        ([5, 4, 4], [0, 0, 0.5]),
    ],
)
def test_a_bucket_of_two_fills_by_two_a_second(charged_at, waits):
    pace = Pace()
    assert [pace.charge(at, 2, 2) for at in charged_at] == waits


def say(event: str, payload: dict[str, Any], state_key: str | None = None) -> Frame:
    return Frame("42/admin," + json.dumps([event, payload], separators=(",", ":")), state_key)


def say_status(worker_id: str, status: WorkerStatus, number: int = 0) -> Frame:
    """Return the frame with the whole state of one worker."""
    shown = render_worker(make_worker(worker_id, number, status=status), None)
    changed = WorkerChanged(shown, number)
    return say("worker:status", changed.render(), changed.state_key)


def read_one(queue: OutboundQueue) -> None:
    queue.get_nowait()


def read_bytes(queue: OutboundQueue) -> None:
    unsent = queue.measure_unsent()
    queue.measure_unsent = lambda: unsent - 1


@pytest.mark.parametrize(
    ("read", "state_key", "overflowed"),
    [
        (lambda queue: None, None, True),
        (lambda queue: None, "sync", True),  # also where only hints are queued
        (read_one, None, False),
        (read_one, "sync", False),
        (read_bytes, None, False),
    ],
)
async def test_a_crowded_queue_overflows_once_nothing_of_it_is_read(read, state_key, overflowed):
    overflows: list[int] = []
    clock = ManualClock()
    queue = OutboundQueue(10_000, clock, lambda: overflows.append(1))
    queue.measure_unsent = lambda: 1_000
    for number in range(60):
        queue.put_nowait(say("notification:new", {"n": number}))
    queue.put_nowait(say("client:sync", {}, state_key))
    assert queue.is_crowded
    for _ in range(3):
        clock.advance(SLOW_READER_S - 1)
        read(queue)
        queue.put_nowait(say("client:sync", {}, state_key))
    assert bool(overflows) is overflowed
    assert queue.empty() is overflowed
    assert len(overflows) <= 1


async def test_many_small_packets_far_past_the_limit_overflow_once_and_are_forgotten():
    overflows: list[int] = []
    queue = OutboundQueue(10_000, ManualClock(), lambda: overflows.append(1))
    for number in range(1_000):
        queue.put_nowait(say("notification:new", {"n": number}))
        assert queue.waiting_bytes <= 10_000 * HARD_FACTOR + 1_000
    assert overflows == [1]
    assert queue.empty()
    assert queue.waiting_bytes == 0


async def test_a_few_large_packets_may_pass_the_limit():
    overflows: list[int] = []
    queue = OutboundQueue(10_000, ManualClock(), lambda: overflows.append(1))
    for _ in range(FEW):
        queue.put_nowait(say("login:qrcode:ready", {"qr_code_data": "x" * 4_000}))
    assert overflows == []


async def test_what_a_worker_is_told_that_takes_a_thousand_accounts_may_wait():
    overflows: list[int] = []
    queue = OutboundQueue(1024 * 1024, ManualClock(), lambda: overflows.append(1))
    for size in (5_000_000, *[500_000] * 10, 5_000_000):
        queue.put_nowait(say("master:task:assign", {"cookies": "x" * size}))
    assert overflows == []


async def test_of_a_things_state_only_the_newest_waits():
    queue = OutboundQueue(10_000, ManualClock())
    queue.put_nowait(say_status("a", WorkerStatus.CONNECTED))
    queue.put_nowait(say_status("b", WorkerStatus.CONNECTED))
    queue.put_nowait(say("notification:new", {"id": "a"}))
    for number in range(1_000):
        queue.put_nowait(say_status("a", WorkerStatus.OFFLINE, number))
    waiting = [queue.get_nowait().data for _ in range(queue.qsize())]
    assert [text.split('"')[5] for text in waiting] == ["a", "b", "a"]
    assert '"assigned_accounts":999' in waiting[0]
    assert queue.waiting_bytes == 0


NOWHERE: Placement = {"state": "waiting", "reason": "no_room", "since": 1}


def test_a_workers_state_is_not_an_accounts_even_if_they_have_one_id():
    worker = WorkerChanged(render_worker(make_worker("same"), None), 1)
    account = AccountChanged(render_account(records.make_account("same"), NOWHERE, 0), 1)
    assert None not in (worker.state_key, account.state_key)
    assert worker.state_key != account.state_key


class TestStalledReader:
    """Master drops a consumer that stops reading; the others are not affected."""

    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"OUTBOUND_QUEUE_BYTES": "400000"}

    async def test_it_is_dropped_and_counted(self, bench):
        account = await make_account(bench)
        worker, admin = await bench.worker(), await bench.connect("admin")
        reader, writer = await asyncio.open_connection("127.0.0.1", bench.master.port, limit=1024)
        writer.write(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\nUpgrade: "
            b"websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Key: "
            b"MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        joining = b"40/admin,"
        writer.write(bytes([0x81, 0x80 | len(joining)]) + struct.pack("4x") + joining)
        await writer.drain()
        while len(bench.master.memory.sessions.admins) < 2:
            await worker.ask("worker:heartbeat", {"workerId": "worker-1"})
        dropped, number = bench.master.metrics.slow_consumers, 0
        while not dropped._value.get() and number < 200:
            batch = [comment(number * 100 + step) | {"content": "x" * 400} for step in range(100)]
            report = {"type": "comment", "account_id": account["id"], "messages": batch}
            assert (await worker.ask("worker:message:detected", report))["inserted"] == 100
            assert all(
                getattr(connection.queue, "waiting_bytes", 0) <= 110_000
                for connection in bench.master.sockets.eio.sockets.values()
            )
            bench.clock.advance(2)
            number += 1
        assert dropped._value.get() == 1
        await admin.hear("notification:new", number * 100)
        assert len(bench.master.memory.sessions.admins) == 1
        writer.close()


class TestBurstForAPollingReader:
    """A burst between two polls becomes one hint, and the reader fetches what it stands for."""

    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"OUTBOUND_QUEUE_BYTES": "200000"}

    @pytest.mark.parametrize("namespace", ["client", "admin"])
    async def test_it_stays_and_hears_of_all(self, bench, namespace):
        account, worker = await make_account(bench), await bench.worker()
        url = f"http://127.0.0.1:{bench.master.port}/socket.io/?EIO=4&transport=polling"
        async with aiohttp.ClientSession() as http:

            async def poll() -> list[Any]:
                heard: list[Any] = []
                start = f"42/{namespace},"
                while "client:sync" not in [name for name, _ in heard]:
                    async with http.get(url) as answer:
                        texts = (await answer.text()).split("\x1e")
                    assert len(texts) <= Payload.max_decode_packets, "python-engineio's client"
                    heard += [json.loads(one[len(start) :]) for one in texts if one[:3] == "42/"]
                return heard

            async with http.get(url) as opened:
                url += "&sid=" + json.loads((await opened.text())[1:])["sid"]
            await http.post(url, data=f"40/{namespace},")
            if namespace == "client":
                device = {"device_id": "device-1", "device_type": "phone"}
                register = json.dumps(["client:register", device])
                await http.post(url, data=f"42/{namespace},1{register}")
            for part in range(3):
                batch = [comment(part * 500 + number) for number in range(500)]
                report = {"type": "comment", "account_id": account["id"], "messages": batch}
                assert (await worker.ask("worker:message:detected", report))["inserted"] == 500
                bench.clock.advance(SLOW_READER_S / 3)
            heard = await poll()
        pushed = [data["seq"] for name, data in heard if name == "notification:new"]
        assert pushed == list(range(1, len(pushed) + 1))
        assert FEW <= len(pushed) < 500
        assert [data for name, data in heard if name == "client:sync"] == [{"last_seq": 1_500}]
        assert bench.master.metrics.slow_consumers._value.get() == 0
        assert bench.master.metrics.hints._value.get() == 1_500 - len(pushed)
        delivered = bench.master.memory.sessions.delivered
        assert len(delivered) == len(pushed), "a hint delivers nothing"


def heard_all(reader: Any) -> bool:
    """Tell whether a reader was pushed all 300, or a hint that stands for the last of them."""
    hints = [data["last_seq"] for data in reader.all("client:sync")]
    return len(reader.all("notification:new")) == 300 or 300 in hints


class TestBurst:
    """Many bytes at once do not make a slow reader, as long as they are read."""

    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"OUTBOUND_QUEUE_BYTES": "100000"}

    async def test_one_report_with_long_texts_drops_no_reader(self, bench):
        account = await make_account(bench)
        worker, device, admin = (
            await bench.worker(),
            await bench.device(),
            await bench.connect("admin"),
        )
        long = {
            "content": "x" * 9_000,
            "author_name": "y" * 900,
            "author_id": "z" * 900,
            "post_title": "t" * 9_000,
        }
        report = {
            "type": "comment",
            "account_id": account["id"],
            "messages": [comment(number) | long | {"post_id": "p" * 900} for number in range(300)],
        }
        assert (await worker.ask("worker:message:detected", report))["inserted"] == 300
        for reader in (device, admin):
            await until(lambda: heard_all(reader))  # noqa: B023 - awaited at once
        again = await bench.connect("client")
        assert (await again.ask("client:register", {"device_id": "device-1"}))["owed"] == 300
        await until(lambda: heard_all(again))
        pushed = len(again.all("notification:new"))
        rest = await again.ask(
            "client:sync:request", {"device_id": "device-1", "after_seq": pushed, "limit": 500}
        )
        numbers = [one["seq"] for one in again.all("notification:new") + rest["notifications"]]
        assert numbers == list(range(1, 301)), "the hint stands for the rest of what it is owed"
        assert bench.master.metrics.slow_consumers._value.get() == 0

    async def test_a_worker_that_takes_a_thousand_accounts_is_told_of_all(self, bench):
        values = [
            (f"account-{number:04}", orjson.dumps({"about": "x" * 300}).decode())
            for number in range(1_000)
        ]
        async with bench.master.database.write() as transaction:
            await (await transaction.connect()).exec_driver_sql(
                "INSERT INTO accounts (id, platform, account_name, user_info, created_at, "
                "updated_at) "
                "VALUES (?, 'douyin', 'n', ?, 0, 0)",
                values,
            )
        await bench.master.turns.load_farm()
        worker = await bench.connect("worker")
        answer = await worker.ask("worker:register", registration(maxAccounts=1_000))
        assert (len(answer["accounts"]) > 10, answer["accountsTotal"]) == (True, 250)
        told: list[str] = []
        while len(told) < 1_000:
            await worker.ask("worker:heartbeat", {"workerId": "worker-1"})
            told = [
                one["id"] for each in worker.all("master:task:assign") for one in each["accounts"]
            ]
        assert sorted(told) == [f"account-{number:04}" for number in range(1_000)], "each once"
        assert bench.master.metrics.slow_consumers._value.get() == 0


class TestRegistrations:
    """The limit is per second."""

    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"REGISTRATION_RATE": "2"}

    async def test_who_is_turned_away_is_told_when_to_come_again(self, bench):
        peers = [await bench.connect("worker") for _ in range(4)]
        answers = [
            await peer.ask("worker:register", registration(f"w{n}")) for n, peer in enumerate(peers)
        ]
        assert [answer["success"] for answer in answers] == [True, True, False, False]
        errors = [answer["error"] for answer in answers[2:]]
        assert all(error["code"] == "overloaded" and error["retryable"] for error in errors)
        assert errors[0]["retry_after_ms"] < errors[1]["retry_after_ms"]
        assert not (await peers[3].hear("worker:registered"))["success"]
        bench.clock.advance(0.5)
        assert (await peers[3].ask("worker:register", registration("w3")))["success"]


class TestWriteQueue:
    """Past the limit, reports are refused as overloaded, and their worker keeps them."""

    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"WRITE_QUEUE_ITEMS": "3"}

    async def test_what_does_not_fit_is_refused_as_overloaded_and_the_rest_is_stored(self, bench):
        account = await make_account(bench)
        worker = await bench.worker()
        reports = [
            {"type": "comment", "account_id": account["id"], "messages": [comment(number)]}
            for number in range(60)
        ]
        answers = await asyncio.gather(
            *(worker.ask("worker:message:detected", report) for report in reports)
        )
        refused = [answer["error"] for answer in answers if not answer["success"]]
        assert refused
        assert all(
            error["code"] == "overloaded" and error["retry_after_ms"] > 0 for error in refused
        )
        stored = sum(answer.get("inserted", 0) for answer in answers)
        assert stored == 60 - len(refused)
        assert bench.master.turns.waiting == 0


class TestPace:
    """Master reads a fast socket more slowly; no event is lost."""

    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"SOCKET_EVENTS_PER_S": "100"}

    async def test_what_comes_after_the_burst_is_delayed_and_answered(self, bench):
        worker = await bench.worker()
        beats = [worker.ask("worker:heartbeat", {"workerId": "worker-1"}) for _ in range(402)]
        assert all(answer["success"] for answer in await asyncio.gather(*beats))
        (lane,) = bench.master.sockets.lanes.values()
        # the clock does not move, so no budget is refilled
        assert lane.flow._events._tokens == 400 - 1 - 402
