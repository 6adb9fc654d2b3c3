"""The cost of peers over Socket.IO: packets, bytes, connections and turns are counted."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol
from engineio.exceptions import UnknownPacketError

from master.budgets import FAREWELL_S, LOOSE_PER_S, OPENING_WAIT_S, PATIENCE_S, STRANGER_S
from master.protocol.detected import MessagesDetected
from master.protocol.json_text import MOST_VALUES
from master.protocol.wire import Payload
from master.sockets.intake import KEPT, _WholeBody
from master.sockets.lean import BREATH
from tests.hostile.peers import RawPeer
from tests.security.conftest import DEVICE, MINE, READER, TOKENS, WORKER_1, WORKER_2, Guarded
from tests.waiting import PATIENCE_S as TEST_PATIENCE_S
from tests.walks.gates import stopped_in_a_turn
from tests.walks.test_backlog import wait_until
from tests.walks.test_messages import comment

PATH = "/socket.io/?EIO=4&transport="
KNOCKS = {
    "acknowledgements": "43/worker,1[]",
    "binary acknowledgements": '461-/worker,1[{"_placeholder":true,"num":0}]',
    "connects": "40/worker,",
    "goings": "41/worker,",
    "events": '42/worker,1["worker:heartbeat",{}]',
    "binary events": '451-/worker,1["a",{"_placeholder":true,"num":0}]',
    "unreadable": "42/worker,[",
    "no packets": "x",
    "pongs": "3",
}


def url(guarded: Guarded, transport: str, sid: str = "") -> str:
    return f"http://127.0.0.1:{guarded.master.port}{PATH}{transport}" + (
        f"&sid={sid}" if sid else ""
    )


async def open_polling(
    guarded: Guarded, token: str | None = None, kind: str = "worker", **options: Any
) -> str:
    """Open a long-polling session and join with a token; return its id."""
    async with guarded.http.get(url(guarded, "polling"), **options) as answer:
        sid: str = orjson.loads((await answer.text())[1:])["sid"]
    if token is not None:
        assert await post(guarded, sid, f'40/{kind},{{"token":"{token}"}}') == 200
    return sid


async def post(guarded: Guarded, sid: str, *packets: str) -> int:
    async with guarded.http.post(url(guarded, "polling", sid), data="\x1e".join(packets)) as answer:
        return answer.status


@asynccontextmanager
async def join(guarded: Guarded, kind: str, token: str) -> AsyncIterator[RawPeer]:
    """Provide a raw peer that has joined with a token."""
    async with guarded.http.ws_connect(url(guarded, "websocket"), max_msg_size=0) as socket:
        peer = RawPeer(socket, f"/{kind}")
        await peer.next_text()
        await peer.say(f'40/{kind},{{"token":"{token}"}}')
        assert (await peer.next_text()).startswith(f"40/{kind},")
        yield peer


def find_flow(guarded: Guarded) -> Any:
    (flow,) = guarded.master.sockets.flows.values()
    return flow


@pytest.mark.parametrize("packet", KNOCKS.values(), ids=KNOCKS)
async def test_every_kind_of_packet_of_a_stranger_is_counted(guarded, packet):
    sid = await open_polling(guarded)
    assert await post(guarded, sid, *[packet] * 16) == 200
    assert find_flow(guarded)._loose._tokens == LOOSE_PER_S - 16


async def test_a_stranger_posts_sixteen_packets_and_no_more(guarded):
    sid = await open_polling(guarded)
    assert await post(guarded, sid, *["3"] * 16) == 200
    assert await post(guarded, sid, *["3"] * 17) == 400
    assert await post(guarded, sid, "3") == 400, "the session has ended"
    assert not guarded.master.sockets.flows


async def test_somebody_known_posts_many_packets_that_are_all_dealt_with(guarded):
    sid = await open_polling(guarded, WORKER_1)
    events = [f'42/worker,{number}["worker:heartbeat",[]]' for number in range(300)]
    assert await post(guarded, sid, *events) == 200
    async with asyncio.timeout(TEST_PATIENCE_S):
        said = ""
        while said.count('"unreadable"') < 300:
            async with guarded.http.get(url(guarded, "polling", sid)) as answer:
                said += await answer.text()


async def test_acknowledgements_never_reach_the_library(guarded, monkeypatch):
    asked: list[Any] = []
    monkeypatch.setattr(guarded.master.sockets.manager, "trigger_callback", asked.append)
    async with join(guarded, "worker", WORKER_1) as peer:
        await peer.say("43/worker,1[]", '461-/worker,2["x"]', "43/client,3[]")
        assert (await peer.ask("worker:heartbeat", Shaped("[]")))["error"]["code"] == "unreadable"
    assert asked == []


class Shaped:
    """An event's content, as write_event expects it."""

    attachments: tuple[bytes, ...] = ()

    def __init__(self, text: str) -> None:
        self.arguments = (text,)


