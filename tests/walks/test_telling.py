"""Master never disconnects a good worker for the amount that Master itself sends."""

from __future__ import annotations

import orjson
import pytest

from master.secret import Secret
from master.store.schema import accounts
from master.store.sealing import seal_values
from tests.conftest import Bench, Peer, registration


async def store_accounts(bench: Bench, sizes: dict[str, int]) -> None:
    """Store unassigned accounts with this many bytes of cookies each, as an older version might."""
    async with bench.master.database.write() as transaction:
        connection = await transaction.connect()
        for name, size in sizes.items():
            kept = {"credentials": Secret({"cookies": [{"name": "n", "value": "x" * size}]})}
            sealed = seal_values(connection, "accounts", name, kept)
            row = {
                "id": name,
                "platform": "douyin",
                "account_name": name,
                "created_at": 0,
                "updated_at": 0,
            }
            await connection.execute(
                accounts.insert().values(**row, login_status="logged_in", **sealed)
            )
    await bench.master.turns.load_farm()


def list_told(worker: Peer) -> list[str]:
    return [
        account["id"] for told in worker.all("master:task:assign") for account in told["accounts"]
    ]


async def hear_of(worker: Peer, count: int) -> None:
    """Wait until the worker has received this many accounts."""
    events = 1
    while len(set(list_told(worker))) < count:
        await worker.hear("master:task:assign", events)
        events += 1


class TestSmallQueue:
    """A queue of a tenth of the default, so that a tenth of the bytes fills it."""

    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"OUTBOUND_QUEUE_BYTES": "100000"}

    async def test_a_worker_is_told_of_hundreds_of_accounts_with_cookies(self, bench):
        await store_accounts(bench, {f"a{number:03}": 5_000 for number in range(400)})
        worker = await bench.connect("worker")
        answer = await worker.ask("worker:register", registration(maxAccounts=10_000))
        assert len(answer["accounts"]) < 20
        await hear_of(worker, 400)
        assert bench.master.metrics.slow_consumers._value.get() == 0
        again = await worker.ask("worker:register", registration(maxAccounts=10_000))
        assert again["accountsTotal"] == 400
        before = len(list_told(worker))
        while len(list_told(worker)) - before + len(again["accounts"]) < 400:
            await worker.ask("worker:heartbeat", {"workerId": "worker-1"})
        assert bench.master.metrics.slow_consumers._value.get() == 0
        assert not bench.master.memory.sessions.untold

    async def test_accounts_larger_than_the_queue_are_told_one_by_one(self, bench):
        await store_accounts(
            bench, {"large-1": 1_500_000, "large-2": 1_500_000, "large-3": 1_500_000, "small": 10}
        )
        for _ in range(3):
            worker = await bench.connect("worker")
            answer = await worker.ask("worker:register", registration())
            assert answer["success"]
            told = {account["id"] for account in answer["accounts"]}
            while {*told, *list_told(worker)} != {"large-1", "large-2", "large-3", "small"}:
                await worker.ask("worker:heartbeat", {"workerId": "worker-1"})
            assert (
                max(map(len, (orjson.dumps(one) for one in worker.all("master:task:assign"))))
                < 1_600_000
            )
        assert bench.master.metrics.slow_consumers._value.get() == 0

    async def test_the_audit_finds_nothing_that_was_deferred(self, bench):
        await store_accounts(bench, {f"large-{number}": 1_500_000 for number in range(8)})
        worker = await bench.connect("worker")
        assert (await worker.ask("worker:register", registration()))["success"]
        while len(set(list_told(worker))) < 8:
            await worker.ask("worker:heartbeat", {"workerId": "worker-1"})
        findings = bench.master.metrics.sweep_findings.labels("audit")
        await bench.advance(15)
        assert findings._value.get() == 0
