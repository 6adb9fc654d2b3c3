"""Guessing tokens is slow, and other peers do not suffer from it."""

from __future__ import annotations

import aiohttp
import pytest
import socketio

from master import access
from master.budgets import OPENING_WAIT_S, STRANGERS_PER_ADDRESS
from master.decisions.attempts import FORGOTTEN_S, MOST_S, find_wait, note_wrong
from tests.conftest import Peer
from tests.security.conftest import DEVICE, OPERATOR, READER, ROOT, TOKENS, WORKER_1, WRONG, Guarded
from tests.waiting import until

PATH = "/api/v1/accounts"


async def guess(guarded: Guarded, times: int = 3) -> None:
    for number in range(times):
        assert await guarded.code("GET", PATH, f"{WRONG}-{number}") == (401, "unauthorized")


async def test_after_three_wrong_tokens_a_further_one_must_wait(guarded):
    await guess(guarded)
    answer = await guarded.ask("GET", PATH, WRONG)
    assert (answer.status, answer.headers["Retry-After"]) == (429, "2")
    assert (await answer.json())["error"]["code"] == "too_many_attempts"
    guarded.clock.advance(1.1)
    assert (await guarded.ask("GET", PATH, WRONG)).status == 401


async def test_the_wait_doubles_with_each_further_wrong_token(guarded):
    await guess(guarded)
    waits = []
    for _ in range(3):
        guarded.clock.advance(60)
        await guess(guarded, 1)
        waits.append(int((await guarded.ask("GET", PATH, WRONG)).headers["Retry-After"]))
    assert waits == [3, 5, 9]  # 2, 4 and 8 s, and a millisecond


async def test_the_slow_down_applies_to_every_way_in(guarded):
    await guess(guarded)
    heard: list[dict[str, object]] = []
    for namespace in ("worker", "admin", "client"):
        peer = Peer(f"/{namespace}")
        peer.client.on("connect_error", heard.append, namespace=f"/{namespace}")
        with pytest.raises(socketio.exceptions.ConnectionError):
            await peer.connect(guarded.master.port, auth={"token": WRONG})
        await peer.close()
    assert {error["data"]["code"] for error in heard} == {"too_many_attempts"}
    assert all(
        error["data"]["retryable"] and error["data"]["retry_after_ms"] == 1001 for error in heard
    )
    admin = await guarded.connect("admin")
    refused = await admin.ask("admin:auth", {"token": WRONG})
    assert (refused["error"]["code"], refused["error"]["retry_after_ms"]) == (
        "too_many_attempts",
        1001,
    )


async def test_wrong_tokens_of_sockets_count_as_well(guarded):
    admin = await guarded.connect("admin")
    for number in range(3):
        await admin.ask("admin:auth", {"token": f"{WRONG}-{number}"})
    assert await guarded.code("GET", PATH, WRONG) == (429, "too_many_attempts")


async def test_a_right_token_passes_whatever_strangers_do_even_as_the_first_one(
    guarded,
):
    await guess(guarded)
    assert (await guarded.ask("GET", PATH, WRONG)).status == 429
    for token in (READER, OPERATOR, ROOT):
        assert (await guarded.ask("GET", PATH, token)).status == 200
    await guarded.register("worker-1", WORKER_1)
    await guarded.register_device(DEVICE)
    admin = await guarded.connect("admin")
    assert (await admin.ask("admin:auth", {"token": OPERATOR}))["success"]


async def test_a_right_token_between_two_wrong_ones_ends_no_slow_down(guarded):
    for number in range(3):
        await guarded.ask("GET", PATH, READER)
        assert (await guarded.ask("GET", PATH, f"{WRONG}-{number}")).status == 401
    assert (await guarded.ask("GET", PATH, WRONG)).status == 429


async def test_other_addresses_are_not_slowed_down(guarded):
    await guess(guarded)
    connector = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
    async with aiohttp.ClientSession(connector=connector) as elsewhere:
        assert (await guarded.ask("GET", PATH, WRONG, session=elsewhere)).status == 401


async def test_requests_without_a_token_are_no_guesses(guarded):
    for _ in range(10):
        assert (await guarded.ask("GET", PATH, None)).status == 401
    assert (await guarded.ask("GET", PATH, READER)).status == 200


async def test_the_table_of_addresses_is_bounded_and_forgets_who_was_silent_longest(
    guarded, monkeypatch
):
    monkeypatch.setattr(access, "MOST_ADDRESSES", 50)
    who = guarded.master.access
    for number in range(200):
        with pytest.raises(Exception, match="not known"):
            who.identify("admin", WRONG, f"10.0.0.{number}")
    assert list(who._attempts) == [f"10.0.0.{number}" for number in range(150, 200)]