async def test_the_loop_is_yielded_every_few_packets_however_many_are_there(guarded):
    sid = await open_polling(guarded, WORKER_1)
    events = ['42/worker,["worker:heartbeat",[]]'] * 1_000
    posting = asyncio.ensure_future(post(guarded, sid, *events))
    connection = guarded.master.sockets.eio.sockets[sid]
    await wait_until(lambda: connection._frames > 1)
    before = connection._frames
    steps: list[int] = []
    while not posting.done():
        steps.append(connection._frames - before)
        before = connection._frames
        await asyncio.sleep(0)
    assert max(steps) <= BREATH
    assert await posting == 200


async def test_packets_that_are_no_events_have_a_pace_for_those_who_are_known(guarded):
    async with join(guarded, "client", DEVICE) as peer:
        await peer.say(
            *['42/worker,7["worker:heartbeat",{}]'] * 20,
            *["43/client,1[]"] * 20,
            *["42/client,["] * 5,
        )
        await peer.ask("client:heartbeat", Shaped("{}"))
        assert find_flow(guarded)._loose._tokens == LOOSE_PER_S - 1 - 45  # a join costs one too


async def test_control_frames_of_a_websocket_are_counted_too(guarded):
    async with guarded.http.ws_connect(url(guarded, "websocket")) as socket:
        await socket.receive_str()
        for _ in range(30):
            await socket.ping()
        await socket.send_str('42/worker,1["a"]')
        await socket.receive_str()
        assert find_flow(guarded)._loose._tokens == LOOSE_PER_S - 31


async def test_only_address_and_authorization_are_kept_of_the_request_that_opens_a_connection(
    guarded,
):
    await open_polling(
        guarded, headers={"Authorization": f"Bearer {WORKER_1}", "X-Large": "x" * 7_000}
    )
    (environ,) = guarded.master.sockets.environ.values()
    # whose sign-in it is: a handle of this process, no secret
    assert set(environ) == {*KEPT, "master.signin"}


async def write_nothing(guarded: Guarded, send: Callable[[bytes], Awaitable[None]]) -> None:
    pass


async def write_half_a_head(guarded: Guarded, send: Callable[[bytes], Awaitable[None]]) -> None:
    await send(b"GET /health HTTP/1.1\r\nHost: ")


async def ask_without_a_token(guarded: Guarded, send: Callable[[bytes], Awaitable[None]]) -> None:
    await send(b"GET /api/v1/accounts HTTP/1.1\r\nHost: a\r\n\r\n")


def write_upgrade(sid: str) -> bytes:
    head = (
        f"GET {PATH}websocket&sid={sid} HTTP/1.1\r\nHost: a\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
    )
    key = "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    return (head + key).encode()


async def upgrade_without_a_probe(
    guarded: Guarded, send: Callable[[bytes], Awaitable[None]]
) -> None:
    await send(write_upgrade(await open_polling(guarded)))


async def upgrade_of_somebody_known_without_an_end(
    guarded: Guarded, send: Callable[[bytes], Awaitable[None]]
) -> None:
    await send(write_upgrade(await open_polling(guarded, WORKER_1)))
    await send(b"\x81\x86\0\0\0\x002probe")


async def post_without_an_end(guarded: Guarded, send: Callable[[bytes], Awaitable[None]]) -> None:
    sid = await open_polling(guarded)
    head = f"POST {PATH}polling&sid={sid} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"
    await send(f"{head}43".encode())


UNFINISHED = (
    write_nothing,
    write_half_a_head,
    ask_without_a_token,
    upgrade_without_a_probe,
    upgrade_of_somebody_known_without_an_end,
    post_without_an_end,
)


@pytest.mark.parametrize("begin", UNFINISHED, ids=lambda begin: begin.__name__)
async def test_a_connection_without_a_known_peer_is_ended_whatever_it_has_begun(guarded, begin):
    known = await guarded.register("worker-2", WORKER_2)
    reader, writer = await asyncio.open_connection("127.0.0.1", guarded.master.port)

    async def send(data: bytes) -> None:
        writer.write(data)
        await writer.drain()

    lines = guarded.master.lines
    await wait_until(lambda: len(lines) >= 2)
    await begin(guarded, send)
    for _ in range(20):
        await asyncio.sleep(0)
    guarded.clock.advance(STRANGER_S + FAREWELL_S + 0.5)
    await guarded.master.sockets.drop_strangers()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        async with asyncio.timeout(TEST_PATIENCE_S):
            await reader.readexactly(1_000_000)
    writer.close()
    assert (await known.ask("worker:heartbeat", {"workerId": "worker-2"}))["success"]


