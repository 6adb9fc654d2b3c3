"""A caller with a token does not wait for a crowd of strangers."""

from __future__ import annotations

import select
import socket

import aiohttp

from tests.security.conftest import READER, Guarded
from tests.walks.test_backlog import wait_until

CROWD = 110
"""Fewer than the kernel keeps while Master accepts none."""


async def test_a_caller_with_a_token_overtakes_a_crowd_that_came_before(guarded: Guarded) -> None:
    port = guarded.master.port
    async with aiohttp.ClientSession() as session:
        await guarded.ask("GET", "/api/v1/status", READER, session=session)
        before = len(guarded.master.lines)
        crowd = [socket.create_connection(("127.0.0.1", port)) for _ in range(CROWD)]
        try:
            await wait_until(lambda: len(guarded.master.lines) == before + CROWD)
            for one in crowd:  # Master runs in this thread, and reads none of it yet
                one.send(b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            answer = await guarded.ask("GET", "/api/v1/status", READER, session=session)
            answered, _, _ = select.select(crowd, [], [], 0)
            assert (answer.status, len(answered) < CROWD / 2) == (200, True), len(answered)
            await wait_until(lambda: len(select.select(crowd, [], [], 0)[0]) == CROWD)
        finally:
            for one in crowd:
                one.close()
