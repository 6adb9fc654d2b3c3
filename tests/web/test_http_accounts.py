"""Accounts, workers and reports over HTTP."""

from __future__ import annotations

import pytest

from master.operations.workers import say_goodbye
from master.protocol.worker import Goodbye

SHOWN = {
    "id", "platform", "account_name", "account_id", "platform_user_id", "user_info", "status",
    "login_status", "monitor_interval", "last_login_time", "cookies_valid_until", "has_credentials",
    "assigned_worker_id", "pinned_worker_id", "epoch", "created_at", "updated_at",
    "state", "placement", "proxy_id", "tags", "note", "unread",
}  # fmt: skip


async def test_an_account_is_created_shown_changed_and_removed(site):
    body = {
        "platform": "douyin",
        "account_name": "我的账号",
        "account_id": "xxx",
        "monitor_interval": 20,
    }
    answer = await site.ask("POST", "/api/v1/accounts", json=body)
    created = await answer.json()
    account = created["account"]
    assert (answer.status, created["success"], created["data"]) == (201, True, account)
    assert answer.headers["Location"] == f"/api/v1/accounts/{account['id']}"
    assert set(account) == SHOWN
    assert account.items() >= body.items()
    path = f"/accounts/{account['id']}"
    assert (await site.call("GET", path))["account"] == account
    site.clock.advance(5)
    changed = await site.call("PUT", path, json={"account_name": "b", "monitor_interval": "60"})
    assert (changed["account"]["account_name"], changed["data"]["monitor_interval"]) == ("b", 60)
    assert changed["account"]["updated_at"] == account["updated_at"] + 5
    patched = await site.call("PATCH", path, json={"status": "paused"})
    assert (patched["account"]["status"], patched["account"]["account_name"]) == ("paused", "b")
    assert (await site.call("PUT", path, json=patched["account"]))["account"]["status"] == "paused"
    removed = await site.call("DELETE", path)
    assert removed["account"] == removed["data"]
    assert (await site.refused("GET", path, 404))["code"] == "unknown_account"
    assert (await site.refused("DELETE", path, 404))["code"] == "unknown_account"
    assert (await site.refused("PUT", path, 404, json={}))["code"] == "unknown_account"


async def test_the_same_social_media_account_is_there_once(site):
    account = await site.add_account(account_id="xxx")
    body = {"platform": "douyin", "account_name": "again", "account_id": "xxx"}
    error = await site.refused("POST", "/accounts", 409, json=body)
    assert error["code"] == "already_exists"
    assert error["details"] == [{"id": account["id"]}]
    await site.add_account(account_id="xxx", platform="xiaohongshu")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"platform", "account_name"}),
        ({"platform": "Dou Yin", "account_name": "a"}, {"platform"}),
        ({"platform": "douyin", "account_name": "   "}, {"account_name"}),
        ({"platform": "douyin", "account_name": "a", "monitor_interval": 0}, {"monitor_interval"}),
        (
            {"platform": "douyin", "account_name": "a", "monitor_interval": 1.5},
            {"monitor_interval"},
        ),
        ({"platform": "douyin", "account_name": "a", "status": "asleep"}, {"status"}),
        ({"platform": "douyin", "account_name": "a", "acount_id": "x"}, {"acount_id"}),
        ({"platform": ["douyin"], "account_name": {}}, {"platform", "account_name"}),
        (
            {"platform": "douyin", "account_name": "a", "assigned_worker_id": "nobody"},
            {"assigned_worker_id"},
        ),
    ],
)
async def test_wrong_values_are_named_and_nothing_is_stored(site, body, fields):
    error = await site.refused("POST", "/accounts", 422, json=body)
    assert error["code"] == "invalid"
    assert {detail["field"] for detail in error["details"]} == fields
    assert (await site.call("GET", "/accounts"))["total"] == 0


