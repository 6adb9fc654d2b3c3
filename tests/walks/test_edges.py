"""Sockets that open and close at the wrong moment, unreadable packets, and a second Master."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import orjson
import pytest

from master.app import Master
from master.clock import ManualClock
from master.store.sqlite.upgrade import DatabaseFault
from tests.conftest import registration
from tests.waiting import PATIENCE_S
from tests.walks.test_logins import start
from tests.walks.test_messages import comment
from tests.walks.test_workers import make_account, read_account, read_worker


@pytest.mark.parametrize("how", ["heartbeat", "registration", "new socket"])
async def test_a_worker_that_returns_alone_keeps_what_it_gets_back(bench, how):
    account = await make_account(bench)
    worker = await bench.worker()
    await bench.advance(31)
    assert (await read_account(bench, account["id"]))["assigned_worker_id"] is None
    if how == "heartbeat":
        assert (await worker.ask("worker:heartbeat", {"workerId": "worker-1"}))["accountIds"] == [
            account["id"]
        ]
    elif how == "registration":
        assert len((await worker.ask("worker:register", registration()))["accounts"]) == 1
    else:
        worker = await bench.worker()
    await worker.hear("master:task:assign", 1 if how == "new socket" else 2)
    # its refusal is a turn of its own, after all earlier sends
    await worker.ask("worker:goodbye", {"workerId": "another"})
    told = [name for name, _ in worker.heard if name.startswith("master:task:")]
    assert told[-1] == "master:task:assign"
    assert (await read_account(bench, account["id"]))["assigned_worker_id"] == "worker-1"


async def test_a_socket_that_was_replaced_does_not_come_back_by_its_late_heartbeat(bench):
    await make_account(bench)
    old = await bench.worker()
    report = {"type": "comment", "account_id": "nobody", "messages": [comment(1)]}
    await old.client.emit("worker:message:detected", report, namespace="/worker")
    await old.client.emit("worker:heartbeat", {"workerId": "worker-1"}, namespace="/worker")
    new = await bench.worker()
    assert (await new.ask("worker:heartbeat", {"workerId": "worker-1"}))["success"]
    seat = bench.master.memory.sessions.seats["worker-1"]
    assert seat.sid == new.client.get_sid("/worker")
    assert (await read_worker(bench, "worker-1"))["status"] == "connected"


async def test_facts_that_come_before_the_registration_are_kept_once_their_worker_is_known(bench):
    """A client library sends its buffered events before the worker can register."""
    account = await make_account(bench)
    await (await bench.worker()).close()
    again = await bench.connect("worker")
    reports = [
        {"type": "comment", "account_id": account["id"], "messages": [comment(number)]}
        for number in (1, 2)
    ]
    early = [
        asyncio.ensure_future(again.ask("worker:message:detected", report)) for report in reports
    ]
    await asyncio.sleep(0)
    assert (await again.ask("worker:register", registration()))["success"]
    assert [(await one)["inserted"] for one in early] == [1, 1]


async def test_facts_of_an_unregistered_worker_are_to_be_sent_again_after_a_registration(bench):
    account = await make_account(bench)
    await bench.worker()
    stranger = await bench.connect("worker")
    report = {"type": "comment", "account_id": account["id"], "messages": [comment(1)]}
    early = asyncio.ensure_future(stranger.ask("worker:message:detected", report))
    await asyncio.sleep(0)
    assert not (await stranger.ask("worker:heartbeat", {"workerId": "nobody"}))["success"]
    error = (await early)["error"]
    assert (error["code"], error["retryable"]) == ("not_registered", True)


async def test_a_slot_is_kept_for_a_login_that_is_open(bench):
    account = await make_account(bench)
    await bench.worker("worker-2")
    assert (await read_account(bench, account["id"]))["assigned_worker_id"] == "worker-2"
    small = await bench.worker("worker-1", maxAccounts=1)
    admin = await bench.connect("admin")
    session = (
        await admin.ask(
            "master:login:start", {"account_id": account["id"], "worker_id": "worker-1"}
        )
    )["session_id"]
    other = await make_account(bench, "b", platform="xiaohongshu")
    assert (await read_account(bench, other["id"]))["assigned_worker_id"] == "worker-2"
    await small.ask(
        "worker:login:status",
        {"session_id": session, "status": "success", "cookies": [{"name": "n"}]},
    )
    assert (await read_account(bench, account["id"]))["assigned_worker_id"] == "worker-1"


async def test_no_invented_name_carries_a_secret_to_people(bench):
    admin, worker, account, session = await start(bench)
    secrets = {
        "session_id": session, "status": "success", "cookies": [{"value": "planted"}],
        "storageState": "planted", "accessToken": "planted", "proxy": {"proxy_password": "planted"},
        "user_info": {"nickname": "N", "sec_cookie": "planted", "access_token": "planted",
        "storageState": "planted"},
    }  # fmt: skip
    assert (await worker.ask("worker:login:status", secrets))["success"]
    await admin.hear("login:success")
    assert "planted" not in repr(admin.heard)
    assert "planted" not in repr(await read_account(bench, account["id"]))


async def test_a_figure_that_cannot_be_read_costs_no_sign_of_life(bench):
    worker = await bench.worker()
    for odd in (None, "tired", {"cpuUsage": "12%", "activeAccounts": 2.5, "memoryUsage": 200}):
        beat = {"workerId": "worker-1", "stats": odd, "timestamp": "2026-01-01T00:00:00Z"}
        assert (await worker.ask("worker:heartbeat", beat))["success"]
    assert (await read_worker(bench, "worker-1"))["stats"]["memory_usage"] == 200


async def test_a_second_master_on_the_same_file_is_refused(bench):
    await bench.worker()
    second = Master(bench.master.settings, clock=ManualClock())
    with pytest.raises(DatabaseFault, match="Another Master is running"):
        await second.start(sweeps=False)
    await second.close()
    assert (await read_worker(bench, "worker-1"))["status"] == "connected"


class RawSocket:
    """A WebSocket that writes Engine.IO and Socket.IO packets by hand."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def say(self, *frames: str | bytes) -> None:
        for frame in frames:
            await (
                self._socket.send_str(frame)
                if isinstance(frame, str)
                else self._socket.send_bytes(frame)
            )

    async def acknowledged(self, id: int) -> dict[str, Any]:
        """Wait for the acknowledgement of packet `id`."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                text = (await self._socket.receive()).data
                if isinstance(text, str) and text.startswith(f"43/worker,{id}["):
                    answer: dict[str, Any] = orjson.loads(text[text.index("[") :])[0]
                    return answer


@pytest.fixture
async def raw(bench):
    url = f"http://127.0.0.1:{bench.master.port}/socket.io/?EIO=4&transport=websocket"
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        await socket.receive()
        await socket.send_str("40/worker,")
        await socket.receive()
        yield RawSocket(socket)


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (['42/worker,1["worker:heartbeat"'], "unreadable"),
        (["42/worker,1[NaN]"], "unknown_event"),
        (["42/worker,1[nan]"], "unreadable"),
        (
            ['42/worker,1["worker:heartbeat",{"workerId":"nobody","stats":{"cpuUsage":NaN}}]'],
            "not_registered",
        ),
        (["42/worker,1[" + "[" * 50_000], "unreadable"),
        (["42/worker,1[" + "[" * 100_000], "too_large"),
        (['42/worker,1{"a":1}'], "unreadable"),
        (["42/worker,1[]"], "unreadable"),
        (["42/worker,1[7]"], "unknown_event"),
        (['42/worker,1["disconnect"]'], "unknown_event"),
        (['450-/worker,1["worker:heartbeat",1]'], "unreadable"),
        (['451-/worker,1["worker:heartbeat",{"_placeholder":true,"num":5}]', b"x"], "unreadable"),
        (['451-/worker,1["worker:heartbeat",{"_placeholder":true,"num":"x"}]', b"x"], "unreadable"),
        (['451-/worker,1["worker:heartbeat",{"_placeholder":true,"num":0}]', b"x"], "unreadable"),
        (
            ['451-/worker,1["worker:heartbeat",{"_placeholder":true,"num":0}]', "42/worker,9[1]"],
            "unreadable",
        ),
        (['4599-/worker,1["worker:heartbeat"]'], "unreadable"),
        (['42/worker,1["worker:heartbeat",{"workerId":"\\ud83d"}]'], "invalid"),
        (
            ['42/worker,1["worker:register",{"workerId":"w","metadata":{"n":1' + "0" * 30 + "}}]"],
            "invalid",
        ),
    ],
)
async def test_a_packet_that_cannot_be_read_is_refused_and_the_next_one_is_accepted(
    raw, frames, code
):
    await raw.say(*frames)
    assert (await raw.acknowledged(1))["error"]["code"] == code
    await raw.say('42/worker,2["worker:heartbeat",{"workerId":"nobody"}]')
    assert (await raw.acknowledged(2))["error"]["code"] == "not_registered"


async def test_an_event_for_a_namespace_that_was_not_joined_is_answered(raw):
    await raw.say('42/admin,1["admin:status:request"]', '42/worker,2["worker:heartbeat",{}]')
    assert (await raw.acknowledged(2))["error"]["code"] == "invalid"
