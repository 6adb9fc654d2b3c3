"""Old events of the history are removed at their age limits, in portions."""

from __future__ import annotations

from master.decisions.retention import DAY_S
from master.operations.afterwards import do_nothing
from master.operations.proxies import add_proxy
from master.operations.retention import remove_old_rows
from master.operations.timelines import forget_events
from master.protocol.http import NewProxy
from master.store.rows import ROWS
from tests.conftest import Bench
from tests.walks.test_timeline import change, read_rows
from tests.walks.test_workers import make_account


async def test_events_are_kept_for_90_days_and_those_of_people_for_a_year(bench):
    account = await make_account(bench)
    await bench.worker()
    await change(bench, account, account_name="Other")
    kinds = "SELECT kind FROM events WHERE account_id IS NOT NULL ORDER BY seq"
    assert len(read_rows(bench, kinds)) == 3
    for days, left in ((90, 3), (91, 1), (365, 1), (366, 0)):
        bench.clock.advance(days * DAY_S - (bench.clock.now() - account["created_at"]))
        await make_event(bench)
        await bench.run(forget_events)
        await bench.run(do_nothing)
        assert len(read_rows(bench, kinds)) == left, days


async def make_event(bench: Bench) -> None:
    """Add an event, because the newest one is never removed."""
    await bench.run(add_proxy, NewProxy(name=f"p{bench.clock.now()}", server="h.example:1"))


async def test_old_events_go_in_portions_and_the_newest_stays(bench):
    many = 2 * ROWS + 10
    async with bench.master.database.write() as transaction:
        connection = await transaction.connect()
        await connection.exec_driver_sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
            "INSERT INTO events (seq, at_ms, kind, by_kind) "
            "SELECT i, 0, 'strange', CASE i % 3 WHEN 0 THEN 'http' ELSE 'sweep' END FROM n",
            (many,),
        )
    await bench.master.turns.load_farm()
    bench.clock.advance(400 * DAY_S)
    removed = await bench.run(remove_old_rows)
    assert removed is not None
    for _ in range(5):
        await bench.run(do_nothing)
    assert read_rows(bench, "SELECT seq FROM events") == [(many,)]
    await bench.master.turns.load_farm()
    assert bench.master.memory.farm.last_event == many
