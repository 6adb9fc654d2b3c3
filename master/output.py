"""Output of worker processes: read from a pipe at a limited rate, into a log of bounded size.

A process that writes without end fills neither the disk nor the loop: it blocks, as with every slow
reader.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import BinaryIO

import structlog

from master.clock import Clock
from master.decisions.pace import Pace
from master.errors import StartFailed
from master.files import make_private

log = structlog.get_logger(__name__)

LOG_BYTES = 10 * 1024 * 1024
"""A log that would exceed this is renamed to `.log.1`, which replaces the one before."""

BYTES_PER_S = 1024 * 1024
BURST_BYTES = 4 * BYTES_PER_S
"""Bytes read from one process's output per second, and at once."""

TAIL_BYTES = 1024 * 1024
BLOCK_BYTES = 64 * 1024
LAST_WORDS_S = 1.0
"""Seconds of reading after a process has ended: its children may keep the pipe open forever."""


class Log:
    """One worker's log file."""

    def __init__(self, path: Path) -> None:
        """Open the file. Errors: StartFailed."""
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._open()
        except OSError as fault:
            raise StartFailed(
                f"The worker's log {path} cannot be written: {fault.strerror}."
            ) from None

    def _open(self) -> BinaryIO:
        make_private(self._path)
        file = self._path.open("ab", buffering=0)
        self._size = file.tell()
        return file

    def write(self, data: bytes) -> None:
        """Append a process's output. Errors: OSError."""
        if self._size and self._size + len(data) > LOG_BYTES:
            self._file.close()
            self._path.replace(self._path.with_name(self._path.name + ".1"))
            self._file = self._open()
        self._size += len(data)
        self._file.write(data)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Output:
    """The output of one process; `end` is the file descriptor that it writes to."""

    def __init__(self, path: Path, clock: Clock) -> None:
        """Open log and pipe. Errors: StartFailed, OSError."""
        self._log = Log(path)
        self._clock = clock
        self._from, self.end = os.pipe()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start reading; the process owns the other end."""
        os.close(self.end)
        self._task = asyncio.create_task(self._copy(), name=f"output {self._from}")

    def drop(self) -> None:
        """Close everything; no process was started."""
        os.close(self.end)
        os.close(self._from)
        self._log.close()

    async def close(self) -> None:
        """Store a process's last output, then stop reading."""
        assert self._task is not None, "started"
        _, reading = await asyncio.wait({self._task}, timeout=LAST_WORDS_S)
        if reading:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _copy(self) -> None:
        reader = asyncio.StreamReader(limit=BLOCK_BYTES)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(self._from, "rb", buffering=0)
        )
        pace = Pace()
        try:
            while data := await reader.read(BLOCK_BYTES):
                try:
                    await asyncio.to_thread(self._log.write, data)
                except OSError as fault:  # a full disk: the process continues, its output is lost
                    log.warning(
                        "worker_output_lost", file=self._log._path.name, reason=fault.strerror
                    )
                now = self._clock.monotonic()
                wait_s = pace.charge(now, BYTES_PER_S, BURST_BYTES, len(data))
                if wait_s:
                    await asyncio.sleep(wait_s)
        finally:
            transport.close()
            self._log.close()


def read_tail(path: Path, lines: int) -> list[str]:
    """Return the last lines of a log, reading only as much of its end as they need."""
    if lines < 1 or not path.is_file():
        return []
    tail = b""
    with path.open("rb") as file:
        position = file.seek(0, os.SEEK_END)
        floor = max(0, position - TAIL_BYTES)
        while position > floor and tail.count(b"\n") <= lines:
            step = min(BLOCK_BYTES, position - floor)
            position -= step
            file.seek(position)
            tail = file.read(step) + tail
    found = tail.decode("utf-8", "replace").removesuffix("\n").split("\n") if tail else []
    return [line.removesuffix("\r") for line in found[-lines:]]