async def test_lists_are_filtered_and_paged(site):
    ids = []
    for number in range(5):
        ids.append((await site.add_account(account_name=f"a{number}"))["id"])
        site.clock.advance(1)
    await site.add_account(platform="xiaohongshu", status="paused")
    page = await site.call("GET", "/accounts?limit=2&offset=1&platform=douyin")
    assert [row["id"] for row in page["accounts"]] == ids[1:3]
    assert page["data"] == page["accounts"]
    assert (page["total"], page["limit"], page["offset"]) == (5, 2, 1)
    assert set(page) == {
        "success",
        "accounts",
        "data",
        "total",
        "limit",
        "offset",
        "has_more",
        "next_offset",
        "next_before",
        "rev",
        "total_is_more",
    }
    assert (await site.call("GET", "/accounts?status=paused"))["total"] == 1
    assert (await site.call("GET", "/accounts?login_status=logged_in"))["accounts"] == []
    assert (await site.call("GET", "/accounts?assigned_worker_id=w"))["total"] == 0
    beyond = await site.call("GET", "/accounts?offset=9007199254740992")
    assert (beyond["accounts"], beyond["total"]) == ([], 6)


async def test_every_account_is_shown_with_its_worker_and_what_it_detected(site):
    worker = await site.register_worker()
    held, _ = (
        await site.add_account(account_name="held"),
        await site.add_account(platform="xiaohongshu"),
    )
    await site.detect(worker, held["id"], "comment", {"platform_comment_id": "c1", "content": "hi"})
    await site.detect(
        worker, held["id"], "direct_message", {"platform_message_id": "m1", "content": "hi"}
    )
    answer = await site.call("GET", "/accounts/status/all")
    shown = {row["account_name"]: row for row in answer["accounts"]}
    assert shown["held"]["worker"]["id"] == "worker-1"
    now = int(site.clock.now())
    assert shown["held"]["runtime_stats"] == {
        "comments": 1,
        "direct_messages": 1,
        "unread": 2,
        "last_detected_at": now,
        "last_heartbeat": now,
    }
    assert shown["我的账号"]["worker"] is None
    assert shown["我的账号"]["runtime_stats"]["last_detected_at"] is None
    assert (await site.call("GET", "/accounts/status/all?platform=douyin"))["total"] == 1


async def test_workers_are_listed_and_shown_with_their_accounts(site):
    await site.register_worker("worker-1")
    await site.register_worker("worker-2", max_accounts=0)
    account = await site.add_account()
    listed = await site.call("GET", "/workers?status=connected")
    assert [row["id"] for row in listed["data"]] == ["worker-1", "worker-2"]
    assert (await site.call("GET", "/workers?status=offline"))["total"] == 0
    shown = (await site.call("GET", "/workers/worker-1"))["worker"]
    assert [row["id"] for row in shown["accounts"]] == [account["id"]]
    assert (await site.refused("GET", "/workers/nobody", 404))["code"] == "unknown_worker"


async def test_statistics_and_status_count_everything(site):
    worker = await site.register_worker()
    account = await site.add_account()
    await site.detect(
        worker, account["id"], "comment", {"platform_comment_id": "c1", "content": "hi"}
    )
    statistics = (await site.call("GET", "/statistics"))["statistics"]
    assert statistics["workers"] == {"total": 1, "online": 1, "disconnected": 0, "offline": 0}
    assert statistics["accounts"]["by_platform"] == {"douyin": 1}
    assert statistics["messages"] == {
        "comments": {"total": 1, "unread": 1},
        "direct_messages": {"total": 0, "unread": 0},
        "unread_by_account": [{"account_id": account["id"], "unread": 1}],
    }
    assert statistics["notifications"]["by_type"]["comment"] == 1
    site.clock.advance(12.5)
    answer = await site.call("GET", "/status")
    status = answer["status"]
    assert (status["version"], status["uptime_s"]) == ("1.2.3", 12.5)
    assert status["started_at"] == int(site.clock.now() - 12.5)
    assert (
        status["accounts"].items()
        >= {"total": 1, "active": 1, "not_logged_in": 1, "logged_in": 0}.items()
    )
    assert status["loginSessions"] == {
        "total": 0, "pending": 0, "scanning": 0, "success": 0, "failed": 0, "expired": 0,
    }  # fmt: skip
    assert status["platforms"] == {"douyin": 1}


