"""HTTP against hostile callers: headers, origins, paths, queries, bodies, and GETs that change."""

from __future__ import annotations

import hashlib
import typing
from enum import Enum
from pathlib import Path

import pytest

from master.endpoints import ENDPOINTS
from master.endpoints import ROOT as API
from master.protocol.lists import Page
from tests.security.conftest import CODE, MINE, OPERATOR, READER, ROOT, WORKER_1, Guarded

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
}

HOSTILE = [
    "' OR '1'='1", "'; DROP TABLE accounts; --", '" OR ""="',
    "1 UNION SELECT credentials FROM accounts", "%", "_", "*", "\\", "..", "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd", "/etc/passwd", "file:///etc/passwd", "$(id)", "`id`", "{{7*7}}",
    "<script>alert(1)</script>", "a\r\nSet-Cookie: x=1", "\x00", "nul\x00l", "😀" * 300,
    "x" * 2_000, "-1", "NaN", "1e999", "0x10", "true", "null", "[]", "{}",
]  # fmt: skip

SOCKETS = "/socket.io/?EIO=4&transport=polling"

GETS = [one for one in ENDPOINTS if one.method == "GET"]


async def fill(guarded: Guarded) -> str:
    """Create one of each noun; return the session of an open login with its code."""
    worker = await guarded.register("worker-1", WORKER_1)
    admin = await guarded.connect("admin", OPERATOR)
    await guarded.add_account(MINE)
    await guarded.detect(worker, MINE, 1, 2)
    proxy = {
        "name": "p",
        "server": "127.0.0.1:9",
        "protocol": "http",
        "username": "u",
        "password": "proxy-secret",
    }
    guarded.ids.append("proxy-1")
    assert (await guarded.ask("POST", f"{API}/proxies", json=proxy)).status == 201
    config = {"worker_id": "worker-1", "command": "/bin/true", "env": {"A": "environment-secret"}}
    assert (await guarded.ask("POST", f"{API}/worker-configs", json=config)).status == 201
    return await guarded.start_login(admin, worker, MINE)


@pytest.mark.parametrize(
    "path", ["/health", "/nowhere", "/metrics", f"{API}/accounts", f"{API}/accounts/nobody"]
)
@pytest.mark.parametrize("token", [None, READER])
async def test_every_answer_has_the_security_headers(guarded, path, token):
    answer = await guarded.ask("GET", path, token)
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert not {"Server-Timing", "X-Powered-By", "Set-Cookie"} & set(answer.headers)


async def test_pages_of_strange_origins_get_no_leave_to_read(guarded):
    for token in (None, ROOT):
        answer = await guarded.ask(
            "GET", f"{API}/accounts", token, headers={"Origin": "https://evil.example"}
        )
        assert "Access-Control-Allow-Origin" not in answer.headers
    error = await guarded.code(
        "DELETE", f"{API}/accounts/x", ROOT, headers={"Origin": "https://evil.example"}
    )
    assert error == (403, "foreign_origin")


async def test_a_strange_page_opens_no_connection_of_socket_io_without_saying_its_origin(guarded):
    assert (
        await guarded.ask("GET", SOCKETS, None, headers={"Sec-Fetch-Site": "cross-site"})
    ).status == 403
    assert (
        await guarded.ask("GET", SOCKETS, None, headers={"Sec-Fetch-Site": "same-site"})
    ).status == 200


def name_files(path: Path) -> dict[str, str]:
    return {
        one.name: hashlib.sha256(one.read_bytes()).hexdigest()
        for one in path.parent.glob("master.db*")
    }


async def test_no_get_changes_anything(guarded):
    session_id = await fill(guarded)
    names = {
        "accounts": MINE,
        "workers": "worker-1",
        "login-sessions": session_id,
        "proxies": "proxy-1",
    }
    names["worker-configs"] = "worker-1"
    files, before = name_files(guarded.path), guarded.dump()
    for endpoint in GETS:
        name = names.get(endpoint.path.split("/")[1], "nobody")
        for method in ("GET", "HEAD"):
            answer = await guarded.ask(method, API + endpoint.path.replace("{id}", name))
            assert answer.status == 200, (endpoint.path, await answer.text())
    for path in ("/", "/metrics", "/health", "/health/live", "/health/ready"):
        assert (await guarded.ask("GET", path)).status == 200
    assert guarded.dump() == before
    # the file and its log; the index beside them (-shm) records readers as well
    assert {name: files[name] for name in files if not name.endswith("-shm")} == {
        name: digest
        for name, digest in name_files(guarded.path).items()
        if not name.endswith("-shm")
    }


