"""A run records each violation at once, in order of time, and whatever ends the run."""

from __future__ import annotations

from dataclasses import replace

import pytest
import structlog

from simulator.virtual.faults import FAULTS
from simulator.virtual.machine.house import House
from simulator.virtual.machine.trace import Entry, Trace
from simulator.virtual.plan import DAY, Plan, plan_run
from simulator.virtual.run import play

TINY = replace(DAY, workers=2, accounts=3, clients=1)


def plan_tiny(*faults: str) -> Plan:
    """Return a run of some virtual minutes."""
    return plan_run(TINY, 0.02, faults)


def stumble(scene, _):
    scene.note("storm", "stumbles")
    scene._loop.call_soon(lambda: 1 / 0)


def log_a_traceback(*_):
    structlog.get_logger().error("failed", exc_info=True)


def log_a_secret(*_):
    structlog.get_logger().error("cookie sim-secret-1")


@pytest.mark.parametrize(
    ("happens", "rule"),
    [
        (stumble, "stray_fault"),
        (log_a_traceback, "traceback_in_log"),
        (log_a_secret, "secret_in_log"),
    ],
)
def test_what_goes_astray_is_noted_when_it_happens_with_what_led_to_it(monkeypatch, happens, rule):
    later = []

    async def fault(scene, rng):
        if scene.ledger.violation_count:
            scene.ledger.complain("later", "something else")
            later.append(scene.clock.monotonic())
        else:
            happens(scene, rng)

    monkeypatch.setitem(FAULTS, "storm", fault)
    outcome = play(plan_tiny("storm"))
    assert later
    assert outcome.first == rule
    assert [one["rule"] for one in outcome.details[1:]] == ["later"] * len(later)
    times = [one["at"] for one in outcome.details]
    assert times == sorted(times)
    assert times[0] < times[1]
    assert len(outcome.last_events) > 5
    short = play(plan_tiny("storm"), until_violation=True)
    assert (short.details[0]["at"], short.last_events) == (times[0], outcome.last_events)
    assert short.violations == 1
    assert short.simulated_s < times[1] + 1


def test_an_actor_that_fails_ends_the_run_and_nothing_else_is_blamed(monkeypatch):
    async def fault(*_):
        raise KeyError("where")

    monkeypatch.setitem(FAULTS, "storm", fault)
    outcome = play(plan_tiny("storm"))
    assert [(one["rule"], one["detail"]) for one in outcome.details] == [
        ("stray_fault", "an actor failed: KeyError('where')")
    ]


def test_nothing_left_to_wait_for_is_a_violation_at_its_time(monkeypatch):
    monkeypatch.setattr("simulator.virtual.lab.Lab.play", wait_for_nothing)
    outcome = play(plan_tiny())
    assert [(one["rule"], one["at"]) for one in outcome.details] == [("stray_fault", 5.0)]
    assert "deadlock" in outcome.details[0]["detail"]


async def wait_for_nothing(lab):
    scene = lab.scene
    scene.trace.note("admin", "connected")
    await scene.wait_success(5.0)
    await scene._loop.create_future()


@pytest.mark.parametrize("starts", [0, 1])
def test_a_master_that_never_opens_is_a_violation_and_no_run_without_end(monkeypatch, starts):
    opened, tried = House.open, []

    async def open_seldom(self: House) -> bool:
        tried.append(1)
        return len(tried) <= starts and await opened(self)

    monkeypatch.setattr(House, "open", open_seldom)
    outcome = play(plan_tiny())
    assert outcome.first == "master_stays_away"
    assert 25 < len(tried) < 40


def test_a_broken_disk_may_keep_master_away_for_as_long_as_it_lasts(monkeypatch):
    async def break_disk(scene, _):
        if scene.house.kills["idle"]:
            return
        scene.house.kill("idle")
        scene.house.disk.trouble = "io_execute"
        scene._loop.call_later(60.0, lambda: setattr(scene.house.disk, "trouble", None))
        await scene.open_master()
        assert scene.clock.monotonic() > 60.0

    monkeypatch.setitem(FAULTS, "storm", break_disk)
    assert play(plan_run(TINY, 0.1, ["storm"])).details == []


def test_what_fails_before_the_actors_begin_is_a_violation():
    plan = replace(
        plan_run(replace(TINY, accounts=60), 0.02, []), settings={"HTTP_REQUESTS_PER_S": "0.1"}
    )
    outcome = play(plan)
    assert outcome.first == "api"
    assert outcome.violations == 1


def make_trace(*entries: Entry) -> Trace:
    trace = Trace(None)  # type: ignore[arg-type]
    trace.latest.extend(entries)
    return trace


def test_what_led_to_a_violation_is_what_its_actors_said_and_masters_faults():
    trace = make_trace(
        Entry(1.0, "v-worker-001", ">worker:heartbeat", b"a"),
        Entry(2.0, "v-worker-0010", ">worker:heartbeat", b"b"),
        Entry(3.0, "client", ">client:heartbeat", b"c"),
        Entry(4.0, "client", ">client:register", b"d"),
        Entry(5.0, "fault", "master_kill", b"e", "idle 3"),
        Entry(6.0, "fault", "worker_crash", b"f", "v-worker-0010"),
        Entry(7.0, "fault", "cut_link", b"g", "v-worker-001"),
    )

    def show(violation: str) -> list[float]:
        return [float(line.split()[0]) for line in trace.show_latest(violation, 40)]

    assert show("two_owners: a-1 was held by v-worker-001, v-worker-002") == [1, 5, 7]
    assert show("sync_gap: v-device-01 asked after 3") == [3, 4, 5]
    assert show("login_lost: a-1 is gone") == [4, 5, 6, 7]
    assert len(trace.show_latest("nobody", 2)) == 2
