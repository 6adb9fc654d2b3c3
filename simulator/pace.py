"""Waiting for something or for some time, whichever comes first."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from master.model import JsonObject

CANCEL_AGAIN_S = 0.2


async def wait_event(event: asyncio.Event, timeout_s: float | None) -> bool:
    """Wait for `event` at most `timeout_s` (None: without limit), clear it, and tell whether it came."""
    came = await wait_set(event, timeout_s)
    if came:
        event.clear()
    return came


async def wait_set(event: asyncio.Event, timeout_s: float | None) -> bool:
    """Wait for `event` at most `timeout_s` (None: without limit), leave it as it is, and tell whether it came."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return False
    return True


async def wait_first(wanted: Coroutine[Any, Any, Any], other: Coroutine[Any, Any, Any], timeout_s: float | None) -> int:
    """Wait for one of two at most `timeout_s` and return which came: 1, 2, or 0 for none. Both at once is 1."""
    tasks = [asyncio.ensure_future(wanted), asyncio.ensure_future(other)]
    try:
        await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        return next((place for place, task in enumerate(tasks, 1) if task.done()), 0)
    finally:
        for task in tasks:
            task.cancel()


def read_wait_s(error: JsonObject) -> float:
    """Return the seconds that a refusal asks to wait before the next try; 0 where it does not say."""
    wait_ms = error.get("retry_after_ms")
    return max(0.0, wait_ms / 1000) if isinstance(wait_ms, (int, float)) else 0.0


async def end_tasks(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks until they have ended. Once is not enough: before Python 3.12 `asyncio.wait_for` may swallow it."""
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)


async def wait_forever() -> None:
    """Wait until cancelled."""
    await asyncio.Event().wait()
