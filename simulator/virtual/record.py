"""A run on paper: its plan and everything that was said, line by line, to be played again and compared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path
from typing import Any

import orjson

from simulator.scenario import Scenario, ScenarioTrouble, change_scenario
from simulator.virtual.faults import FAULTS
from simulator.virtual.plan import Plan
from simulator.virtual.run import Outcome, play
from simulator.virtual.trace import Entry

LINE_LIMIT = 1_000_000


def show_plan(plan: Plan) -> dict[str, Any]:
    """Return a plan as JSON knows it."""
    return {**asdict(plan), "gaps_s": dict(plan.gaps_s), "settings": dict(plan.settings)}


def read_plan(shown: dict[str, Any]) -> Plan:
    """Return the plan that `show_plan` has shown. Errors: ScenarioTrouble."""
    try:
        scenario = change_scenario(Scenario(), {k: v for k, v in shown["scenario"].items() if v is not None})
        gaps_s = {str(name): float(gap) for name, gap in shown["gaps_s"].items()}
        settings = {str(name): str(value) for name, value in shown["settings"].items()}
        plan = Plan(int(shown["seed"]), scenario, float(shown["chaos_s"]), gaps_s, settings)
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        raise ScenarioTrouble(f"this is no plan of a virtual run: {fault!r}") from None
    if unknown := sorted(set(plan.gaps_s) - set(FAULTS)):
        raise ScenarioTrouble(f"this version knows no fault {', '.join(unknown)}")
    return plan


def show_entry(entry: Entry) -> str:
    """Return one line of a record."""
    return orjson.dumps([round(entry.at, 6), entry.actor, entry.event, entry.digest, entry.detail]).decode()


@contextmanager
def recording(path: Path | None) -> Iterator[list[str] | None]:
    """Collect a run's lines, and write them to `path` at the end. Errors: ScenarioTrouble if that cannot be done."""
    if path is None:
        yield None
        return
    lines: list[str] = []
    yield lines
    try:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as fault:
        raise ScenarioTrouble(f"{path}: {fault.strerror}") from None


def play_and_record(plan: Plan, path: Path | None) -> Outcome:
    """Play a plan; with a `path`, keep its plan, its lines and its hash there."""
    with recording(path) as lines:
        if lines is not None:
            lines.append(orjson.dumps({"plan": show_plan(plan)}).decode())
        outcome = play(plan, None if lines is None else lambda entry: lines.append(show_entry(entry)))
        if lines is not None:
            lines.append(orjson.dumps({"trace_hash": outcome.trace_hash}).decode())
    return outcome


def read_record(path: Path) -> tuple[Plan, list[str], str]:
    """Return plan, lines and hash of a record. Errors: ScenarioTrouble."""
    try:
        first, *lines, last = path.read_text(encoding="utf-8").splitlines()
        head, tail = orjson.loads(first), orjson.loads(last)
        return read_plan(head["plan"]), lines, str(tail["trace_hash"])
    except OSError as fault:
        raise ScenarioTrouble(f"{path}: {fault.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise ScenarioTrouble(f"{path} is no record of a virtual run (--trace writes one)") from None


def replay(path: Path) -> tuple[Outcome, str]:
    """Play a record again; return what came of it, and where it first went another way (empty: nowhere).

    Errors: ScenarioTrouble.
    """
    plan, before, trace_hash = read_record(path)
    lines: list[str] = []
    outcome = play(plan, lambda entry: lines.append(show_entry(entry)))
    if outcome.trace_hash == trace_hash:
        return outcome, ""
    for number, (was, now) in enumerate(zip_longest(before, lines), 2):
        if was != now:
            return outcome, f"line {number} was {was}, is {now}"
    return outcome, "the lines are the same, the hash is not: the record was changed"
