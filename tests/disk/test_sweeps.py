"""A sweep that the disk refused does its work on its next run."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

import pytest

from master.errors import StorageTrouble
from master.operations.afterwards import do_nothing
from master.routes import SWEEPS
from tests.conftest import Peer
from tests.disk.scene import Scene, check_refused
from tests.disk.troubles import IO_ERROR
from tests.walks.test_workers import make_account

BY_NAME = {sweep.name: sweep for sweep in SWEEPS}


class Broom:
    """Run one sweep."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    async def sweep(self, name: str) -> None:
        """Run the sweep once now."""
        await self._scene.bench.master.periodic.sweep(BY_NAME[name])

    async def fail(self, name: str) -> None:
        """Run the sweep and fail its commit: file and memory must not change."""
        before = self._scene.dump()
        self._scene.disk.fault = lambda step: (
            IO_ERROR if step.writer and step.name == "commit" else None
        )
        with pytest.raises(StorageTrouble):
            await self.sweep(name)
        self._scene.disk.fault = lambda step: None
        assert self._scene.dump() == before
        self._scene.check_memory()

    def ask_file(self, question: str, *values: Any) -> list[Any]:
        """Read past Master."""
        with closing(sqlite3.connect(self._scene.disk.path)) as connection:
            return connection.execute(question, values).fetchall()


@pytest.fixture
def broom(scene: Scene) -> Broom:
    return Broom(scene)


async def let_it_be_silent(scene: Scene) -> list[Peer]:
    """Let `worker-1` be silent past the timeout, and three others be heard; return these."""
    others = [await scene.bench.worker(f"other-{number}") for number in range(3)]
    scene.bench.clock.advance(31)
    for number, other in enumerate(others):
        assert (await other.ask("worker:heartbeat", {"workerId": f"other-{number}"}))["success"]
    return others


async def test_a_silent_worker_is_evicted_after_all(scene: Scene, broom: Broom) -> None:
    await let_it_be_silent(scene)
    await broom.fail("liveness")
    await scene.admin.ask("admin:status:request", {})
    assert scene.admin.all("account:status") == []
    await broom.sweep("liveness")
    await scene.admin.hear("account:status")
    assert broom.ask_file("SELECT status FROM workers WHERE id = 'worker-1'") == [("offline",)]
    [(owner, epoch)] = broom.ask_file("SELECT assigned_worker_id, epoch FROM accounts")
    assert (owner.startswith("other-"), epoch) == (True, 2)
    scene.check_memory()


async def test_a_heartbeat_is_not_answered_from_memory_while_its_worker_is_being_evicted(
    scene: Scene, broom: Broom
) -> None:
    """On a slow disk the old owner would act beside the new one, which is answered as well."""
    others = await let_it_be_silent(scene)
    scene.disk.steps.clear()
    scene.disk.fault = lambda step: scene.disk.hang() if step.starts("UPDATE workers") else None
    sweeping = asyncio.create_task(broom.sweep("liveness"))
    await scene.disk.saw("UPDATE workers")
    beating = asyncio.create_task(scene.worker.ask("worker:heartbeat", {"workerId": "worker-1"}))
    answering = asyncio.create_task(others[0].ask("worker:heartbeat", {"workerId": "other-0"}))
    assert (await others[1].ask("worker:heartbeat", {"workerId": "other-1"}))["success"], (
        "later, and answered"
    )
    assert not beating.done()
    assert not answering.done()
    scene.disk.fault = lambda step: None
    scene.disk.go_on()
    await sweeping
    assert (await beating)["accountIds"] == []
    assert (await answering)["accountIds"] == [scene.account_id]
    assert broom.ask_file("SELECT status FROM workers WHERE id = 'worker-1'") == [("connected",)]
    scene.check_memory()


async def test_a_worker_that_was_not_evicted_after_all_is_answered(
    scene: Scene, broom: Broom
) -> None:
    await let_it_be_silent(scene)
    await broom.fail("liveness")
    await scene.bench.run(do_nothing)  # after a commit in doubt the farm is loaded anew
    scene.disk.steps.clear()
    for _ in range(2):
        answer = await scene.worker.ask("worker:heartbeat", {"workerId": "worker-1"})
        assert answer["accountIds"] == [scene.account_id]
    assert scene.disk.steps == [], (
        "memory answers again: a disk in trouble must not make workers stop"
    )
    scene.check_memory()


