"""A run in a file: its plan and its trace, line by line, to be replayed and compared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, cast

import orjson

from master.environment import SettingsFault
from master.settings import load_settings
from simulator.arguments import require_between
from simulator.scenario import Scenario, ScenarioTrouble, change_scenario
from simulator.virtual.faults import FAULTS
from simulator.virtual.machine.commit import show_version
from simulator.virtual.machine.trace import Entry
from simulator.virtual.plan import LONGEST_H, SETTABLE, Plan
from simulator.virtual.run import Outcome, play

SHORTEST_GAP_S = 0.1
STOPPED: dict[str, object] = {"stopped": True}
"""The last line of the record of a run stopped by hand; any other record ends with its hash."""


def show_plan(plan: Plan) -> dict[str, Any]:
    """Return a plan as JSON types."""
    return {**asdict(plan), "gaps_s": dict(plan.gaps_s), "settings": dict(plan.settings)}


def read_plan(shown: dict[str, Any]) -> Plan:
    """Return the plan that `show_plan` rendered. Errors: ScenarioTrouble."""
    try:
        scenario = change_scenario(
            Scenario(), {k: v for k, v in shown["scenario"].items() if v is not None}
        )
        gaps_s = {
            name: _read_seconds(gap, f"the gap of {name}", SHORTEST_GAP_S)
            for name, gap in shown["gaps_s"].items()
        }
        chaos_s = _read_seconds(shown["chaos_s"], "chaos_s", 1.0)
        plan = Plan(shown["seed"], scenario, chaos_s, gaps_s, dict(shown["settings"].items()))
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        raise ScenarioTrouble(f"this is no plan of a virtual run: {fault!r}") from None
    if type(plan.seed) is not int or plan.seed != scenario.seed:
        raise ScenarioTrouble(
            f"the plan's seed is {plan.seed!r}, its scenario's {scenario.seed!r}; they are the same"
        )
    if unknown := sorted(set(plan.gaps_s) - set(FAULTS)):
        raise ScenarioTrouble(f"this version knows no fault {', '.join(unknown)}")
    require_between(1, 5_000, scenario.workers, "workers")
    _check_settings(plan)
    return plan


def _read_seconds(value: Any, called: str, least: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ScenarioTrouble(f"{called} is {value!r}; allowed is a number")
    return float(require_between(least, LONGEST_H * 3600, value, called))


def _check_settings(plan: Plan) -> None:
    """Refuse settings that no plan may have, such as file paths and access."""
    for name, value in plan.settings.items():
        if name not in SETTABLE:
            raise ScenarioTrouble(f"a plan cannot set {name!r}; it can set {', '.join(SETTABLE)}")
        if not isinstance(value, str):
            raise ScenarioTrouble(f"{name} is {value!r}; allowed is a text")
    try:
        load_settings(plan.settings, None)
    except SettingsFault as fault:
        raise ScenarioTrouble(" ".join(str(fault).splitlines())) from None


def show_entry(entry: Entry) -> bytes:
    """Return one line of a record."""
    return orjson.dumps([round(entry.at, 6), entry.actor, entry.event, entry.digest, entry.detail])


class _Writer:
    """Writes lines as they come; reports a write error at the end: it is no fault of Master."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.trouble: OSError | None = None

    def write(self, line: bytes) -> None:
        """Write one line, unless an earlier write failed."""
        if self.trouble is not None:
            return
        try:
            self._file.write(line + b"\n")
        except OSError as fault:
            self.trouble = fault

    def close(self) -> None:
        """Flush and close the file."""
        try:
            self._file.close()
        except OSError as fault:
            self.trouble = fault


@contextmanager
def _recording(path: Path) -> Iterator[_Writer]:
    """Open a record. Errors: ScenarioTrouble if it cannot be written."""
    writer = _Writer(_open(path, "wb"))
    try:
        yield writer
    finally:
        writer.close()
    if writer.trouble is not None:
        raise ScenarioTrouble(f"{path}: {writer.trouble.strerror}")


