"""What each device has received and confirmed, and which notifications are delivered by that."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Bench, Peer
from tests.walks.test_messages import comment, list_sent
from tests.walks.test_workers import make_account


async def detect(bench: Bench, count: int) -> None:
    """Report this many comments, by a worker that then leaves; they get the first seq values."""
    account = await make_account(bench)
    worker = await bench.worker()
    messages = [comment(number) for number in range(1, count + 1)]
    report = {"type": "comment", "account_id": account["id"], "messages": messages}
    assert (await worker.ask("worker:message:detected", report))["inserted"] == count


async def confirm(device: Peer, seq: int) -> None:
    told = {one["seq"]: one["id"] for one in device.all("notification:new")}
    assert (await device.ask("client:notification:ack", {"notification_id": told[seq]}))["success"]


async def ask_file(bench: Bench, query: str) -> list[Any]:
    """Return the first column of a query's rows."""
    async with bench.master.database.read() as connection:
        return list((await connection.exec_driver_sql(query)).scalars())


@pytest.mark.parametrize(
    "start", [{"after_seq": 0}, {"since_timestamp": 0}], ids=["by seq", "by time"]
)
async def test_what_came_by_sync_is_sent_and_owed_to_no_new_device(bench, start):
    await detect(bench, 3)
    unregistered = await bench.connect("client")
    synced = await unregistered.ask(
        "client:sync:request", {"device_id": "phone", "limit": 2, **start}
    )
    assert len(synced["notifications"]) == 2
    await bench.advance(1)
    assert await list_sent(bench) == [False, True, True], "the newest first; it did not come"
    tablet, admin = await bench.connect("client"), await bench.connect("admin")
    assert (await tablet.ask("client:register", {"device_id": "tablet"}))["owed"] == 1
    assert (await admin.hear("notification:new"))["seq"] == 3


async def test_what_a_device_says_it_owes_is_sent_even_without_a_record_of_its_delivery(bench):
    device = await bench.device()
    await detect(bench, 3)
    await device.hear("notification:new", 3)
    bench.master.memory.sessions.delivered.clear()  # as a crash before the sweep would
    await device.ask("client:sync:request", {"device_id": "device-1", "after_seq": 2})
    assert await list_sent(bench) == [False, True, True]


async def test_a_device_that_confirms_one_by_one_passes_what_it_has_confirmed(bench):
    device = await bench.device()
    await detect(bench, 3)
    await device.hear("notification:new", 3)
    for seq in (1, 2):
        await confirm(device, seq)
        assert await ask_file(bench, "SELECT seen_seq FROM client_devices") == [seq]
        assert await ask_file(bench, "SELECT notification_id FROM client_deliveries") == []
    again = await bench.connect("client")
    assert (await again.ask("client:register", {"device_id": "device-1"}))["owed"] == 1
    assert (await again.hear("notification:new"))["seq"] == 3


async def test_what_is_confirmed_out_of_order_is_kept_until_it_is_passed_and_told_once(bench):
    device, admin = await bench.device(), await bench.connect("admin")
    await detect(bench, 4)
    await device.hear("notification:new", 4)
    for seq in (3, 1, 3):
        await confirm(device, seq)
    assert await ask_file(bench, "SELECT seen_seq FROM client_devices") == [1]
    again = await bench.connect("client")
    assert (await again.ask("client:register", {"device_id": "device-1"}))["owed"] == 2
    await again.hear("notification:new", 2)
    assert [one["seq"] for one in again.all("notification:new")] == [2, 4]
    await confirm(again, 2)
    assert await ask_file(bench, "SELECT seen_seq FROM client_devices") == [3]
    for seq in (1, 2, 3, 4):
        await confirm(device, seq)
    assert await ask_file(bench, "SELECT notification_id FROM client_deliveries") == []
    await admin.hear("notification:confirmed", 4)
    seqs = {one["id"]: one["seq"] for one in device.all("notification:new")}
    told = [seqs[one["notification_id"]] for one in admin.all("notification:confirmed")]
    assert told == [3, 1, 2, 4], "each the first time only"


async def test_a_file_full_of_single_confirmations_is_passed_at_the_next_registration(bench):
    device = await bench.device()
    await detect(bench, 3)
    await device.hear("notification:new", 3)
    async with bench.master.database.write() as transaction:
        await (await transaction.connect()).exec_driver_sql(
            "INSERT INTO client_deliveries SELECT char(31) || 'device-1', id, 1 FROM notifications "
            "WHERE seq < 3"
        )
    again = await bench.connect("client")
    assert (await again.ask("client:register", {"device_id": "device-1"}))["owed"] == 1
    assert await ask_file(bench, "SELECT seen_seq FROM client_devices") == [2]
    assert await ask_file(bench, "SELECT notification_id FROM client_deliveries") == []