async def test_an_account_that_could_not_be_moved_to_an_idle_worker_is_moved_after_all(
    scene: Scene, broom: Broom
) -> None:
    await make_account(scene.bench, "second", platform="douyin")
    other = await scene.bench.worker("other")
    for _ in range(2):  # after a start all owners may have to wait for a timeout
        scene.bench.clock.advance(15)
        for name, peer in (("worker-1", scene.worker), ("other", other)):
            assert (await peer.ask("worker:heartbeat", {"workerId": name}))["success"]
    await broom.fail("rebalance")
    assert other.all("master:task:assign") == []
    await broom.sweep("rebalance")
    await other.hear("master:task:assign")
    assert broom.ask_file("SELECT count(DISTINCT assigned_worker_id) FROM accounts") == [(2,)]
    scene.check_memory()


async def test_an_alarm_that_could_not_be_raised_is_raised_after_all(
    scene: Scene, broom: Broom
) -> None:
    """All workers fall silent at once: the brake begins with its notification, not before it."""
    for number in range(3):
        await scene.bench.worker(f"other-{number}")
        await make_account(scene.bench, f"of other-{number}", platform="douyin")
    owners = broom.ask_file("SELECT assigned_worker_id FROM accounts ORDER BY id")
    scene.bench.clock.advance(31)
    await broom.fail("liveness")
    assert scene.bench.master.memory.watch.brake_until is None
    await broom.sweep("liveness")
    assert scene.bench.master.memory.watch.brake_until is not None
    assert broom.ask_file("SELECT count(*) FROM notifications WHERE priority = 'urgent'") == [(1,)]
    assert broom.ask_file("SELECT assigned_worker_id FROM accounts ORDER BY id") == owners


async def test_an_overdue_login_expires_after_all(scene: Scene, broom: Broom) -> None:
    started = await scene.admin.ask("master:login:start", {"account_id": scene.account_id})
    scene.bench.clock.advance(301)
    await broom.fail("logins")
    assert scene.admin.all("login:qrcode:expired") == []
    await broom.sweep("logins")
    assert (await scene.admin.hear("login:qrcode:expired"))["session_id"] == started["session_id"]
    assert broom.ask_file("SELECT status FROM login_sessions") == [("expired",)]
    scene.check_memory()


async def test_signs_of_life_are_written_after_all(scene: Scene, broom: Broom) -> None:
    scene.bench.clock.advance(10)
    await scene.beat()
    await broom.fail("heartbeats")
    scene.bench.clock.advance(10)
    await broom.sweep("heartbeats")
    assert broom.ask_file("SELECT last_heartbeat FROM workers") == [
        (int(scene.bench.clock.now()) - 10,)
    ]


async def test_what_was_delivered_is_marked_after_all_and_not_delivered_again(
    scene: Scene, broom: Broom
) -> None:
    await broom.fail("delivered")
    await broom.fail("delivered")
    await broom.sweep("delivered")
    assert broom.ask_file("SELECT count(*) FROM notifications WHERE NOT is_sent") == [(0,)]
    late: Peer = await scene.bench.connect("admin")
    await late.ask("admin:status:request", {})
    report = scene.make_report()
    assert (await scene.send(report))["success"]
    await scene.hear_of(report)
    told = await late.hear("notification:new")
    assert told["data"]["platform_id"] == report["messages"][0]["platform_comment_id"]


async def test_the_audit_looks_again_and_the_schedule_needs_no_disk_that_accepts_writes(
    scene: Scene, broom: Broom
) -> None:
    with closing(sqlite3.connect(scene.disk.path)) as connection, connection:
        connection.execute(
            "UPDATE accounts SET assigned_worker_id = NULL, login_status = 'logged_in'"
        )
        connection.execute("UPDATE workers SET assigned_accounts = 0")
    scene.worker.heard.clear()
    scene.disk.fault = lambda step: IO_ERROR if step.writer and step.name == "commit" else None
    with pytest.raises(StorageTrouble):
        await broom.sweep("audit")
    scene.disk.fault = lambda step: None
    # after a commit in doubt the farm is loaded from the file
    await scene.bench.run(do_nothing)
    scene.check_memory()
    assert (await scene.worker.hear("master:task:revoke"))["accountIds"] == [scene.account_id]
    await broom.sweep("audit")
    assert broom.ask_file("SELECT assigned_worker_id FROM accounts") == [("worker-1",)]
    scene.check_memory()
    assert [one["id"] for one in (await scene.worker.hear("master:task:assign"))["accounts"]] == [
        scene.account_id
    ]
    scene.bench.clock.advance(21)
    await scene.beat()
    scene.disk.fault = lambda step: IO_ERROR if step.writer else None
    await broom.sweep("schedule")
    assert [
        one["id"] for one in (await scene.worker.hear("master:task:assign", 2))["accounts"]
    ] == [scene.account_id]
    scene.disk.fault = lambda step: None


