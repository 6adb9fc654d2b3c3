"""A failed commit may have been stored: its turns are refused, and memory is loaded anew."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from master.errors import StorageTrouble
from master.operations.afterwards import do_nothing
from master.operations.notifications import ALARM_TITLE
from master.operations.silence import evict_silent
from tests.conftest import Peer, registration
from tests.disk.disk import Step
from tests.disk.scene import Scene, check_refused, heard_of
from tests.disk.troubles import IO_ERROR
from tests.waiting import PATIENCE_S
from tests.walks.test_workers import make_account

WAIT_MS = 30_000
"""How long a former owner may act: one heartbeat timeout."""


@contextmanager
def losing_the_answer(scene: Scene) -> Iterator[None]:
    """Store every commit and then report a failure."""
    scene.disk.late_fault = lambda step: IO_ERROR if step.writer and step.name == "commit" else None
    try:
        yield
    finally:
        scene.disk.late_fault = lambda step: None


def count_minutes(scene: Scene) -> int:
    """Return how many messages the last hour's minutes have."""
    counts = scene.bench.master.memory.minutes.list_counts(scene.bench.clock.now())
    return sum(one or 0 for one in counts)


async def test_a_report_that_was_stored_after_all_is_refused_and_then_a_duplicate(
    scene: Scene,
) -> None:
    report, counted = scene.make_report("short"), count_minutes(scene)
    with losing_the_answer(scene):
        check_refused(await scene.send(report))
    await scene.resolve_doubts()
    assert scene.stored(report) == (1, 1)
    scene.check_memory()
    assert count_minutes(scene) == counted + 1
    again = await scene.send(report)
    assert (again["inserted"], again["duplicates"]) == (0, 1)
    assert scene.stored(report) == (1, 1)
    assert count_minutes(scene) == counted + 1
    await scene.settle()
    scene.check_memory()


async def test_who_was_told_of_nothing_is_told_when_he_comes_or_asks(scene: Scene) -> None:
    report = scene.make_report("short")
    with losing_the_answer(scene):
        check_refused(await scene.send(report))
    await scene.settle()
    name = report["messages"][0]["platform_comment_id"]
    assert name not in heard_of(scene.admin) + heard_of(scene.device)
    late: Peer = await scene.bench.connect("admin")
    await late.ask("admin:status:request", {})
    assert name in heard_of(late), "it has reached no person yet"
    seen = max(
        one["seq"]
        for one in scene.device.all("notification:new")
        if name != one["data"].get("platform_id")
    )
    synced = await scene.device.ask(
        "client:sync:request", {"device_id": "device-1", "after_seq": seen - 2}
    )
    assert name in [one["data"].get("platform_id") for one in synced["notifications"]]


async def test_a_registration_that_was_stored_after_all_is_one_when_it_is_sent_again(
    scene: Scene,
) -> None:
    newcomer = await scene.bench.connect("worker")
    await make_account(scene.bench, "waits", platform="weibo")
    with losing_the_answer(scene):
        check_refused(
            await newcomer.ask("worker:register", registration("newcomer", capabilities=["weibo"]))
        )
    await scene.resolve_doubts()
    scene.check_memory()
    told = (await newcomer.ask("worker:heartbeat", {"workerId": "newcomer"}))["accountIds"]
    assert len(told) == 1, "it is known, and holds what it was assigned"
    answer = await newcomer.ask("worker:register", registration("newcomer", capabilities=["weibo"]))
    assert [one["id"] for one in answer["accounts"]] == told
    assert [one["epoch"] for one in answer["accounts"]] == [1]
    scene.check_memory()


