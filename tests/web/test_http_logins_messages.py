"""Logins, messages and notifications over HTTP."""

from __future__ import annotations

import asyncio
import base64
import threading

import pytest

from master.web import answers, qr_codes
from master.web.answers import PAGE_BYTES
from master.web.qr_codes import draw_code

PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)
PNG_URL = "data:image/png;base64," + base64.b64encode(PNG).decode()


async def start_login(site):
    worker = await site.register_worker()
    account = await site.add_account()
    answer = await site.call("POST", f"/accounts/{account['id']}/login")
    return worker, account, answer["login_session"]


async def test_a_login_is_started_listed_shown_and_cancelled(site):
    _, account, started = await start_login(site)
    assert (started["worker_id"], started["status"]) == ("worker-1", "sent")
    listed = await site.call("GET", f"/login-sessions?status=pending&account_id={account['id']}")
    assert [row["id"] for row in listed["data"]] == [started["session_id"]]
    path = f"/login-sessions/{started['session_id']}"
    assert (await site.call("GET", path))["login_session"]["status"] == "pending"
    cancelled = (await site.call("POST", path + "/cancel"))["login_session"]
    assert cancelled["status"] == "failed"
    assert (await site.refused("POST", path + "/cancel", 409))["code"] == "login_closed"
    assert (await site.refused("GET", "/login-sessions/nobody", 404))["code"] == "unknown_session"
    assert (await site.refused("POST", "/login-sessions/nobody/cancel", 404))[
        "code"
    ] == "unknown_session"


async def test_a_login_needs_an_account_and_a_worker(site):
    assert (await site.refused("POST", "/accounts/nobody/login", 404))["code"] == "unknown_account"
    account = await site.add_account()
    assert (await site.refused("POST", f"/accounts/{account['id']}/login", 409, json={}))[
        "code"
    ] == "no_worker"
    error = await site.refused(
        "POST", f"/accounts/{account['id']}/login", 422, json={"worker_id": ""}
    )
    assert error["details"][0]["field"] == "worker_id"


@pytest.mark.parametrize("name", ["account_id", "id", "{id}"])
async def test_a_body_does_not_say_what_the_path_says(site, name):
    account, other = await site.add_account(), await site.add_account(account_name="other")
    error = await site.refused(
        "POST", f"/accounts/{account['id']}/login", 422, json={name: other["id"]}
    )
    message = "unknown; known are: worker_id, session_id, accept_identity"
    assert error["details"] == [{"field": name, "message": message}]


async def test_the_code_of_an_open_login_is_an_image(site):
    worker, _, started = await start_login(site)
    path = f"/login-sessions/{started['session_id']}/qr.png"
    await site.refused("GET", path, 404)
    await site.show_code(worker, started["session_id"], PNG_URL)
    answer = await site.ask("GET", "/api/v1" + path)
    assert (answer.status, answer.content_type) == (200, "image/png")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert await answer.read() == PNG
    await site.call("POST", f"/login-sessions/{started['session_id']}/cancel")
    await site.refused("GET", path, 404)


async def test_a_code_in_bare_base64_is_an_image_too(site):
    worker, _, started = await start_login(site)
    await site.show_code(worker, started["session_id"], PNG_URL.partition(",")[2])
    answer = await site.ask("GET", f"/api/v1/login-sessions/{started['session_id']}/qr.png")
    assert (answer.status, answer.content_type, await answer.read()) == (200, "image/png", PNG)


@pytest.mark.parametrize(
    "data", ["data:image/bmp;base64,Qk0=", "<p>", "data:,", "data:image/png;base64,A", "x" * 1_025]
)
async def test_a_code_that_is_no_image_is_drawn_from_its_url(site, data):
    worker, _, started = await start_login(site)
    path = f"/login-sessions/{started['session_id']}/qr.png"
    await site.show_code(worker, started["session_id"], data)
    await site.refused("GET", path, 404)
    await site.show_code(worker, started["session_id"], data, "https://example.org/scan")
    answer = await site.ask("GET", "/api/v1" + path)
    assert (answer.status, answer.content_type) == (200, "image/png")
    assert (await answer.read()).startswith(PNG[:8])
    await site.show_code(worker, started["session_id"], data, "https://example.org/" + "x" * 1_005)
    await site.refused("GET", path, 404)


async def test_a_code_is_drawn_once_for_all_who_ask_and_never_in_the_loop(site, monkeypatch):
    drawn = []

    def draw(url: str) -> bytes:
        drawn.append(threading.current_thread() is threading.main_thread())
        return draw_code(url)

    monkeypatch.setattr(qr_codes, "draw_code", draw)
    worker, _, started = await start_login(site)
    await site.show_code(
        worker, started["session_id"], "opaque", "https://example.org/" + "x" * 1_004
    )
    path = f"/api/v1/login-sessions/{started['session_id']}/qr.png"
    asked = await asyncio.gather(*(site.ask("GET", path) for _ in range(10)))
    assert {answer.status for answer in asked} == {200}
    assert drawn == [False]


