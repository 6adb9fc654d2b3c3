"""Queued events of a socket: signs of life do not wait behind them, and batches stay small."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import aiohttp

from master import writer
from master.operations.silence import find_silent_workers
from master.store.sqlite.database import READERS
from master.turn import Turn
from tests.conftest import Bench, Peer, registration
from tests.waiting import PATIENCE_S
from tests.walks.gates import stopped_in_a_turn
from tests.walks.test_messages import comment
from tests.walks.test_workers import make_account


async def wait_until(so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not so():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0)


async def emit(peer: Peer, event: str, payload: dict[str, Any]) -> None:
    await peer.client.emit(event, payload, namespace=peer.namespace)


async def beat_twice_and_look(bench: Bench, worker: Peer) -> list[asyncio.Future[Any]]:
    """Send two signs of life, 20 s apart, that count on arrival; return their answers' futures."""
    seat, asked = bench.master.memory.sessions.seats["worker-1"], []
    for _ in range(2):
        bench.clock.advance(20)
        asked.append(
            asyncio.ensure_future(worker.ask("worker:heartbeat", {"workerId": "worker-1"}))
        )
        await wait_until(lambda: seat.heard == bench.clock.monotonic())
    assert find_silent_workers(bench.master.memory, bench.clock.monotonic(), 30) == []
    return asked


async def test_a_sign_of_life_behind_a_report_that_waits_for_the_disk_counts_when_it_comes(bench):
    account, worker = await make_account(bench), await bench.worker()
    async with stopped_in_a_turn(bench) as gate:
        report = {"type": "comment", "account_id": account["id"], "messages": [comment(1)]}
        await emit(worker, "worker:message:detected", report)
        await gate.wait_for(1)
        asked = await beat_twice_and_look(bench, worker)
        assert not any(one.done() for one in asked)
        await gate.let_go()
        assert [answer["accountIds"] for answer in await asyncio.gather(*asked)] == [
            [account["id"]]
        ] * 2


async def test_an_old_sign_of_life_that_is_answered_late_hides_no_silence(bench):
    account, worker = await make_account(bench), await bench.worker()
    async with stopped_in_a_turn(bench) as gate:
        report = {"type": "comment", "account_id": account["id"], "messages": [comment(1)]}
        await emit(worker, "worker:message:detected", report)
        await gate.wait_for(1)
        asked = await beat_twice_and_look(bench, worker)
        bench.clock.advance(31)
    await asyncio.gather(*asked)
    assert find_silent_workers(bench.master.memory, bench.clock.monotonic(), 30) == ["worker-1"]


async def test_who_is_not_read_misses_no_ping_and_who_is_read_again_does(bench, monkeypatch):
    worker = await bench.worker()
    (connection,) = bench.master.sockets.eio.sockets.values()
    monkeypatch.setattr(connection.flow, "budget", replace(connection.flow.budget, pending_bytes=0))
    async with stopped_in_a_turn(bench) as gate:
        await emit(worker, "worker:register", registration("worker-1"))
        await gate.wait_for(1)
        await emit(worker, "worker:heartbeat", {"workerId": "worker-1"})
        await wait_until(lambda: connection.processing == 1)
        connection.pinged_at, connection.processed_at = -100.0, -100.0  # long ago
        assert await connection.check_ping_timeout()
    await wait_until(lambda: connection.processing == 0)
    connection.pinged_at, connection.processed_at = -100.0, -100.0
    assert not await connection.check_ping_timeout()
    assert connection.closed


async def test_who_says_goodbye_and_closes_behind_a_report_has_left(bench):
    account, worker = await make_account(bench), await bench.worker()
    async with stopped_in_a_turn(bench):
        report = {"type": "comment", "account_id": account["id"], "messages": [comment(1)]}
        await emit(worker, "worker:message:detected", report)
        await emit(worker, "worker:goodbye", {"workerId": "worker-1"})
        (lane,) = bench.master.sockets.lanes.values()
        await wait_until(lambda: lane.backlog is not None and len(lane.pending) == 1)
        await worker.close()
    await wait_until(lambda: bench.master.memory.farm.workers.get("worker-1").status == "offline")


async def test_a_batch_contains_so_many_messages_and_one_larger_report_in_any_case(
    bench, monkeypatch
):
    monkeypatch.setattr(writer, "WEIGHT_LIMIT", 5)
    account, worker = await make_account(bench), await bench.worker()
    batches: list[float] = []
    monkeypatch.setattr(bench.master.metrics.batch_items, "observe", batches.append)
    async with stopped_in_a_turn(bench) as gate:
        sizes = [2, 3, 1, 9, 1]
        reports = [
            [comment(100 * row + number) for number in range(size)]
            for row, size in enumerate(sizes)
        ]
        asked = [
            worker.ask(
                "worker:message:detected",
                {"type": "comment", "account_id": account["id"], "messages": messages},
            )
            for messages in reports
        ]
        answers = asyncio.gather(*asked)
        await gate.wait_for(len(sizes))
        await gate.let_go()
        assert [answer["inserted"] for answer in await answers] == sizes
    assert batches == [1, 2, 1, 1, 1]


async def test_no_free_reader_is_overload_and_health_has_its_own(bench, monkeypatch):
    monkeypatch.setattr(bench.master.database._reader_engine.sync_engine.pool, "_timeout", 0)
    free, inside = asyncio.Event(), asyncio.Semaphore(0)

    async def stay(event: None, turn: Turn) -> None:
        inside.release()
        await free.wait()

    looks = [asyncio.ensure_future(bench.master.turns.look(stay, None)) for _ in range(READERS)]
    for _ in looks:
        await inside.acquire()
    url = f"http://127.0.0.1:{bench.master.port}"
    try:
        async with aiohttp.ClientSession(url) as web:
            async with web.get("/api/v1/accounts") as answer:
                content = await answer.json()
                assert (answer.status, content["error"]["code"]) == (503, "overloaded")
                assert answer.headers["Retry-After"] == "1"
            async with web.get("/health/ready") as answer:
                assert answer.status == 200
    finally:
        free.set()
        await asyncio.gather(*looks)
