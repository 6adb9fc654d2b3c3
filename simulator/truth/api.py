"""Master's HTTP API for the simulator: a protocol, and its implementation over connections."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any, Protocol

import aiohttp
import orjson

from master.model import JsonObject
from simulator.truth.ledger import Ledger

PAGE = 500
"""Rows per page: the API's maximum (docs/operating.md, "Limits")."""

TRIES = 4


class ApiTrouble(Exception):
    """Master's HTTP API did not answer as expected."""


class Api(Protocol):
    """Calls Master over HTTP."""

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        body: JsonObject | None = None,
    ) -> tuple[int, JsonObject]:
        """Return status and JSON body. Errors: ApiTrouble without an answer."""
        ...


class HttpApi:
    """Calls a real Master, and searches its answers for secrets.

    The token is the one in MASTER_ADMIN_TOKEN, if any.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, ledger: Ledger) -> None:
        self._session = session
        self._root = f"{url}/api/v1"
        token = os.environ.get("MASTER_ADMIN_TOKEN")
        self._headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {token}"} if token else {}
        )
        self._ledger = ledger

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        body: JsonObject | None = None,
    ) -> tuple[int, JsonObject]:
        """Return status and JSON body, with retries while Master is busy (429, 503).

        Errors: ApiTrouble.
        """
        status, raw = 0, b""
        for attempt in range(TRIES):
            try:
                async with self._session.request(
                    method,
                    f"{self._root}/{path}",
                    params=query,
                    data=None if body is None else orjson.dumps(body),
                    headers=self._headers,
                ) as answer:
                    status, raw = answer.status, await answer.read()
            except (aiohttp.ClientError, TimeoutError) as fault:
                raise ApiTrouble(f"{method} {path}: {type(fault).__name__} {fault}") from fault
            self._ledger.search_secrets(f"{method} {path}", raw)
            if status not in {429, 503}:
                break
            await asyncio.sleep(0.2 * 2**attempt)
        try:
            answered = orjson.loads(raw)
        except orjson.JSONDecodeError:
            raise ApiTrouble(
                f"{method} {path} answered {status} without JSON: {raw[:80]!r}"
            ) from None
        return status, answered if isinstance(answered, dict) else {"data": answered}


async def list_all(api: Api, path: str, **query: Any) -> AsyncIterator[JsonObject]:
    """Yield every row of a list, page by page.

    Errors: ApiTrouble, also if the number of rows differs from `total`.
    """
    offset = 0
    while True:
        status, answer = await api.ask(
            "GET", path, query={**query, "limit": PAGE, "offset": offset}
        )
        if status != 200:
            raise ApiTrouble(f"GET {path} answered {status}: {answer.get('error')}")
        rows = answer["data"]
        for row in rows:
            yield row
        offset += len(rows)
        if not answer.get("has_more", len(rows) == PAGE):
            break
    if answer.get("total") != offset:
        raise ApiTrouble(f"GET {path} says total {answer.get('total')} and lists {offset} rows")
