"""Waiting for something or for some time, whichever comes first."""

from __future__ import annotations

import asyncio


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


async def wait_forever() -> None:
    """Wait until cancelled."""
    await asyncio.Event().wait()
