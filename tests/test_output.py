"""The output of worker processes is read at a limited rate, into files of bounded size."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from master import output
from master.clock import ManualClock
from master.output import Log, Output, read_tail
from tests.waiting import PATIENCE_S


def measure(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir()}


def test_a_log_is_set_aside_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "LOG_BYTES", 1_000)
    log = Log(tmp_path / "w.log")
    for number in range(100):
        log.write(f"line {number:3}".encode() * 10)
        assert all(size <= 1_000 for size in measure(tmp_path).values())
    log.close()
    assert set(measure(tmp_path)) == {"w.log", "w.log.1"}
    assert read_tail(tmp_path / "w.log", 1)[0].endswith("line  99")


async def test_a_process_that_writes_without_end_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "BURST_BYTES", 300_000)
    monkeypatch.setattr(output, "BYTES_PER_S", 1)  # lines past the rate limit wait for days
    copied = Output(tmp_path / "w.log", ManualClock())
    end = os.dup(copied.end)
    os.set_blocking(end, False)
    copied.start()
    written = 0
    async with asyncio.timeout(PATIENCE_S):
        while measure(tmp_path)["w.log"] < 300_000:
            written += _write(end)
            await asyncio.sleep(0)
    for _ in range(1_000):
        written += _write(end)
        await asyncio.sleep(0)
    # one past the limit, the pipe's own, the reader's two and one on the way there
    blocks = 1 + 1 + 3
    assert written <= 300_000 + blocks * output.BLOCK_BYTES + 65_536
    assert measure(tmp_path)["w.log"] <= 300_000 + output.BLOCK_BYTES
    os.close(end)
    monkeypatch.setattr(output, "LAST_WORDS_S", 0)
    await copied.close()


def _write(end: int) -> int:
    try:
        return os.write(end, b"y\n" * 2_000)
    except BlockingIOError:
        return 0


async def test_the_last_words_are_kept(tmp_path: Path) -> None:
    copied = Output(tmp_path / "w.log", ManualClock())
    end = os.dup(copied.end)
    copied.start()
    os.write(end, b"one\r\ntwo\nfarewell")
    os.close(end)
    await copied.close()
    assert read_tail(tmp_path / "w.log", 2) == ["two", "farewell"]
