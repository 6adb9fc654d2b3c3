"""Events sent at once by several sockets share one transaction, and its failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import count
from typing import Any

import pytest

from master.operations.audit import audit_workers
from master.operations.silence import evict_silent
from master.sockets import namespace
from tests.conftest import Peer, registration
from tests.disk.disk import Step
from tests.disk.scene import Scene, check_refused, heard_of
from tests.disk.troubles import FULL, IO_ERROR, LOCKED
from tests.waiting import PATIENCE_S


class Jam:
    """Stops the writer at one item, so that later items form one batch."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._first: asyncio.Future[Any] | None = None

    async def make(self) -> None:
        """Let the disk hang under a report."""
        self._scene.disk.steps.clear()
        self._scene.disk.hang()
        self._first = asyncio.ensure_future(self._scene.send(self._scene.make_report("first")))
        await self._scene.disk.saw("BEGIN IMMEDIATE")

    async def wait_for(self, items: int) -> None:
        """Wait until this many items are queued for the writer."""
        async with asyncio.timeout(PATIENCE_S):
            while self._scene.bench.master.turns.waiting < items:  # noqa: ASYNC110
                await asyncio.sleep(0)

    async def clear(self) -> None:
        """Let the disk continue; the item under which it hung is stored."""
        self._scene.disk.go_on()
        if self._first is not None:
            assert (await self._first)["inserted"] == 1
            self._first = None


@pytest.fixture
async def jam(scene: Scene) -> AsyncIterator[Jam]:
    jam = Jam(scene)
    yield jam
    scene.disk.fault = lambda step: None
    await jam.clear()


class Second:
    """Fails steps of the next transaction after the hanging one, and of no other."""

    def __init__(self, said: str, hits: Callable[[Step], bool]) -> None:
        self._said, self._hits = said, hits
        self._begun = 0
        self.struck = 0

    def __call__(self, step: Step) -> str | None:
        """Choose the fault of a step, or None."""
        self._begun += step.starts("BEGIN IMMEDIATE")
        if self._begun == 2 and step.writer and self._hits(step):
            self.struck += 1
            return self._said
        return None


STRIKES: dict[str, tuple[str, Callable[[Step], bool]]] = {
    "I/O error at the commit": (IO_ERROR, lambda step: step.name == "commit"),
    "full at a write": (FULL, lambda step: step.starts("INSERT")),
    "locked at the begin": (LOCKED, lambda step: step.starts("BEGIN")),
    "I/O error at a savepoint": (IO_ERROR, lambda step: step.starts("SAVEPOINT")),
    "I/O error at a release": (IO_ERROR, lambda step: step.starts("RELEASE")),
}


@pytest.mark.parametrize("strike", STRIKES.values(), ids=STRIKES)
async def test_a_batch_that_fails_refuses_all_and_stores_none(
    scene: Scene, jam: Jam, strike: tuple[str, Callable[[Step], bool]]
) -> None:
    reporters = [scene.worker] * 3
    newcomer = await scene.bench.connect("worker")
    reports = [scene.make_report() for _ in reporters]
    notification = {"notification_id": scene.device.all("notification:new")[0]["id"]}

    def ask_all() -> list[asyncio.Future[Any]]:
        asked = [
            reporter.ask("worker:message:detected", one)
            for reporter, one in zip(reporters, reports, strict=True)
        ]
        asked.append(newcomer.ask("worker:register", registration("newcomer")))
        asked.append(scene.device.ask("client:notification:ack", notification))
        return [asyncio.ensure_future(one) for one in asked]

    await jam.make()
    answers = ask_all()
    posted = asyncio.ensure_future(scene.add_account("of the batch"))
    await jam.wait_for(len(answers) + 1)
    fault = Second(*strike)
    scene.disk.fault = fault
    await jam.clear()
    for answer in answers:
        check_refused(await answer)
    assert (await posted)[0] == 503
    assert fault.struck == 1, "one transaction contained them all"
    assert [scene.stored(report) for report in reports] == [(0, 0)] * len(reports)
    assert await scene.beat() == [scene.account_id]
    scene.check_memory()
    for answer in ask_all():
        assert (await answer)["success"]
    await scene.hear_of(*reports)
    assert [scene.stored(report) for report in reports] == [(1, 1)] * len(reports)
    for peer in (scene.admin, scene.device):
        assert len(heard_of(peer)) == len(set(heard_of(peer))) == 2 + len(reports)
    scene.check_memory()


