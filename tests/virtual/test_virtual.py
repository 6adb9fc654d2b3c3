"""Time that jumps, a database without threads, breaking links, and the real server on them."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from master.settings import load_settings
from simulator.actors.transport import AckLate, LinkDown
from simulator.virtual.machine.house import House
from simulator.virtual.machine.life import Life, bury
from simulator.virtual.machine.loop import Deadlock, VirtualClock, run_virtually
from simulator.virtual.machine.network import Link
from simulator.virtual.machine.wire import LinkTransport

LATENCY_S = (0.001, 0.03)


def test_a_day_passes_at_once_and_in_order():
    async def main() -> list[float]:
        loop, seen = asyncio.get_running_loop(), []

        async def wake(after: float) -> None:
            await asyncio.sleep(after)
            seen.append(loop.time())

        await asyncio.gather(wake(86_400), wake(1), wake(3_600))
        return seen

    assert run_virtually(main) == [1, 3_600, 86_400]


def test_waiting_for_what_never_comes_is_a_deadlock_and_not_a_hang():
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock):
        run_virtually(main)


def test_threads_are_refused():
    async def main() -> None:
        await asyncio.to_thread(int)

    with pytest.raises(RuntimeError, match="no threads"):
        run_virtually(main)


def tick_in(life: Life, seen: list[float]) -> None:
    """Let a life record each second that it runs."""

    async def tick() -> None:
        try:
            while True:
                await asyncio.sleep(1)
                seen.append(asyncio.get_running_loop().time())
        finally:
            seen.append(-1)

    life.start(tick())


def test_a_stopped_life_does_nothing_until_it_runs_on_and_then_what_is_due():
    async def main() -> list[float]:
        loop, life, seen = asyncio.get_running_loop(), Life("stopped"), []
        tick_in(life, seen)
        await asyncio.sleep(2.5)
        loop.stop_life(life)
        await asyncio.sleep(5)
        loop.resume_life(life)
        await asyncio.sleep(2)
        loop.kill_life(life)
        bury(life)
        return seen

    assert run_virtually(main) == [1, 2, 7.5, 8.5]


def test_a_timer_that_came_due_in_a_stopped_life_can_still_be_cancelled():
    async def main() -> list[str]:
        loop, life, seen = asyncio.get_running_loop(), Life("stopped"), []
        timer = life.call(loop.call_later, 1, seen.append, "fired")
        life.call(loop.call_later, 1, seen.append, "kept")
        loop.stop_life(life)
        await asyncio.sleep(2)
        timer.cancel()
        loop.resume_life(life)
        await asyncio.sleep(0)
        return seen

    assert run_virtually(main) == ["kept"]


def test_timers_of_one_instant_keep_their_order_and_a_resumed_life_keeps_its_own():
    async def main() -> list[int]:
        loop, life, seen = asyncio.get_running_loop(), Life("stopped"), []
        for number in range(20):
            life.call(loop.call_at, 1.0 + number // 10, seen.append, number)
        loop.call_at(0.5, loop.stop_life, life)
        await asyncio.sleep(1.5)
        assert seen == []
        # is ready, and must come after the overdue calls
        life.call(loop.call_soon, seen.append, 10.5)
        loop.resume_life(life)
        await asyncio.sleep(1)
        return seen

    assert run_virtually(main) == [*range(10), 10.5, *range(10, 20)]


def test_what_a_callback_raises_is_told_and_ends_nothing():
    faults, seen = [], []

    async def main() -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(1)
        seen.append("on")

    run_virtually(main, faults.append)
    assert seen == ["on"]
    assert [type(fault["exception"]) for fault in faults] == [ZeroDivisionError]


def test_a_killed_life_does_not_even_reach_its_finally():
    async def main() -> list[float]:
        loop, life, seen = asyncio.get_running_loop(), Life("killed"), []
        tick_in(life, seen)
        await asyncio.sleep(2.5)
        loop.kill_life(life)
        bury(life)
        await asyncio.sleep(10)
        return seen

    assert run_virtually(main) == [1, 2]


@pytest.mark.parametrize(
    "moment", ["before_execute", "after_execute", "before_commit", "after_commit"]
)
def test_a_master_killed_around_a_commit_has_stored_all_or_nothing(tmp_path, moment):
    async def script(loop, house, open_transport) -> list[str]:
        _, worker = open_transport("/worker")
        await worker.connect()
        house.disk.arm(moment, 1, lambda: house.kill(moment))
        with pytest.raises(LinkDown):
            await worker.call("worker:register", REGISTRATION, 10)
        assert await house.open()
        return [worker.id for worker in house.master.memory.farm.workers.all()]

    assert play(tmp_path, script) == (["w"] if moment == "after_commit" else [])


def test_a_master_whose_start_is_cancelled_leaves_its_file_to_the_next(tmp_path):
    async def script(loop, house, open_transport) -> bool:
        house.kill("idle")
        starting = asyncio.create_task(house.open())
        house.disk.slow = Random(1)  # the start waits for its first commit when it is cancelled
        await asyncio.sleep(0.001)
        starting.cancel()
        await asyncio.wait([starting])
        house.disk.slow = None
        assert starting.cancelled()
        return await house.open()

    assert play(tmp_path, script)


def test_only_what_may_change_looked_at_columns_makes_the_overseer_look(tmp_path):
    async def script(loop, house, open_transport) -> None:
        _, worker = open_transport("/worker")
        await worker.connect()
        assert (await worker.call("worker:register", REGISTRATION, 10))["success"]
        assert "workers" in house.disk.dirty
        house.disk.dirty.clear()
        commits = house.disk.commits
        assert (await worker.call("worker:heartbeat", {"workerId": "w"}, 10))["success"]
        await asyncio.sleep(6)  # heartbeats are written every five seconds
        assert house.disk.commits > commits
        assert "workers" not in house.disk.dirty
        worker.cut()
        await asyncio.sleep(1)
        assert "workers" in house.disk.dirty  # it is disconnected

    play(tmp_path, script)


def test_a_full_disk_refuses_and_stores_nothing_until_it_has_room(tmp_path):
    async def script(loop, house, open_transport) -> None:
        _, worker = open_transport("/worker")
        await worker.connect()
        house.disk.trouble = "full"
        refused = await worker.call("worker:register", REGISTRATION, 10)
        assert refused["error"]["retryable"] is True
        assert len(house.master.memory.farm.workers) == 0
        house.disk.trouble = None
        assert (await worker.call("worker:register", REGISTRATION, 10))["success"]

    play(tmp_path, script)


def test_frames_of_one_link_keep_their_order_whatever_their_latency():
    async def main() -> list[object]:
        arrived: list[object] = []
        link = Link(asyncio.get_running_loop(), Random("order"), "10.0.0.1", (0.0, 5.0))
        link.up.deliver = arrived.append
        for number in range(50):
            link.up.put(str(number))
        link.up.buffer()
        link.up.put("buffered")
        await asyncio.sleep(60)
        assert arrived == [str(number) for number in range(50)]
        link.up.release()
        await asyncio.sleep(60)
        link.go_dark(down=False)
        link.up.put("lost")
        await asyncio.sleep(60)
        return arrived

    assert run_virtually(main)[-1] == "buffered"


def play(folder: Path, script) -> object:
    """Run `script(loop, house, open_transport)` against the real Master in virtual time."""

    async def main() -> object:
        loop = asyncio.get_running_loop()
        clock, rng = VirtualClock(loop), Random("links")
        house = House(loop, clock, load_settings({"DB_PATH": str(folder / "master.db")}, None), 1)

        def open_transport(namespace: str) -> tuple[Link, LinkTransport]:
            link = Link(loop, rng, "10.0.0.1", LATENCY_S)
            return link, LinkTransport(house.serve, link, namespace)

        assert await house.open()
        try:
            return await script(loop, house, open_transport)
        finally:
            await house.close()

    faults: list = []
    result = run_virtually(main, faults.append)
    assert faults == []
    return result


REGISTRATION = {
    "workerId": "w",
    "capabilities": ["douyin"],
    "maxAccounts": 5,
    "host": "h",
    "port": 1,
}


def test_a_silent_worker_is_evicted_between_30_and_31_virtual_seconds(tmp_path):
    async def script(loop, house, open_transport) -> float:
        _, admin = open_transport("/admin")
        gone: asyncio.Future[float] = loop.create_future()

        def watch(row) -> None:
            if row["status"] == "offline" and not gone.done():
                gone.set_result(loop.time())

        admin.on("worker:status", watch)
        await admin.connect()
        link, worker = open_transport("/worker")
        await worker.connect()
        assert (await worker.call("worker:register", REGISTRATION, 10))["success"]
        began = loop.time()
        link.go_dark()
        with pytest.raises(AckLate):
            await worker.call("worker:heartbeat", {"workerId": "w"}, 10)
        return await gone - began

    assert 30 <= play(tmp_path, script) <= 31.1


@pytest.mark.parametrize("side", [0.0, 1.0])
def test_a_commit_that_fails_has_happened_before_that_or_has_not_and_master_then_knows_what_the_file_knows(  # noqa: E501
    tmp_path, monkeypatch, side
):
    monkeypatch.setattr("simulator.virtual.machine.disk.AFTER_SHARE", side)

    async def script(loop, house, open_transport) -> list[int]:
        _, worker = open_transport("/worker")
        await worker.connect()
        doubts = []
        house.disk.on_doubt = lambda: doubts.append(count_workers(house.path))
        house.disk.trouble = "io_commit"
        refused = await worker.call("worker:register", REGISTRATION, 10)
        assert refused["error"]["code"] == "storage_trouble"
        house.disk.trouble = None
        assert (await worker.call("worker:register", {**REGISTRATION, "workerId": "v"}, 10))[
            "success"
        ]
        known = [one.id for one in house.master.memory.farm.workers.all()]
        assert len(known) == count_workers(house.path)
        return doubts[:1]

    assert play(tmp_path, script) == ([1] if side else [])


def count_workers(path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT count(*) FROM workers").fetchone()[0]


def test_both_ends_learn_of_a_severed_link(tmp_path):
    async def script(loop, house, open_transport) -> str:
        link, worker = open_transport("/worker")
        await worker.connect()
        assert (await worker.call("worker:register", REGISTRATION, 10))["success"]
        asking = asyncio.ensure_future(worker.call("worker:heartbeat", {"workerId": "w"}, 10))
        await asyncio.sleep(0)
        link.sever()
        with pytest.raises(LinkDown):
            await asking
        await asyncio.sleep(1)
        return house.master.memory.farm.workers.get("w").status.value

    assert play(tmp_path, script) == "disconnected"
