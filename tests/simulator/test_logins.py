"""Logins in virtual time: the worker's side, the administrator's side, and notified devices."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from simulator.actors.admin import Admin
from simulator.actors.client import Client
from simulator.actors.login import ANY_CODE, SCAN
from simulator.actors.world import World, draw_qr_code
from simulator.truth.login_plans import VISITOR_S
from tests.simulator.peers import (
    ACCOUNT_ID,
    QUIET,
    ScriptedMaster,
    make_world,
    refusal,
    rules,
    run_jumping,
)
from tests.simulator.test_worker import Stage, play

SURE = replace(
    QUIET, never_scan_rate=0, login_failure_rate=0, sms_rate=0, cancel_rate=0, supersede_rate=0
)
LOGIN = {"session_id": "s-1", "account_id": ACCOUNT_ID, "platform": "douyin"}
PNG = "data:image/png;base64,"


def statuses(stage: Stage) -> list[str]:
    return [data["status"] for data in stage.master.all("worker:login:status")]


async def log_in(stage: Stage) -> None:
    await asyncio.sleep(1)
    stage.master.push("master:login:start", LOGIN)
    await asyncio.sleep(30)


def test_a_qr_code_is_a_png():
    code = draw_qr_code("https://passport.example/scan?u=1")
    assert code.startswith(PNG)
    assert base64.b64decode(code.removeprefix(PNG), validate=True).startswith(b"\x89PNG\r\n\x1a\n")
    assert code != draw_qr_code("https://passport.example/scan?u=2")


def test_a_login_shows_a_code_and_ends_with_cookies():
    stage = play(log_in, SURE)
    (code,) = stage.master.all("worker:login:qrcode")
    assert code["qr_code_data"].startswith(PNG)
    assert (code["session_id"], code["account_id"]) == ("s-1", ACCOUNT_ID)
    assert statuses(stage)[-1] == "success"
    assert set(statuses(stage)) <= {"scanned", "success"}
    last = stage.master.all("worker:login:status")[-1]
    assert last["cookies"]
    assert last["user_info"]
    assert last["fingerprint"]
    assert stage.world.ledger.logged_in == {ACCOUNT_ID}


def test_a_visitor_says_that_the_code_was_scanned():
    async def script(stage: Stage) -> None:
        stage.world.platform.visitors.are_here = True
        await asyncio.sleep(1)
        stage.master.push("master:login:start", LOGIN)
        await asyncio.sleep(VISITOR_S / 2)
        assert statuses(stage) == []
        words = {"session_id": "s-1", "input_type": SCAN, "value": "scanned"}
        stage.master.push("master:login:user_input", words)
        await asyncio.sleep(5)
        asked = stage.master.all("worker:login:status")[-1]
        assert asked["status"] == "sms_input_required"
        assert ANY_CODE in asked["message"]
        words = {"session_id": "s-1", "input_type": "sms_code", "value": "1234"}
        stage.master.push("master:login:user_input", words)
        await asyncio.sleep(5)

    stage = play(script, replace(SURE, sms_rate=1))
    assert statuses(stage)[-1] == "success"
    assert rules(stage.world) == []


def test_a_login_that_fails_says_why():
    stage = play(log_in, replace(SURE, login_failure_rate=1))
    assert stage.master.all("worker:login:status")[-1]["status"] == "failed"
    assert stage.master.all("worker:login:status")[-1]["error_message"]
    assert stage.world.ledger.logged_in == set()


def test_a_cancelled_login_says_nothing_more():
    async def script(stage: Stage) -> None:
        await asyncio.sleep(1)
        stage.master.push("master:login:start", LOGIN)
        await asyncio.sleep(0.2)
        stage.master.push("master:login:cancel", {"session_id": "s-1"})
        await asyncio.sleep(60)

    stage = play(script, SURE)
    assert statuses(stage) == []
    assert stage.master.all("worker:login:qrcode") == []


def test_a_second_login_of_an_account_ends_the_first():
    async def script(stage: Stage) -> None:
        await asyncio.sleep(1)
        stage.master.push("master:login:start", LOGIN)
        stage.master.push("master:login:start", LOGIN)
        stage.master.push("master:login:start", LOGIN | {"session_id": "s-2"})
        await asyncio.sleep(30)

    stage = play(script, SURE)
    assert {data["session_id"] for data in stage.master.all("worker:login:status")} == {"s-2"}


def test_a_code_that_runs_out_is_replaced():
    async def script(stage: Stage) -> None:
        await asyncio.sleep(1)
        stage.master.push("master:login:start", LOGIN)
        await asyncio.sleep(130)

    codes = play(script, replace(SURE, never_scan_rate=1)).master.all("worker:login:qrcode")
    assert len(codes) == 3
    assert len({code["qr_code_data"] for code in codes}) == 3


def test_a_report_of_a_login_is_sent_until_it_is_acknowledged_and_not_after_a_refusal():
    answers = iter(
        [None, refusal("busy", retryable=True), {"success": True}, refusal("session_closed")]
    )
    stage = play(log_in, SURE, worker__login__qrcode=lambda _: next(answers))
    assert len(stage.master.all("worker:login:qrcode")) == 3
    refused = play(log_in, SURE, worker__login__qrcode=refusal("session_closed"))
    assert len(refused.master.all("worker:login:qrcode")) == 1
    assert statuses(refused) == []


def type_in(value: Callable[[World], Any]) -> Callable[[Stage], Any]:
    async def script(stage: Stage) -> None:
        await log_in(stage)
        words = {"session_id": "s-1", "input_type": "sms_code", "value": value(stage.world)}
        stage.master.push("master:login:user_input", words)
        await asyncio.sleep(10)

    return script


def test_a_code_typed_by_a_person_lets_the_login_go_on():
    stage = play(type_in(lambda world: world.platform.read_phone("s-1")), replace(SURE, sms_rate=1))
    assert statuses(stage) == ["sms_input_required", "success"]
    assert rules(stage.world) == []


def test_a_code_that_was_changed_on_its_way():
    stage = play(type_in(lambda _: "000000"), replace(SURE, sms_rate=1))
    assert rules(stage.world) == ["input_changed"]
    assert statuses(stage) == ["sms_input_required"]


def test_what_is_typed_where_nothing_is_asked_is_ignored():
    assert rules(play(type_in(lambda _: "hello"), replace(SURE, never_scan_rate=1)).world) == []


# -- administrators and devices --------------------------------------------------------------------


def act(
    make: Callable[[World], Admin | Client],
    script: Callable[[ScriptedMaster], Any],
    scenario=SURE,
    **answers,
):
    """Let an administrator or a device act while `script` runs; return Master and world."""
    master = ScriptedMaster()
    master.answers = {
        "master:login:start": {"success": True, "session_id": "s-1"},
        **{name.replace("__", ":"): answer for name, answer in answers.items()},
    }
    worlds = []

    async def live() -> None:
        world = make_world(master, scenario)
        worlds.append(world)
        calm, leave = asyncio.Event(), asyncio.Event()
        acting = asyncio.create_task(make(world).run(calm, leave))
        await asyncio.sleep(2)
        script(master)
        await asyncio.sleep(5)
        leave.set()
        await acting

    run_jumping(live())
    return master, worlds[0]


def admin(world: World) -> Admin:
    return Admin(1, world, [ACCOUNT_ID])


def device(world: World) -> Client:
    return Client(1, world)


def say_nothing(_: ScriptedMaster) -> None:
    return


def test_an_administrator_starts_the_login_of_an_account_once():
    master, world = act(admin, say_nothing)
    assert master.all("master:login:start") == [{"account_id": ACCOUNT_ID}]
    assert world.tally.account_states[ACCOUNT_ID] == "logging_in"
    assert [name for _, name, _ in master.heard[:3]] == [
        "connect",
        "admin:status:request",
        "admin:request:login-sessions",
    ]


def test_an_administrator_cancels_at_times():
    def show(master: ScriptedMaster) -> None:
        master.push("login:qrcode:ready", {"session_id": "s-1", "qr_code_data": f"{PNG}AAAA"})

    master, world = act(admin, show, replace(SURE, cancel_rate=1))
    assert master.all("master:login:cancel") == [{"session_id": "s-1"}]
    assert rules(world) == []


def test_an_administrator_types_what_the_phone_says():
    def ask(master: ScriptedMaster) -> None:
        master.push("login:status:update", {"session_id": "s-1", "status": "sms_input_required"})

    def begin(world: World) -> Admin:
        world.platform.begin_login("s-1", ACCOUNT_ID)
        return admin(world)

    master, world = act(begin, ask)
    code = world.platform.read_phone("s-1")
    assert master.all("master:login:user_input") == [
        {"session_id": "s-1", "input_type": "sms_code", "value": code}
    ]


def test_a_code_that_is_no_png_any_more():
    def show(master: ScriptedMaster) -> None:
        master.push("login:qrcode:ready", {"session_id": "s-1", "qr_code_data": "AAAA"})

    assert rules(act(admin, show)[1]) == ["qr_code_changed"]


def test_two_ends_of_one_login():
    def close_twice(master: ScriptedMaster) -> None:
        master.push("login:success", {"session_id": "s-1"})
        master.push("login:failed", {"session_id": "s-1"})

    _, world = act(admin, close_twice)
    assert rules(world) == ["two_closings"]
    assert (world.tally.counts.logins_succeeded, world.tally.counts.logins_failed) == (1, 0)


@pytest.mark.parametrize(
    ("event", "data", "counted"),
    [
        ("login:success", {}, "logins_succeeded"),
        ("login:failed", {"error_type": "login_failed"}, "logins_failed"),
        ("login:failed", {"error_type": "cancelled"}, "logins_cancelled"),
        ("login:failed", {"error_type": "superseded"}, "logins_cancelled"),
        ("login:qrcode:expired", {}, "logins_expired"),
    ],
)
def test_each_end_of_a_login_is_counted(event, data, counted):
    _, world = act(admin, lambda master: master.push(event, {"session_id": "s-1", **data}))
    assert getattr(world.tally.counts, counted) == 1


@pytest.mark.parametrize(("retryable", "broken"), [(True, set()), (False, {"login_start_refused"})])
def test_a_login_that_may_not_be_started(retryable, broken):
    master, world = act(
        admin, say_nothing, master__login__start=refusal("no_worker", retryable=retryable)
    )
    assert set(rules(world)) == broken
    assert len(master.all("master:login:start")) > 1


def test_a_device_records_each_notification_once_and_asks_for_what_it_missed():
    def answer(data: dict[str, Any]) -> dict[str, Any]:
        rows = [{"seq": seq} for seq in range(data["after_seq"] + 1, pushed[-1] + 1)]
        words = {"notifications": rows, "has_more": False}
        asyncio.get_running_loop().call_soon(
            lambda: master_of[-1].push("client:sync:response", words)
        )
        return {"success": True}

    def push(master: ScriptedMaster) -> None:
        master_of.append(master)
        for seq in (1, 2, 5):
            pushed.append(seq)
            master.push("notification:new", {"seq": seq, "id": f"n-{seq}"})

    def make(world: World) -> Client:
        master_of.append(world.open_transport.__self__)
        devices.append(device(world))
        return devices[-1]

    pushed, master_of, devices = [0], [], []
    master, world = act(make, push, client__sync__request=answer)
    assert devices[0].seen.last == 5
    assert world.tally.counts.client_notifications == 5
    assert [data["after_seq"] for data in master.all("client:sync:request")] == [0, 2]
    assert rules(world) == []


def test_a_device_that_cannot_catch_up():
    def answer(_: dict[str, Any]) -> dict[str, Any]:
        words = {"notifications": [], "has_more": False}
        asyncio.get_running_loop().call_soon(
            lambda: masters[-1].push("client:sync:response", words)
        )
        return {"success": True}

    def make(world: World) -> Client:
        masters.append(world.open_transport.__self__)
        return device(world)

    masters: list[ScriptedMaster] = []
    _, world = act(
        make,
        lambda master: master.push("notification:new", {"seq": 3, "id": "n"}),
        client__sync__request=answer,
    )
    assert rules(world) == ["gap_after_sync"]


def test_a_device_whose_heartbeat_is_refused():
    async def live() -> None:
        master = ScriptedMaster()
        master.answers["client:heartbeat"] = refusal("invalid_payload")
        world = make_world(master)
        leave = asyncio.Event()
        acting = asyncio.create_task(device(world).run(asyncio.Event(), leave))
        await asyncio.sleep(14)
        leave.set()
        await acting
        assert set(rules(world)) == {"client_refused", "no_named_reply"}

    run_jumping(live())
