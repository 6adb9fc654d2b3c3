"""Sinks: which lines are queued, which are lost, and what the destination reads afterwards."""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from master import sinks
from master.sinks import Console, RotatedFile, Sink, Target, close_sinks
from tests.waiting import PATIENCE_S

Make = Callable[..., Sink]


class Gate:
    """A destination that takes lines only while it is open, and can fail."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.open = threading.Event()
        self.began = threading.Event()
        self.fault: OSError | None = None
        self.next_fault: OSError | None = None
        self.at_once = 1_000_000
        self.written = b""
        self.reopened = 0

    def write(self, data: bytes) -> int:
        self.began.set()
        assert self.open.wait(PATIENCE_S)
        if self.fault is not None:
            raise self.fault
        self.fault, self.next_fault = self.next_fault, None
        self.written += data[: self.at_once]
        return min(len(data), self.at_once)

    def reopen(self) -> None:
        self.reopened += 1

    def close(self) -> None:
        self.open.set()


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Make a sink with a logger of its own; all are closed at the end."""
    monkeypatch.setattr(sinks, "LOST", {})
    made: list[Sink] = []
    gates: list[Gate] = []

    def make_one(target: Target, **limits: int) -> Sink:
        if isinstance(target, Gate):
            gates.append(target)
        made.append(Sink("test", target, **limits))
        made[-1].setFormatter(logging.Formatter("%(message)s %(lost_lines)s", defaults=NO_LOSS))
        return made[-1]

    yield make_one
    for gate in gates:
        gate.open.set()
    monkeypatch.setattr(sinks, "FLUSH_S", PATIENCE_S)
    close_sinks(made)


NO_LOSS = {"lost_lines": ""}
NO_SPACE = OSError(errno.ENOSPC, "No space left on device")


def say(sink: Sink, *lines: str) -> None:
    for line in lines:
        sink.handle(logging.makeLogRecord({"msg": line}))


def block(sink: Sink, gate: Gate, line: str = "first") -> None:
    """Write a line that the destination does not take."""
    say(sink, line)
    assert gate.began.wait(PATIENCE_S)


def read(gate: Gate) -> list[str]:
    return [line.strip() for line in gate.written.decode().splitlines()]


def test_lines_are_written_in_order(make: Make) -> None:
    gate = Gate()
    sink = make(gate)
    block(sink, gate)
    say(sink, "second", "third")
    assert not sink.wait_until_written(0)
    gate.open.set()
    assert sink.wait_until_written(PATIENCE_S)
    assert read(gate) == ["first", "second", "third"]
    assert sinks.LOST == {"test": 0}


@pytest.mark.parametrize("limits", [{"max_lines": 2}, {"max_bytes": 12}], ids=str)
def test_lines_past_the_bound_are_lost_and_their_number_stands_in_their_place(
    make: Make, limits: dict[str, int]
) -> None:
    gate = Gate()
    sink = make(gate, **limits)
    block(sink, gate)
    say(sink, "one", "two", "lost", "lost", "lost")
    assert sinks.LOST == {"test": 3}
    gate.open.set()
    assert sink.wait_until_written(PATIENCE_S)
    say(sink, "later")
    assert sink.wait_until_written(PATIENCE_S)
    assert read(gate) == ["first", "one", "two", "log_lines_lost 3", "later"]


def test_a_line_that_cannot_be_written_is_lost_and_the_next_one_tells_it(make: Make) -> None:
    gate = Gate()
    gate.fault = NO_SPACE
    gate.open.set()
    sink = make(gate)
    say(sink, "one", "two")
    assert sink.wait_until_written(PATIENCE_S)
    assert (gate.written, sinks.LOST) == (b"", {"test": 2})
    gate.fault = None
    say(sink, "three")
    assert sink.wait_until_written(PATIENCE_S)
    assert read(gate) == ["log_lines_lost 2", "three"]


def test_a_line_that_was_written_in_part_is_ended_before_the_next(make: Make) -> None:
    gate = Gate()
    gate.open.set()
    sink = make(gate)
    gate.at_once, gate.next_fault = 3, NO_SPACE
    say(sink, "one-two")
    assert sink.wait_until_written(PATIENCE_S)
    gate.at_once, gate.fault = 1_000, None
    say(sink, "three")
    assert sink.wait_until_written(PATIENCE_S)
    assert read(gate) == ["one", "log_lines_lost 1", "three"]


