"""Sinks of log lines, each with a bounded queue and a thread that writes: no caller ever waits.

A console may be a pipe without a reader, and a disk may hang. Then the lines of that sink queue
up, the lines past the bound are lost and counted, and the other sinks go on.
"""

from __future__ import annotations

import logging
import os
import select
import threading
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TextIO

from master.files import make_private

QUEUE_LINES = 10_000
QUEUE_BYTES = 4 * 1024 * 1024
"""Limit of a sink's queue; lines past it are lost."""

FLUSH_S = 2.0
"""How long a close waits for a sink that does not accept its lines."""

LOST: dict[str, int] = {}
"""Sink -> lines that this process has lost."""


class Target(Protocol):
    """A destination of bytes. Its methods may block; only a sink's thread calls them."""

    encoding: str

    def write(self, data: bytes) -> int:
        """Write some of the bytes; return how many. Errors: OSError."""

    def reopen(self) -> None:
        """Open the destination's path anew: another program may have moved it. Errors: OSError."""

    def close(self) -> None:
        """Release the destination."""


class Console:
    """A standard stream, written without its lock: a blocked write would keep it."""

    def __init__(self, stream: TextIO) -> None:
        self.encoding = stream.encoding or "utf-8"
        self._stream = stream
        self._descriptor: int | None = None
        with suppress(OSError, ValueError):  # a stream in memory has none
            self._descriptor = os.dup(stream.fileno())

    def write(self, data: bytes) -> int:
        """Write some of the bytes; return how many. Errors: OSError."""
        if self._descriptor is None:
            self._stream.write(data.decode(self.encoding))
            self._stream.flush()
            return len(data)
        while True:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:  # another process made the pipe non-blocking
                select.select([], [self._descriptor], [])

    def reopen(self) -> None:
        """Do nothing: a stream has no path."""

    def close(self) -> None:
        """Close this sink's own handle of the stream."""
        if self._descriptor is not None:
            os.close(self._descriptor)


