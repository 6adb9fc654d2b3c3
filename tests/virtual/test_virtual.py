"""Time that jumps, a database without threads, links that break, and the real server on top of them."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from random import Random

import pytest

from master.app import Master
from master.settings import load_settings
from simulator.transport import AckLate, LinkDown
from simulator.virtual.database import connect_inline
from simulator.virtual.loop import Deadlock, VirtualClock, run_virtually
from simulator.virtual.network import Link
from simulator.virtual.wire import LinkTransport, put_on_links

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


def test_frames_of_one_link_keep_their_order_whatever_their_latency():
    async def main() -> list[object]:
        arrived: list[object] = []
        link = Link(asyncio.get_running_loop(), Random("order"), "10.0.0.1", (0.0, 5.0))
        link.up.deliver = arrived.append
        for number in range(50):
            link.up.put(str(number))
        link.up.hold()
        link.up.put("held")
        await asyncio.sleep(60)
        assert arrived == [str(number) for number in range(50)]
        link.up.release()
        await asyncio.sleep(60)
        link.go_dark(down=False)
        link.up.put("lost")
        await asyncio.sleep(60)
        return arrived

    assert run_virtually(main)[-1] == "held"


def play(folder: Path, script) -> object:
    """Run `script(loop, master, open_transport)` against the real Master in virtual time."""

    async def main() -> object:
        loop = asyncio.get_running_loop()
        clock, numbers, rng = VirtualClock(loop), itertools.count(1), Random("links")
        path = folder / "master.db"
        master = Master(
            load_settings({"DB_PATH": str(path)}, None),
            clock=clock,
            new_id=lambda: f"id-{next(numbers):06d}",
            connect=connect_inline(path),
        )

        def open_transport(namespace: str) -> tuple[Link, LinkTransport]:
            link = Link(loop, rng, "10.0.0.1", LATENCY_S)
            return link, LinkTransport(master.sockets, link, namespace)

        with put_on_links(master.sockets, clock):
            await master.start(listen=False)
            try:
                return await script(loop, master, open_transport)
            finally:
                await master.close()

    faults: list = []
    result = run_virtually(main, faults)
    assert faults == []
    return result


REGISTRATION = {"workerId": "w", "capabilities": ["douyin"], "maxAccounts": 5, "host": "h", "port": 1}


def test_a_silent_worker_is_given_up_between_30_and_31_virtual_seconds(tmp_path):
    async def script(loop, master, open_transport) -> float:
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


def test_both_ends_learn_of_a_severed_link(tmp_path):
    async def script(loop, master, open_transport) -> str:
        link, worker = open_transport("/worker")
        await worker.connect()
        assert (await worker.call("worker:register", REGISTRATION, 10))["success"]
        asking = asyncio.ensure_future(worker.call("worker:heartbeat", {"workerId": "w"}, 10))
        await asyncio.sleep(0)
        link.sever()
        with pytest.raises(LinkDown):
            await asking
        await asyncio.sleep(1)
        return master.presence.seats["w"].status.value

    assert play(tmp_path, script) == "disconnected"
