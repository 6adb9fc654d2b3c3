"""How tests wait: for a condition, and for as long as a busy machine may need.

Only this module sleeps in real time. A test whose sleeps take no time runs in virtual time.
"""

from __future__ import annotations

import ast
import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

PATIENCE_S = 120
"""Bound of every wait: no machine is this slow, and a test that fails still ends."""
GLANCE_S = 0.005
"""Between two looks; a loop that only spins would starve the threads that it waits for."""


async def until(met: Callable[[], object]) -> None:
    """Look again and again until the condition is true; fail after PATIENCE_S."""
    async with asyncio.timeout(PATIENCE_S):
        while not met():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(GLANCE_S)


def block_until(met: Callable[[], object]) -> None:
    """Do the same where there is no loop: another process is what the test waits for."""
    end = time.monotonic() + PATIENCE_S
    while not met():
        assert time.monotonic() < end, "nothing came within PATIENCE_S"
        time.sleep(GLANCE_S)


def find_sleeps() -> Iterator[str]:
    """Yield where tests call `sleep` with anything but 0; this module is left out."""
    root = Path(__file__).parents[1]
    for path in sorted((root / "tests").rglob("*.py")):
        if path != Path(__file__):
            yield from (
                f"{path.relative_to(root)}:{node.lineno}"
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                if isinstance(node, ast.Call)
                and ast.unparse(node.func) in ("asyncio.sleep", "time.sleep", "sleep")
                and ast.unparse(node) != "asyncio.sleep(0)"
            )