class RotatedFile:
    """A private file; one that would exceed `limit` bytes is renamed to `.1`, and `.1` to `.2`."""

    encoding = "utf-8"

    def __init__(self, path: Path, limit: int, kept: int) -> None:
        """Open the file. Errors: OSError."""
        self._path, self._limit, self._kept = path, limit, kept
        self._descriptor: int | None = self._open()

    def _open(self) -> int:
        make_private(self._path)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = os.fstat(descriptor).st_size
        return descriptor

    def write(self, data: bytes) -> int:
        """Append some of the bytes; return how many. Errors: OSError."""
        if self._descriptor is None:
            self._descriptor = self._open()
        if self._size and self._size + len(data) > self._limit:
            self._rotate()
            self._descriptor = self._open()
        written = os.write(self._descriptor, data)
        self._size += written
        return written

    def _rotate(self) -> None:
        self.close()
        for number in range(self._kept - 1, -1, -1):
            with suppress(FileNotFoundError):
                self._name(number).replace(self._name(number + 1))

    def _name(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path

    def reopen(self) -> None:
        """Go on in a new file if this one was moved away. Errors: OSError."""
        self.close()
        self._descriptor = self._open()

    def close(self) -> None:
        """Close the file."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


class Sink(logging.Handler):
    """Queues formatted lines for a thread of its own, which writes them to a target.

    Filters and the formatter run at the call, so that the queue contains no secret. When a sink
    goes on after a loss, one line in the place of the lost ones reports their number.
    """

    def __init__(
        self,
        name: str,
        target: Target,
        *,
        max_lines: int = QUEUE_LINES,
        max_bytes: int = QUEUE_BYTES,
    ) -> None:
        super().__init__()
        self.sink_name = name
        self._max_lines, self._max_bytes = max_lines, max_bytes
        self._target = target
        self._changed = threading.Condition()
        self._queue: deque[bytes | int] = deque()
        """Lines, and in place of lost lines their number."""
        self._lines = self._bytes = 0
        self._is_writing = self._must_reopen = self._is_closing = False
        self._untold = 0
        """Lost lines that the thread has passed and not reported."""
        self._is_torn = False
        """Whether the last write ended within a line."""
        LOST.setdefault(name, 0)
        self._thread = threading.Thread(target=self._write_for_ever, name=f"log-{name}")
        self._thread.daemon = True  # a thread that waits for a pipe must not keep the process
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line; never wait for the target."""
        try:
            line = self._encode(record)
        except Exception:
            # logging's own report of this would be written to stderr, which may block
            line = None
        with self._changed:
            if line is None or not self._has_room(line):
                self._lose()
                return
            self._queue.append(line)
            self._lines += 1
            self._bytes += len(line)
            self._changed.notify_all()

    def _encode(self, record: logging.LogRecord) -> bytes:
        return f"{self.format(record)}\n".encode(self._target.encoding, "backslashreplace")

    def _has_room(self, line: bytes) -> bool:
        return (
            not self._is_closing
            and self._lines < self._max_lines
            and self._bytes + len(line) <= self._max_bytes
        )

    def _lose(self) -> None:
        LOST[self.sink_name] += 1
        if self._queue and isinstance(self._queue[-1], int):
            self._queue[-1] += 1
        else:
            self._queue.append(1)
            self._changed.notify_all()

    def reopen(self) -> None:
        """Have the target opened anew before its next line; never wait for it."""
        with self._changed:
            self._must_reopen = True
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until every queued line is written, at most FLUSH_S."""
        self.wait_until_written(0.0 if self._is_closing else FLUSH_S)

    def wait_until_written(self, patience_s: float) -> bool:
        """Wait until every queued line is written; return False if that takes longer."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._queue and not self._is_writing, patience_s
            )

    def end(self) -> None:
        """Accept no more lines; the thread writes the queued ones and ends."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()

    def join(self, patience_s: float) -> bool:
        """Wait for the end of the thread; return False if it does not end in time."""
        self._thread.join(patience_s)
        return not self._thread.is_alive()

    def close(self) -> None:
        """Accept no more lines; wait for nothing."""
        self.end()
        super().close()

    # -- the thread ----------------------------------------------------------------------------

    def _write_for_ever(self) -> None:
        while True:
            with self._changed:
                self._is_writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._queue or self._must_reopen or self._is_closing)
                item = self._queue.popleft() if self._queue else None
                if isinstance(item, bytes):
                    self._lines -= 1
                    self._bytes -= len(item)
                self._is_writing = True
                must_reopen, self._must_reopen = self._must_reopen, False
                is_last = item is None and self._is_closing
            if must_reopen:
                with suppress(OSError):
                    self._target.reopen()
            if isinstance(item, int):
                self._untold += item
            if item is not None:
                self._write(item if isinstance(item, bytes) else b"")
            if is_last:
                with suppress(OSError):
                    self._target.close()
                return

    def _write(self, line: bytes) -> None:
        """Write the number of lost lines, if any, and a line; a line that fails is lost."""
        try:
            if self._untold:
                self._write_all(self._encode(_describe_loss(self._untold)))
                self._untold = 0
            self._write_all(line)
        except Exception:
            # whatever the target raises, the next line may succeed
            if line:
                with self._changed:
                    LOST[self.sink_name] += 1
                self._untold += 1

    def _write_all(self, line: bytes) -> None:
        rest = b"\n" + line if self._is_torn and line else line
        while rest:
            rest = rest[self._target.write(rest) :]
            self._is_torn = bool(rest)


def _describe_loss(lines: int) -> logging.LogRecord:
    return logging.makeLogRecord(
        {
            "name": __name__,
            "levelno": logging.WARNING,
            "levelname": "WARNING",
            "msg": "log_lines_lost",
            "lost_lines": lines,
        }
    )


def close_sinks(sinks: Iterable[Sink]) -> None:
    """Have the queued lines written and end the threads; wait for a blocked one at most FLUSH_S."""
    sinks = list(sinks)
    for sink in sinks:
        sink.end()
    patience_s = FLUSH_S
    for sink in sinks:
        if not sink.join(patience_s):
            patience_s = 0.0  # the others had as long
        sink.close()
