"""Workers that send heartbeats and do not do their work; what people see of their figures."""

from __future__ import annotations

from typing import Any

import pytest

from master.memory import Memory
from master.operations.schedules import hand_out_due
from master.operations.sickness import look_around
from master.protocol.stats import read_signs, read_stats
from master.settings import load_settings
from tests.conftest import Bench, Peer
from tests.records import make_worker
from tests.walks.test_account_states import begin, log_in
from tests.walks.test_takeovers import scrape
from tests.walks.test_workers import make_account, read_account, read_worker

OK = {"state": "ok", "reason": None, "since": None}
STEP_S = 20
SECRET = "s3cr3t-cookie"


async def beat(bench: Bench, worker: Peer, worker_id: str = "worker-1", **stats: Any) -> None:
    await worker.ask("worker:heartbeat", {"workerId": worker_id, "stats": stats})


async def live(bench: Bench, worker: Peer, beats: int, **stats: Any) -> None:
    """Send heartbeats; a figure that is a list grows by its step: [start, step]."""
    for number in range(beats):
        await bench.advance(STEP_S, rare=False)
        now = {
            name: one[0] + number * one[1] if isinstance(one, list) else one
            for name, one in stats.items()
        }
        await beat(bench, worker, **now)
    await bench.advance(0)


@pytest.mark.parametrize(
    ("stats", "shown"),
    [
        ({"errors": 7, "queue": "idle", "lastSuccess": 1760774400},) * 2,
        ({"lastSuccess": "2026-01-01T00:00:00Z", "ok": True, "rate": 0.5},) * 2,
        # texts under other names may be secrets, and so may anything nested
        ({"sid": SECRET, "session": {"state": SECRET}, "errors": [SECRET], "n": 1}, {"n": 1}),
        ({"state": SECRET * 9, "cookies": None, "n": 1}, {"n": 1}),
        ({"n" * 65: 1, "a\nb": 2, "名": 3}, {"名": 3}),
        ({"odd": float("nan"), "big": 2**60, "n": 1}, {"n": 1}),
        ({f"f{number}": number for number in range(40)}, {f"f{n}": n for n in range(16)}),
        ({"active_accounts": 2, "memory_usage": 5}, {"active_accounts": 2, "memory_usage": 5}),
    ],
)
async def test_people_see_the_numbers_of_a_heartbeat_and_no_unlisted_text(
    bench, stats: dict[str, Any], shown: dict[str, Any]
):
    worker = await bench.worker()
    await beat(bench, worker, **stats)
    standard = dict.fromkeys(("active_accounts", "memory_usage", "cpu_usage"))
    assert (await read_worker(bench, "worker-1"))["stats"] == standard | shown


def test_a_figure_that_is_no_number_is_shown_as_null():
    figures = {"odd": float("nan"), "far": float("inf"), "cpuUsage": float("nan"), "n": 1.5}
    shown = read_stats(figures)
    assert (shown["odd"], shown["far"], shown["cpu_usage"], shown["n"]) == (None, None, None, 1.5)


@pytest.mark.parametrize(
    ("stats", "signs"),
    [
        ({"errors": 7, "cpuUsage": 3}, {"errors": 7}),
        ({"errorCount": "7", "failed": 1}, {"errors": 8}),
        ({"errors": True, "looks": float("inf"), "successes": "many"}, {}),
        ({"lastSuccess": 1760774400123}, {"last_success": 1760774400}),
        ({"lastSuccess": 1760774400, "last_look": 1760774460}, {"last_success": 1760774460}),
        ({"lastSuccess": "2025-10-18T08:00:00Z"}, {"last_success": 1760774400}),
        ({"lastSuccess": 37, "lastLook": "3 minutes ago"}, {}),
    ],
)
def test_usual_names_of_figures_are_understood(stats, signs):
    assert read_signs(stats) == signs


async def test_a_sickness_is_told_when_it_begins_and_when_it_is_over(bench):
    admin, worker, _ = await begin(bench)
    text = await scrape(bench)
    for reason in ("errors", "no_success"):
        assert f'master_workers_unhealthy{{reason="{reason}"}} 0.0' in text
    await live(bench, worker, 30, lastSuccess=1760774400)
    assert (await read_worker(bench, "worker-1"))["health"] == OK
    await live(bench, worker, 3, lastSuccess=1760774400)
    told = await admin.hear("notification:new")
    assert (told["type"], told["priority"]) == ("system", "high")
    health = (await read_worker(bench, "worker-1"))["health"]
    assert told["data"] == {"worker_id": "worker-1", **health}
    assert (health["state"], health["reason"]) == ("quiet", "no_success")
    assert 0 <= bench.clock.now() - health["since"] < 60
    await live(bench, worker, 35, lastSuccess=1760774400, errors=[10, 1])
    assert (await read_worker(bench, "worker-1"))["health"]["state"] == "failing"
    assert 'master_workers_unhealthy{reason="errors"} 1.0' in await scrape(bench)
    await live(bench, worker, 1, lastSuccess=1760774500)
    over = await admin.hear("notification:new", 2)
    assert (over["priority"], over["data"]) == ("low", {"worker_id": "worker-1", "state": "ok"})
    assert (await read_worker(bench, "worker-1"))["health"] == OK
    assert 'master_workers_unhealthy{reason="errors"} 0.0' in await scrape(bench)
    await bench.run(hand_out_due)
    assert len(admin.all("notification:new")) == 2, "another reason is no news"
    states = [one["health"]["state"] for one in admin.all("worker:status")]
    assert states[-3:] == ["quiet", "failing", "ok"]