@pytest.mark.parametrize("happened", [True, False], ids=["it happened", "it did not"])
async def test_an_account_that_may_have_moved_is_with_whom_the_file_says_and_both_are_told(
    scene: Scene, happened: bool
) -> None:
    other = await scene.bench.worker("other")
    for _ in range(3):  # until all owners from before the start have stopped
        scene.bench.clock.advance(15)
        await scene.beat()
        await other.ask("worker:heartbeat", {"workerId": "other"})
    scene.worker.heard.clear()
    path, wish = f"/api/v1/accounts/{scene.account_id}", {"pinned_worker_id": "other"}
    if not happened:
        scene.disk.fault = lambda step: IO_ERROR if step.writer and step.name == "commit" else None
    with losing_the_answer(scene):
        status, headers, content = await scene.call("PATCH", path, json=wish)
    scene.disk.fault = lambda step: None
    assert (status, headers["Retry-After"], content["error"]["code"]) == (
        503,
        "1",
        "storage_trouble",
    )
    await scene.resolve_doubts()
    scene.check_memory()
    if happened:
        assert (await scene.worker.hear("master:task:revoke"))["accountIds"] == [scene.account_id]
        assert await scene.beat() == []
    else:
        assert await scene.beat() == [scene.account_id]
        assert scene.worker.all("master:task:revoke") == other.all("master:task:assign") == []
    assert (await scene.call("PATCH", path, json=wish))[0] == 200
    [assigned] = (await other.hear("master:task:assign"))["accounts"]
    assert (assigned["id"], assigned["epoch"]) == (scene.account_id, 2)
    assert 0 < assigned["start_after_ms"] <= WAIT_MS, "its former owner may not know of it yet"
    assert (await other.ask("worker:heartbeat", {"workerId": "other"}))["accountIds"] == [
        scene.account_id
    ]
    assert (await scene.call("GET", path))[2]["account"]["epoch"] == 2, "it changed hands once"
    scene.check_memory()


async def test_accounts_of_a_worker_that_was_evicted_in_doubt_are_watched_by_others_after_the_wait(
    scene: Scene,
) -> None:
    others = [await scene.bench.worker(f"other-{number}") for number in range(3)]
    scene.bench.clock.advance(31)
    for number, other in enumerate(others):
        await other.ask("worker:heartbeat", {"workerId": f"other-{number}"})
    with losing_the_answer(scene), pytest.raises(StorageTrouble):
        await scene.bench.run(evict_silent)
    await scene.resolve_doubts()
    scene.check_memory()
    [assigned] = (await others[0].hear("master:task:assign"))["accounts"]
    assert (assigned["id"], assigned["epoch"]) == (scene.account_id, 2)
    assert assigned["start_after_ms"] == WAIT_MS
    assert (await scene.worker.hear("master:task:revoke"))["accountIds"] == [scene.account_id]
    assert await scene.beat() == [], "it returns, and what it lost stays lost"
    scene.check_memory()


@pytest.mark.parametrize("happened", [True, False], ids=["it happened", "it did not"])
async def test_who_was_evicted_in_doubt_counts_for_the_brake_if_it_was_stored(
    scene: Scene, happened: bool
) -> None:
    names = [f"other-{number}" for number in range(4)]
    others = {name: await scene.bench.worker(name) for name in names}
    for name in names:
        await make_account(scene.bench, name, platform="douyin")

    async def pass_on(seconds: float, *alive: str) -> None:
        scene.bench.clock.advance(seconds)
        for name in alive:
            await others[name].ask("worker:heartbeat", {"workerId": name})

    await pass_on(15, *names[1:])
    await pass_on(16, *names[2:])
    if not happened:
        scene.disk.fault = lambda step: IO_ERROR if step.writer and step.name == "commit" else None
    with losing_the_answer(scene), pytest.raises(StorageTrouble):
        # the worker that was always here, and other-0: two of five
        await scene.bench.run(evict_silent)
    scene.disk.fault = lambda step: None
    await scene.resolve_doubts()
    watch = scene.bench.master.memory.watch
    assert (len(watch.evictions), watch.brakes) == (2 * happened, 0)
    if not happened:
        await scene.beat()
        await pass_on(0, "other-0")
    await pass_on(15, *names[2:])
    await scene.bench.run(evict_silent)
    assert scene.bench.master.memory.watch.brakes == int(happened), (
        "other-1 is the third of five within a timeout"
    )
    scene.check_memory()


