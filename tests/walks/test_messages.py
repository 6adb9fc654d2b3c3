"""Messages are stored once, announced once, and kept for every device."""

from __future__ import annotations

from typing import Any

from master.operations.inbox import list_comments
from master.operations.notifications import list_notifications
from master.protocol.lists import CommentsQuery, NotificationsQuery
from tests.walks.test_workers import make_account


def comment(number: int) -> dict[str, Any]:
    return {"platform_comment_id": f"c{number}", "content": "same text", "author_name": "A"}


async def test_a_message_is_stored_and_told_once(bench):
    account = await make_account(bench)
    worker, admin, client = await bench.worker(), await bench.connect("admin"), await bench.device()
    report = {"type": "comment", "account_id": account["id"], "messages": [comment(1), comment(2)]}
    assert (await worker.ask("worker:message:detected", report))["inserted"] == 2
    again = await worker.ask("worker:message:detected", report)
    assert (again["inserted"], again["duplicates"]) == (0, 2)
    assert (await admin.hear("notification:new", 2))["title"] == "新评论"
    assert [one["seq"] for one in client.all("notification:new")] == [1, 2]


async def test_a_bad_item_is_refused_by_name_and_the_others_are_kept(bench):
    account = await make_account(bench)
    worker = await bench.worker()
    items = [comment(1), {"content": "no id"}, 7]
    report = {"type": "comment", "account_id": account["id"], "messages": items}
    answer = await worker.ask("worker:message:detected", report)
    assert answer["success"]
    assert answer["inserted"] == 1
    assert [one["index"] for one in answer["details"]] == [1, 2]


async def test_long_texts_are_stored_whole_and_cut_where_everybody_is_told(bench):
    account = await make_account(bench)
    worker, device = await bench.worker(), await bench.device()
    texts = {"content": "c" * 5_000, "post_title": "t" * 5_000}
    report = {"type": "comment", "account_id": account["id"], "messages": [comment(1) | texts]}
    await worker.ask("worker:message:detected", report)
    told = await device.hear("notification:new")
    assert (told["content"], told["data"]["post_title"]) == ("c" * 500, "t" * 500)
    query = CommentsQuery(account_id=account["id"])
    [stored] = (await bench.master.turns.look(list_comments, query)).rows
    assert {name: stored[name] for name in texts} == texts


async def test_many_reports_of_one_socket_keep_their_order(bench):
    account = await make_account(bench)
    worker, client = await bench.worker(), await bench.device()
    for number in range(300):
        report = {"type": "comment", "account_id": account["id"], "messages": [comment(number)]}
        await worker.client.emit("worker:message:detected", report, namespace="/worker")
    await client.hear("notification:new", 300)
    assert [one["data"]["platform_id"] for one in client.all("notification:new")] == [
        f"c{n}" for n in range(300)
    ]


async def test_each_device_is_owed_what_it_has_not_seen(bench):
    account = await make_account(bench)
    worker = await bench.worker()
    first = await bench.connect("client")
    assert (await first.ask("client:register", {"device_id": "phone"}))["success"]
    tablet = await bench.connect("client")
    await tablet.ask("client:register", {"device_id": "tablet"})
    await tablet.close()
    report = {"type": "comment", "account_id": account["id"], "messages": [comment(1)]}
    await worker.ask("worker:message:detected", report)
    told = await first.hear("notification:new")
    confirmed = await first.ask(
        "client:notification:ack", {"notification_id": told["id"], "client_id": "phone"}
    )
    assert confirmed["success"]
    back = await bench.connect("client")
    assert (await back.ask("client:register", {"device_id": "tablet"}))["owed"] == 1
    assert (await back.hear("notification:new"))["id"] == told["id"]
    synced = await back.ask("client:sync:request", {"device_id": "tablet", "after_seq": 0})
    assert [one["seq"] for one in synced["notifications"]] == [1]
    after = await back.ask("client:sync:request", {"device_id": "tablet", "after_seq": 1})
    assert after["notifications"] == []


async def test_an_unknown_event_and_a_reserved_name_are_answered(bench):
    worker = await bench.worker()
    for name in ("nonsense", "disconnect", "connect"):
        assert (await worker.ask(name, {}))["error"]["code"] == "unknown_event"
    assert (await worker.ask("worker:heartbeat", {"workerId": "worker-1"}))["success"]


async def test_a_notification_is_sent_once_somebody_had_it(bench):
    account = await make_account(bench)
    worker = await bench.worker()
    await worker.ask(
        "worker:message:detected",
        {"type": "comment", "account_id": account["id"], "messages": [comment(1)]},
    )
    await bench.advance(1)
    assert await list_sent(bench) == [False]
    admin = await bench.connect("admin")
    await admin.hear("notification:new")
    await bench.advance(1)
    assert await list_sent(bench) == [True]


async def list_sent(bench) -> list[bool]:
    listing = await bench.master.turns.look(list_notifications, NotificationsQuery())
    return [row["is_sent"] for row in listing.rows]
