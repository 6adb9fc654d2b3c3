"""How health reports a disk, and what it requires of the disk."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing

import pytest

from master.store.sqlite import database
from master.web import health
from tests.conftest import Bench
from tests.disk.disk import Disk
from tests.disk.scene import Scene, check_refused
from tests.disk.troubles import IO_ERROR, LOCKED
from tests.waiting import PATIENCE_S


async def test_being_alive_is_no_question_for_the_database(scene: Scene) -> None:
    scene.disk.steps.clear()
    assert (await scene.call("GET", "/health/live"))[0] == 200
    assert scene.disk.steps == []
    assert await scene.is_ready() == (200, None)
    assert scene.disk.steps != []


async def test_a_master_that_is_well_writes_nothing_to_say_so(scene: Scene) -> None:
    assert await scene.is_ready() == (200, None)  # its connection is open from here on
    scene.disk.steps.clear()
    assert await scene.is_ready() == (200, None)
    assert not any(step.writer for step in scene.disk.steps)


async def test_a_master_in_trouble_lives_without_asking_the_disk(scene: Scene) -> None:
    scene.disk.fault = lambda step: IO_ERROR
    check_refused(await scene.send(scene.make_report()))
    scene.disk.steps.clear()
    assert (await scene.call("GET", "/health/live"))[0] == 200
    assert await scene.beat() == [scene.account_id]
    assert (await scene.device.ask("client:heartbeat", {}))["success"]
    assert scene.disk.steps == []
    scene.disk.fault = lambda step: None


async def test_readers_that_fail_are_reason_enough(scene: Scene) -> None:
    """Without writes the database check finds the fault; one successful write does not end it."""
    scene.disk.fault = lambda step: None if step.writer else IO_ERROR
    for _ in range(2):
        status, reason = await scene.is_ready()
        assert (status, IO_ERROR in str(reason)) == (503, True)
        assert (await scene.send(scene.make_report()))["inserted"] == 1
    scene.disk.fault = lambda step: None
    assert await scene.is_ready() == (200, None)


async def test_metrics_are_no_question_for_the_database(scene: Scene) -> None:
    scene.disk.fault = lambda step: IO_ERROR
    check_refused(await scene.send(scene.make_report()))
    scene.disk.steps.clear()
    text = await scene.read_metrics()
    assert "master_storage_troubles_total 1.0" in text, "the report"
    assert 'master_accounts{login_status="not_logged_in"} 1.0' in text
    assert scene.disk.steps == []
    scene.disk.fault = lambda step: None


class TestDiskThatHangs:
    """The disk neither works nor fails."""

    @pytest.fixture(autouse=True)
    async def hanging(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
        monkeypatch.setattr(health, "PATIENCE_S", 0.01)
        scene.disk.hang()
        yield
        scene.disk.go_on()

    async def test_it_is_not_ready_and_lives(self, scene: Scene) -> None:
        """Master stops reading the socket with a waiting report; it answers all others."""
        report = scene.make_report()
        waiting = asyncio.ensure_future(scene.send(report))
        for _ in range(2):
            assert await scene.is_ready() == (
                503,
                "The database cannot be relied on: it does not answer in time.",
            )
        assert (await scene.call("GET", "/health/live"))[0] == 200
        assert (await scene.device.ask("client:heartbeat", {}))["success"]
        assert not waiting.done()
        scene.disk.go_on()
        assert (await waiting)["inserted"] == 1
        await scene.hear_of(report)
        assert scene.stored(report) == (1, 1)


async def test_a_lock_that_is_released_in_time_fails_no_write(scene: Scene) -> None:
    """Master waits as long as the setting says, and refuses nothing."""
    scene.disk.lock_timeout_s = PATIENCE_S
    await scene.renew_connections()
    with closing(sqlite3.connect(scene.disk.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        scene.disk.steps.clear()
        waiting = asyncio.ensure_future(scene.send(scene.make_report()))
        await scene.disk.saw("BEGIN IMMEDIATE")
        assert await scene.is_ready() == (200, None)
        other.execute("ROLLBACK")
    assert (await waiting)["inserted"] == 1


class TestConnectionsAsInProduction:
    """No test hook: aiosqlite's own connections and SQLite's own lock timeout, made shorter."""

    @pytest.fixture
    async def disk(self, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Disk:
        monkeypatch.setattr(database, "LOCK_TIMEOUT_S", 0.05)
        monkeypatch.setattr(disk, "connect", None)
        return disk

    async def test_a_lock_that_is_not_released_is_trouble(self, scene: Scene, bench: Bench) -> None:
        report = scene.make_report()
        with closing(sqlite3.connect(scene.disk.path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            check_refused(await scene.send(report))
            status, reason = await scene.is_ready()
            assert (status, LOCKED in str(reason)) == (503, True)
            assert await scene.beat() == [scene.account_id]
        assert await scene.is_ready() == (200, None)
        assert (await scene.send(report))["inserted"] == 1
        assert scene.stored(report) == (1, 1)
        assert scene.disk.steps == []
