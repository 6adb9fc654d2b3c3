"""The sequence in the file follows memory: no sequence number is issued twice."""

from __future__ import annotations

from tests.walks.test_messages import comment
from tests.walks.test_workers import make_account


async def read_seqs(bench) -> tuple[int, list[int]]:
    """Return the file's counter, and the stored sequence numbers."""
    async with bench.master.database.read() as connection:
        counter = await connection.exec_driver_sql(
            "SELECT value FROM counters WHERE name = 'notification_seq'"
        )
        seqs = await connection.exec_driver_sql("SELECT seq FROM notifications ORDER BY seq")
        return counter.scalar_one(), list(seqs.scalars())


async def test_a_report_alone_moves_the_files_counter_as_well(bench):
    account = await make_account(bench)
    worker = await bench.worker()
    for first in (1, 3):
        messages = [comment(first), comment(first + 1)]
        report = {"type": "comment", "account_id": account["id"], "messages": messages}
        assert (await worker.ask("worker:message:detected", report))["inserted"] == 2
        assert await read_seqs(bench) == (first + 1, list(range(1, first + 2)))
        assert bench.master.memory.farm.last_seq == first + 1
