"""Requests through proxies: marked ones, and the clients behind trusted ones."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from master.environment import SettingsFault
from master.settings import load_settings
from master.web.relayed import Relays
from tests.security.conftest import ANY_WORKER, ROOT, TOKENS, WRONG

SOCKETS = "/socket.io/?EIO=4&transport=polling"
ACCOUNTS = "/api/v1/accounts"
PROXY, CLIENT, OTHER = "10.0.0.1", "203.0.113.9", "198.51.100.7"
UNKNOWN = f"unknown behind {PROXY}"
XFF, FORWARDED = "X-Forwarded-For", "Forwarded"

HEADERS = [
    ([], PROXY),  # the proxy's own request, for health say
    ([(XFF, "")], UNKNOWN),
    ([(XFF, CLIENT)], CLIENT),
    ([("x-forwarded-for", f"{OTHER}, {CLIENT}")], CLIENT),
    ([(XFF, OTHER), (XFF, CLIENT)], CLIENT),
    ([(XFF, f"{CLIENT}, 10.0.0.2")], CLIENT),
    ([(XFF, f"{CLIENT}:4711")], CLIENT),
    ([(XFF, "2001:db8::1")], "2001:db8::1"),
    ([(XFF, "[2001:db8::1]:4711")], "2001:db8::1"),
    ([(XFF, f"::ffff:{CLIENT}")], CLIENT),
    ([(XFF, "10.0.0.3, 10.0.0.2")], "10.0.0.3"),  # it began at a proxy
    ([(XFF, f"127.0.0.1, {CLIENT}")], CLIENT),
    ([(XFF, f"{CLIENT}, unknown")], UNKNOWN),
    ([(XFF, f"{CLIENT},")], UNKNOWN),
    ([(XFF, "1.2.3")], UNKNOWN),
    ([(XFF, "9" * 5_000)], UNKNOWN),
    ([(XFF, "[" * 500 + f", {CLIENT}")], CLIENT),
    ([(FORWARDED, f"for={CLIENT}")], CLIENT),
    ([(FORWARDED, f'for={OTHER};proto=http, For="{CLIENT}:80";by=10.0.0.1')], CLIENT),
    ([(FORWARDED, 'proto=https;for="[2001:db8::1]:4711"')], "2001:db8::1"),
    ([(FORWARDED, f'for="x, for={CLIENT}')], CLIENT),
    ([(FORWARDED, "for=_hidden")], UNKNOWN),
    ([(FORWARDED, f"by={CLIENT}")], UNKNOWN),
    ([(FORWARDED, ";" * 4_000)], UNKNOWN),
    ([(XFF, CLIENT), (FORWARDED, f"for={CLIENT}")], CLIENT),
    ([(XFF, CLIENT), (FORWARDED, f"for={OTHER}")], UNKNOWN),  # one of them is the client's own
    ([(XFF, CLIENT), (FORWARDED, "nonsense")], UNKNOWN),
    ([("X-Real-IP", CLIENT)], UNKNOWN),
    ([("Via", "1.1 proxy")], UNKNOWN),
]


@pytest.mark.parametrize(("headers", "client"), HEADERS)
def test_the_client_is_the_right_most_address_that_is_no_trusted_proxys(headers, client):
    relays = Relays(load_settings({"TRUSTED_PROXIES": "10.0.0.0/24"}, None).trusted_proxies)
    sent = CIMultiDictProxy(CIMultiDict(headers))
    assert relays.find_client(PROXY, sent) == client
    mapped = f"::ffff:{PROXY}"  # the same address, as a socket for IPv6 and IPv4 writes it
    assert relays.find_client(mapped, sent) == client.replace(PROXY, mapped)
    assert relays.find_client(OTHER, sent) == OTHER  # no trusted proxy


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0", "10.0.0.1,0.0.0.0/0", "proxy.example"])
def test_not_every_address_is_a_trusted_proxy(network):
    with pytest.raises(SettingsFault, match=r"TRUSTED_PROXIES=.* is not allowed"):
        load_settings({"TRUSTED_PROXIES": network}, None)


class TestWithoutTokens:
    @pytest.fixture
    def given(self) -> dict[str, str]:
        return {"TRUSTED_PROXIES": "127.0.0.1"}

    @pytest.mark.parametrize("path", [ACCOUNTS, SOCKETS])
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            (XFF, "127.0.0.1"),
            (FORWARDED, "for=127.0.0.1"),
            ("CF-Connecting-IP", "127.0.0.1"),
            ("True-Client-IP", CLIENT),
            ("X-Client-IP", CLIENT),
            ("X-Original-For", CLIENT),
            ("x-original-host", "localhost"),
            ("X-Real-IP", ""),
            ("CDN-Loop", "somewhere"),
        ],
    )
    async def test_no_marked_request_is_this_machines(self, guarded, path, name, value):
        assert (await guarded.ask("GET", path, None)).status == 200
        assert await guarded.code("GET", path, None, headers={name: value}) == (403, "forbidden")


class TestTrusted:
    @pytest.fixture
    def given(self) -> dict[str, str]:
        return {
            **TOKENS,
            "TRUSTED_PROXIES": "127.0.0.1",
            "TRUSTED_WORKERS": "127.0.0.1,10.7.0.0/16",
        }

    async def test_wrong_tokens_of_one_client_slow_no_other(self, guarded):
        async def guess(client: str) -> str:
            return (await guarded.code("GET", ACCOUNTS, WRONG, headers={XFF: client}))[1]

        answers = [await guess(CLIENT) for _ in range(6)]
        assert answers[0] == "unauthorized"
        assert answers[-1] == "too_many_attempts"
        assert await guess(OTHER) == "unauthorized"
        right = await guarded.ask("GET", ACCOUNTS, ROOT, headers={XFF: CLIENT})
        assert right.status == 200

    @pytest.mark.parametrize(
        ("headers", "is_trusted"),
        [
            ({}, True),
            ({XFF: "10.7.0.1"}, True),
            ({XFF: f"10.7.0.1, {CLIENT}"}, False),
            ({XFF: CLIENT, FORWARDED: "for=10.7.0.1"}, False),
            ({XFF: "nonsense"}, False),
            ({"X-Real-IP": "10.7.0.1"}, False),
        ],
    )
    async def test_a_worker_is_trusted_by_its_own_address_and_not_its_proxys(
        self, guarded, headers, is_trusted
    ):
        opened = await guarded.ask("GET", SOCKETS, None, headers=headers)
        sid = (await opened.text()).partition('"sid":"')[2].partition('"')[0]
        path = f"{SOCKETS}&sid={sid}"
        await guarded.ask("POST", path, None, headers=headers, data="40/worker,")
        answer = await (await guarded.ask("GET", path, None, headers=headers)).text()
        assert ("44/worker" not in answer) is is_trusted, answer

    async def test_the_address_of_a_worker_is_its_own(self, guarded):
        opened = await guarded.ask("GET", SOCKETS, None, headers={XFF: CLIENT})
        assert opened.status == 200
        assert {flow.address for flow in guarded.master.sockets.flows.values()} == {CLIENT}

    async def test_the_lines_of_a_proxy_are_no_strangers(self, guarded, open_line):
        for _ in range(3):
            await open_line(guarded, b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        guarded.clock.advance(60)
        assert guarded.master.meter.hang_up_late() == 0
        assert guarded.master.meter.strange_lines == 0


class TestOtherProxy:
    @pytest.fixture
    def given(self) -> dict[str, str]:
        return {**TOKENS, "TRUSTED_PROXIES": "10.0.0.1"}

    async def test_the_word_of_a_peer_that_is_no_trusted_proxy_does_not_count(self, guarded):
        opened = await guarded.ask("GET", SOCKETS, None, headers={XFF: CLIENT})
        assert opened.status == 200
        assert {flow.address for flow in guarded.master.sockets.flows.values()} == {"127.0.0.1"}
        assert (await guarded.register("worker-9", ANY_WORKER)) is not None