@pytest.mark.parametrize("happened", [True, False], ids=["it happened", "it did not"])
async def test_a_brake_that_was_put_on_in_doubt_is_put_on_once_with_one_alarm(
    scene: Scene, happened: bool
) -> None:
    for name in ("other-0", "other-1"):
        await scene.bench.worker(name)
        await make_account(scene.bench, name, platform="douyin")
    scene.bench.clock.advance(31)
    if not happened:
        scene.disk.fault = lambda step: IO_ERROR if step.writer and step.name == "commit" else None
    with losing_the_answer(scene), pytest.raises(StorageTrouble):
        await scene.bench.run(evict_silent)
    scene.disk.fault = lambda step: None
    await scene.resolve_doubts()
    watch = scene.bench.master.memory.watch
    assert (watch.brakes, watch.brake_until is not None) == (happened, happened)
    await scene.bench.run(evict_silent)
    assert scene.bench.master.memory.watch.brakes == 1
    alarms = [row for row in scene.dump()["notifications"] if ALARM_TITLE in row]
    assert len(alarms) == 1
    scene.check_memory()


async def test_a_batch_in_doubt_refuses_all_of_its_items_and_none_is_tried_alone(
    scene: Scene,
) -> None:
    peers = [scene.worker] * 3
    reports = [scene.make_report("short") for _ in peers]
    scene.disk.steps.clear()
    scene.disk.hang()
    first = asyncio.ensure_future(scene.send(scene.make_report("first")))
    await scene.disk.saw("BEGIN IMMEDIATE")
    asked = [
        asyncio.ensure_future(peer.ask("worker:message:detected", report))
        for peer, report in zip(peers, reports, strict=True)
    ]
    while scene.bench.master.turns.waiting < len(asked):  # noqa: ASYNC110
        await asyncio.sleep(0)
    commits: list[Step] = []

    def lose_the_second_answer(step: Step) -> str | None:
        if not step.writer or step.name != "commit":
            return None
        commits.append(step)
        return IO_ERROR if len(commits) == 2 else None

    scene.disk.late_fault = lose_the_second_answer
    scene.disk.go_on()
    assert (await first)["inserted"] == 1
    for answer in asked:
        check_refused(await answer)
    await scene.resolve_doubts()
    scene.disk.late_fault = lambda step: None
    assert [scene.stored(report) for report in reports] == [(1, 1)] * 3
    for peer, report in zip(peers, reports, strict=True):
        assert (await peer.ask("worker:message:detected", report))["duplicates"] == 1
    scene.check_memory()


async def test_a_doubt_is_resolved_even_without_a_request(scene: Scene) -> None:
    with losing_the_answer(scene):
        status, _, _ = await scene.add_account("new")
        assert status == 503
    async with asyncio.timeout(PATIENCE_S):
        while len(scene.bench.master.memory.farm.accounts) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0)
    scene.check_memory()


@contextmanager
def unreadable(scene: Scene) -> Iterator[list[Step]]:
    """Make the file unreadable; yield the first statement of each attempt."""
    tried: list[Step] = []

    def refuse(step: Step) -> str | None:
        if step.writer or step.starts("PRAGMA"):
            return None
        if step.starts("BEGIN"):
            tried.append(step)
        return IO_ERROR

    scene.disk.fault = refuse
    try:
        yield tried
    finally:
        scene.disk.fault = lambda step: None


