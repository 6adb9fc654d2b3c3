"""Due accounts are assigned worker by worker, at once and again and again."""

from __future__ import annotations

from master.operations.schedules import hand_out_due
from tests.walks.test_workers import make_account


async def log_in(bench, worker, admin, account_id, worker_id):
    answer = await admin.ask(
        "master:login:start", {"account_id": account_id, "worker_id": worker_id}
    )
    report = {
        "session_id": answer["session_id"],
        "status": "success",
        "cookies": [{"name": "sid", "value": "v"}],
    }
    assert (await worker.ask("worker:login:status", report))["status"] == "success"


async def test_due_accounts_are_grouped_by_worker(bench):
    first, second, admin = (
        await bench.worker("worker-1"),
        await bench.worker("worker-2"),
        await bench.connect("admin"),
    )
    accounts = [await make_account(bench, str(number), monitor_interval=20) for number in range(4)]
    holders = {"worker-1": first, "worker-2": second}
    owned = {name: [] for name in holders}
    for number, account in enumerate(accounts):
        name = "worker-1" if number % 2 == 0 else "worker-2"
        await log_in(bench, holders[name], admin, account["id"], name)
        owned[name].append(account["id"])
    for peer in holders.values():
        # two assignments and two logins, each handed out at once
        await peer.hear("master:task:assign", 4)
    bench.clock.advance(19.9)
    assert await bench.run(hand_out_due) == 0
    bench.clock.advance(0.1)
    assert await bench.run(hand_out_due) == 4
    for name, peer in holders.items():
        handed = await peer.hear("master:task:assign", 5)
        assert sorted(one["id"] for one in handed["accounts"]) == sorted(owned[name])
        assert all(one["credentials"]["cookies"] for one in handed["accounts"])
    assert await bench.run(hand_out_due) == 0


async def test_an_account_that_is_not_logged_in_is_not_scheduled(bench):
    await bench.worker()
    await make_account(bench)
    bench.clock.advance(25)
    assert await bench.run(hand_out_due) == 0


async def test_a_disconnected_worker_is_handed_nothing(bench):
    worker, admin = await bench.worker(), await bench.connect("admin")
    account = await make_account(bench)
    await log_in(bench, worker, admin, account["id"], "worker-1")
    await worker.close()
    await admin.hear("worker:status", len(admin.all("worker:status")))
    bench.clock.advance(25)
    assert await bench.run(hand_out_due) == 0


async def test_a_portion_has_at_most_a_hundred_accounts(bench):
    for number in range(130):
        await make_account(bench, str(number))
    worker = await bench.worker(maxAccounts=200)
    await worker.hear("master:task:assign", 2)
    assert [len(payload["accounts"]) for payload in worker.all("master:task:assign")] == [100, 30]
    assert len((await worker.hear("worker:registered"))["accounts"]) == 130
