"""A worker in virtual time: signs of life, stop, outbox, logins, crashes and goodbyes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from itertools import chain, pairwise, repeat
from typing import Any

import pytest

from simulator.actors.worker import Worker
from simulator.actors.world import World
from simulator.trials.single import Narrator
from simulator.truth.holdings import WorkerProfile
from simulator.truth.tally import WorkerState
from tests.simulator.peers import (
    ACCOUNT_ID,
    QUIET,
    ScriptedMaster,
    logged_in,
    make_world,
    refusal,
    rules,
    run_jumping,
)

BUSY = replace(QUIET, rate_per_s=5.0, repeat_rate=0.0)
PROFILE = WorkerProfile("w-1", ("douyin",), 10)


class Stage:
    """One worker, its Master and its world."""

    def __init__(self, master: ScriptedMaster, world: World) -> None:
        self.master, self.world = master, world
        self.worker = Worker(PROFILE, world)
        self.calm, self.leave = asyncio.Event(), asyncio.Event()

    @property
    def owned(self) -> int:
        return self.world.ledger.ownership.count_owned()

    @property
    def state(self) -> WorkerState:
        return self.world.tally.worker_states[PROFILE.id]


Script = Callable[[Stage], Coroutine[Any, Any, None]]


def play(script: Script, scenario=QUIET, accounts=(), **answers: Any) -> Stage:
    """Run a worker while `script` runs, and let it leave; return the stage."""
    master = ScriptedMaster(accounts)
    master.answers = {name.replace("__", ":"): answer for name, answer in answers.items()}
    stages = []

    async def live() -> None:
        stage = Stage(master, make_world(master, scenario))
        stages.append(stage)
        life = asyncio.create_task(stage.worker.run(stage.calm, stage.leave))
        await script(stage)
        stage.leave.set()
        await life

    run_jumping(live())
    return stages[0]


async def pass_time(stage: Stage, seconds: float = 60.0) -> None:
    await asyncio.sleep(seconds)


# -- signs of life ---------------------------------------------------------------------------------


def test_a_worker_registers_and_shows_every_ten_seconds_that_it_lives():
    stage = play(pass_time, accounts=[logged_in()])
    assert stage.master.all("worker:register") == [PROFILE.to_wire()]
    beats = stage.master.times("worker:heartbeat")
    assert beats[0] - stage.master.times("worker:register")[0] <= 10.0
    assert [after - before for before, after in pairwise(beats)] == pytest.approx(
        [10.0] * (len(beats) - 1)
    )
    first = stage.master.all("worker:heartbeat")[0]
    assert first["workerId"] == "w-1"
    assert first["stats"]["activeAccounts"] == 1
    assert rules(stage.world) == []


def test_a_worker_says_goodbye_and_nothing_after_it():
    stage = play(pass_time)
    assert stage.master.heard[-1][1:] == (
        "worker:goodbye",
        {"workerId": "w-1", "reason": "leaving"},
    )
    assert stage.master.wires[-1].end == "closed"
    assert stage.state is WorkerState.GONE
    assert stage.owned == 0


def test_a_worker_stops_25_seconds_after_its_last_acknowledged_heartbeat():
    async def script(stage: Stage) -> None:
        await asyncio.sleep(31)
        last = stage.master.times("worker:heartbeat")[-1]
        stage.master.silent = True
        loop = asyncio.get_running_loop()
        await asyncio.sleep(last + 24.99 - loop.time())
        assert stage.owned == 1
        await asyncio.sleep(0.02)
        assert stage.owned == 0
        assert len(stage.master.times("worker:heartbeat")) > 4, "it still tries"
        stage.master.silent = False

    assert play(script, accounts=[logged_in()]).world.tally.counts.lapses == 1


def test_one_heartbeat_that_is_not_answered_costs_nothing():
    answers = chain([None], repeat({"success": True, "accountIds": [ACCOUNT_ID]}))
    stage = play(pass_time, accounts=[logged_in()], worker__heartbeat=lambda _: next(answers))
    counts = stage.world.tally.counts
    assert (counts.heartbeats_lost, counts.lapses) == (1, 0)
    beats = stage.master.times("worker:heartbeat")
    assert [after - before for before, after in pairwise(beats)] == pytest.approx(
        [10.0] * (len(beats) - 1)
    )


def test_a_worker_that_stopped_by_itself_watches_its_accounts_again():
    async def script(stage: Stage) -> None:
        await asyncio.sleep(15)
        stage.master.silent = True
        await asyncio.sleep(40)
        assert stage.owned == 0
        stage.master.silent = False
        await asyncio.sleep(40)
        assert stage.owned == 1

    assert rules(play(script, accounts=[logged_in()]).world) == []


def test_a_worker_that_master_does_not_know_registers_again():
    async def script(stage: Stage) -> None:
        await asyncio.sleep(15)
        answers = chain(
            [refusal("not_registered", retryable=True)], repeat({"success": True, "accountIds": []})
        )
        stage.master.answers["worker:heartbeat"] = lambda _: next(answers)
        await asyncio.sleep(60)

    assert len(play(script).master.all("worker:register")) == 2


def test_a_registration_without_its_named_reply():
    stage = play(pass_time, worker__register={"success": True})
    assert rules(stage.world) == ["no_named_reply"]


def test_a_registration_that_is_refused_is_seen_and_tried_again(capsys):
    stage = play(pass_time, worker__register=refusal("invalid_payload"))
    assert set(rules(stage.world)) == {"greeting_refused"}
    assert len(stage.master.all("worker:register")) == stage.world.ledger.violation_count > 3
    Narrator(stage.worker, stage.world.tally, stage.world.ledger).speak()
    out, err = capsys.readouterr()
    assert "w-1: gone (worker:register: invalid_payload: no)" in out
    assert "greeting_refused: /worker: worker:register: invalid_payload: no" in err


# -- connection ------------------------------------------------------------------------------------


def find_waits(seed: int) -> list[float]:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(5)
        stage.master.down = True
        stage.master.wires[-1].cut()
        await asyncio.sleep(120)

    times = play(script, replace(QUIET, seed=seed)).master.times("connect")
    return [after - before for before, after in pairwise(times[1:])]


def test_tries_to_connect_are_spread_and_become_rarer():
    waits = find_waits(1)
    assert all(0.1 <= wait <= 15.0 for wait in waits)
    assert max(waits) > 5.0
    assert waits == find_waits(1)
    assert waits != find_waits(2)


def test_a_worker_whose_connection_broke_is_back_soon():
    async def script(stage: Stage) -> None:
        await asyncio.sleep(5)
        stage.master.wires[-1].cut()
        await asyncio.sleep(0.6)
        assert stage.state is WorkerState.CONNECTED

    stage = play(script, accounts=[logged_in()])
    assert stage.world.tally.counts.reconnects == 1
    assert stage.world.tally.counts.lapses == 0


# -- accounts and reports --------------------------------------------------------------------------


def test_an_account_is_taken_and_dropped_as_master_says():
    async def script(stage: Stage) -> None:
        await asyncio.sleep(1)
        stage.master.push("master:task:assign", {"accounts": [logged_in()]})
        assert stage.owned == 1
        stage.master.push("master:task:revoke", {"accountIds": [ACCOUNT_ID, "another"]})
        assert stage.owned == 0

    counts = play(script).world.tally.counts
    assert (counts.assignments, counts.revocations) == (1, 1)


def test_an_account_that_a_heartbeat_does_not_list_any_more_is_dropped():
    async def script(stage: Stage) -> None:
        await asyncio.sleep(15)
        assert stage.owned == 1
        stage.master.accounts.clear()
        await asyncio.sleep(10)
        assert stage.owned == 0

    play(script, accounts=[logged_in()])


def test_messages_are_reported_once_each():
    stage = play(pass_time, BUSY, [logged_in()])
    numbers = [
        m["content"]
        for report in stage.master.all("worker:message:detected")
        for m in report["messages"]
    ]
    counts = stage.world.tally.counts
    assert len(numbers) == counts.messages_reported == counts.messages_stored > 100
    assert stage.worker.waiting_reports == 0
    assert rules(stage.world) == []


def test_a_report_that_was_not_acknowledged_is_sent_again_as_it_was():
    tries = []

    def forget_some(data: dict[str, Any]) -> dict[str, Any] | None:
        tries.append(data)
        kept = len(tries) > 3
        return (
            {"success": True, "inserted": len(data["messages"]), "duplicates": 0} if kept else None
        )

    stage = play(pass_time, BUSY, [logged_in()], worker__message__detected=forget_some)
    assert stage.world.tally.counts.resends >= 1
    assert sum(data == tries[0] for data in tries) > 1
    assert stage.worker.waiting_reports == 0
    assert rules(stage.world) == []


def test_a_report_waits_as_long_as_master_asks():
    busy = refusal("busy", retryable=True, retry_after_ms=5_000)
    stage = play(
        pass_time, replace(BUSY, rate_per_s=0.05), [logged_in()], worker__message__detected=busy
    )
    first, second = stage.master.times("worker:message:detected")[:2]
    one, again = stage.master.all("worker:message:detected")[:2]
    assert one == again
    assert second - first >= 5.0
    assert stage.worker.waiting_reports > 0


def test_a_report_that_is_refused_for_good():
    stage = play(pass_time, BUSY, [logged_in()], worker__message__detected=refusal("not_assigned"))
    assert set(rules(stage.world)) == {"report_refused"}
    assert stage.worker.waiting_reports == 0, "it is not sent for ever"


def test_cookies_that_are_not_those_that_were_stored():
    wrong = logged_in() | {"credentials": {"cookies": [{"name": "sessionid", "value": "other"}]}}
    stage = play(pass_time, BUSY, [wrong])
    assert set(rules(stage.world)) == {"wrong_cookies"}
    assert stage.master.all("worker:message:detected") == []


def test_a_crashed_worker_keeps_its_outbox_and_comes_back():
    async def script(stage: Stage) -> None:
        await asyncio.sleep(60)
        stage.calm.set()
        del stage.master.answers["worker:message:detected"]
        await asyncio.sleep(60)

    crashing = replace(BUSY, crash_rate_per_min=6)
    stage = play(script, crashing, [logged_in()], worker__message__detected=None)
    counts = stage.world.tally.counts
    assert counts.crashes > 2
    assert counts.registrations == counts.crashes + 1
    assert {wire.end for wire in stage.master.wires[:-1]} == {"cut"}, "a crash says nothing"
    assert stage.worker.waiting_reports == 0
    assert counts.messages_reported == counts.messages_stored > 0