async def test_a_page_ends_by_its_bytes_and_says_where_the_next_begins(site):
    worker, account = await site.register_worker(), await site.add_account()
    for first in range(0, 60, 10):
        items = [
            {"platform_comment_id": f"c{first + n}", "content": "字" * 60_000} for n in range(10)
        ]
        await site.detect(worker, account["id"], "comment", *items)
    offset, seen, sizes = 0, [], []
    while offset is not None:
        answer = await site.ask("GET", f"/api/v1/comments?limit=500&offset={offset}")
        sizes.append(len(await answer.read()))
        page = await answer.json()
        assert (page["total"], page["limit"], page["offset"]) == (60, 500, offset)
        assert page["has_more"] is (page["next_offset"] is not None)
        seen += [row["platform_comment_id"] for row in page["data"]]
        offset = page["next_offset"]
    assert len(seen) == len(set(seen)) == 60
    assert max(sizes) < 2 * (PAGE_BYTES + 200_000)
    assert len(sizes) == 10  # 6 rows of 180 kB each


async def test_a_row_that_is_larger_than_a_page_is_a_page(site):
    worker, account = await site.register_worker(), await site.add_account()
    items = [{"platform_comment_id": f"c{n}", "content": "字"} for n in range(3)]
    await site.detect(worker, account["id"], "comment", *items)
    pages = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answers, "PAGE_BYTES", 1)
        for offset in range(3):
            page = await site.call("GET", f"/comments?offset={offset}")
            pages.append((len(page["data"]), page["has_more"], page["next_offset"]))
    assert pages == [(1, True, 1), (1, True, 2), (1, False, None)]


async def test_counts_of_everything_are_counted_once_a_second_for_all_callers(site):
    async def count() -> int:
        return (await site.call("GET", "/statistics"))["statistics"]["accounts"]["total"]

    assert await count() == 0
    await site.add_account()
    assert await asyncio.gather(*(count() for _ in range(20))) == [0] * 20
    site.clock.advance(1)
    assert await count() == 1


async def test_messages_are_listed_and_marked_read(site):
    worker = await site.register_worker()
    account = await site.add_account()
    items = [{"platform_comment_id": f"c{number}", "content": "hi"} for number in range(3)]
    await site.detect(worker, account["id"], "comment", *items)
    site.clock.advance(10)
    message = {"platform_message_id": "m", "content": "hi", "direction": "inbound"}
    await site.detect(worker, account["id"], "direct_message", message)
    listed = await site.call("GET", f"/comments?limit=2&offset=0&account_id={account['id']}")
    assert (len(listed["data"]), listed["total"], listed["limit"]) == (2, 3, 2)
    direct = await site.call("GET", "/direct-messages?limit=20&offset=0&direction=inbound")
    assert direct["total"] == 1
    assert (await site.call("GET", "/direct-messages?direction=outbound"))["total"] == 0
    assert (await site.call("GET", f"/comments?since={int(site.clock.now())}"))["total"] == 0
    assert (await site.call("GET", f"/comments?since={int((site.clock.now() - 10) * 1000)}"))[
        "total"
    ] == 3
    for kind, row in (("comments", listed["data"][0]), ("direct-messages", direct["data"][0])):
        read = await site.call("POST", f"/messages/{kind}/{row['id']}/read")
        assert read["message"]["is_read"] is True
        assert (await site.call("POST", f"/messages/{kind}/{row['id']}/read"))["data"][
            "is_read"
        ] is True
    assert (await site.call("GET", "/comments?is_read=false"))["total"] == 2
    await site.refused("POST", f"/messages/letters/{listed['data'][0]['id']}/read", 404)
    await site.refused("POST", "/messages/comments/nobody/read", 404)


async def test_notifications_are_listed_by_type_account_and_priority(site):
    worker = await site.register_worker()
    account = await site.add_account()
    await site.detect(
        worker, account["id"], "comment", {"platform_comment_id": "c", "content": "hi"}
    )
    listed = await site.call("GET", "/notifications?limit=50&type=comment")
    assert [row["title"] for row in listed["data"]] == ["新评论"]
    assert (await site.call("GET", f"/notifications?account_id={account['id']}&is_sent=false"))[
        "total"
    ] == 1
    assert (await site.call("GET", "/notifications?type=system"))["total"] == 0
    assert (await site.refused("GET", "/notifications?priority=extreme", 422))["details"][0][
        "field"
    ] == "priority"


@pytest.mark.parametrize(
    "path", ["/comments?limit=0", "/comments?limit=501", "/comments?limit=abc", "/comments?limit=",
             "/comments?offset=-1", "/comments?is_read=perhaps", "/comments?since=soon",
             "/comments?since=NaN", "/comments?since=" + "9" * 5_000,
             "/direct-messages?direction=sideways", "/login-sessions?status=odd"],
)  # fmt: skip
async def test_wrong_values_in_a_query_are_invalid_and_named(site, path):
    error = await site.refused("GET", path, 422)
    assert error["code"] == "invalid"
    assert error["details"][0]["field"] == path.partition("?")[2].partition("=")[0]


@pytest.mark.parametrize(
    "path",
    ["/comments?limt=3", "/comments?direction=inbound", "/comments?limit=3&limit=4",
    "/statistics?a=1",
             "/comments?=1", "/comments?%00=1", "/comments?%ED%A0%80=1", "/accounts/x?limit=1"],
)  # fmt: skip
async def test_unknown_and_repeated_parameters_are_unreadable(site, path):
    error = await site.refused("GET", path, 400)
    assert error["code"] == "unknown_parameter"
    assert error["details"]