async def test_a_farm_that_cannot_be_loaded_is_loaded_once_its_file_can_be_read_without_a_request(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("master.writer.TRY_AGAIN_S", 0)
    with unreadable(scene) as tried:
        with losing_the_answer(scene):
            assert (await scene.add_account("new"))[0] == 503
        async with asyncio.timeout(PATIENCE_S):
            while len(tried) < 3:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE_S):
        while len(scene.bench.master.memory.farm.accounts) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0)
    await scene.settle()
    scene.check_memory()


async def test_callers_that_wait_for_a_farm_that_cannot_be_loaded_are_refused_by_one_attempt(
    scene: Scene,
) -> None:
    peers = [scene.worker] * 4
    with unreadable(scene) as tried:
        with losing_the_answer(scene):
            assert (await scene.add_account("new"))[0] == 503
        with pytest.raises(StorageTrouble):
            await scene.bench.run(do_nothing)
        tried.clear()
        scene.disk.hang()
        first = asyncio.ensure_future(scene.send(scene.make_report("first")))
        async with asyncio.timeout(PATIENCE_S):
            while scene.disk.steps[-1].writer:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0)
        others = [
            asyncio.ensure_future(peer.ask("worker:message:detected", scene.make_report()))
            for peer in peers
        ]
        while scene.bench.master.turns.waiting < len(others):  # noqa: ASYNC110
            await asyncio.sleep(0)
        scene.disk.go_on()
        for answer in (first, *others):
            check_refused(await answer)
    assert len(tried) == 2, "one for the first, one for all that waited"
    await scene.resolve_doubts()
    scene.check_memory()


async def test_a_master_that_cannot_load_its_farm_can_be_closed(scene: Scene) -> None:
    with unreadable(scene):
        with losing_the_answer(scene):
            assert (await scene.add_account("new"))[0] == 503
        with pytest.raises(StorageTrouble):
            await scene.bench.run(do_nothing)
        async with asyncio.timeout(PATIENCE_S):
            await scene.bench.master.turns.close()
        assert scene.bench.master.turns._again is None, "nothing comes after the end"


Act = Callable[[Scene], Awaitable[Any]]


async def start_login(scene: Scene) -> Any:
    return await scene.admin.ask(
        "master:login:start", {"account_id": scene.account_id, "worker_id": "worker-1"}
    )


async def say_goodbye(scene: Scene) -> Any:
    return await scene.worker.ask("worker:goodbye", {"workerId": "worker-1"})


async def confirm(scene: Scene) -> Any:
    told = scene.device.all("notification:new")[0]["id"]
    return await scene.device.ask("client:notification:ack", {"notification_id": told})


@pytest.mark.parametrize("act", [start_login, say_goodbye, confirm], ids=lambda act: act.__name__)
async def test_whatever_was_stored_after_all_can_be_asked_again(scene: Scene, act: Act) -> None:
    before = scene.dump()
    with losing_the_answer(scene):
        check_refused(await act(scene))
    await scene.resolve_doubts()
    assert scene.dump() != before
    scene.check_memory()
    again = await act(scene)
    assert again["success"] or again["error"]["code"] in ("not_registered", "login_closed"), again
    scene.check_memory()


async def test_the_file_that_went_on_without_memory_overtakes_it_once(scene: Scene) -> None:
    """Another program moved an account: decisions on old memory are refused, then it is loaded."""
    with scene.elsewhere() as connection:
        connection.execute("UPDATE accounts SET epoch = 5")
    path = f"/api/v1/accounts/{scene.account_id}"
    status, headers, content = await scene.call("PATCH", path, json={"monitor_interval": 99})
    assert (status, headers["Retry-After"], content["error"]["code"]) == (
        503,
        "1",
        "storage_trouble",
    )
    await scene.resolve_doubts()
    scene.check_memory()
    status, _, content = await scene.call("PATCH", path, json={"monitor_interval": 99})
    assert (status, content["account"]["monitor_interval"], content["account"]["epoch"]) == (
        200,
        99,
        5,
    )
    assert await scene.is_ready() == (200, None), "that was no trouble of the disk"
    scene.check_memory()