async def test_the_audit_finds_what_somebody_else_has_written_and_memory_becomes_that(
    scene: Scene, broom: Broom
) -> None:
    with closing(sqlite3.connect(scene.disk.path)) as connection, connection:
        connection.execute("UPDATE accounts SET assigned_worker_id = NULL, epoch = 7")
        connection.execute("UPDATE workers SET assigned_accounts = 0")
    await broom.sweep("audit")
    await scene.bench.run(do_nothing)
    scene.check_memory()
    [(owner, epoch)] = broom.ask_file("SELECT assigned_worker_id, epoch FROM accounts")
    assert (owner, epoch) == ("worker-1", 8), "it waited, and the audit assigns it"


async def test_the_schedule_asks_nothing_of_the_disk(scene: Scene, broom: Broom) -> None:
    with scene.elsewhere() as connection:
        connection.execute("UPDATE accounts SET login_status = 'logged_in'")
    await scene.bench.master.turns.load_farm()
    scene.bench.clock.advance(21)
    await scene.beat()
    told = len(scene.worker.all("master:task:assign"))
    scene.disk.fault = lambda step: IO_ERROR
    scene.disk.steps.clear()
    await broom.sweep("schedule")
    [due] = (await scene.worker.hear("master:task:assign", told + 1))["accounts"]
    assert due["id"] == scene.account_id
    assert scene.disk.steps == []
    scene.disk.fault = lambda step: None


async def test_old_rows_are_removed_after_all(scene: Scene, broom: Broom) -> None:
    scene.bench.clock.advance(12 * 31 * 86_400)  # the notification reached no peer
    await broom.fail("retention")
    await broom.sweep("retention")
    assert broom.ask_file("SELECT count(*) FROM notifications") == [(0,)]


class TestSweepsOfThemselves:
    """The sweeps run at their production intervals."""

    @pytest.fixture(autouse=True)
    async def sweeping(self, scene: Scene) -> AsyncIterator[None]:
        await scene.admin.ask("master:login:start", {"account_id": scene.account_id})
        scene.bench.clock.advance(301)
        await scene.beat()
        scene.disk.fault = lambda step: IO_ERROR if step.starts("UPDATE login_sessions") else None
        scene.disk.steps.clear()
        scene.bench.master.periodic.start()
        yield
        scene.disk.fault = lambda step: None

    async def test_a_refused_sweep_is_not_the_last(self, scene: Scene) -> None:
        await scene.disk.saw("UPDATE login_sessions")
        scene.disk.fault = lambda step: None
        assert (await scene.admin.hear("login:qrcode:expired"))["account_id"] == scene.account_id


async def test_who_comes_and_goes_during_trouble_is_noted_after_all(scene: Scene) -> None:
    """The close of a socket and the join of an administrator are not requests to be retried."""
    scene.disk.fault = lambda step: IO_ERROR if step.writer and step.name == "commit" else None
    check_refused(await scene.send(scene.make_report()))
    late: Peer = await scene.bench.connect("admin")
    told = len(scene.admin.all("worker:status"))
    await scene.worker.close()
    await late.ask("admin:status:request", {})
    scene.check_memory()
    scene.disk.fault = lambda step: None
    gone = await scene.admin.hear("worker:status", told + 1)
    assert (gone["id"], gone["status"]) == ("worker-1", "disconnected")
    report = scene.make_report()
    other = await scene.bench.worker()
    assert (await other.ask("worker:message:detected", report))["inserted"] == 1
    await scene.hear_of(report)
    await late.hear("notification:new")
    scene.check_memory()