async def test_who_asks_for_health_without_a_token_is_not_kept_and_who_has_one_is(guarded):
    assert (await guarded.ask("GET", "/health/live", None)).headers["Connection"] == "close"
    async with aiohttp.ClientSession() as session:
        assert (await guarded.ask("GET", "/api/v1/accounts", READER, session=session)).status == 200
        assert (
            "Connection"
            not in (await guarded.ask("GET", "/health/live", None, session=session)).headers
        )


class TestAdmission:
    @pytest.fixture
    def given(self) -> dict[str, str]:
        return {**TOKENS, "HTTP_REQUESTS_PER_S": "2"}

    async def test_sessions_of_one_address_have_a_pace_which_those_who_become_known_do_not_use_up(
        self, guarded
    ):
        openings = guarded.master.meter.openings
        while openings.admit_at_once("127.0.0.1"):
            pass
        for _ in range(8):
            openings.refund("127.0.0.1")
        for _ in range(12):
            await open_polling(guarded, WORKER_1)
            sockets = guarded.master.memory.sessions.worker_sockets
            await wait_until(
                lambda sockets=sockets: len(sockets) == len(guarded.master.sockets.flows)
            )
        for _ in range(8):
            await open_polling(guarded)
        for _ in range(2 * OPENING_WAIT_S):
            openings.queue("127.0.0.1")
        async with guarded.http.get(url(guarded, "polling")) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (429, "10")
            assert (await answer.json())["error"]["code"] == "too_many_requests"
        assert await post(guarded, "no-such-session", "3") == 429


async def test_a_body_of_somebody_known_that_never_ends_has_a_deadline(guarded):
    sid = await open_polling(guarded, WORKER_1)
    reader, writer = await asyncio.open_connection("127.0.0.1", guarded.master.port)
    head = f"POST {PATH}polling&sid={sid} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n42"
    writer.write(head.encode())
    connection = guarded.master.sockets.eio.sockets[sid]
    await wait_until(lambda: connection._posting)
    guarded.clock.advance(PATIENCE_S)
    assert await guarded.master.sockets.drop_strangers() == 0
    guarded.clock.advance(1)
    assert await guarded.master.sockets.drop_strangers() >= 1
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        async with asyncio.timeout(TEST_PATIENCE_S):
            await reader.readexactly(1)
    writer.close()
    await wait_until(lambda: sid not in guarded.master.sockets.flows)


async def test_the_lines_of_a_session_that_has_ended_are_strangers_again(guarded):
    sid = await open_polling(guarded, WORKER_1)
    meter = guarded.master.meter
    (line, *_) = find_flow(guarded).lines
    assert line.is_known
    await guarded.master.sockets.eio.sockets[sid].close()
    assert not line.is_known
    assert meter.strange_lines >= 1


async def test_one_post_at_a_time(guarded):
    sid = await open_polling(guarded, WORKER_1)
    _, writer = await asyncio.open_connection("127.0.0.1", guarded.master.port)
    head = f"POST {PATH}polling&sid={sid} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n42"
    writer.write(head.encode())
    connection = guarded.master.sockets.eio.sockets[sid]
    await wait_until(lambda: connection._posting)
    assert await post(guarded, sid, "3") == 400
    writer.close()


async def test_nothing_of_a_body_is_kept_by_the_fault_of_its_stream():
    protocol = BaseProtocol(asyncio.get_running_loop())
    protocol.connection_made(asyncio.Transport())
    content = StreamReader(protocol, 2**16)
    content.feed_data(b"x" * 100_000)
    reading = asyncio.ensure_future(_WholeBody(content).read(10**6))
    await asyncio.sleep(0)
    content.set_exception(ConnectionResetError())
    with pytest.raises(UnknownPacketError):
        await reading
    fault, frames = content.exception(), []
    traceback = fault.__traceback__ if fault is not None else None
    while traceback is not None:
        frames.append(traceback.tb_frame)
        traceback = traceback.tb_next
    assert frames, "the stream keeps its fault, with the frames it went through"
    assert max(map(count_bytes, frames)) < 100


def count_bytes(frame: FrameType) -> int:
    held = [*frame.f_locals.values(), *gc.get_referents(*frame.f_locals.values())]
    return sum(len(one) for one in held if isinstance(one, (bytes, bytearray)))


async def test_a_form_body_is_no_packet(guarded):
    sid = await open_polling(guarded, WORKER_1)
    assert await post(guarded, sid, 'd=42/worker,1["worker:register",{}]') == 200
    assert not guarded.master.sockets.lanes.popitem()[1].pending


