"""Waits that end with an event or a timeout, whichever comes first."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from master.model import JsonObject

CANCEL_AGAIN_S = 0.2


class Signal:
    """A repeatable event: each successful wait consumes it.

    `asyncio.timeout` around an Event would cancel a task each time, which takes three times as
    long.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._waiting: list[asyncio.Future[bool]] = []

    def set(self) -> None:
        """End all present waits, or else the next one."""
        self._is_set = True
        for waiter in self._waiting:
            _resolve(waiter, True)

    def clear(self) -> None:
        """Withdraw the signal."""
        self._is_set = False

    async def wait(self, timeout_s: float | None) -> bool:
        """Wait at most `timeout_s` (None: no limit) and return whether the signal came."""
        came = self._is_set or await self._wait(timeout_s)
        if came:
            self._is_set = False
        return came

    async def _wait(self, timeout_s: float | None) -> bool:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        timer = None if timeout_s is None else loop.call_later(timeout_s, _resolve, waiter, False)
        self._waiting.append(waiter)
        try:
            return await waiter
        finally:
            self._waiting.remove(waiter)
            if timer is not None:
                timer.cancel()


def _resolve(waiter: asyncio.Future[bool], came: bool) -> None:
    if not waiter.done():
        waiter.set_result(came)


async def wait_set(event: asyncio.Event, timeout_s: float | None) -> bool:
    """Wait up to `timeout_s` (None: no limit), keep `event` set, and return whether it was set."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return False
    return True


async def wait_first(
    wanted: Coroutine[Any, Any, Any], other: Coroutine[Any, Any, Any], timeout_s: float | None
) -> int:
    """Return which of two ends first in `timeout_s`: 1, 2, or 0 for neither; both at once is 1."""
    tasks = [asyncio.ensure_future(wanted), asyncio.ensure_future(other)]
    try:
        await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        return next((number for number, task in enumerate(tasks, 1) if task.done()), 0)
    finally:
        for task in tasks:
            task.cancel()


def read_wait_s(error: JsonObject) -> float:
    """Return the wait before a retry that a refusal requests, in seconds; 0 if it requests none."""
    wait_ms = error.get("retry_after_ms")
    return max(0.0, wait_ms / 1000) if isinstance(wait_ms, (int, float)) else 0.0


async def end_tasks(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks until they have ended.

    Once is not enough: before Python 3.12 `asyncio.wait_for` may swallow a cancellation.
    """
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)


async def wait_forever() -> None:
    """Wait until cancelled."""
    await asyncio.Event().wait()
