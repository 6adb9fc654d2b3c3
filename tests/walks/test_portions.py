"""A device's request costs the writer one portion at a time, however much is stored."""

from __future__ import annotations

from typing import Any

import pytest

from master.batch import Batch
from master.model import Scope
from master.operations import notifications
from master.protocol.client import RegisterDevice
from master.turn import Caller
from tests.conftest import Bench, Peer
from tests.walks.test_devices import ask_file, detect
from tests.walks.test_plans import watch_statements


def watch_turns(bench: Bench) -> list[str]:
    """Collect the names of the operations of all turns."""
    names: list[str] = []

    def note(batch: Batch) -> None:
        names.extend(item.operation.__name__ for item in batch.items)

    bench.master.turns.on_commit = note
    return names


async def sync(device: Peer, **words: Any) -> Any:
    return await device.ask("client:sync:request", {"device_id": "device-1", **words})


async def test_neither_a_registration_nor_a_sync_counts(bench):
    await detect(bench, 5)
    with watch_statements(bench) as asked:
        device = await bench.device()
        page = await sync(device, after_seq=1, limit=2)
        last = await sync(device, after_seq=3, limit=2)
    assert asked
    assert not [statement for statement, _ in asked if "count(" in statement.lower()]
    assert (page["has_more"], page["total_count"], page["last_seq"]) == (True, 3, 3)
    assert (last["has_more"], last["total_count"], last["last_seq"]) == (False, 2, 5)


async def test_paging_by_the_total_comes_to_the_end(bench):
    await detect(bench, 5)
    device, seen, total = await bench.device(), [], 1
    while len(seen) < total:
        page = await sync(device, limit=2, offset=len(seen))
        seen += [one["seq"] for one in page["notifications"]]
        total = page["total_count"]
    assert (seen, total) == ([1, 2, 3, 4, 5], 5)


async def test_a_sync_that_passes_nothing_needs_no_turn(bench):
    device = await bench.device()
    await detect(bench, 3)
    turns = watch_turns(bench)
    for after in (0, 0, 2, 2, 1):
        assert (await sync(device, after_seq=after, limit=1))["success"]
    assert turns == ["finish_sync"], "its first request that confirms two of them"


async def test_a_device_is_told_when_more_is_owed_than_is_pushed(bench, monkeypatch):
    monkeypatch.setattr(notifications, "SYNC_LIMIT", 3)
    await detect(bench, 5)
    device = await bench.connect("client")
    answer = await device.ask("client:register", {"device_id": "phone"})
    assert (answer["owed"], answer["has_more"], answer["last_seq"]) == (3, True, 5)
    await device.hear("notification:new", 3)
    rest = await device.ask("client:sync:request", {"device_id": "phone", "after_seq": 3})
    assert [one["seq"] for one in rest["notifications"]] == [4, 5]
    again = await device.ask("client:register", {"device_id": "phone"})
    assert (again["owed"], "has_more" in again) == (2, False)


async def test_what_a_device_has_passed_is_marked_in_portions(bench, monkeypatch):
    monkeypatch.setattr(notifications, "PASSED_AT_ONCE", 2)
    device = await bench.device()
    await detect(bench, 5)
    bench.master.memory.sessions.delivered.clear()
    turns = watch_turns(bench)
    with watch_statements(bench) as asked:
        assert (await sync(device, after_seq=5))["success"]
        await bench.run(_nothing)
    assert turns[:3] == ["finish_sync", "pass_on", "pass_on"]
    marked = [
        parameters
        for statement, parameters in asked
        if statement.startswith("UPDATE notifications")
    ]
    assert len(marked) == 3
    assert await ask_file(bench, "SELECT seen_seq FROM client_devices") == [5]
    assert await ask_file(bench, "SELECT DISTINCT is_sent FROM notifications") == [1]


async def _nothing(event: None, turn: Any) -> None:
    """An empty turn, which comes after all others."""


@pytest.mark.parametrize("at_once", [1_000, 1], ids=["all of it", "more than a turn looks at"])
async def test_what_comes_between_the_look_and_the_turn_is_pushed_once(
    bench, monkeypatch, at_once: int
):
    monkeypatch.setattr(notifications, "PASSED_AT_ONCE", at_once)
    await detect(bench, 2)
    device = await bench.connect("client")
    [sid] = bench.master.memory.sessions.clients
    caller = Caller("client", sid, "", Scope.READ)
    found = await bench.master.turns.look(
        notifications.look_up_device, RegisterDevice.model_validate({"device_id": "phone"}), caller
    )
    worker = await bench.worker()
    [account] = (await bench.run(_list_accounts)) or []
    for number in (3, 4):
        item = {"platform_comment_id": str(number), "content": "late"}
        report = {"type": "comment", "account_id": account, "messages": [item]}
        assert (await worker.ask("worker:message:detected", report))["inserted"] == 1
    reply = await bench.master.turns.run(found.operation, found.event, caller)
    await device.hear("notification:new", 4)
    assert [one["seq"] for one in device.all("notification:new")] == [1, 2, 3, 4]
    assert (reply["owed"], reply.get("has_more")) == (4, None if at_once > 1 else True)


def _list_accounts(event: None, turn: Any) -> list[str]:
    return [account.id for account in turn.draft.accounts.all()]


async def test_deliveries_are_noted_in_portions(bench, monkeypatch):
    monkeypatch.setattr(notifications, "PASSED_AT_ONCE", 2)
    device = await bench.device()
    await detect(bench, 5)
    await device.hear("notification:new", 5)
    turns = watch_turns(bench)
    await bench.advance(1)
    await bench.run(_nothing)
    assert turns.count("mark_sent") == 3
    assert await ask_file(bench, "SELECT DISTINCT is_sent FROM notifications") == [1]
