"""Raw TCP connections: bytes that no client would send, and the full answer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.waiting import PATIENCE_S

if TYPE_CHECKING:
    from tests.security.conftest import Guarded

Opener = Callable[..., Awaitable["Line"]]


class Line:
    """One raw TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def end(self) -> bytes:
        """Wait until Master closes the connection; return the bytes received until then."""
        data = b""
        with suppress(ConnectionError):
            async with asyncio.timeout(PATIENCE_S):
                while chunk := await self.reader.read(65_536):
                    data += chunk
        return data


@pytest.fixture
async def open_line() -> AsyncIterator[Opener]:
    """Open raw TCP connections; close them all at the end."""
    lines: list[Line] = []

    async def make(guarded: Guarded, data: bytes = b"") -> Line:
        sock = socket.create_connection(("127.0.0.1", guarded.master.port))
        # kernels grow it to tens of megabytes
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        line = Line(*await asyncio.open_connection(sock=sock))
        lines.append(line)
        line.writer.write(data)
        await line.writer.drain()
        return line

    yield make
    for line in lines:
        line.writer.close()
        with suppress(ConnectionError):
            await line.writer.wait_closed()


async def settle(guarded: Guarded) -> None:
    """Wait until Master has read everything sent before."""
    for _ in range(3):
        await guarded.ask("GET", "/health/live", None)
