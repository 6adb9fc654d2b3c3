"""Common to all requests: bad bodies, unknown routes, request ids, CORS, headers, health."""

from __future__ import annotations

import asyncio
import io
import json
import re
from pathlib import Path

import aiohttp
import pytest

from master.endpoints import ENDPOINTS, ROOT
from master.errors import Overloaded
from master.protocol.wire import PATTERN_WORDS
from master.routes import NAMESPACES
from master.settings import Settings, load_settings

ALLOWED = "http://localhost:3001"
STRANGE = "https://evil.example"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    paths = {"DB_PATH": str(tmp_path / "master.db"), "LOG_DIR": str(tmp_path / "logs")}
    return load_settings({**paths, "ALLOWED_ORIGINS": ALLOWED}, None)


@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"{", b"[]", b"3", b'"x"', b"null", b"{'a': 1}", b'{"a": NaN}', b'{"a": -Infinity}',
    b"\xff\xfe{}",
     '{"platform": "douyin"}'.encode("utf-16"), b'{"a": "\xff"}',
     b'{"a":' * 2_000 + b"1" + b"}" * 2_000, b"[" * 100_000, b'{"a": ' + b"1" * 5_000 + b"}",
     b"\x00" * 1_000],
    ids=lambda body: repr(body[:20]),
)  # fmt: skip
async def test_a_body_that_is_no_json_object_is_unreadable(site, body):
    error = await site.refused("POST", "/accounts", 400, data=body)
    assert error["code"] == "unreadable"


async def test_deep_nesting_and_huge_numbers_are_refused_not_fatal(site):
    deep = b'{"platform": "douyin", "account_name": ' + b"[" * 500 + b"]" * 500 + b"}"
    await site.refused("POST", "/accounts", 422, data=deep)
    huge = b'{"platform": "douyin", "account_name": "a", "monitor_interval": 1' + b"0" * 400 + b"}"
    await site.refused("POST", "/accounts", 422, data=huge)


async def test_half_an_emoji_and_a_strange_content_type_do_no_harm(site):
    body = b'{"platform": "douyin", "account_name": "a\\ud83d"}'
    answer = await site.call(
        "POST", "/accounts", 201, data=body, headers={"Content-Type": "text/plain"}
    )
    assert answer["account"]["account_name"] == "a\ufffd"


@pytest.mark.parametrize(
    ("path", "body", "field", "said"),
    [
        ("/accounts", {"platform": "抖音", "account_name": "a"}, "platform", "for example douyin"),
        ("/proxies", {"name": "a", "server": "example.com"}, "server", "host:port"),
    ],
)
async def test_a_text_of_the_wrong_form_is_refused_in_words(site, path, body, field, said):
    error = await site.refused("POST", path, 422, json=body)
    [fault] = error["details"]
    assert (fault["field"], said in fault["message"]) == (field, True), fault


def test_each_form_that_a_request_may_break_is_told_in_words():
    asked = {one.payload for one in ENDPOINTS} | {
        route.payload for routes in NAMESPACES.values() for route in routes.values()
    }
    patterns = {
        found
        for payload in asked
        for found in re.findall(
            r'"pattern": ("(?:[^"\\\\]|\\\\.)*")', json.dumps(payload.model_json_schema())
        )
    }
    told = {json.loads(one) for one in patterns}
    assert told
    assert told <= set(PATTERN_WORDS)


async def test_a_body_beyond_the_limit_is_too_large(site, settings):
    error = await site.refused(
        "POST", "/accounts", 413, data=io.BytesIO(b" " * (settings.max_body_bytes + 1))
    )
    assert error["code"] == "too_large"


@pytest.mark.parametrize(
    "path", ["/nowhere", "/accounts/", "/accounts/a/b", "/Accounts", "/../etc/passwd"]
)
async def test_an_unknown_route_is_not_found(site, path):
    assert (await site.refused("GET", path, 404))["code"] == "not_found"


