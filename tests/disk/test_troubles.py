"""In any disk trouble: a retryable refusal, no announcement, and one store after recovery."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from master.endpoints import ROOT
from tests.conftest import registration
from tests.disk.scene import Scene, check_refused, heard_of
from tests.disk.troubles import TROUBLES, Trouble

READ_IN = ("locked exclusively", "full", "I/O error at the commit", "I/O error at all", "gone")
"""Enough troubles to show which reads still work."""


class Failing:
    """One trouble of the scene's disk, which the test starts and ends."""

    def __init__(self, scene: Scene, trouble: Trouble) -> None:
        self._scene = scene
        self._trouble = trouble
        self._on = False
        self.reason = trouble.reason
        self.readers = trouble.readers

    async def begin(self) -> None:
        await self._trouble.begin(self._scene.disk)
        self._on = True

    async def end(self) -> None:
        if self._on:
            self._on = False
            await self._trouble.end(self._scene.disk)


@pytest.fixture(params=TROUBLES.values(), ids=TROUBLES)
async def failing(request: pytest.FixtureRequest, scene: Scene) -> AsyncIterator[Failing]:
    make: Callable[[], Trouble] = request.param
    failing = Failing(scene, make())
    yield failing
    await failing.end()


async def test_a_report_is_refused_and_stored_once_when_the_disk_is_back(
    scene: Scene, failing: Failing
) -> None:
    before, told = scene.dump(), (heard_of(scene.admin), heard_of(scene.device))
    report = scene.make_report()
    await failing.begin()
    check_refused(await scene.send(report))
    check_refused(await scene.send(report))
    assert scene.dump() == before
    await failing.end()
    assert (await scene.send(report))["inserted"] == 1
    again = await scene.send(report)
    assert (again["inserted"], again["duplicates"]) == (0, 1)
    await scene.settle()
    assert scene.stored(report) == (1, 1)
    for peer, earlier in zip((scene.admin, scene.device), told, strict=True):
        assert heard_of(peer)[: len(earlier) + 1] == [
            *earlier,
            report["messages"][0]["platform_comment_id"],
        ]
        assert len(heard_of(peer)) == len(earlier) + 2
    scene.check_memory()


async def test_master_says_that_it_is_not_ready_and_why_and_recovers_by_itself(
    scene: Scene, failing: Failing
) -> None:
    assert await scene.is_ready() == (200, None)
    await failing.begin()
    check_refused(await scene.send(scene.make_report()))
    for _ in range(2):
        status, reason = await scene.is_ready()
        assert (status, failing.reason in str(reason)) == (503, True), reason
    status, _, health = await scene.call("GET", "/health")
    assert (status, health["status"], failing.reason in health["database"]) == (
        503,
        "degraded",
        True,
    )
    assert (await scene.call("GET", "/health/live"))[0] == 200
    await failing.end()
    assert await scene.is_ready() == (200, None)
    assert (await scene.call("GET", "/health"))[2]["database"] == "ok"
    await scene.settle()


async def test_a_writer_is_told_to_come_again_and_memory_stays_with_the_file(
    scene: Scene, failing: Failing
) -> None:
    """Every change is refused, by socket and over HTTP, and succeeds after recovery."""
    newcomer = await scene.bench.connect("worker")
    login = {"account_id": scene.account_id, "worker_id": "worker-1"}
    notification = scene.device.all("notification:new")[0]["id"]
    before = scene.dump()
    await failing.begin()
    check_refused(await scene.send(scene.make_report()))
    for _ in range(2):
        check_refused(await newcomer.ask("worker:register", registration("worker-2")))
        check_refused(await scene.worker.ask("worker:goodbye", {"workerId": "worker-1"}))
        check_refused(await scene.admin.ask("master:login:start", login))
        check_refused(
            await scene.device.ask("client:notification:ack", {"notification_id": notification})
        )
        check_refused(await scene.device.ask("client:register", {"device_id": "device-1"}))
        for method, path in (("POST", "/accounts"), ("DELETE", f"/accounts/{scene.account_id}")):
            body = {"platform": "douyin", "account_name": "n"} if method == "POST" else None
            status, headers, content = await scene.call(method, ROOT + path, json=body)
            assert (status, headers["Retry-After"], content["error"]["code"]) == (
                503,
                "1",
                "storage_trouble",
            )
        assert await scene.beat() == [scene.account_id]
    assert (await newcomer.hear("worker:registered"))["error"]["code"] == "storage_trouble"
    assert (await scene.admin.hear("admin:error"))["error"] == "storage_trouble"
    assert await scene.device.hear("client:register:error")
    assert scene.dump() == before
    scene.check_memory()
    await failing.end()
    assert (await newcomer.ask("worker:register", registration("worker-2")))["success"]
    assert (await scene.admin.ask("master:login:start", login))["success"]
    assert (await scene.device.ask("client:notification:ack", {"notification_id": notification}))[
        "success"
    ]
    assert (await scene.add_account("n"))[0] == 201
    assert (await scene.worker.ask("worker:goodbye", {"workerId": "worker-1"}))["released"] >= 1
    scene.check_memory()


@pytest.mark.parametrize(
    "failing", [TROUBLES[name] for name in READ_IN], ids=READ_IN, indirect=True
)
async def test_what_is_stored_can_be_read_as_long_as_the_readers_can(
    scene: Scene, failing: Failing
) -> None:
    """Data in memory stays readable; data in the file alone is refused while it is unreadable."""
    await failing.begin()
    check_refused(await scene.send(scene.make_report()))
    status, _, content = await scene.call("GET", f"{ROOT}/workers/worker-1")
    assert (status, content["worker"]["assigned_accounts"]) == (200, 1)
    assert (
        [one["id"] for one in content["worker"]["accounts"]]
        == await scene.beat()
        == [scene.account_id]
    )
    status, headers, content = await scene.call("GET", f"{ROOT}/accounts")
    asked = await scene.admin.ask("admin:status:request", {})
    if failing.readers:
        assert (status, headers["Retry-After"], content["error"]["code"]) == (
            503,
            "1",
            "storage_trouble",
        )
        check_refused(asked)
    else:
        assert [one["id"] for one in content["accounts"]] == [scene.account_id]
        assert asked["success"]
    await failing.end()
    assert (await scene.call("GET", f"{ROOT}/accounts"))[0] == 200
    assert (await scene.admin.ask("admin:status:request", {}))["success"]
