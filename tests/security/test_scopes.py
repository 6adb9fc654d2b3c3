"""Each route and each event of administrators requires its scope, and reveals nothing below it."""

from __future__ import annotations

import pytest

from master.endpoints import ENDPOINTS, Endpoint
from master.endpoints import ROOT as API
from master.model import Scope
from master.routes import FROM_ADMIN, FROM_CLIENT, FROM_WORKER
from tests.security.conftest import DEVICE, MINE, OPERATOR, READER, ROOT, TOKENS, WORKER_1, settle
from tools.protocol import TOLD

HELD = {READER: Scope.READ, OPERATOR: Scope.OPERATE, ROOT: Scope.ADMIN}


def fill(path: str) -> str:
    path = path.replace("{id}", "nobody").replace("{kind}", "comments")
    return API + path.replace("{link}", "no-link")


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: f"{one.method} {one.path}")
async def test_every_route_asks_for_its_scope(guarded, endpoint: Endpoint):
    before = guarded.dump()
    path, body = (
        fill(endpoint.path),
        {"json": {}} if endpoint.method not in ("GET", "DELETE") else {},
    )
    assert await guarded.code(endpoint.method, path, None, **body) == (401, "unauthorized")
    for token in (WORKER_1, DEVICE):
        assert await guarded.code(endpoint.method, path, token, **body) == (403, "forbidden")
    for token, scope in HELD.items():
        status, code = await guarded.code(endpoint.method, path, token, **body)
        assert (code == "forbidden") is (scope < endpoint.scope), (scope, status, code)
        assert status not in (401, 500)
    assert guarded.dump() == before, "no row has this id, so nothing can have changed"


async def test_head_is_asked_for_like_get(guarded):
    assert (await guarded.ask("HEAD", f"{API}/accounts", None)).status == 401
    assert (await guarded.ask("HEAD", f"{API}/worker-configs", READER)).status == 403
    assert (await guarded.ask("HEAD", f"{API}/worker-configs", OPERATOR)).status == 200


def test_what_changes_something_or_shows_a_secret_needs_more_than_read():
    for endpoint in ENDPOINTS:
        if endpoint.writes and not endpoint.path.startswith("/console/views"):
            assert endpoint.scope >= Scope.OPERATE, endpoint.path
    by_path = {(one.method, one.path): one.scope for one in ENDPOINTS}
    assert by_path["GET", "/login-sessions/{id}/qr.png"] is Scope.OPERATE
    assert by_path["POST", "/worker-configs"] is Scope.ADMIN, (
        "setting a command means running programs here"
    )
    assert all(
        route.scope > Scope.NONE
        for routes in (FROM_WORKER, FROM_CLIENT)
        for route in routes.values()
    )
    assert [route.event for route in FROM_ADMIN.values() if route.scope is Scope.NONE] == [
        "admin:auth"
    ]


@pytest.mark.parametrize("route", FROM_ADMIN.values(), ids=lambda route: route.event)
@pytest.mark.parametrize("token", HELD)
async def test_every_administrators_event_asks_for_its_scope(guarded, route, token):
    admin = await guarded.connect("admin", token)
    event = {"account_id": "nobody", "session_id": "nobody", "input_type": "sms", "value": "1"}
    answer = await admin.ask(route.event, event)
    refused = answer.get("error", {}).get("code") == "forbidden"
    assert refused is (HELD[token] < route.scope), answer
    await settle(admin)
    told = [content["error"] for event, content in admin.heard if event == "admin:error"]
    if refused:
        named = route.refused is not None and route.refused(answer["error"]).event == "admin:error"
        assert told == ["forbidden"] * named, "deployed admin pages read no acknowledgement"
        assert len(admin.heard) == len(told), "and nothing else"


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready"])
async def test_health_is_open(guarded, path):
    answer = await guarded.ask("GET", path, None)
    assert answer.status == 200
    assert (await guarded.ask("GET", path, "no-token-at-all")).status == 200


@pytest.mark.parametrize("path", ["/", "/metrics", "/nowhere", API, API + "/nowhere", "/health/"])
async def test_everything_else_needs_a_token(guarded, path):
    answer = await guarded.ask("GET", path, None)
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert (await guarded.ask("GET", path, READER)).status in (200, 404)


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", f"Basic {ROOT}", ROOT, f"Token {ROOT}", "Bearer a b c"]
)
async def test_an_authorization_of_another_kind_is_none(guarded, header):
    answer = await guarded.ask("GET", f"{API}/accounts", None, headers={"Authorization": header})
    assert answer.status == 401


class TestPreflight:
    @pytest.fixture
    def given(self) -> dict[str, str]:
        return {**TOKENS, "ALLOWED_ORIGINS": "https://admin.example.org"}

    async def test_a_preflight_needs_no_token_and_tells_nothing(self, guarded):
        headers = {"Origin": "https://admin.example.org", "Access-Control-Request-Method": "GET"}
        answer = await guarded.ask("OPTIONS", f"{API}/accounts", None, headers=headers)
        assert (answer.status, await answer.read()) == (204, b"")
        assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]


async def test_a_body_is_not_read_before_its_sender_is_known(guarded):
    answer = await guarded.ask("POST", f"{API}/accounts", None, data=b"{" * 1_000_000)
    assert answer.status == 401


async def test_readers_hear_every_event_but_codes(guarded):
    """TOLD lists the events of readers; `login:qrcode:ready` is for operators (test_qr_codes)."""
    reader = await guarded.connect("admin", READER)
    await guarded.add_account(MINE)
    assert (await reader.hear("account:status"))["id"] == MINE
    assert {event for event, _ in reader.heard} <= set(TOLD["admin"])
