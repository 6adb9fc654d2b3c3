"""Output of worker processes: read from a pipe at a limited rate, into a log of bounded size.

A process that writes without end fills neither the disk nor the loop: it blocks, as with every slow
reader.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
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
LINE_CHARACTERS = 10_000
"""Longer lines are cut where people read them."""

START = "0.0"
"""The position before everything that a log has."""

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
            self._path.replace(name_former(self._path))
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


def name_former(path: Path) -> Path:
    """Return the path of a log's former part, which was renamed when the log became too large."""
    return path.with_name(path.name + ".1")


@dataclass(frozen=True, slots=True)
class Part:
    """Lines of a log, and the positions before and behind them.

    `skipped` lines before them are left out; None if the log was replaced meanwhile. A position is
    the file's number and a byte in it, such as `1234.567`.
    """

    lines: list[str]
    before: str
    after: str
    skipped: int | None


@dataclass(frozen=True, slots=True)
class _Piece:
    """The bytes of an open file from `start` to `end`."""

    file: BinaryIO
    start: int
    end: int

    def name_position(self, at: int) -> str:
        return f"{os.fstat(self.file.fileno()).st_ino}.{at}"

    def count_lines(self, end: int) -> int:
        """Count the ends of lines before `end`."""
        self.file.seek(self.start)
        number, left = 0, end - self.start
        while left > 0 and (block := self.file.read(min(TAIL_BYTES, left))):
            number += block.count(b"\n")
            left -= len(block)
        return number

    def read(self) -> bytes:
        self.file.seek(self.start)
        return self.file.read(self.end - self.start)


def read_part(
    path: Path, after: str | None, lines: int, *, most: int = TAIL_BYTES, whole: bool = False
) -> Part:
    """Return what a log has behind a position, or its last lines if `after` is None.

    Of more than `lines` lines or `most` bytes the first ones are skipped. With `whole`, a line
    that is still being written is left for later.
    """
    with ExitStack() as files:
        pieces, skipped = _find_pieces(files, path, after)
        if not pieces:
            return Part([], after or START, after or START, 0)
        is_cut = sum(piece.end - piece.start for piece in pieces) > most
        kept, left_out = _skip(pieces, most)
        data = b"".join(piece.read() for piece in kept)
        if is_cut:  # it begins within a line
            cut = data.find(b"\n") + 1
            kept, data = _advance(kept, cut), data[cut:]
            left_out += 1
        end = data.rfind(b"\n") + 1
        if not whole or (end == 0 and len(data) >= BLOCK_BYTES):
            end = len(data)
        texts = data[:end].decode("utf-8", "replace").removesuffix("\n").split("\n") if end else []
        left_out += max(0, len(texts) - lines)
        shown = (
            [one.removesuffix("\r")[:LINE_CHARACTERS] for one in texts[-lines:]] if lines else []
        )
        behind = _advance(kept, end)[0]
        if skipped is not None and after is not None:
            skipped += left_out
        before = pieces[0].name_position(pieces[0].start) if after is None else after
        return Part(shown, before, behind.name_position(behind.start), skipped)


def _find_pieces(
    files: ExitStack, path: Path, after: str | None
) -> tuple[list[_Piece], int | None]:
    """Return the pieces behind a position; and 0, or None if the position is lost."""
    try:
        file = files.enter_context(path.open("rb"))
    except FileNotFoundError:
        return [], 0
    number, size = os.fstat(file.fileno()).st_ino, file.seek(0, os.SEEK_END)
    if after is None or after == START:
        return [_Piece(file, 0, size)], 0
    wanted, at = map(int, after.split("."))
    if wanted == number and at <= size:
        return [_Piece(file, at, size)], 0
    try:
        former = files.enter_context(name_former(path).open("rb"))
    except FileNotFoundError:
        return [_Piece(file, 0, size)], None
    former_size = former.seek(0, os.SEEK_END)
    if os.fstat(former.fileno()).st_ino == wanted and at <= former_size:
        return [_Piece(former, at, former_size), _Piece(file, 0, size)], 0
    return [_Piece(file, 0, size)], None


def _skip(pieces: Sequence[_Piece], most: int) -> tuple[list[_Piece], int]:
    """Leave out the first bytes past `most`; return the rest, and how many lines end in them."""
    surplus, lines = sum(one.end - one.start for one in pieces) - most, 0
    kept = []
    for piece in pieces:
        gone = max(0, min(surplus, piece.end - piece.start))
        surplus -= gone
        lines += piece.count_lines(piece.start + gone) if gone else 0
        kept.append(_Piece(piece.file, piece.start + gone, piece.end))
    return kept, lines


def _advance(pieces: Sequence[_Piece], by: int) -> list[_Piece]:
    """Return the pieces without their first `by` bytes; at least an empty one remains."""
    for number, piece in enumerate(pieces):
        size = piece.end - piece.start
        if by < size or (by == size and number == len(pieces) - 1):
            return [_Piece(piece.file, piece.start + by, piece.end), *pieces[number + 1 :]]
        by -= size
    return list(pieces[-1:])
