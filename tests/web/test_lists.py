"""Lists that scale to people: search, filters, orders, cursors, totals, revisions."""

from __future__ import annotations

import pytest

from master.operations.logins import apply_report
from master.protocol.lists import write_cursor
from master.protocol.worker import LoginReport
from master.store import pages

BASE = 1_755_000_000
"""12 August 2025, noon."""


async def ids(site, path):
    return [row["id"] for row in (await site.call("GET", path))["data"]]


async def add_some(site):
    """Add accounts of many kinds; return name -> id."""
    worker = await site.register_worker(max_accounts=2)
    found = {}
    for name, fields in {
        "Alpha 小店": {"account_id": "dy-100", "tags": ["VIP", "上海"]},
        "beta": {"account_id": "dy_200", "status": "paused", "tags": ["vip2"]},
        "50% off": {"platform": "xhs", "note": "calls on Mondays"},
        "delta": {"status": "inactive"},
    }.items():
        site.clock.advance(1)
        found[name] = (await site.add_account(account_name=name, **fields))["id"]
    login = (await site.call("POST", f"/accounts/{found['beta']}/login"))["login_session"]
    report = LoginReport(
        session_id=login["session_id"],
        status="success",
        cookies=[{"name": "a", "value": "b"}],
        user_info={"nickname": "Nickel 面馆", "uid": "u-77", "signature": "delta"},
    )
    await site.turns.run(apply_report, report, worker)
    return found


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["Alpha 小店", "beta", "50% off", "delta"]),
        ("q=ALPHA", ["Alpha 小店"]),
        ("q=小店", ["Alpha 小店"]),
        ("q=nickel", ["beta"]),
        ("q=面馆", ["beta"]),
        ("q=u-77", ["beta"]),
        ("q=dy-", ["Alpha 小店"]),
        ("q=dy_", ["beta"]),
        ("q=%25", ["50% off"]),
        ("q=_", ["beta"]),
        ("q=/", []),
        ("q=delta", ["delta"]),
        ("q=signature", []),
        ("status=active&status=paused", ["Alpha 小店", "beta", "50% off"]),
        ("status=paused", ["beta"]),
        ("platform=xhs&platform=douyin&status=inactive", ["delta"]),
        ("unassigned=true", ["beta", "50% off", "delta"]),
        ("unassigned=false", ["Alpha 小店"]),
        ("assigned_worker_id=worker-1&assigned_worker_id=nobody", ["Alpha 小店"]),
        ("tag=vip", ["Alpha 小店"]),
        ("tag=vip&tag=VIP2", ["Alpha 小店", "beta"]),
        ("tag=上海&q=alpha", ["Alpha 小店"]),
        ("tag=上", []),
        ("sort=-created", ["delta", "50% off", "beta", "Alpha 小店"]),
        ("sort=name", ["50% off", "Alpha 小店", "beta", "delta"]),
        ("sort=-last_login&limit=1", ["beta"]),
        ("sort=platform&limit=1&offset=3", ["50% off"]),
    ],
)
async def test_accounts_are_found(site, query, names):
    known = await add_some(site)
    answer = await site.call("GET", f"/accounts?{query}")
    assert [row["account_name"] for row in answer["data"]] == names
    assert {known[name] for name in names} == {row["id"] for row in answer["data"]}
    if "limit" not in query:
        assert (answer["total"], answer["total_is_more"]) == (len(names), False)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/accounts?q=", "q"),
        ("/accounts?q=" + "x" * 101, "q"),
        ("/accounts?status=active&status=odd", "status"),
        ("/accounts?sort=colour", "sort"),
        ("/accounts?unassigned=perhaps", "unassigned"),
        ("/accounts?unassigned=true&assigned_worker_id=w", ""),
        ("/accounts?tag=%22", "tag"),
        ("/accounts?" + "&".join("status=active" for _ in range(51)), "status"),
        ("/workers?sort=name", "sort"),
        ("/comments?before=odd", "before"),
        ("/comments?before=" + "A" * 1_001, "before"),
        ("/comments?sort=detected&before=" + write_cursor("-detected", [1, 1, "x"]), "before"),
        ("/comments?before=" + write_cursor("-detected", ["1", 1, "x"]), "before"),
        ("/comments?before=" + write_cursor("-detected", [1]), "before"),
        ("/notifications?before=" + write_cursor("-seq", [2**63]), "before"),
        ("/notifications?after_seq=-1", "after_seq"),
        ("/comments?since=yesterday", "since"),
    ],
)
async def test_a_wrong_question_is_refused_and_the_field_named(site, path, field):
    error = await site.refused("GET", path, 422)
    assert any(one["field"] == field or not field for one in error["details"])


