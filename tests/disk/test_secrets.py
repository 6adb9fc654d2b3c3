"""A disk that fails to read secrets: no account is assigned without them, and none is forgotten."""

from __future__ import annotations

import asyncio

from master.routes import SWEEPS
from tests.conftest import registration
from tests.disk.disk import Step
from tests.disk.scene import Scene, check_refused
from tests.disk.troubles import IO_ERROR
from tests.walks.test_workers import make_account

SEALED = {"cookies": [{"value": "sealed"}]}


async def log_in(scene: Scene) -> None:
    """Store cookies of the worker's account."""
    started = await scene.admin.ask("master:login:start", {"account_id": scene.account_id})
    report = {"session_id": started["session_id"], "status": "success", **SEALED}
    told = len(scene.worker.all("master:task:assign"))
    assert (await scene.worker.ask("worker:login:status", report))["status"] == "success"
    await scene.worker.hear("master:task:assign", told + 1)


async def hand_out(scene: Scene) -> None:
    """Let the schedule assign the due accounts."""
    [schedule] = [sweep for sweep in SWEEPS if sweep.name == "schedule"]
    await scene.bench.master.periodic.sweep(schedule)


def refuse_reading_secrets(step: Step) -> str | None:
    """Fail all reads of cookies, and no other steps."""
    return (
        IO_ERROR
        if not step.writer and step.starts("SELECT") and "credentials" in step.statement
        else None
    )


async def test_what_is_due_and_cannot_be_opened_is_handed_out_at_the_next_look(
    scene: Scene,
) -> None:
    await log_in(scene)
    told = len(scene.worker.all("master:task:assign"))
    scene.bench.clock.advance(21)
    await scene.beat()
    scene.disk.fault = refuse_reading_secrets
    await hand_out(scene)
    await scene.beat()
    assert len(scene.worker.all("master:task:assign")) == told, (
        "without its cookies it would look like a theft"
    )
    scene.disk.fault = lambda step: None
    await hand_out(scene)
    [due] = (await scene.worker.hear("master:task:assign", told + 1))["accounts"]
    assert due["credentials"] == SEALED


async def test_who_registers_while_secrets_cannot_be_read_is_asked_to_come_again(
    scene: Scene,
) -> None:
    await log_in(scene)
    scene.worker.heard.clear()
    scene.disk.fault = refuse_reading_secrets
    check_refused(await scene.worker.ask("worker:register", registration()))
    named = await scene.worker.hear("worker:registered")
    assert (named["success"], named["error"]["code"]) == (False, "storage_trouble")
    scene.check_memory()
    scene.disk.fault = lambda step: None
    answer = await scene.worker.ask("worker:register", registration())
    assert [one["credentials"] for one in answer["accounts"]] == [SEALED]
    assert len(scene.worker.all("worker:registered")) == 2


async def test_others_of_the_batch_are_answered_though_its_secrets_cannot_be_read(
    scene: Scene,
) -> None:
    await log_in(scene)
    await make_account(scene.bench, "weibo", platform="weibo")
    newcomer = await scene.bench.connect("worker")
    scene.disk.fault = refuse_reading_secrets
    refused, added = await asyncio.gather(
        scene.worker.ask("worker:register", registration()), scene.add_account("another")
    )
    check_refused(refused)
    assert added[0] == 201
    plain = registration("newcomer", capabilities=["weibo"])
    assert len((await newcomer.ask("worker:register", plain))["accounts"]) == 1, (
        "there is nothing sealed in it"
    )
    scene.disk.fault = lambda step: None
    scene.check_memory()