def _open(path: Path, mode: str) -> IO[bytes]:
    try:
        return cast("IO[bytes]", path.open(mode))
    except OSError as fault:
        raise ScenarioTrouble(f"{path}: {fault.strerror}") from None


def play_and_record(plan: Plan, path: Path | None) -> Outcome:
    """Play a plan; with a `path`, write its plan, lines and hash there; a stopped run leaves a
    partial record.

    Errors: ScenarioTrouble.
    """
    if path is None:
        return play(plan)
    with _recording(path) as writer:
        writer.write(orjson.dumps({"plan": show_plan(plan), "version": show_version()}))
        last = STOPPED
        try:
            outcome = play(plan, lambda entry: writer.write(show_entry(entry)))
            last = {"trace_hash": outcome.trace_hash}
        finally:
            writer.write(orjson.dumps(last))
    return outcome


class _Comparison:
    """Compares a run's entries with a record's lines; keeps the first difference only."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self._number = 1
        self.last: dict[str, Any] = {}
        """The record's last line, once it is reached."""
        self.difference = ""

    @property
    def stopped(self) -> bool:
        """Tell whether the recorded run was stopped here; the record has nothing beyond."""
        return bool(self.last.get("stopped"))

    def hear(self, entry: Entry) -> None:
        """Compare an entry with the record's next line."""
        if self.difference or self.stopped:
            return
        self._number += 1
        was, now = next(self._lines, b"").rstrip(b"\r\n"), show_entry(entry)
        if was != now:
            self._judge(was, now)

    def _judge(self, was: bytes, now: bytes) -> None:
        self.last = _read_last(was)
        if self.stopped:
            return
        if self.last or not was:
            self.difference = f"the record ends before line {self._number}, which is {_show(now)}"
        else:
            self.difference = f"line {self._number} was {_show(was)}, is {_show(now)}"

    def finish(self, trace_hash: str) -> str:
        """Return the first difference after the last entry; empty if there is none."""
        if self.difference:
            return self.difference
        if not self.stopped:
            line = next(self._lines, b"").rstrip(b"\r\n")
            self.last = _read_last(line)
            if not line:
                return "the record has no last line with the hash: it was cut off"
            if not self.last:
                return f"line {self._number + 1} was {_show(line)}, is missing"
        if next(self._lines, b""):
            return "the record goes on after its last line"
        if not self.stopped and self.last.get("trace_hash") != trace_hash:
            return "the lines are the same, the hash is not: the record was changed"
        return ""


def _read_last(line: bytes) -> dict[str, Any]:
    """Return the last line of a record as an object; empty if the line is another one."""
    if not line.startswith((b'{"trace_hash"', b'{"stopped"')):
        return {}
    try:
        return dict(orjson.loads(line))
    except ValueError:
        return {}


def _show(line: bytes) -> str:
    return line[:300].decode(errors="replace")


@dataclass(frozen=True, slots=True)
class Replay:
    """The outcome of a replayed record.

    `difference` is the first one, or empty; `stopped` tells that the recorded run was stopped and
    compared only that far; `version` is the one that wrote it, or empty.
    """

    outcome: Outcome
    difference: str
    stopped: bool
    version: str


def read_head(line: bytes, path: Path) -> tuple[Plan, str]:
    """Return a record's plan and writing version, from its first line. Errors: ScenarioTrouble."""
    try:
        head = orjson.loads(line)
        return read_plan(head["plan"]), str(head.get("version", ""))
    except (ValueError, KeyError, TypeError):
        raise ScenarioTrouble(
            f"{path} is no record of a virtual run (--trace writes one)"
        ) from None


def replay(path: Path) -> Replay:
    """Play a record again, and compare each line. Errors: ScenarioTrouble."""
    with _open(path, "rb") as lines:
        plan, version = read_head(next(lines, b""), path)
        comparison = _Comparison(iter(lines))
        outcome = play(plan, comparison.hear)
        difference = comparison.finish(outcome.trace_hash)
    return Replay(outcome, difference, comparison.stopped, version)