@pytest.mark.parametrize("path", ["/comments?account_id=a&account_id=b", "/accounts?q=a&q=b"])
async def test_what_may_be_given_once_is_refused_twice(site, path):
    error = await site.refused("GET", path, 400)
    assert error["details"][0]["message"] == "given more than once"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["a-1", "b-2", "c-3"]),
        ("q=B-", ["b-2"]),
        ("q=HOST-c", ["c-3"]),
        ("sort=-id", ["c-3", "b-2", "a-1"]),
        ("sort=-host", ["c-3", "b-2", "a-1"]),
        ("sort=-room", ["c-3", "b-2", "a-1"]),
        ("sort=started", ["a-1", "b-2", "c-3"]),
        ("status=connected&status=offline", ["a-1", "b-2", "c-3"]),
        ("status=offline&status=disconnected", []),
    ],
)
async def test_workers_are_found(site, query, found):
    for number, name in enumerate(("a-1", "b-2", "c-3"), 1):
        await site.register_worker(name, host=f"host-{name[0]}", max_accounts=number)
    assert await ids(site, f"/workers?{query}") == found


def comment(number, **fields):
    return {
        "platform_comment_id": f"c-{number}", "content": f"text {number}", "author_name": "Li",
        "detected_at": BASE + number // 2, "created_at": 900, **fields,
    }  # fmt: skip


def direct(number, **fields):
    return {
        "platform_message_id": f"m-{number}", "content": f"word {number}", "sender_name": "Wu",
        "direction": "inbound", "detected_at": BASE + number, **fields,
    }  # fmt: skip


@pytest.mark.parametrize("path", ["/comments", "/login-sessions", "/notifications"])
@pytest.mark.parametrize("opposite", [False, True])
async def test_pages_by_cursor_have_each_row_once_although_rows_arrive(site, path, opposite):
    worker = await site.register_worker()
    account = (await site.add_account())["id"]

    async def arrive(number):
        site.clock.advance(1)
        await site.detect(worker, account, "comment", comment(number))
        await site.call("POST", f"/accounts/{account}/login")

    for number in range(7):
        await arrive(number)
    sorts = {"/comments": "detected", "/login-sessions": "created", "/notifications": "seq"}
    sort = sorts[path] if opposite else f"-{sorts[path]}"
    expected = await ids(site, f"{path}?sort={sort}&limit=500")
    seen, before = [], ""
    for number in range(20):
        answer = await site.call("GET", f"{path}?sort={sort}&limit=2{before}")
        seen += [row["id"] for row in answer["data"]]
        assert answer["has_more"] is (answer["next_before"] is not None)
        if not answer["has_more"]:
            break
        before = f"&before={answer['next_before']}"
        if not opposite:  # in the opposite order, they are the end
            await arrive(100 + number)
    assert seen == expected


async def test_notifications_are_read_on_by_their_sequence(site):
    worker = await site.register_worker()
    account = (await site.add_account(tags=["vip"]))["id"]
    await site.detect(worker, account, "comment", *[comment(number) for number in range(5)])
    answer = await site.call("GET", "/notifications?sort=seq&after_seq=2&limit=2")
    assert [row["seq"] for row in answer["data"]] == [3, 4]
    assert [row["data"]["tags"] for row in answer["data"]] == [["vip"], ["vip"]]
    assert await ids(site, "/notifications?type=comment&type=system&after_seq=5") == []


@pytest.mark.parametrize(
    ("path", "contents"),
    [
        ("/comments?q=TEXT 3", ["text 3"]),
        ("/comments?q=LI&limit=2", ["text 5", "text 4"]),
        ("/comments?q=%25", []),
        ("/direct-messages?q=wu&sort=detected", ["word 0", "word 1"]),
        ("/direct-messages?direction=outbound", ["word 1"]),
        ("/comments?since=2025-08-12T12:00:02Z", ["text 5", "text 4"]),
        (f"/comments?since={BASE + 2}", ["text 5", "text 4"]),
        ("/comments?is_read=true", []),
        ("/comments?account_id=nobody", []),
    ],
)
async def test_messages_are_found(site, path, contents):
    worker = await site.register_worker()
    account = (await site.add_account())["id"]
    await site.detect(worker, account, "comment", *[comment(number) for number in range(6)])
    await site.detect(worker, account, "direct_message", direct(0), direct(1, direction="outbound"))
    answer = await site.call("GET", path)
    assert {row["content"] for row in answer["data"]} == set(contents)