async def test_a_binary_event_is_refused_at_its_header_and_its_attachments_are_dropped(guarded):
    async with join(guarded, "client", DEVICE) as peer:
        await peer.say('4564-/client,5["client:heartbeat",{"_placeholder":true,"num":0}]')
        assert (await peer.acknowledged(5))["error"]["code"] == "unreadable"
        await peer.say(*[b"x" * 100_000] * 3)
        await peer.ask("client:heartbeat", Shaped("{}"))
        assert guarded.master.sockets._binary_packet == {}
        assert find_flow(guarded).pending == 0


@pytest.mark.parametrize("size", [Payload.largest - 100, Payload.largest + 100, 700_000])
async def test_an_event_that_is_too_large_for_its_type_is_refused_by_its_id_before_it_is_parsed(
    guarded, size
):
    async with join(guarded, "client", DEVICE) as peer:
        junk = "[" + "[]," * (size // 3 - 16) + "[]"
        # an endless text: it is no JSON
        await peer.say(f'42/client,9["client:heartbeat",{{"junk":{junk}}}]')
        code = (await peer.acknowledged(9))["error"]["code"]
        assert code == ("unreadable" if size < Payload.largest else "too_large")


async def test_a_message_larger_than_its_senders_largest_event_ends_the_connection(guarded):
    async with guarded.http.ws_connect(url(guarded, "websocket"), max_msg_size=0) as socket:
        await socket.receive_str()
        await socket.send_str(f'40/client,{{"token":"{DEVICE}"}}')
        await socket.receive_str()
        await socket.send_str('42/client,1["client:heartbeat",{"junk":"' + "x" * 2_000_000 + '"}]')
        end = await asyncio.wait_for(socket.receive(), TEST_PATIENCE_S)
        assert (end.type, end.data) == (
            aiohttp.WSMsgType.CLOSE,
            aiohttp.WSCloseCode.MESSAGE_TOO_BIG,
        )


async def test_a_report_of_very_many_values_is_refused_and_one_of_long_texts_is_not(guarded):
    await guarded.add_account(MINE)
    await guarded.register("worker-1", WORKER_1)
    async with join(guarded, "worker", WORKER_1) as peer:
        start = f'{{"type":"comment","account_id":"{MINE}","messages":[{{"id":"1","content":'
        junk, text = "[" + "0," * MOST_VALUES + "0]", '"' + ",:[{" * (MOST_VALUES // 3) + '"'
        assert (await peer.ask("worker:message:detected", Shaped(f"{start}{junk}}}]}}")))["error"][
            "code"
        ] == "too_large"
        message = f'{{"id":"1","content":"c","odd":{text}}}'
        long = f'{{"type":"comment","account_id":"{MINE}","messages":[{message}]}}'
        assert (await peer.ask("worker:message:detected", Shaped(long)))["inserted"] == 1


async def test_what_waits_of_a_large_event_is_what_its_type_asks_for(guarded):
    await guarded.add_account(MINE)
    worker = await guarded.register("worker-1", WORKER_1)
    async with stopped_in_a_turn(guarded):
        await worker.client.emit(
            "worker:register", {"workerId": "worker-1", "capabilities": []}, namespace="/worker"
        )
        messages = [comment(number) | {"junk": [[[]]] * 100} for number in range(50)]
        report = {"type": "comment", "account_id": MINE, "messages": messages}
        await worker.client.emit("worker:message:detected", report, namespace="/worker")
        (lane,) = guarded.master.sockets.lanes.values()
        await wait_until(lambda: lane.backlog is not None and len(lane.backlog.waiting) == 1)
        (arrival,) = lane.backlog.waiting
        assert arrival.args == ()
        assert {type(item).__name__ for item in arrival.payload.messages} == {"CommentItem"}
        assert arrival.size > 50 * 1024
        assert lane.flow.pending >= arrival.size
    await wait_until(lambda: lane.flow.pending == 0)
    assert guarded.rows("SELECT count(*) FROM comments") == [(50,)]


async def test_bytes_under_way_are_counted_until_they_are_answered_and_no_more_is_read(guarded):
    await guarded.add_account(MINE)
    worker = await guarded.register("worker-1", WORKER_1)
    flow, asked = find_flow(guarded), []
    async with stopped_in_a_turn(guarded):
        for part in range(6):
            messages = [
                comment(part * 100 + number) | {"content": "x" * 30_000} for number in range(90)
            ]
            report = {"type": "comment", "account_id": MINE, "messages": messages}
            asked.append(asyncio.ensure_future(worker.ask("worker:message:detected", report)))
        await wait_until(lambda: not flow.has_room())
        read = flow.pending
        for _ in range(100):
            await asyncio.sleep(0)
        assert flow.pending == read < flow.budget.pending_bytes + MessagesDetected.largest
        assert guarded.master.turns.waiting < 6
    assert [answer["inserted"] for answer in await asyncio.gather(*asked)] == [90] * 6
    await wait_until(lambda: flow.pending == 0)
