"""Every malformed body, query and path of every HTTP route: a documented refusal, or success."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from master.endpoints import ENDPOINTS, ROOT, Endpoint
from master.errors import every_refusal
from tests.conftest import Bench
from tests.hostile.world import WORKER, Bystanders, Stage, watch
from tests.hostile.zoo import WRONG, plan_shapes
from tests.waiting import PATIENCE_S

STATUSES = {refusal.code: refusal.status for refusal in every_refusal()}
NOUNS = sorted({endpoint.path.split("/")[1] for endpoint in ENDPOINTS})

ODD_TEXTS = [
    "", "%20", "x", "-1", "0", "1", "0.5", "1e999", "NaN", "inf", "true", "null", "[]", "{}", "%00",
    "%0a", "%1b[2J", "%ff", "%ed%a0%80", "%ed%a0%bd%ed%b8%80", "%e2%80%ae", "%d9%a4", "9" * 30,
    str(2**53 + 1), str(2**63), str(-(2**63) - 1), "9" * 5_000, "x" * 1_001, "'%20OR%201=1;--",
    "%2e%2e%2f", "%", "%zz", "a%26b=c", "..", "%2f",
]  # fmt: skip
"""Percent-encoded; not all of it is UTF-8."""

ODD_QUERIES = [
    "no_such_parameter=1", "&", "=", "=1", "%ff=1", "%ed%a0%80=1", "a[]=1", "limit=1&limit=2",
    "limit", "__class__=1", "&".join(f"a{number}=1" for number in range(500)), "Limit=1",
    "limit%00=1",
]  # fmt: skip

NO_JSON = [
    b"\xff\xfe", b'{"name": "\xff"}', b'{"name": "\xed\xa0\x80"}', '{"name": "n"}'.encode("utf-16"),
    b"\x00", b"{}{}", b"\xef\xbb\xbf{}", b"\xef\xbb\xbf", b" ", b"name=n", b"{'name': 'n'}",
    b"<name>n</name>", b"\x1f\x8b\x08\x00",
]  # fmt: skip
"""Bodies that are hardly text."""

EXAMPLES: dict[str, dict[str, Any]] = {
    "NewAccount": {
        "platform": "douyin",
        "account_name": "n",
        "monitor_interval": 20,
        "status": "active",
    },
    "AccountChange": {"account_name": "n", "status": "active", "assigned_worker_id": None},
    "ActOnAccounts": {"ids": ["a"], "change": {"note": "n"}, "delete": False},
    "ImportAccounts": {"rows": [{"platform": "douyin", "account_name": "n"}], "dry_run": False},
    "NewLogin": {"worker_id": WORKER},
    "NewLoginLink": {"ttl_s": 900, "note": "n", "require_uid": "7001"},
    "NewView": {"name": "v", "url": "#/accounts?status=paused"},
    "ViewChange": {"name": "w", "url": "#/inbox?unread=1"},
    "TextToDraw": {"text": "https://master.example/l/#x"},
    "PlanWishes": {"max_accounts": {WORKER: 5}, "pin": {}, "drain": [WORKER]},
    "MarkMessages": {"account_id": "nobody"},
    "NewProxy": {
        "name": "n",
        "server": "127.0.0.1:1",
        "protocol": "socks5",
        "username": "u",
        "password": "p",
    },
    "ProxyChange": {"name": "p", "server": "127.0.0.1:1"},
    "DrainWorker": {"deadline_s": 60, "reason": "r"},
    "RestartWorker": {"reason": "r"},
    "BeginMaintenance": {"deadline_s": 60, "reason": "r"},
    "ProxyTrial": {"target": "127.0.0.1:1", "timeout_s": 1},
    "NewWorkerConfig": {
        "worker_id": "w",
        "command": "c",
        "args": ["a"],
        "env": {"A": "b"},
        "max_accounts": 1,
    },
    "WorkerConfigChange": {"args": ["a"], "env": {"A": "b"}, "auto_start": False},
}
"""One valid body per type."""


class Caller:
    """Sends HTTP requests and checks every answer against the documentation."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self._session = session
        self._port = port

    async def ask(self, method: str, path: str, body: bytes | None = None) -> int:
        """Send a request; `path` is percent-encoded. Return the status of the documented answer."""
        url = URL(f"http://127.0.0.1:{self._port}{path}", encoded=True)
        async with self._session.request(method, url, data=body) as answer:
            if method == "HEAD" or answer.content_type.startswith("image/"):
                assert answer.status < 500
                return answer.status
            content = await answer.json(content_type="application/json")
        assert content["success"] is (answer.status < 400)
        if not content["success"]:
            error = content["error"]
            assert STATUSES[error["code"]] == answer.status, error
            assert error["message"]
            assert set(error) >= {"code", "message", "retryable"}
            assert set(error) <= {"code", "message", "retryable", "details", "retry_after_ms"}
        return answer.status


@pytest.fixture
async def caller(bench: Bench) -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(PATIENCE_S)) as session:
        yield Caller(session, bench.master.port)


@pytest.fixture
async def names(bench: Bench, stage: Stage, caller: Caller) -> dict[str, str]:
    """Return an existing id for each noun that has some."""
    await bench.worker(WORKER)
    session = await stage.example_of("worker", "worker:login:qrcode")
    proxy = b'{"name": "p", "server": "127.0.0.1:1"}'
    assert await caller.ask("POST", f"{ROOT}/proxies", proxy) == 201
    assert await caller.ask("POST", f"{ROOT}/worker-configs", b'{"worker_id": "w0"}') == 201
    view = b'{"name": "kept", "url": "#/accounts"}'
    assert await caller.ask("POST", f"{ROOT}/console/views", view) == 200
    return {
        "accounts": session["account_id"],
        "workers": WORKER,
        "worker-configs": "w0",
        "proxies": await stage.find_id("proxies"),
        "login-sessions": session["session_id"],
        "messages": await stage.find_id("comments"),
        "console": await stage.find_id("console_views"),
    }


