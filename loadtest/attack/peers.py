"""Misbehaving peers: raw bytes on TCP connections, and Engine.IO without a library."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from typing import Any

PATIENCE_S = 150.0
SEPARATOR = "\x1e"
PATH = "/socket.io/?EIO=4&transport="


class Wire:
    """One TCP connection to Master.

    A read that takes longer than PATIENCE_S, or is cut off, returns an empty result.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> Wire:
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=32 * 1024 * 1024))

    async def write(self, data: bytes) -> bool:
        """Send bytes; return whether the connection still accepts them."""
        try:
            self.writer.write(data)
            await asyncio.wait_for(self.writer.drain(), PATIENCE_S)
        except (OSError, TimeoutError):
            return False
        return True

    async def read_answer(self) -> tuple[int, str]:
        """Return status and body of one HTTP answer; status 0 if the connection ended first."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                length = 0
                for line in head.lower().splitlines():
                    if line.startswith("content-length:"):
                        length = int(line.partition(":")[2])
                return int(head.split(" ", 2)[1]), (await self.reader.readexactly(length)).decode(
                    "utf-8", "replace"
                )
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            return 0, ""

    async def ask(
        self, method: str, path: str, body: bytes = b"", headers: str = ""
    ) -> tuple[int, str]:
        """Send a request and return status and body."""
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        await self.write(
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{length}{headers}\r\n".encode() + body
        )
        return await self.read_answer()

    async def is_open(self) -> bool:
        """Tell whether Master has left the connection open; drop the bytes that it sent."""
        with suppress(OSError):
            try:
                while await asyncio.wait_for(self.reader.read(65_536), 0.05):
                    pass
            except TimeoutError:
                return True
        return False

    def close(self) -> None:
        """End the connection at once."""
        self.writer.transport.abort()


class Polling:
    """One long-polling session."""

    def __init__(self, port: int, wire: Wire, sid: str) -> None:
        self.port, self.wire = port, wire
        self.path = f"{PATH}polling&sid={sid}"

    @classmethod
    async def open(cls, port: int, headers: str = "") -> Polling | None:
        """Open a session; None if Master refuses."""
        wire = await Wire.open(port)
        status, body = await wire.ask("GET", PATH + "polling", headers=headers)
        if status != 200:
            wire.close()
            return None
        return cls(port, wire, json.loads(body[1:])["sid"])

    async def post(self, *packets: str) -> int:
        """Send packets in one body and return the status; 0 if the connection ended."""
        return (await self.wire.ask("POST", self.path, SEPARATOR.join(packets).encode()))[0]


def encode_frame(data: bytes, opcode: int = 1, *, fin: bool = True) -> bytes:
    """Return a masked WebSocket frame; a mask of four zeros leaves the payload unchanged."""
    first = bytes([(0x80 if fin else 0) | opcode])
    if len(data) < 126:
        return first + bytes([0x80 | len(data)]) + b"\0\0\0\0" + data
    if len(data) < 65_536:
        return first + b"\xfe" + len(data).to_bytes(2, "big") + b"\0\0\0\0" + data
    return first + b"\xff" + len(data).to_bytes(8, "big") + b"\0\0\0\0" + data


class WebSocket:
    """One Engine.IO connection over a WebSocket."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    @classmethod
    async def open(cls, port: int, sid: str = "") -> WebSocket:
        """Shake hands; with a `sid`, as an upgrade from long-polling."""
        wire = await Wire.open(port)
        key = "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n"
        path = PATH + "websocket" + (f"&sid={sid}" if sid else "")
        head = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Upgrade: websocket\r\nConnection: Upgrade\r\n{key}\r\n"
        )
        await wire.write(head.encode())
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            await asyncio.wait_for(wire.reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
        return cls(wire)

    async def say(self, *packets: str | bytes) -> bool:
        """Send packets, a frame each, in one write; return whether the connection accepts them."""
        frames = [
            encode_frame(one.encode()) if isinstance(one, str) else encode_frame(one, opcode=2)
            for one in packets
        ]
        return await self.wire.write(b"".join(frames))

    async def hear(self) -> str:
        """Return the next text; empty at the end. Answers pings meanwhile."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    first, length = await self.wire.reader.readexactly(2)
                    if length == 126:
                        length = int.from_bytes(await self.wire.reader.readexactly(2), "big")
                    elif length == 127:
                        length = int.from_bytes(await self.wire.reader.readexactly(8), "big")
                    text = (await self.wire.reader.readexactly(length)).decode("utf-8", "replace")
                    if first & 15 == 8:
                        return ""
                    if text != "2":
                        return text
                    await self.say("3")
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            return ""

    async def hear_start(self, start: str) -> str:
        """Return the next text that begins with `start`; empty at the end."""
        while (text := await self.hear()) and not text.startswith(start):
            pass
        return text

    async def join(self, namespace: str, token: str) -> bool:
        """Join a namespace; return whether Master accepted the token."""
        await self.hear_start("0")
        await self.say(f'40{namespace},{{"token":"{token}"}}')
        return (await self.hear_start("4")).startswith(f"40{namespace},")

    async def ask(self, namespace: str, number: int, event: str, text: str) -> dict[str, Any]:
        """Send an event with this JSON payload; return its acknowledgement, empty at the end."""
        await self.say(f'42{namespace},{number}["{event}",{text}]')
        answer = await self.hear_start(f"43{namespace},{number}[")
        return dict(json.loads(answer[answer.index("[") :])[0]) if answer else {}


def make_secret() -> str:
    """Return a token's secret."""
    return os.urandom(16).hex()