def test_a_destination_that_takes_a_few_bytes_gets_all_of_them(make: Make) -> None:
    gate = Gate()
    gate.open.set()
    gate.at_once = 2
    sink = make(gate)
    say(sink, "one", "two")
    assert sink.wait_until_written(PATIENCE_S)
    assert read(gate) == ["one", "two"]


def test_a_record_that_cannot_be_formatted_is_counted_and_not_reported_to_stderr(
    make: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    gate = Gate()
    gate.open.set()
    sink = make(gate)
    sink.handle(logging.makeLogRecord({"msg": "%d", "args": ("text",)}))
    assert sink.wait_until_written(PATIENCE_S)
    assert (read(gate), sinks.LOST) == (["log_lines_lost 1"], {"test": 1})
    assert capfd.readouterr().err == ""


def test_a_blocked_sink_stops_no_other(make: Make) -> None:
    blocked, well = Gate(), Gate()
    well.open.set()
    one, other = make(blocked), make(well)
    block(one, blocked)
    say(other, "passes")
    assert other.wait_until_written(PATIENCE_S)
    assert read(well) == ["passes"]


def test_closing_writes_what_is_queued_and_leaves_a_sink_that_takes_nothing(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked, well = Gate(), Gate()
    one, other = make(blocked), make(well)
    block(one, blocked)
    block(other, well)
    say(other, "last")
    well.open.set()
    monkeypatch.setattr(sinks, "FLUSH_S", 0.01)
    close_sinks([one])
    assert blocked.written == b""
    monkeypatch.setattr(sinks, "FLUSH_S", PATIENCE_S)
    close_sinks([other])
    assert read(well) == ["first", "last"]
    say(other, "too late")
    assert sinks.LOST == {"test": 1}
    blocked.open.set()


def test_a_sink_reopens_its_destination_in_its_thread(make: Make) -> None:
    gate = Gate()
    sink = make(gate)
    block(sink, gate)
    sink.reopen()
    say(sink, "second")
    assert gate.reopened == 0
    gate.open.set()
    assert sink.wait_until_written(PATIENCE_S)
    assert gate.reopened == 1


def test_a_file_that_was_moved_away_is_made_again_at_a_reopening(
    make: Make, tmp_path: Path
) -> None:
    path = tmp_path / "master.log"
    sink = make(RotatedFile(path, 1_000, 2))
    say(sink, "one")
    assert sink.wait_until_written(PATIENCE_S)
    path.rename(tmp_path / "moved")
    say(sink, "two")
    sink.reopen()
    assert sink.wait_until_written(PATIENCE_S)
    say(sink, "three")
    assert sink.wait_until_written(PATIENCE_S)
    old, new = ((tmp_path / "moved").read_text("utf-8"), path.read_text("utf-8"))
    assert sorted(f"{old}{new}".split()) == ["one", "three", "two"]
    assert new.endswith("three \n")
    assert path.stat().st_mode & 0o077 == 0 or os.name != "posix"


def test_a_file_is_rotated_and_the_oldest_ones_go(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "master.log"
    sink = make(RotatedFile(path, 12, 2))
    say(sink, *(f"line-{number}" for number in range(5)))
    assert sink.wait_until_written(PATIENCE_S)
    found = {file.name: file.read_text(encoding="utf-8").split() for file in tmp_path.iterdir()}
    assert found == {
        "master.log": ["line-4"],
        "master.log.1": ["line-3"],
        "master.log.2": ["line-2"],
    }


def test_a_pipe_without_a_reader_that_does_not_block_is_waited_for(make: Make) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with os.fdopen(reading, "rb") as reader, os.fdopen(writing, "w", encoding="utf-8") as stream:
        sink = make(Console(stream))
        line = "x" * 1_000
        say(sink, *[line] * 200)
        read_bytes = b""
        while len(read_bytes) < 200 * 1_002:
            read_bytes += reader.read1(65_536)
        assert sink.wait_until_written(PATIENCE_S)
    assert read_bytes.decode().split() == [line] * 200


def test_a_console_that_has_lost_its_reader_is_a_loss_and_no_fault(make: Make) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as stream:
        sink = make(Console(stream))
        say(sink, "one", "two")
        assert sink.wait_until_written(PATIENCE_S)
    assert sinks.LOST == {"test": 2}


def test_the_loss_is_a_metric(make: Make) -> None:
    from master.metrics import Metrics

    gate: Any = Gate()
    make(gate)
    rendered = Metrics().render().decode()
    assert "# TYPE master_log_lines_lost_total counter" in rendered
