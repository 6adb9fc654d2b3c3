"""Waiting for something or for some time, whichever comes first."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from master.model import JsonObject

CANCEL_AGAIN_S = 0.2


class Signal:
    """Something that is waited for again and again, at most for some time; over once it was waited for.

    `asyncio.timeout` around an Event would do the same by a cancellation each time, which takes three times as long.
    """

    def __init__(self) -> None:
        self._given = False
        self._waiting: list[asyncio.Future[bool]] = []

    def set(self) -> None:
        """Let all present waits, or else the next one, be over."""
        self._given = True
        for waiter in self._waiting:
            _settle(waiter, True)

    def clear(self) -> None:
        """Take it back."""
        self._given = False

    async def wait(self, timeout_s: float | None) -> bool:
        """Wait at most `timeout_s` (None: without limit), and tell whether the signal came."""
        came = self._given or await self._wait(timeout_s)
        if came:
            self._given = False
        return came

    async def _wait(self, timeout_s: float | None) -> bool:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        timer = None if timeout_s is None else loop.call_later(timeout_s, _settle, waiter, False)
        self._waiting.append(waiter)
        try:
            return await waiter
        finally:
            self._waiting.remove(waiter)
            if timer is not None:
                timer.cancel()


def _settle(waiter: asyncio.Future[bool], came: bool) -> None:
    if not waiter.done():
        waiter.set_result(came)


async def wait_set(event: asyncio.Event, timeout_s: float | None) -> bool:
    """Wait for `event` at most `timeout_s` (None: without limit), leave it as it is, and tell whether it came."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return False
    return True


async def wait_first(
    wanted: Coroutine[Any, Any, Any], other: Coroutine[Any, Any, Any], timeout_s: float | None
) -> int:
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
