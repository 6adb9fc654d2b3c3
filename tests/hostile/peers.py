"""A peer that writes Engine.IO and Socket.IO packets by hand, and the check of every answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import orjson

from master.errors import every_refusal
from tests.hostile.zoo import Shape
from tests.waiting import PATIENCE_S

CODES = frozenset(refusal.code for refusal in every_refusal())
RETRYABLE = {refusal.code: refusal.retryable for refusal in every_refusal()}
ACKNOWLEDGEMENT = re.compile(r"43(/[^,\[]*),(\d+)\[")


def check_answer(answer: Any) -> dict[str, Any]:
    """Check that an answer reports success or a documented refusal, never an internal error."""
    assert isinstance(answer, dict), answer
    if answer.get("success") is True:
        return answer
    assert answer["success"] is False, answer
    error = answer["error"]
    assert error["code"] in CODES, error
    assert error["retryable"] is RETRYABLE[error["code"]]
    assert isinstance(error["message"], str)
    assert error["message"]
    assert set(error) <= {"code", "message", "details", "retryable", "retry_after_ms"}
    assert set(answer) <= {"success", "error", "details"}
    return answer


class RawPeer:
    """One WebSocket in one namespace that sends any frames."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, namespace: str) -> None:
        self._socket = socket
        self._last_id = 0
        self.namespace = namespace

    async def say(self, *frames: str | bytes) -> None:
        """Send frames unchanged."""
        for frame in frames:
            await (
                self._socket.send_str(frame)
                if isinstance(frame, str)
                else self._socket.send_bytes(frame)
            )

    async def say_to_the_end(self, *frames: str | bytes) -> None:
        """Send frames, even if Master closes the connection meanwhile."""
        with suppress(ConnectionError):
            await self.say(*frames)

    async def ask(self, event: str, shape: Shape) -> dict[str, Any]:
        """Send an event with an acknowledgement id; return its documented answer."""
        self._last_id += 1
        await self.say(*write_event(self.namespace, event, shape, self._last_id))
        return check_answer(await self.acknowledged(self._last_id))

    async def acknowledged(self, id: int, namespace: str | None = None) -> Any:
        """Wait for the acknowledgement of packet `id`."""
        wanted = f"43{namespace or self.namespace},{id}["
        async with asyncio.timeout(PATIENCE_S):
            while True:
                text = await self.next_text()
                if text.startswith(wanted):
                    return orjson.loads(text[len(wanted) - 1 :])[0]

    async def answers_before(self, id: int) -> dict[int, Any]:
        """Wait for the acknowledgement of packet `id`; return it and all earlier packets, by id."""
        answers: dict[int, Any] = {}
        async with asyncio.timeout(PATIENCE_S):
            while id not in answers:
                text = await self.next_text()
                found = ACKNOWLEDGEMENT.match(text)
                if found is not None and found[1] == self.namespace:
                    assert int(found[2]) not in answers, "answered twice"
                    answers[int(found[2])] = check_answer(orjson.loads(text[found.end() - 1 :])[0])
        return answers

    async def next_text(self) -> str:
        """Return the next text packet; answer pings."""
        while True:
            message = await self._socket.receive()
            assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), (
                "the connection is gone"
            )
            if message.data == "2":
                await self._socket.send_str("3")
            elif isinstance(message.data, str):
                return message.data


def write_event(namespace: str, event: str, shape: Shape, id: int | None) -> list[str | bytes]:
    """Return the frames of one event: the packet and its attachments."""
    name = orjson.dumps(event).decode()
    content = "[" + ",".join([name, *shape.arguments]) + "]"
    kind = f"45{len(shape.attachments)}-" if shape.attachments else "42"
    return [f"{kind}{namespace},{'' if id is None else id}{content}", *shape.attachments]


@asynccontextmanager
async def join(port: int, namespace: str) -> AsyncIterator[RawPeer]:
    """Provide a raw peer in `namespace`."""
    url = f"http://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket"
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, max_msg_size=0) as socket,
    ):
        peer = RawPeer(socket, namespace)
        await peer.next_text()
        await peer.say(f"40{namespace},")
        assert (await peer.next_text()).startswith(f"40{namespace},")
        yield peer