class Pair:
    """A report and a registration, from two sockets."""

    def __init__(self, scene: Scene, reporter: Peer, newcomer: Peer) -> None:
        self._reporter = reporter
        self._newcomer = newcomer
        self._registration = registration("newcomer")
        self.report = scene.make_report("short")

    def ask(self) -> list[asyncio.Future[Any]]:
        """Send both; return the futures of their answers."""
        asked = (
            self._reporter.ask("worker:message:detected", self.report),
            self._newcomer.ask("worker:register", self._registration),
        )
        return [asyncio.ensure_future(one) for one in asked]


class Nth:
    """Fails the step with this number."""

    def __init__(self, position: int) -> None:
        self._left = position

    def __call__(self, step: Step) -> bool:
        """Choose the fault of a step, or None."""
        self._left -= 1
        return self._left == -1


async def test_a_batch_fails_as_one_at_whatever_step(scene: Scene, jam: Jam) -> None:
    pair = Pair(scene, scene.worker, await scene.bench.connect("worker"))
    for position in count():
        await jam.make()
        asked = pair.ask()
        await jam.wait_for(len(asked))
        fault = Second(IO_ERROR, Nth(position))
        scene.disk.fault = fault
        await jam.clear()
        answers = await asyncio.gather(*asked)
        if not fault.struck:
            break
        for answer in answers:
            check_refused(answer)
        assert scene.stored(pair.report) == (0, 0)
        scene.check_memory()
        assert await scene.is_ready() == (200, None)
    assert position >= 6  # begin, the comment, its notification, the worker, the sequence, commit
    assert all(answer["success"] for answer in answers)
    assert scene.stored(pair.report) == (1, 1)
    scene.check_memory()


async def test_a_socket_full_of_reports_gets_an_answer_to_each(scene: Scene, jam: Jam) -> None:
    """One socket exceeds its limit in flight without waiting; each report gets its own answer."""
    peer = scene.worker
    reports = [scene.make_report("short") for _ in range(150)]
    scene.disk.fault = lambda step: IO_ERROR if step.name == "commit" else None
    for answer in await asyncio.gather(
        *(peer.ask("worker:message:detected", report) for report in reports)
    ):
        check_refused(answer)
    scene.disk.fault = lambda step: None
    answers = await asyncio.gather(
        *(peer.ask("worker:message:detected", report) for report in reports)
    )
    assert [answer["inserted"] for answer in answers] == [1] * len(reports)
    assert [scene.stored(report) for report in reports] == [(1, 1)] * len(reports)


async def test_what_one_item_of_a_failed_batch_saw_of_another_is_forgotten(
    scene: Scene, jam: Jam
) -> None:
    """The audit sees the sweep's writes in the same transaction, which may fail later."""
    turns = scene.bench.master.turns
    await jam.make()
    scene.bench.clock.advance(31)
    asked = [
        asyncio.ensure_future(turns.run(operation, None))
        for operation in (evict_silent, audit_workers)
    ]
    await jam.wait_for(len(asked))
    scene.disk.fault = Second(IO_ERROR, lambda step: step.name == "commit")
    await jam.clear()
    for answer in await asyncio.gather(*asked, return_exceptions=True):
        assert isinstance(answer, Exception)
    scene.check_memory()


async def test_a_registration_that_is_not_stored_changes_nothing_for_the_older_socket(
    scene: Scene,
) -> None:
    newer = await scene.bench.connect("worker")
    scene.disk.fault = lambda step: IO_ERROR if step.name == "commit" else None
    check_refused(await newer.ask("worker:register", registration()))
    scene.disk.fault = lambda step: None
    await newer.close()
    assert await scene.beat() == [scene.account_id]
    await scene.settle()
    scene.check_memory()
    assert "disconnected" not in str(scene.dump()["workers"])


@pytest.mark.parametrize("when", ["afterwards", "meanwhile"])
async def test_the_older_sockets_close_counts_if_a_registration_is_not_stored(
    scene: Scene, jam: Jam, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    monkeypatch.setattr(namespace, "RETRY_S", 0)
    older, newer = await scene.bench.worker("worker-2"), await scene.bench.connect("worker")
    await jam.make()
    asked = asyncio.ensure_future(newer.ask("worker:register", registration("worker-2")))
    await jam.wait_for(1)
    if when == "meanwhile":
        await older.close()
        await jam.wait_for(2)
    scene.disk.fault = Second(IO_ERROR, lambda step: step.name == "commit")
    await jam.clear()
    check_refused(await asked)
    await older.close()
    async with asyncio.timeout(PATIENCE_S):
        while "disconnected" not in str(scene.dump()["workers"]):  # noqa: ASYNC110
            await asyncio.sleep(0)
    await scene.settle()
    scene.check_memory()
