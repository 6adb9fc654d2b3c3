"""Old rows go at their borders, and not a second earlier."""

from __future__ import annotations

from master.decisions.retention import DAY_S
from master.operations.retention import remove_old_rows
from tests.walks.test_logins import start
from tests.walks.test_messages import comment


async def test_an_ended_login_is_kept_for_seven_days_to_the_second(bench):
    _, worker, _, session = await start(bench)
    await worker.ask("worker:login:status", {"session_id": session, "status": "failed"})
    bench.clock.advance(7 * DAY_S)
    assert (await bench.run(remove_old_rows))["login_sessions"] == 0
    bench.clock.advance(1)
    assert (await bench.run(remove_old_rows))["login_sessions"] == 1


async def test_an_open_login_is_never_removed_for_its_age(bench):
    await start(bench)
    bench.clock.advance(8 * DAY_S)
    assert (await bench.run(remove_old_rows))["login_sessions"] == 0


async def test_a_notification_is_kept_for_thirty_days_and_its_place_is_not_given_again(bench):
    _, worker, account, _ = await start(bench)
    report = {"type": "comment", "account_id": account["id"], "messages": [comment(1)]}
    await worker.ask("worker:message:detected", report)
    bench.clock.advance(30 * DAY_S)
    assert (await bench.run(remove_old_rows))["notifications"] == 0
    bench.clock.advance(1)
    assert (await bench.run(remove_old_rows))["notifications"] == 1
    device = await bench.device()
    await worker.ask("worker:message:detected", report | {"messages": [comment(2)]})
    assert (await device.hear("notification:new"))["seq"] == 2