async def test_an_account_is_pinned_where_it_is_and_let_go_again(site):
    await site.register_worker("worker-1")
    account = await site.add_account()
    path = f"/accounts/{account['id']}"
    pinned = (await site.call("PUT", path, json={"pinned_worker_id": "worker-1"}))["account"]
    assert (pinned["assigned_worker_id"], pinned["pinned_worker_id"], pinned["epoch"]) == (
        "worker-1",
        "worker-1",
        1,
    )
    again = (await site.call("PUT", path, json=pinned))["account"]
    assert again == pinned, "a whole row sent back requests no change"
    error = await site.refused("PUT", path, 422, json={"pinned_worker_id": "nobody"})
    assert [detail["field"] for detail in error["details"]] == ["pinned_worker_id"]
    let_go = (await site.call("PATCH", path, json={"pinned_worker_id": None}))["account"]
    assert (let_go["assigned_worker_id"], let_go["pinned_worker_id"]) == ("worker-1", None)


async def test_a_row_from_before_the_account_changed_hands_pins_it_nowhere(site):
    await site.register_worker("worker-1")
    account = await site.add_account()
    path = f"/accounts/{account['id']}"
    await site.register_worker("worker-2")
    moved = (await site.call("PUT", path, json={"assigned_worker_id": "worker-2"}))["account"]
    moved = (await site.call("PUT", path, json={"assigned_worker_id": None}))["account"]
    assert (moved["assigned_worker_id"], moved["pinned_worker_id"], moved["epoch"]) == (
        "worker-2",
        None,
        2,
    )
    error = await site.refused("PUT", path, 409, json=account | {"monitor_interval": 60})
    assert error["code"] == "stale_epoch"
    assert (await site.call("GET", path))["account"] == moved
    kept = (await site.call("PUT", path, json=moved | {"monitor_interval": 60}))["account"]
    assert (kept["monitor_interval"], kept["pinned_worker_id"]) == (60, None)
    elsewhere = {"assigned_worker_id": "worker-1"}
    chosen = (await site.call("PUT", path, json=kept | elsewhere))["account"]
    assert (
        chosen.items()
        >= {"assigned_worker_id": "worker-1", "pinned_worker_id": "worker-1", "epoch": 3}.items()
    )


async def test_a_row_from_before_the_account_was_revoked_pins_it_nowhere(site):
    worker = await site.register_worker("worker-1")
    account = await site.add_account()
    path = f"/accounts/{account['id']}"
    held = (await site.call("GET", path))["account"]
    site.clock.advance(5)
    await site.turns.run(say_goodbye, Goodbye(worker_id="worker-1"), worker)
    waiting = (await site.call("GET", path))["account"]
    assert (waiting["assigned_worker_id"], waiting["epoch"]) == (None, held["epoch"])
    assert (await site.refused("PUT", path, 409, json=held | {"monitor_interval": 60}))[
        "code"
    ] == "stale_epoch"
    kept = (await site.call("PUT", path, json=waiting | {"monitor_interval": 60}))["account"]
    assert (kept["monitor_interval"], kept["pinned_worker_id"]) == (60, None)
    chosen = (await site.call("PUT", path, json=kept | {"assigned_worker_id": "worker-1"}))[
        "account"
    ]
    assert chosen["pinned_worker_id"] == "worker-1"
    shown_otherwise = chosen | {
        "updated_at": "2026-01-01T00:00:00Z",
        "created_at": None,
        "account_name": "b",
    }
    assert (await site.call("PUT", path, json=shown_otherwise))["account"]["account_name"] == "b"


async def test_an_old_epoch_is_no_conflict_where_the_row_wishes_for_no_worker(site):
    account = await site.add_account()
    path = f"/accounts/{account['id']}"
    await site.register_worker("worker-1")
    assert (account["assigned_worker_id"], account["epoch"]) == (None, 0)
    changed = (await site.call("PUT", path, json=account | {"monitor_interval": 60}))["account"]
    assert (changed["assigned_worker_id"], changed["monitor_interval"]) == ("worker-1", 60)
    await site.register_worker("worker-2")
    pinned = (await site.call("PUT", path, json=account | {"pinned_worker_id": "worker-2"}))[
        "account"
    ]
    assert (pinned["assigned_worker_id"], pinned["epoch"]) == ("worker-2", 2)
    without = (await site.call("PUT", path, json={"assigned_worker_id": "worker-1"}))["account"]
    assert (without["assigned_worker_id"], without["epoch"]) == ("worker-1", 3)
