"""Which credentials connect to which namespace, and what an unauthenticated peer receives."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import orjson
import pytest
import socketio

from master.access import Access, is_loopback, name_address
from master.clock import ManualClock
from master.errors import Forbidden
from master.routes import FROM_ADMIN
from master.settings import load_settings
from master.sockets.namespace import find_token
from tests.conftest import Peer, registration
from tests.security.conftest import (
    ANY_WORKER,
    DEVICE,
    MINE,
    OPERATOR,
    ROOT,
    TOKENS,
    WORKER_1,
    WRONG,
    Guarded,
    settle,
)
from tests.waiting import PATIENCE_S

DOORS = {"worker": WORKER_1, "admin": ROOT, "client": DEVICE}


async def refused(
    guarded: Guarded, namespace: str, token: str | None = None, **options: Any
) -> dict[str, Any]:
    """Try to join; return the `connect_error`."""
    heard: list[Any] = []
    peer = Peer(f"/{namespace}")
    peer.client.on("connect_error", heard.append, namespace=f"/{namespace}")
    if token is not None:
        options["auth"] = {"token": token}
    with pytest.raises(socketio.exceptions.ConnectionError):
        await peer.connect(guarded.master.port, **options)
    await peer.close()
    assert peer.heard == []
    [error] = heard
    assert error["message"] == error["data"]["message"]
    return dict(error["data"])


@pytest.mark.parametrize("namespace", ["worker", "client"])
async def test_without_a_token_no_peer_joins(guarded, namespace):
    error = await refused(guarded, namespace)
    assert (error["code"], error["retryable"]) == ("unauthorized", False)


@pytest.mark.parametrize("namespace", ["workers", "worker/", ""])
async def test_a_namespace_that_is_none_is_refused_by_name(guarded, namespace):
    error = await refused(guarded, namespace, WORKER_1)
    assert (error["code"], error["retryable"]) == ("unknown_namespace", False)


@pytest.mark.parametrize("namespace", ["worker", "admin", "client"])
async def test_a_wrong_token_is_refused(guarded, namespace):
    assert (await refused(guarded, namespace, WRONG))["code"] == "unauthorized"


@pytest.mark.parametrize(
    ("namespace", "token"),
    [
        ("worker", ROOT),
        ("worker", DEVICE),
        ("admin", WORKER_1),
        ("admin", DEVICE),
        ("client", ROOT),
        ("client", WORKER_1),
    ],
)
async def test_a_token_opens_one_namespace_alone(guarded, namespace, token):
    assert (await refused(guarded, namespace, token))["code"] == "forbidden"


@pytest.mark.parametrize(
    "auth",
    [
        {"token": 7},
        {"token": ["x"]},
        {"token": ""},
        {"token": {}},
        {"token": "x" * 10_000},
        ["x"],
        "x",
        7,
    ],
)
async def test_an_auth_object_of_another_shape_is_refused_not_fatal(guarded, auth):
    assert (await refused(guarded, "worker", auth=auth))["code"] == "unauthorized"
    await guarded.register("worker-1", WORKER_1)


async def test_a_token_in_the_query_string_is_not_looked_at(guarded):
    peer = Peer("/worker")
    with pytest.raises(socketio.exceptions.ConnectionError):
        await peer.client.connect(
            f"http://127.0.0.1:{guarded.master.port}?token={WORKER_1}",
            namespaces=["/worker"],
            transports=["websocket"],
        )
    await peer.close()
    assert await guarded.code("GET", f"/api/v1/accounts?token={ROOT}", None) == (
        401,
        "unauthorized",
    )
    assert find_token({"QUERY_STRING": f"token={ROOT}"}, None) is None


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_a_bearer_header_of_the_handshake_counts_like_the_auth_object(guarded, transport):
    headers = {"Authorization": f"bearer {WORKER_1}"}
    peer = await guarded.connect("worker", headers=headers, transports=[transport])
    assert (await peer.ask("worker:register", registration("worker-1")))["success"]


async def test_no_socket_hears_or_asks_anything_before_admin_auth(guarded):
    stranger = await guarded.connect("admin")
    worker = await guarded.register("worker-1", WORKER_1)
    await guarded.add_account(MINE)
    await guarded.detect(worker, MINE, 1)
    admin = await guarded.connect("admin", OPERATOR)
    await guarded.start_login(admin, worker, MINE)
    for route in FROM_ADMIN.values():
        if not route.authenticates:
            answer = await stranger.ask(
                route.event, {"account_id": MINE, "session_id": "s", "input_type": "i"}
            )
            assert answer["error"]["code"] == "unauthorized", route.event
    await settle(stranger)
    assert stranger.heard == []


async def test_admin_auth_lets_an_administrator_hear_what_is_told_from_then_on(guarded):
    admin = await guarded.connect("admin")
    wrong = await admin.ask("admin:auth", {"token": WRONG})
    assert (wrong["error"]["code"], admin.all("admin:auth:failed")) == (
        "unauthorized",
        [{"error": "This token is not known."}],
    )
    await guarded.add_account("account-before")
    await settle(admin)
    assert [event for event, _ in admin.heard] == ["admin:auth:failed"]
    answer = await admin.ask("admin:auth", {"token": OPERATOR})
    assert (answer["success"], answer["userId"]) == (True, "operator")
    assert (await admin.hear("admin:auth:success"))["userId"] == "operator"
    await guarded.add_account(MINE)
    assert (await admin.hear("account:status"))["id"] == MINE


async def test_one_connection_speaks_for_one_administrator(guarded):
    admin = await guarded.connect("admin", OPERATOR)
    assert (await admin.ask("admin:auth", {"userId": "anna"}))["userId"] == "anna"
    assert (await admin.ask("admin:auth", {"token": OPERATOR}))["userId"] == "operator"
    assert (await admin.ask("admin:auth", {"token": ROOT}))["error"]["code"] == "conflict"
    assert (await admin.ask("admin:auth", {"token": WRONG}))["error"]["code"] == "unauthorized"


async def test_who_does_not_say_who_they_are_is_dropped_after_thirty_seconds(guarded):
    admin, late = await guarded.connect("admin", OPERATOR), await guarded.connect("admin")
    await late.ask("admin:auth", {"token": OPERATOR})
    url = f"http://127.0.0.1:{guarded.master.port}/socket.io/?EIO=4&transport=websocket"
    async with guarded.http.ws_connect(url) as silent, guarded.http.ws_connect(url) as stranger:
        for socket in (silent, stranger):  # one joins nothing, the other a namespace
            assert (await socket.receive_str())[0] == "0"
        await stranger.send_str("40/admin,")
        assert (await stranger.receive_str()).startswith("40/admin,")
        guarded.clock.advance(30)
        assert await guarded.master.sockets.drop_strangers() == 0
        guarded.clock.advance(0.5)
        # two connections, and the namespace of one
        assert await guarded.master.sockets.drop_strangers() == 3
        for socket in (silent, stranger):
            async with asyncio.timeout(PATIENCE_S):
                while (await socket.receive()).type != aiohttp.WSMsgType.CLOSE:
                    pass
    await settle(admin, late)
    assert (admin.client.connected, late.client.connected) == (True, True)
    assert not guarded.master.sockets.expected


@pytest.mark.parametrize(
    "packet", ['420{"token":"%s"}', '42/admin,1["admin:auth",{"token":"","padding":"%s"}]']
)
async def test_a_stranger_sends_no_large_packets(guarded, packet):
    """The limit applies while the packet is being read: the rest is dropped with the connection."""
    url = f"http://127.0.0.1:{guarded.master.port}/socket.io/?EIO=4&transport="
    async with guarded.http.ws_connect(url + "websocket") as stranger:
        await stranger.receive_str()
        await stranger.send_str(packet % ("x" * 16_000))
        await stranger.send_str(packet % ("x" * 17_000))
        async with asyncio.timeout(PATIENCE_S):
            while (end := await stranger.receive()).type == aiohttp.WSMsgType.TEXT:
                pass
        assert (end.type, end.data) == (
            aiohttp.WSMsgType.CLOSE,
            aiohttp.WSCloseCode.MESSAGE_TOO_BIG,
        )
    async with guarded.http.get(url + "polling") as opened:
        sid = orjson.loads((await opened.text())[1:])["sid"]
    for size, status in ((16_000, 200), (17_000, 400)):
        async with guarded.http.post(
            f"{url}polling&sid={sid}", data=packet % ("x" * size)
        ) as answer:
            assert answer.status == status


async def test_somebody_known_sends_large_packets(guarded):
    admin = await guarded.connect("admin")
    assert (await admin.ask("admin:auth", {"token": OPERATOR}))["success"]
    assert (await admin.ask("admin:status:request", {"padding": "x" * 60_000}))["success"]
    refusal = await admin.ask("admin:status:request", {"padding": "x" * 70_000})
    assert refusal["error"]["code"] == "too_large"


async def test_a_closed_connection_is_expected_no_more(guarded):
    for _ in range(5):
        peer = await guarded.connect("admin")
        await peer.close()
    await settle(await guarded.connect("admin", ROOT))
    assert not guarded.master.sockets.expected


class TestTrustedWorkers:
    @pytest.fixture
    def given(self) -> dict[str, str]:
        return {**TOKENS, "TRUSTED_WORKERS": "10.0.0.0/8,127.0.0.1"}

    async def test_workers_of_trusted_addresses_need_no_token(self, guarded):
        await guarded.register("worker-of-the-field", None)
        assert (await refused(guarded, "client"))["code"] == "unauthorized"
        assert await guarded.code("GET", "/api/v1/accounts", None) == (401, "unauthorized")

    async def test_a_wrong_token_is_wrong_from_a_trusted_address_too(self, guarded):
        assert (await refused(guarded, "worker", WRONG))["code"] == "unauthorized"

    async def test_a_worker_id_with_a_token_of_its_own_is_not_granted_to_an_address(self, guarded):
        peer = await guarded.connect("worker")
        assert (await peer.ask("worker:register", registration("worker-1")))["error"][
            "code"
        ] == "forbidden"
        assert guarded.rows("SELECT id FROM workers") == []


class TestOtherTrustedWorkers:
    @pytest.fixture
    def given(self) -> dict[str, str]:
        return {**TOKENS, "TRUSTED_WORKERS": "10.0.0.0/8"}

    async def test_other_addresses_are_not_trusted_whatever_they_say_of_themselves(self, guarded):
        headers = {
            "X-Forwarded-For": "10.0.0.1",
            "Forwarded": "for=10.0.0.1",
            "X-Real-IP": "10.0.0.1",
        }
        assert (await refused(guarded, "worker", headers=headers))["code"] == "unauthorized"


def test_trusted_networks_apply_to_addresses_in_either_writing():
    settings = load_settings({**TOKENS, "TRUSTED_WORKERS": "10.1.0.0/16,fd00::/8"}, None)
    access = Access(settings, ManualClock(), bytes)
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "fd12::1"):
        assert access.identify("worker", None, address).name == ""
    for address in ("10.2.0.1", "::1", "fe80::1%eth0", "", "nonsense"):
        with pytest.raises(Exception, match="Authenticate first"):
            access.identify("worker", None, address)


def test_without_tokens_only_this_machine_is_served():
    access = Access(load_settings({}, None), ManualClock(), bytes)
    for address in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"):
        assert access.identify("admin", None, address).scope.name == "ADMIN"
        assert is_loopback(address)
    for address in ("10.0.0.1", "192.168.1.4", "::ffff:10.0.0.1", "fe80::1%lo", "", "localhost"):
        for kind in ("worker", "admin", "client"):
            with pytest.raises(Forbidden):
                access.identify(kind, WRONG, address)


def test_addresses_of_ipv6_are_counted_by_what_one_customer_has():
    assert (
        name_address("2001:db8::1")
        == name_address("2001:db8::ffff:1")
        != name_address("2001:db8:0:1::1")
    )
    assert name_address("::ffff:10.0.0.1") == "10.0.0.1"


async def test_jsonp_is_not_spoken(guarded):
    answer = await guarded.ask("GET", "/socket.io/?EIO=4&transport=polling&j=0", None)
    assert (answer.status, answer.content_type) == (400, "application/json")


async def test_a_worker_of_any_name_needs_the_star_token(guarded):
    await guarded.register("worker-99", ANY_WORKER)
    peer = await guarded.connect("worker", ANY_WORKER)
    assert (await peer.ask("worker:register", registration("worker-1")))["error"][
        "code"
    ] == "forbidden"
