"""One worker id on two hosts: the second is a new owner; a returning first one need not wait."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from tests.conftest import Bench, Peer, registration
from tests.walks.test_messages import comment
from tests.walks.test_workers import make_account, read_account


@pytest.fixture(autouse=True)
def long_since_started(bench: Bench) -> None:
    """All owners under the Master before have stopped: no account waits for them any more."""
    bench.clock.advance(31)


async def come(bench: Bench, **changes: Any) -> tuple[Peer, list[dict[str, Any]]]:
    """Register worker-1 over a new connection; return its accounts."""
    peer = await bench.connect("worker")
    answer = await peer.ask("worker:register", registration(**changes))
    assert answer["success"], answer
    return peer, answer["accounts"]


@pytest.mark.parametrize("other", [{"host": "host-b"}, {"port": 4001}], ids=["host", "port"])
@pytest.mark.parametrize("connected", [True, False])
async def test_the_same_id_from_elsewhere_is_a_change_of_hands(
    bench, other: dict[str, Any], connected: bool
):
    account = await make_account(bench)
    first, [held] = await come(bench)
    assert "start_after_ms" not in held
    if not connected:
        await first.close()
    bench.clock.advance(10)
    second, [assigned] = await come(bench, **other)
    assert (assigned["epoch"], assigned["start_after_ms"]) == (held["epoch"] + 1, 30_000)
    if connected:
        assert (await first.hear("master:task:revoke"))["accountIds"] == [account["id"]]
    bench.clock.advance(20)
    _, [back] = await come(bench)
    assert (back["epoch"], back["start_after_ms"]) == (held["epoch"] + 2, 30_000), (
        "and so it is when the first returns"
    )
    assert not second.all("master:task:assign")


async def test_another_address_is_elsewhere_also_by_a_heartbeat(bench):
    await make_account(bench)
    worker, [held] = await come(bench)
    sessions = bench.master.memory.sessions
    sessions.addresses[worker.client.get_sid("/worker")] = "192.0.2.1"
    other = await bench.connect("worker")
    assert (await other.ask("worker:heartbeat", {"workerId": "worker-1"}))["success"]
    [assigned] = (await other.hear("master:task:assign"))["accounts"]
    assert (assigned["epoch"], assigned["start_after_ms"]) == (held["epoch"] + 1, 30_000)


@pytest.mark.parametrize("how", ["cut", "half open", "heartbeat", "reload", "other capacity"])
async def test_the_same_worker_comes_back_without_a_wait(bench, how: str):
    await make_account(bench)
    worker, [held] = await come(bench)
    if how == "cut":
        await worker.close()
    if how == "heartbeat":
        other = await bench.connect("worker")
        assert (
            len((await other.ask("worker:heartbeat", {"workerId": "worker-1"}))["accountIds"]) == 1
        )
        accounts = (await other.ask("worker:register", registration()))["accounts"]
    elif how == "reload":
        accounts = (await worker.ask("worker:register", registration(host="renamed")))["accounts"]
    else:
        _, accounts = await come(bench, maxAccounts=5)
    assert [(one["epoch"], one.get("start_after_ms")) for one in accounts] == [
        (held["epoch"], None)
    ]


async def test_a_worker_that_has_said_goodbye_is_not_waited_for(bench):
    await make_account(bench)
    worker, _ = await come(bench)
    await worker.ask("worker:goodbye", {"workerId": "worker-1"})
    _, [assigned] = await come(bench, host="host-b")
    assert "start_after_ms" not in assigned


async def test_another_worker_waits_for_every_process_of_the_former_one(bench):
    account = await make_account(bench)
    await come(bench)
    bench.clock.advance(5)
    second, _ = await come(bench, host="host-b")
    bench.clock.advance(5)
    await second.ask("worker:goodbye", {"workerId": "worker-1"})
    third = await bench.connect("worker")
    [assigned] = (await third.ask("worker:register", registration("worker-2")))["accounts"]
    assert (assigned["id"], assigned["start_after_ms"]) == (account["id"], 25_000)


async def test_two_that_contend_for_one_id_raise_one_alarm_a_minute(bench):
    admin = await bench.connect("admin")
    for number in range(12):
        await come(bench, host=f"host-{number % 2}")
    told = await admin.hear("notification:new")
    assert (told["type"], told["priority"]) == ("system", "urgent")
    assert told["data"] == {
        "worker_id": "worker-1",
        "takeovers": 6,
        "addresses": ["this machine", "this machine"],
        "registered": ["host-1:4000", "host-0:4000"],
    }
    places = [f"at this machine (registered as host-{number}:4000)" for number in (1, 0)]
    assert told["content"].endswith(f"{' and '.join(places)}.")
    await bench.run(_nothing)
    assert len(admin.all("notification:new")) == 1
    assert "master_takeovers 11.0" in await scrape(bench)
    bench.clock.advance(61)
    for number in range(5):
        await come(bench, host=f"host-{number % 2}")
    await bench.run(_nothing)
    assert len(admin.all("notification:new")) == 1, "five within a minute may be a bad connection"


async def test_a_second_contested_worker_within_the_minute_is_told_as_well(bench):
    admin = await bench.connect("admin")
    for number in range(8):
        for name in ("worker-1", "worker-2"):
            peer = await bench.connect("worker")
            changes = {"host": f"host-{number % 2}", "port": 5_000 + number % 2}
            assert (await peer.ask("worker:register", registration(name, **changes)))["success"]
    await admin.hear("notification:new", 2)
    await bench.run(_nothing)
    told = [one["data"] for one in admin.all("notification:new")]
    assert [one["worker_id"] for one in told] == ["worker-1", "worker-2"]
    assert told[1]["registered"] == ["host-1:5001", "host-0:5000"]
    assert "master_workers_contested_total 2.0" in await scrape(bench)


async def scrape(bench: Bench) -> str:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{bench.master.port}/metrics") as answer,
    ):
        return await answer.text()


async def _nothing(event: None, turn: Any) -> None:
    """An empty turn, which comes after all others."""


async def test_what_a_replaced_process_still_has_to_report_is_accepted(bench):
    account = await make_account(bench)
    await come(bench)
    other, _ = await come(bench, host="host-b")
    report = {"type": "comment", "account_id": account["id"], "messages": [comment(1)]}
    assert (await other.ask("worker:message:detected", report))["inserted"] == 1
    assert (await read_account(bench, account["id"]))["epoch"] == 2
