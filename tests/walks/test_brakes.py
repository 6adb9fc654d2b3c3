"""If Master is the likely cause of silence, it revokes nothing for one further timeout."""

from __future__ import annotations

from tests.walks.test_workers import make_account, read_account, read_worker


async def beat(bench, *peers):
    for peer, worker_id in peers:
        assert (await peer.ask("worker:heartbeat", {"workerId": worker_id}))["success"]


async def test_a_mass_silence_revokes_nothing_at_once_and_alarms_people(bench):
    account = await make_account(bench)
    peers = [(await bench.worker(f"worker-{n}"), f"worker-{n}") for n in range(1, 5)]
    for n in range(2, 5):
        assert (await make_account(bench, f"of worker-{n}"))["assigned_worker_id"] == f"worker-{n}"
    admin = await bench.connect("admin")
    await bench.advance(20)
    await beat(bench, peers[3])
    await bench.advance(10.1)
    alarm = await admin.hear("notification:new")
    assert (alarm["type"], alarm["priority"]) == ("system", "urgent")
    assert (await read_account(bench, account["id"]))["assigned_worker_id"] == "worker-1"
    await beat(bench, peers[0], peers[3])
    await bench.advance(15)
    await beat(bench, peers[0], peers[3])
    await bench.advance(15.1)
    assert [(await read_worker(bench, f"worker-{n}"))["status"] for n in range(1, 5)] == [
        "connected", "offline", "offline", "connected",
    ]  # fmt: skip
    assert (await read_account(bench, account["id"]))["epoch"] == 1
    assert len(admin.all("notification:new")) == 1


async def test_after_a_stall_of_our_own_loop_no_worker_is_evicted_for_one_further_timeout(bench):
    account = await make_account(bench)
    first = await bench.worker("worker-1")
    second = await bench.worker("worker-2")
    bench.clock.advance(25)
    now = bench.clock.monotonic()
    bench.master.memory.sessions.note_stall(now - 3, now, keep_s=90)
    await beat(bench, (second, "worker-2"))
    await bench.advance(5.1)
    assert (await read_worker(bench, "worker-1"))["status"] == "connected"
    await beat(bench, (first, "worker-1"), (second, "worker-2"))
    await bench.advance(29)
    await beat(bench, (second, "worker-2"))
    await bench.advance(5)
    assert (await read_worker(bench, "worker-1"))["status"] == "offline"
    assert (await read_account(bench, account["id"]))["assigned_worker_id"] == "worker-2"


async def test_one_of_many_is_evicted_without_a_brake(bench):
    peers = [(await bench.worker(f"worker-{n}"), f"worker-{n}") for n in range(1, 5)]
    await bench.advance(20)
    await beat(bench, *peers[1:])
    await bench.advance(10.1)
    assert (await read_worker(bench, "worker-1"))["status"] == "offline"
    assert bench.master.memory.watch.brakes == 0
