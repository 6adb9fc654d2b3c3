"""HTTP without a network: requests go as bytes to Master's real HTTP server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import orjson

from master.model import JsonObject
from simulator.truth.api import ApiTrouble
from simulator.truth.ledger import Ledger
from simulator.virtual.machine.house import House

TIMEOUT_S = 30.0
TRIES = 5


class _MemoryTransport(asyncio.Transport):
    """The server's side of one HTTP connection; it collects the answer until it closes."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 3000)})
        self._chunks: list[bytes] = []
        self._closing = False
        self.answer: asyncio.Future[bytes] = loop.create_future()

    def write(self, data: Any) -> None:
        """Append a part of the answer."""
        self._chunks.append(bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        """Append parts of the answer."""
        self._chunks.extend(bytes(data) for data in list_of_data)

    def is_closing(self) -> bool:
        """Tell whether the answer is complete."""
        return self._closing

    def close(self) -> None:
        """Complete the answer."""
        self._closing = True
        if not self.answer.done():
            self.answer.set_result(b"".join(self._chunks))

    abort = close

    def pause_reading(self) -> None:
        """Do nothing: the whole request has arrived already."""

    def resume_reading(self) -> None:
        """Do nothing: the whole request has arrived already."""

    def get_write_buffer_size(self) -> int:
        """Return 0: nothing is buffered."""
        return 0


class MemoryApi:
    """An Api (simulator/truth/api.py) of this process's Master; it searches answers for secrets."""

    def __init__(self, house: House, ledger: Ledger) -> None:
        self._house = house
        self._ledger = ledger

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: JsonObject | None = None,
    ) -> tuple[int, JsonObject]:
        """Return status and JSON body; retry if Master is busy (429, 503). Errors: ApiTrouble."""
        status, raw = 0, b""
        for attempt in range(TRIES):
            status, raw = await self._ask_once(method, f"/api/v1/{path}", query, body)
            self._ledger.search_secrets(f"{method} {path}", raw)
            if status not in {429, 503}:
                break
            await asyncio.sleep(0.2 * 2**attempt)
        answered = orjson.loads(raw)
        return status, answered if isinstance(answered, dict) else {"data": answered}

    async def read_text(self, target: str) -> str:
        """Return the text at `target`, outside the API. Errors: ApiTrouble, also for a 404."""
        status, raw = await self._ask_once("GET", target, None, None)
        self._ledger.search_secrets(target, raw)
        if status != 200:
            raise ApiTrouble(f"GET {target} answered {status}")
        return raw.decode()

    async def _ask_once(
        self, method: str, path: str, query: Mapping[str, Any] | None, body: JsonObject | None
    ) -> tuple[int, bytes]:
        life, master = self._house.life, self._house.master
        if life is None or master is None:
            raise ApiTrouble(f"{method} {path}: Master is not there")
        content = b"" if body is None else orjson.dumps(body)
        target = path + (f"?{urlencode(query)}" if query else "")
        lines = [
            f"{method} {target} HTTP/1.1",
            "Host: master",
            "Connection: close",
            f"Content-Length: {len(content)}",
        ]
        transport = _MemoryTransport(asyncio.get_running_loop())
        protocols: list[Any] = []

        def arrive() -> None:
            protocols.append(master.make_http_protocol())
            protocols[0].connection_made(transport)
            protocols[0].data_received("\r\n".join([*lines, "", ""]).encode() + content)

        life.post(arrive)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer = await transport.answer
        except TimeoutError:
            raise ApiTrouble(f"{method} {path}: no answer") from None
        finally:
            transport.close()
            # a step later: aiohttp fails if a connection is lost in the very step in which it is
            # made
            life.post(lambda: life.post(lambda: protocols[0].connection_lost(None)))
        top, _, raw = answer.partition(b"\r\n\r\n")
        if not top:
            raise ApiTrouble(f"{method} {path}: the connection broke")
        return int(top.split(b" ", 2)[1]), raw
