"""Whatever peers do: no line of level error, no exception that nobody caught, nothing left of them in memory."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import structlog

from tests.conftest import Bench
from tests.hostile.world import Bystanders, Stage

LIBRARIES_OWN_WORDS = ("further occurrences of this error will be logged with level INFO",)
"""Engine.IO says once per process, as an error, what a peer did wrong."""


class Errors(logging.Handler):
    """Collects what only a bug of ours writes: error lines of any logger, and exceptions that nobody caught."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._found: list[str] = []
        self._lines: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a library's line."""
        line = self.format(record)
        if not any(words in line for words in LIBRARIES_OWN_WORDS):
            self._found.append(line)

    def take(self) -> list[str]:
        """Return what was found until now, and forget it."""
        gc.collect()  # a task's exception that nobody asked for is told when the task is thrown away
        found = self._found + [
            str(line) for line in self._lines if line["log_level"] in ("error", "critical")
        ]
        self._found.clear()
        self._lines.clear()
        return found

    @contextmanager
    def listen(self) -> Iterator[None]:
        """Hear every logger and the running loop."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: self._found.append(str(context)))
        logging.getLogger().addHandler(self)
        with structlog.testing.capture_logs() as self._lines:
            yield
        logging.getLogger().removeHandler(self)


@pytest.fixture(autouse=True)
async def errors() -> AsyncIterator[Errors]:
    """Whatever the peers did, nothing was an error of ours."""
    errors = Errors()
    gc.freeze()  # what was here before has no news: the collector looks only at what the test leaves
    with errors.listen():
        yield errors
        found = errors.take()
    gc.unfreeze()
    assert found == []


@pytest.fixture
def environ() -> dict[str, str]:
    """Master as it is, but for its patience with fast senders: the bench's clock stands still."""
    return {"SOCKET_EVENTS_PER_S": "0", "REGISTRATION_RATE": "0"}


@pytest.fixture
async def bystanders(bench: Bench) -> Bystanders:
    return await Bystanders.arrive(bench)


@pytest.fixture
async def stage(bench: Bench) -> Stage:
    return await Stage.set_up(bench)
