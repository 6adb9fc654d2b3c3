"""One rule of which web pages may use Master, asked of HTTP and Socket.IO alike."""

from __future__ import annotations

import pytest

from tests.security.conftest import ROOT, TOKENS, Guarded

SOCKETS = "/socket.io/?EIO=4&transport=polling"
BODY = {"platform": "douyin", "account_name": "a"}

FROM_ANYWHERE = [
    ("http://127.0.0.1:3000", "127.0.0.1:3000"),
    ("http://localhost:3000", "anything"),  # listed by default
    ("http://[::1]:3000", "[::1]:3000"),
    ("http://localhost", "localhost:80"),
    ("https://10.0.0.5", "10.0.0.5"),
]
"""Pages that may use any Master: (Origin, Host)."""

BY_NAME = [
    ("https://master.example.org", "master.example.org"),
    ("https://master.example.org:443", "master.example.org"),
    ("https://master.example.org", "MASTER.example.org:443"),
    ("http://master.lan:3913", "master.lan:3913"),
    ("http://master.example.org:80", "master.example.org"),
]
"""Pages that may use a Master with tokens: a name may be rebound, but the page has no token."""

NEVER = [
    ("https://evil.example", "master.example.org"),
    ("https://master.example.org.evil.example", "master.example.org"),
    ("https://master.example.org:8443", "master.example.org"),
    ("http://master.example.org", "master.example.org:443"),
    ("https://master.example.org", "master.example.org:80"),
    ("https://user@master.example.org", "master.example.org"),
    ("null", "master.example.org"),
    ("", "master.example.org"),
    ("file://master.example.org", "master.example.org"),
    ("http://", ":3000"),
    ("http://[", "["),
]


async def ask_both(
    guarded: Guarded, token: str | None, headers: dict[str, str]
) -> tuple[set[int], set[str]]:
    """Return the statuses and refusal codes of a change over HTTP and a connection."""
    changed = await guarded.ask("POST", "/api/v1/accounts", token, json=BODY, headers=headers)
    joined = await guarded.ask("GET", SOCKETS, None, headers=headers)
    if changed.status < 400 or joined.status < 400:
        return {min(changed.status, 200), min(joined.status, 200)}, set()
    answers = [await changed.json(), await joined.json()]
    return {changed.status, joined.status}, {answer["error"]["code"] for answer in answers}


@pytest.mark.parametrize(("origin", "host"), FROM_ANYWHERE + BY_NAME)
async def test_a_page_that_a_master_with_tokens_served_may_use_it(guarded, origin, host):
    headers = {"Origin": origin, "Host": host}
    assert await ask_both(guarded, ROOT, headers) == ({200}, set())


@pytest.mark.parametrize(("origin", "host"), NEVER)
async def test_a_foreign_page_is_refused_by_name_both_ways(guarded, origin, host):
    headers = {"Origin": origin, "Host": host}
    if origin:
        assert await ask_both(guarded, ROOT, headers) == ({403}, {"foreign_origin"})
    else:  # an empty Origin is no page's
        assert (await guarded.ask("GET", "/api/v1/accounts", headers=headers)).status == 200


class TestWithoutTokens:
    @pytest.fixture
    def given(self) -> dict[str, str]:
        return {}

    @pytest.mark.parametrize(
        ("origin", "host"), [pair for pair in FROM_ANYWHERE if pair[1] != "anything"]
    )
    async def test_a_page_of_this_machine_may_use_it(self, guarded, origin, host):
        headers = {"Origin": origin, "Host": host}
        assert await ask_both(guarded, None, headers) == ({200}, set())

    async def test_a_name_proves_nothing(self, guarded):
        headers = {"Origin": "http://master:3000", "Host": "master:3000"}
        assert await ask_both(guarded, None, headers) == ({403}, {"foreign_origin"})


class TestWhereWorkersNeedNoToken:
    @pytest.fixture
    def given(self) -> dict[str, str]:
        return {**TOKENS, "TRUSTED_WORKERS": "127.0.0.1"}

    @pytest.mark.parametrize(("origin", "host"), BY_NAME)
    async def test_a_name_proves_nothing(self, guarded, origin, host):
        headers = {"Origin": origin, "Host": host}
        assert await ask_both(guarded, ROOT, headers) == ({403}, {"foreign_origin"})


class TestListed:
    @pytest.fixture
    def given(self) -> dict[str, str]:
        return {**TOKENS, "ALLOWED_ORIGINS": "https://panel.example.org"}

    @pytest.mark.parametrize(
        ("origin", "right"),
        [
            ("https://panel.example.org", ({200}, set())),
            ("http://localhost:3000", ({403}, {"foreign_origin"})),
        ],
    )
    async def test_only_listed_pages_and_own_ones_may_use_it(self, guarded, origin, right):
        assert await ask_both(guarded, ROOT, {"Origin": origin}) == right