@pytest.mark.parametrize(
    "name",
    [
        "%00",
        "a%00b",
        "%0A",
        "%7F",
        "%20",
        "%ED%A0%80",
        "%FF",
        "..%2F..",
        "x" * 3_000,
        "%F0%9F%98%80",
        "'--",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_strange_name_in_the_path_is_unknown(site, name, method):
    await site.refused(method, f"/accounts/{name}", 404, json={} if method == "PUT" else None)


async def test_a_wrong_method_is_refused_with_what_is_allowed(site):
    answer = await site.ask("DELETE", ROOT + "/accounts")
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD, POST"
    assert (await answer.json())["error"]["code"] == "method_not_allowed"


async def test_head_answers_like_get_without_a_body(site):
    answer = await site.ask("HEAD", ROOT + "/accounts")
    assert (answer.status, await answer.read()) == (200, b"")
    assert (await site.ask("HEAD", "/health/live")).status == 200


async def test_a_request_id_is_kept_if_sane_and_made_otherwise(site):
    kept = await site.ask("GET", ROOT + "/accounts", headers={"X-Request-Id": "abc-123"})
    assert kept.headers["X-Request-Id"] == "abc-123"
    for strange in ("", "a b", "x" * 129, "<script>"):
        made = await site.ask("GET", ROOT + "/nowhere", headers={"X-Request-Id": strange})
        assert made.headers["X-Request-Id"].startswith("request-")


async def test_every_answer_forbids_sniffing_and_keeping(site):
    for method, path in (
        ("GET", ROOT + "/accounts"),
        ("GET", "/nowhere"),
        ("GET", "/health"),
        ("POST", "/health"),
    ):
        answer = await site.ask(method, path)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.content_type == "application/json"


async def test_pages_of_allowed_origins_may_ask_with_credentials(site):
    answer = await site.ask("GET", ROOT + "/accounts", headers={"Origin": ALLOWED})
    assert answer.headers["Access-Control-Allow-Origin"] == ALLOWED
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert "Origin" in answer.headers["Vary"]
    refused = await site.ask("GET", ROOT + "/accounts/nobody", headers={"Origin": ALLOWED})
    assert (refused.status, refused.headers["Access-Control-Allow-Origin"]) == (404, ALLOWED)


async def test_a_preflight_is_answered_without_reaching_the_route(site):
    asked = {
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type",
    }
    answer = await site.ask("OPTIONS", ROOT + "/accounts/x", headers={"Origin": ALLOWED, **asked})
    assert (answer.status, await answer.read()) == (204, b"")
    assert "PUT" in answer.headers["Access-Control-Allow-Methods"]
    assert "Content-Type" in answer.headers["Access-Control-Allow-Headers"]
    strange = await site.ask("OPTIONS", ROOT + "/accounts/x", headers={"Origin": STRANGE, **asked})
    assert strange.status == 204
    assert "Access-Control-Allow-Origin" not in strange.headers


async def test_a_strange_page_reads_and_changes_nothing(site):
    body = {"platform": "douyin", "account_name": "a"}
    for origin in (STRANGE, "null", ALLOWED + ".evil.example"):
        read = await site.ask("GET", ROOT + "/accounts", headers={"Origin": origin})
        assert "Access-Control-Allow-Origin" not in read.headers
        error = await site.refused("POST", "/accounts", 403, json=body, headers={"Origin": origin})
        assert error["code"] == "foreign_origin"
    assert (await site.call("GET", "/accounts"))["total"] == 0
    await site.call("POST", "/accounts", 201, json=body, headers={"Origin": ALLOWED})
    own = f"http://{site.client.host}:{site.client.port}"
    await site.call("POST", "/accounts", 201, json=body, headers={"Origin": own})


async def test_get_changes_nothing_and_only_operations_that_write_get_a_turn():
    assert not [
        endpoint.path for endpoint in ENDPOINTS if endpoint.method == "GET" and endpoint.writes
    ]
    assert len({(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}) == len(ENDPOINTS)


async def test_a_caller_is_told_when_to_return_while_master_stops(site):
    await site.turns.close()
    answer = await site.ask(
        "POST", ROOT + "/accounts", json={"platform": "douyin", "account_name": "a"}
    )
    assert (answer.status, (await answer.json())["error"]["code"]) == (503, "stopping")
    assert int(answer.headers["Retry-After"]) >= 1


async def test_a_bug_is_answered_as_internal_without_its_words(site):
    async def break_down(event, turn):
        raise ZeroDivisionError("the secret of the house")

    object.__setattr__(site.turns, "look", lambda *_: break_down(None, None))
    answer = await site.ask("GET", ROOT + "/accounts")
    assert answer.status == 500
    assert (await answer.json())["error"]["code"] == "internal"
    assert "secret" not in await answer.text()


def test_a_refusal_in_milliseconds_becomes_whole_seconds():
    from master.web.answers import answer_refusal

    assert answer_refusal(Overloaded(retry_after_ms=1_001)).headers["Retry-After"] == "2"
    assert answer_refusal(Overloaded(retry_after_ms=0)).headers["Retry-After"] == "1"


async def test_health_tells_how_master_does(site):
    await site.register_worker()
    site.clock.advance(3)
    content = await (await site.ask("GET", "/health")).json()
    assert (
        content.items()
        >= {"status": "ok", "version": "1.2.3", "uptime_s": 3.0, "database": "ok"}.items()
    )
    assert content["workers"]["online"] == 1
    assert (await site.ask("GET", "/health/ready")).status == 200
    assert (await site.ask("GET", "/health/live")).status == 200
    root = await (await site.ask("GET", "/")).json()
    assert (root["name"], root["links"]["health"]) == ("master", "/health")


async def test_a_stopping_master_lives_but_is_not_ready(site):
    site.vitals.stopping = True
    answer = await site.ask("GET", "/health/ready")
    assert (answer.status, (await answer.json())["reason"]) == (503, "Master is stopping.")
    assert (await site.ask("GET", "/health/live")).status == 200
    assert (await site.ask("GET", "/health")).status == 503


async def test_a_master_without_its_database_lives_but_is_not_ready(site, settings):
    await site.database.close()
    await asyncio.to_thread(settings.db_path.write_bytes, b"this is no database" * 1_000)
    answer = await site.ask("GET", "/health/ready")
    reason = "The database cannot be relied on: file is not a database."
    assert (answer.status, (await answer.json())["reason"]) == (503, reason)
    assert (await (await site.ask("GET", "/health")).json())["status"] == "degraded"
    assert (await site.ask("GET", "/health/live")).status == 200
    listed = await site.ask("GET", ROOT + "/accounts")
    assert (listed.status, (await listed.json())["error"]["code"]) == (503, "storage_trouble")
    assert listed.headers["Retry-After"] == "1"


async def test_socket_ios_own_path_is_left_alone(bench):
    """Socket.IO's answers have no headers of the API; the rule of origins is the same.

    By default pages of localhost:3001 may connect, as the source document has it.
    """
    own = f"http://127.0.0.1:{bench.master.port}"
    async with aiohttp.ClientSession(own) as session:
        path = "/socket.io/?EIO=4&transport=polling"
        for origin, status in (
            (own, 200),
            (ALLOWED, 200),
            (STRANGE, 403),
            ("http://127.0.0.1:1", 403),
        ):
            async with session.get(path, headers={"Origin": origin}) as answer:
                assert answer.status == status, origin
        for origin, status in ((own, 404), (ALLOWED, 404), (STRANGE, 403)):
            async with session.delete("/api/v1/accounts/x", headers={"Origin": origin}) as answer:
                assert answer.status == status, origin
        async with session.get(
            "/socket.io/?EIO=4&transport=polling", headers={"Origin": ALLOWED}
        ) as answer:
            assert answer.status == 200
            assert answer.headers.getall("Access-Control-Allow-Origin") == [ALLOWED]
            assert "X-Request-Id" not in answer.headers
        async with session.get("/api/v1/status") as answer:
            assert (await answer.json())["status"]["workers"]["total"] == 0