def test_the_wait_has_an_end_and_is_forgotten():
    attempts = None
    for _ in range(2_000):
        attempts = note_wrong(attempts, 5.0)
    assert find_wait(attempts, 5.0) == MOST_S
    assert find_wait(attempts, 5.0 + MOST_S) == 0
    assert note_wrong(attempts, 5.0 + FORGOTTEN_S).wrong == 2_001
    assert note_wrong(attempts, 5.1 + FORGOTTEN_S).wrong == 1
    assert find_wait(None, 0.0) == 0


class TestRequests:
    @pytest.fixture
    def given(self) -> dict[str, str]:
        return {**TOKENS, "HTTP_REQUESTS_PER_S": "5"}

    async def test_a_token_that_asks_too_fast_is_told_when_to_return(self, guarded):
        statuses = [(await guarded.ask("GET", PATH)).status for _ in range(21)]
        assert statuses == [200] * 20 + [429]
        answer = await guarded.ask("GET", PATH)
        assert (await answer.json())["error"]["code"] == "too_many_requests"
        assert answer.headers["Retry-After"] == "1"
        assert (await guarded.ask("GET", "/health", None)).status == 200
        assert (await guarded.ask("GET", PATH, READER)).status == 200
        guarded.clock.advance(0.2)
        assert [(await guarded.ask("GET", PATH)).status for _ in range(2)] == [200, 429]

    async def test_strangers_use_up_their_own_pace_and_no_other(self, guarded):
        statuses = [(await guarded.ask("GET", PATH, None)).status for _ in range(30)]
        assert statuses == [401] * 20 + [429] * 10
        assert (await guarded.ask("GET", PATH, WRONG)).status == 429
        assert [(await guarded.ask("GET", PATH, READER)).status for _ in range(20)] == [200] * 20

    @pytest.mark.parametrize(
        "line",
        [b"GET /\xff\xfe HTTP/1.1", "GET /门店 HTTP/1.1".encode(), b"GET", b"\x16\x03\x01"],
        ids=repr,
    )
    async def test_a_malformed_request_counts_as_one_of_its_address(self, guarded, open_line, line):
        async def send() -> bytes:
            return await (await open_line(guarded, line + b"\r\nHost: x\r\n\r\n")).end()

        answers = [await send() for _ in range(22)]
        assert [answer[9:12] for answer in answers] == [b"400"] * 20 + [b"429"] * 2
        assert b'"code":"unreadable"' in answers[0]
        assert b'"code":"too_many_requests"' in answers[-1]
        assert b"Retry-After: 1\r\n" in answers[-1]
        assert (await guarded.ask("GET", PATH, None)).status == 429
        assert (await guarded.ask("GET", PATH)).status == 200
        guarded.clock.advance(0.2)
        assert [(await send())[9:12] for _ in range(2)] == [b"400", b"429"]

    async def test_an_address_opens_so_many_connections_of_socket_io_and_the_next_wait(
        self, guarded, open_line
    ):
        head = (
            b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\n"
            b"Host: x\r\nConnection: close\r\n\r\n"
        )
        first = [await open_line(guarded, head) for _ in range(STRANGERS_PER_ADDRESS)]
        assert {(await line.end())[:12] for line in first} == {b"HTTP/1.1 200"}
        openings = guarded.master.meter.openings
        later = [await open_line(guarded, head) for _ in range(5 * OPENING_WAIT_S)]
        await until(lambda: len(openings) == len(later))
        refused = await open_line(guarded, head)
        assert (await refused.end()).startswith(b"HTTP/1.1 429")
        later.pop().writer.close()
        await until(lambda: len(openings) == len(later))
        guarded.clock.advance(OPENING_WAIT_S)
        assert {(await line.end())[:12] for line in later} == {b"HTTP/1.1 200"}

    async def test_what_waits_for_its_turn_is_not_hung_up_meanwhile(self, guarded, open_line):
        head = (
            b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\n"
            b"Host: x\r\nConnection: close\r\n\r\n"
        )
        while guarded.master.meter.openings.admit_at_once("127.0.0.1"):
            pass
        line = await open_line(guarded, head)
        await until(lambda: len(guarded.master.meter.openings) == 1)
        assert guarded.master.meter.strange_lines == 0
        guarded.clock.advance(1)
        assert (await line.end()).startswith(b"HTTP/1.1 200")


class TestNoLimit:
    @pytest.fixture
    def given(self) -> dict[str, str]:
        return {"HTTP_REQUESTS_PER_S": "0"}

    async def test_zero_is_no_limit(self, guarded):
        for _ in range(1_000):
            guarded.master.meter.admit("127.0.0.1")
        assert (await guarded.ask("GET", PATH)).status == 200
