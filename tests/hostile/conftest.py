"""Whatever peers do: no line of level error, no unhandled exception, no trace in memory."""

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
"""Engine.IO logs a peer's mistake as an error, once per process."""


class Errors(logging.Handler):
    """Collects the traces of bugs: error lines of any logger, and unhandled exceptions."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._found: list[str] = []
        self._lines: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a library's log line."""
        line = self.format(record)
        if not any(words in line for words in LIBRARIES_OWN_WORDS):
            self._found.append(line)

    def pop_all(self) -> list[str]:
        """Return the findings so far and forget them."""
        gc.collect()  # the exception of a dropped task is reported when the task is collected
        found = self._found + [
            str(line) for line in self._lines if line["log_level"] in ("error", "critical")
        ]
        self._found.clear()
        self._lines.clear()
        return found

    @contextmanager
    def listen(self) -> Iterator[None]:
        """Listen to every logger and to the running loop."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: self._found.append(str(context)))
        logging.getLogger().addHandler(self)
        with structlog.testing.capture_logs() as self._lines:
            yield
        logging.getLogger().removeHandler(self)


@pytest.fixture(autouse=True)
async def errors() -> AsyncIterator[Errors]:
    """Check that no peer caused an error in Master."""
    errors = Errors()
    gc.freeze()  # older objects have no news, so the collector checks only the objects of this test
    with errors.listen():
        yield errors
        found = errors.pop_all()
    gc.unfreeze()
    assert found == []


@pytest.fixture
def environ() -> dict[str, str]:
    """Master as it is, but patient with fast senders, because the bench's clock stands still."""
    return {"SOCKET_EVENTS_PER_S": "0", "REGISTRATION_RATE": "0"}


@pytest.fixture
async def bystanders(bench: Bench) -> Bystanders:
    return await Bystanders.arrive(bench)


@pytest.fixture
async def stage(bench: Bench) -> Stage:
    return await Stage.set_up(bench)