def of_noun(noun: str) -> Iterator[Endpoint]:
    """Yield the routes of one noun; those that remove come last."""
    yield from sorted(
        (endpoint for endpoint in ENDPOINTS if endpoint.path.split("/")[1] == noun),
        key=lambda endpoint: endpoint.method == "DELETE",
    )


def fill(endpoint: Endpoint, noun: str, names: dict[str, str]) -> str:
    """Return the route's path with an existing id."""
    path = endpoint.path.replace("{id}", quote(names.get(noun, "x"), safe=""))
    return ROOT + path.replace("{kind}", "comments").replace("{link}", "x")


@pytest.mark.parametrize("noun", NOUNS)
async def test_what_is_malformed_is_refused_without_a_trace_or_done(
    bench: Bench, bystanders: Bystanders, caller: Caller, names: dict[str, str], noun: str
) -> None:
    with watch(bench) as witness:
        for endpoint in of_noun(noun):
            path = fill(endpoint, noun, names)
            requests = [
                *with_bodies(endpoint, path),
                *with_queries(endpoint, path),
                *with_paths(endpoint),
            ]
            for label, url, body in requests:
                if await caller.ask(endpoint.method, url, body) < 400:
                    witness.look()
                else:
                    assert witness.nothing_changed(), f"{endpoint.method} {path}, {label}"
    await bystanders.work()


Malformed = Iterator[tuple[str, str, bytes | None]]
"""(fault, path and query, body)."""


def with_bodies(endpoint: Endpoint, path: str) -> Malformed:
    """Yield every malformed body; a route that reads nothing ignores any body."""
    kind = endpoint.body
    if kind is None:
        for body in NO_JSON:
            yield str(body), path, body
        return
    example = EXAMPLES[kind.__name__]
    for body in NO_JSON:
        yield str(body), path, body
    for label, build in plan_shapes(example, kind).items():
        yield label, path, ",".join(build(example).arguments).encode()


def with_queries(endpoint: Endpoint, path: str) -> Malformed:
    """Yield odd queries, and odd values of every parameter of the route."""
    body = b"{}" if endpoint.body is not None else None
    for query in ODD_QUERIES:
        yield query, f"{path}?{query}", body
    for name in endpoint.parameters:
        for text in ODD_TEXTS:
            yield f"{name}={text}", f"{path}?{name}={text}", body


def with_paths(endpoint: Endpoint) -> Malformed:
    """Yield odd names in the path."""
    body = b"{}" if endpoint.body is not None else None
    for part in ("{id}", "{kind}", "{link}"):
        if part in endpoint.path:
            for text in ODD_TEXTS:
                path = (
                    endpoint.path.replace(part, text)
                    .replace("{kind}", "comments")
                    .replace("{link}", "x")
                    .replace("{id}", "x")
                )
                yield f"{part} is {text}", ROOT + path, body


async def test_a_body_that_is_no_object_is_refused_where_none_is_needed(
    bench: Bench, caller: Caller, names: dict[str, str]
) -> None:
    path = f"{ROOT}/login-sessions/{names['login-sessions']}/cancel"
    for body in (b"[]", b"{", b"null", b'"text"', b"\xff"):
        assert await caller.ask("POST", path, body) == 400
    assert await caller.ask("POST", path, b"{}") == 200


async def test_a_method_that_a_route_does_not_have_is_refused(bench: Bench, caller: Caller) -> None:
    for path in {endpoint.path for endpoint in ENDPOINTS} | {"/no/such/route", ""}:
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"):
            await caller.ask(
                method,
                ROOT + path.replace("{id}", "x").replace("{kind}", "x").replace("{link}", "x"),
                None,
            )


async def test_what_lies_beside_the_api_is_as_hard(bench: Bench, bystanders: Bystanders) -> None:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(PATIENCE_S)) as session:
        for path in (
            "/",
            "/health",
            "/health/live",
            "/health/ready",
            "/metrics",
            "/favicon.ico",
            "/l",
            "/l/",
            "/l/files/x/y",
            "//",
            "/%ff",
        ):
            for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "TRACE"):
                for query in ODD_QUERIES:
                    url = URL(f"http://127.0.0.1:{bench.master.port}{path}?{query}", encoded=True)
                    async with session.request(
                        method, url, data=b"{" if method == "POST" else None
                    ) as answer:
                        await answer.read()
                    assert answer.status in (200, 404, 405), url
    await bystanders.work()


def test_every_body_has_an_example() -> None:
    assert {endpoint.body.__name__ for endpoint in ENDPOINTS if endpoint.body} == set(EXAMPLES)
    assert len(WRONG) == len(set(WRONG.values()))


async def test_a_name_that_no_row_can_have_is_unknown(bench: Bench, caller: Caller) -> None:
    for endpoint in ENDPOINTS:
        if "{id}" in endpoint.path:
            for name in ("%20", "x" * 129, "%00", "%ff"):
                path = ROOT + endpoint.path.replace("{id}", name).replace(
                    "{kind}", "comments"
                ).replace("{link}", "x")
                assert await caller.ask(endpoint.method, path, b"{}") in (404, 422), path