async def test_no_get_shows_a_secret(guarded):
    await fill(guarded)
    for endpoint in GETS:
        for name in (MINE, "worker-1", "proxy-1"):
            text = await (
                await guarded.ask("GET", API + endpoint.path.replace("{id}", name))
            ).text()
            for secret in ("proxy-secret", "environment-secret", CODE, ROOT, WORKER_1):
                assert secret not in text, endpoint.path


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: f"{one.method} {one.path}")
async def test_no_parameter_is_a_way_into_the_database_or_the_files(guarded, endpoint):
    await fill(guarded)
    before = guarded.dump()
    body = {} if endpoint.method in ("GET", "DELETE") else {"json": {}}
    for value in HOSTILE:
        path = API + endpoint.path
        if "{" in endpoint.path:
            name = "".join(f"%{byte:02X}" for byte in value.encode())
            path = path.replace("{id}", name).replace("{kind}", name)
            answer = await guarded.ask(endpoint.method, path, encoded=True, **body)
            assert answer.status in (400, 404, 422), (value, await answer.text())
            assert "Set-Cookie" not in answer.headers
        for parameter in endpoint.parameters:
            answer = await guarded.ask(
                "GET", API + endpoint.path.replace("{id}", "nobody"), params={parameter: value}
            )
            assert answer.status in (200, 404, 422), (parameter, value, await answer.text())
            # `q` finds what has the text in a name; tests/web/test_lists.py has its wildcards
            plain = ("is_read", "is_sent", "since", "q", "unread")
            if answer.status == 200 and parameter not in plain:
                content = await answer.json()
                found = content["total"] if "total" in content else content["data"]["items"]
                assert found in (0, []), (parameter, value)
        guarded.clock.advance(10)
    assert guarded.dump() == before


@pytest.mark.parametrize(
    "endpoint",
    [one for one in ENDPOINTS if issubclass(one.payload, Page)],
    ids=lambda one: one.path,
)
async def test_names_to_sort_and_filter_by_are_enumerated(guarded, endpoint):
    path = API + endpoint.path.replace("{id}", "x")
    for name in (
        "sort",
        "order",
        "order_by",
        "fields",
        "where",
        "credentials",
        "id; DROP TABLE accounts",
    ):
        expected = (422, "invalid") if name in endpoint.parameters else (400, "unknown_parameter")
        wanted = {name: "credentials"}
        assert await guarded.code("GET", path, params=wanted) == expected
    for name, field in endpoint.parameters.items():
        kinds = [kind for kind in typing.get_args(field.annotation) if isinstance(kind, type)]
        if any(issubclass(kind, Enum) for kind in kinds):
            assert await guarded.code("GET", path, params={name: "x' OR 1=1"}) == (
                422,
                "invalid",
            )


class TestOpen:
    """Without tokens: a browser on the machine must not let a stranger in."""

    @pytest.fixture
    def given(self) -> dict[str, str]:
        return {}

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example",
            "evil.example:3000",
            "127.0.0.1.evil.example",
            "EVIL.example.",
            "localhost.evil.example",
        ],
    )
    async def test_a_rebound_name_reads_nothing(self, guarded, host):
        assert await guarded.code("GET", f"{API}/accounts", None, headers={"Host": host}) == (
            403,
            "forbidden",
        )
        assert (await guarded.ask("GET", "/health", None, headers={"Host": host})).status == 200

    @pytest.mark.parametrize(
        "host",
        [
            "localhost",
            "localhost:3000",
            "127.0.0.1:1",
            "[::1]:3000",
            "LOCALHOST",
            "master",
            "a.localhost",
            "10.0.0.1",
        ],
    )
    async def test_its_own_names_are_fine(self, guarded, host):
        assert (
            await guarded.ask("GET", f"{API}/accounts", None, headers={"Host": host})
        ).status == 200

    @pytest.mark.parametrize("path", [f"{API}/accounts", SOCKETS])
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("Host", "evil.example"),
            ("Forwarded", "for=10.0.0.1"),
            ("X-Forwarded-For", "10.0.0.1"),
            ("x-forwarded-proto", "https"),
            ("Via", "1.1 proxy"),
            ("Sec-Fetch-Site", "cross-site"),
        ],
    )
    async def test_what_comes_through_a_proxy_or_from_another_site_is_not_of_this_machine(
        self, guarded, path, name, value
    ):
        assert (await guarded.ask("GET", path, None)).status == 200
        assert (await guarded.ask("GET", path, None, headers={name: value})).status == 403

    async def test_a_page_of_an_allowed_origin_may_ask_across_sites(self, guarded):
        headers = {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost:3001"}
        assert (await guarded.ask("GET", SOCKETS, None, headers=headers)).status == 200

    async def test_a_token_that_was_not_asked_for_does_no_harm(self, guarded):
        assert (await guarded.ask("GET", f"{API}/accounts", "whatever")).status == 200
        admin = await guarded.connect("admin", "whatever")
        assert (await admin.ask("admin:auth", {"token": "whatever", "userId": "anna"}))[
            "userId"
        ] == "anna"