async def test_a_search_goes_on_where_it_ended(site, monkeypatch):
    monkeypatch.setattr(pages, "MOST_SEARCHED", 3)
    worker = await site.register_worker()
    account = (await site.add_account())["id"]
    await site.detect(worker, account, "comment", *[comment(number) for number in range(10)])
    seen, path = [], "/comments?q=text 1&limit=2"
    for _ in range(4):
        answer = await site.call("GET", path)
        seen.append([row["content"] for row in answer["data"]])
        if not answer["has_more"]:
            break
        assert answer["total_is_more"]
        path = f"/comments?q=text 1&limit=2&before={answer['next_before']}"
    assert seen == [[], [], [], ["text 1"]]


@pytest.mark.parametrize(
    ("query", "total", "is_more"),
    [
        ("", 9, False),
        ("&q=text", 4, True),
        ("&q=text 3", 1, False),
        (f"&since={BASE + 4}", 1, False),
    ],
)
async def test_totals_are_exact_or_said_to_be_more(site, monkeypatch, query, total, is_more):
    monkeypatch.setattr(pages, "MOST_COUNTED", 4)
    worker = await site.register_worker()
    account = (await site.add_account())["id"]
    await site.detect(worker, account, "comment", *[comment(number) for number in range(9)])
    answer = await site.call("GET", f"/comments?limit=1{query}")
    assert (answer["total"], answer["total_is_more"]) == (total, is_more)


async def test_a_revision_grows_with_what_people_see_and_survives_a_start(site):
    worker = await site.register_worker()
    account = (await site.add_account())["id"]
    revs = [(await site.call("GET", "/accounts"))["rev"]]
    assert (await site.call("GET", "/statistics"))["rev"] == revs[0]
    changed = await site.call("PATCH", f"/accounts/{account}", json={"note": "x"})
    revs.append(changed["rev"])
    await site.detect(worker, account, "comment", comment(1))
    revs.append((await site.call("GET", f"/accounts/{account}"))["rev"])
    assert revs == [revs[0], revs[0] + 1, revs[0] + 2]
    told = [one.content.rev for one in site.parcels.sent if hasattr(one.content, "rev")]
    assert told == sorted(told)
    assert told[-1] == revs[-1]  # of the notification
    assert (await site.call("GET", "/comments"))["rev"] == revs[-1]
    site.memory.revision.value = 0  # as a new process has it
    await site.turns.load_farm()
    assert (await site.call("GET", "/accounts"))["rev"] > revs[-1]
    again = await site.call("PATCH", f"/accounts/{account}", json={"note": "y"})
    await site.turns.load_farm()  # after a commit in doubt, the same process goes on
    assert (await site.call("GET", "/accounts"))["rev"] == again["rev"]


async def add_unread(site):
    """Add accounts with 3, 1, 0, 1 and 2 unread messages; the last has comments alone."""
    worker = await site.register_worker()
    found = {}
    for name, comments, talks in (
        ("most", 1, 2), ("one", 1, 0), ("none", 0, 0), ("again", 0, 1), ("two", 2, 0),
    ):  # fmt: skip
        site.clock.advance(1)
        found[name] = (await site.add_account(account_name=name))["id"]
        account = found[name]
        if comments:
            await site.detect(worker, account, "comment", *map(comment, range(comments)))
        if talks:
            await site.detect(worker, account, "direct_message", *map(direct, range(talks)))
    return found


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("unread=true", ["most", "one", "again", "two"]),
        ("unread=false", ["none"]),
        ("sort=-unread", ["most", "two", "again", "one", "none"]),
        ("sort=unread", ["none", "one", "again", "two", "most"]),
        ("unread=true&sort=unread", ["one", "again", "two", "most"]),
        ("unread=true&q=o", ["most", "one", "two"]),
        ("sort=-unread&limit=2&offset=1", ["two", "again"]),
        ("unread=true&status=paused", []),
    ],
)
@pytest.mark.parametrize("path", ["/accounts", "/accounts/status/all"])
async def test_accounts_are_listed_by_their_unread_messages(site, path, query, names):
    known = await add_unread(site)
    answer = await site.call("GET", f"{path}?{query}")
    assert [row["account_name"] for row in answer["data"]] == names
    if "limit" not in query:
        assert answer["total"] == len(names)
    [message] = await ids(site, f"/comments?account_id={known['one']}")
    await site.call("POST", f"/messages/comments/{message}/read")
    answer = await site.call("GET", f"{path}?sort=unread")
    assert [row["unread"] for row in answer["data"]] == [0, 0, 1, 2, 3]
    assert known["one"] not in await ids(site, f"{path}?unread=true")