@pytest.mark.parametrize(
    "stats",
    [{}, {"activeAccounts": 1}, {"errors": 7}, {"errors": 7, "queue": 3}, {"errors": [0, 0]}],
)
async def test_a_quiet_worker_that_says_nothing_of_its_work_is_well(bench, stats: dict[str, Any]):
    admin, worker, _ = await begin(bench)
    await live(bench, worker, 70, **stats)
    assert (await read_worker(bench, "worker-1"))["health"] == OK
    assert admin.all("notification:new") == []


@pytest.mark.parametrize("success", ["report", "login"])
async def test_what_master_sees_itself_is_a_success(bench, success: str):
    admin, worker, account = await begin(bench)
    other = await make_account(bench, "other")
    for number in range(3):
        await live(bench, worker, 25, errors=[number * 100, 1])
        if success == "login":
            await log_in(bench, admin, worker, other["id"])
        else:
            message = {"platform_comment_id": f"c{number}", "content": "hello"}
            report = {"type": "comment", "account_id": account["id"], "messages": [message]}
            assert (await worker.ask("worker:message:detected", report))["success"]
    await bench.advance(10)
    assert (await read_worker(bench, "worker-1"))["health"] == OK


@pytest.mark.parametrize("end", ["goodbye", "silence", "logged_out"])
async def test_a_sick_worker_that_has_nothing_to_do_any_more_is_not_judged(bench, end: str):
    admin, worker, account = await begin(bench)
    await live(bench, worker, 33, lastSuccess=1760774400)
    await admin.hear("notification:new")
    if end == "goodbye":
        await worker.ask("worker:goodbye", {"workerId": "worker-1"})
    elif end == "silence":
        await bench.advance(31)
    else:
        report = {"account_id": account["id"], "login_status": "logged_out"}
        await worker.ask("worker:account:status", report)
    await bench.advance(0)
    await admin.hear("notification:new", 2 + (end == "logged_out"))
    assert admin.all("notification:new")[-1]["priority"] == "low"
    assert (await read_worker(bench, "worker-1"))["health"] == OK


async def test_many_that_fall_sick_at_once_share_a_notification(bench):
    admin = await bench.connect("admin")
    names = [f"worker-{number}" for number in range(7)]
    peers = {name: await bench.worker(name, maxAccounts=1) for name in names}
    for name in names:
        account = await make_account(bench, name)
        owner = (await read_account(bench, account["id"]))["assigned_worker_id"]
        await log_in(bench, admin, peers[owner], account["id"])
    for _ in range(27):
        await bench.advance(25)
        for name, peer in peers.items():
            await beat(bench, peer, name, successes=5)
    told = await admin.hear("notification:new")
    assert told["data"]["workers_count"] == 7
    assert sorted(told["data"]["workers"]) == names
    await bench.run(hand_out_due)
    assert len(admin.all("notification:new")) == 1


def test_a_sweep_looks_at_a_portion_and_forgets_workers_that_are_gone():
    memory, settings = Memory(), load_settings({}, None)
    for number in range(1_200):
        worker = make_worker(f"w{number}")
        memory.farm.workers.put(worker)
        memory.sessions.seat(worker.id, heard=0, heard_at=0).stats = {"successes": 5}
    looked_at = []
    for _ in range(3):
        assert not look_around(memory, settings, 0, 0)
        looked_at.append(len(memory.wards.tracks))
    assert looked_at == [500, 1_000, 1_200]
    for worker in list(memory.farm.workers.all())[10:]:
        memory.farm.workers.remove(worker.id)
        memory.sessions.forget(worker.id)
    for _ in range(3):
        look_around(memory, settings, 0, 0)
    assert len(memory.wards.tracks) == 10


class TestNever:
    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"SICK_AFTER_INTERVALS": "0"}

    async def test_no_worker_is_judged(self, bench):
        admin, worker, _ = await begin(bench)
        await live(bench, worker, 35, lastSuccess=1760774400)
        assert (await read_worker(bench, "worker-1"))["health"] == OK
        assert admin.all("notification:new") == []
