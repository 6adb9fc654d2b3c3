"""Plays plans, each in a loop and a folder of its own, and returns their outcomes."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import structlog

from master.model import JsonObject
from simulator.display.samples import Samples
from simulator.truth.api import ApiTrouble
from simulator.truth.ledger import SECRET_MARK
from simulator.truth.ownership import Complain
from simulator.virtual.lab import Lab
from simulator.virtual.machine.loop import Deadlock, Interrupted, run_virtually
from simulator.virtual.machine.trace import Entry
from simulator.virtual.plan import Plan
from simulator.virtual.scene import MasterStaysAway, Scene


@dataclass(slots=True)
class Outcome:
    """The outcome of a run. `simulated_s` is virtual, `wall_s` real seconds."""

    seed: int
    trace_hash: str = ""
    simulated_s: float = 0.0
    wall_s: float = 0.0
    violations: int = 0
    details: list[JsonObject] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    events: dict[str, int] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    last_events: list[str] = field(default_factory=list)
    samples: Samples = field(default_factory=Samples)

    def to_wire(self) -> JsonObject:
        """Return the object that `--json` prints."""
        shown = {
            name: getattr(self, name) for name in self.__dataclass_fields__ if name != "samples"
        }
        return shown | {"speed": round(self.simulated_s / self.wall_s, 1) if self.wall_s else None}

    @property
    def first(self) -> str:
        """Return the rule that was violated first; empty if none was."""
        return str(self.details[0]["rule"]) if self.details else ""


def play(
    plan: Plan, record: Callable[[Entry], object] | None = None, *, until_violation: bool = False
) -> Outcome:
    """Play one plan to its end and return its outcome; `record` receives each entry of its trace.

    `until_violation` ends the run at the first violation: enough to know which rule fails. An early
    end for any other reason is a violation too.
    """
    began = perf_counter()
    outcome = Outcome(plan.seed)
    labs: list[Lab] = []

    def complain(rule: str, detail: str) -> None:
        labs[0].scene.ledger.complain(rule, detail)

    def note_stray(context: Mapping[str, Any]) -> None:
        complain("stray_fault", f"{context.get('message')}: {context.get('exception')!r}")

    with (
        tempfile.TemporaryDirectory(prefix="virtual-") as folder,
        searched_logs(complain),
        ExitStack() as stack,
    ):

        async def main() -> None:
            scene = Scene(plan.seed, plan.scenario, plan.settings, Path(folder))
            scene.trace.record = record
            lab = Lab(plan, scene)
            if until_violation:
                lab.end_at_violation()
            labs.append(lab)
            # `main` does not do it: an interrupt leaves it unfinished
            stack.callback(scene.close)
            await lab.play()

        try:
            with rare_collections():
                run_virtually(main, note_stray)
        except Interrupted:
            pass  # the ledger has the reason
        except Exception as fault:
            if not labs:
                raise
            for one in flatten(fault):
                complain(*_judge(one))
    _tell(outcome, labs[0])
    outcome.wall_s = round(perf_counter() - began, 3)
    return outcome


def flatten(fault: BaseException) -> Iterator[BaseException]:
    """Yield the leaf exceptions of a nested group, or the exception itself if it is no group."""
    if isinstance(fault, BaseExceptionGroup):
        for one in fault.exceptions:
            yield from flatten(one)
    else:
        yield fault


def _judge(fault: BaseException) -> tuple[str, str]:
    """Return the rule that an exception breaks by ending a run, and the detail."""
    match fault:
        case Deadlock():
            return "stray_fault", f"deadlock: {fault}"
        case MasterStaysAway():
            return "master_stays_away", str(fault)
        case ApiTrouble():
            return "api", str(fault)
    return "stray_fault", f"an actor failed: {fault!r}"


@contextmanager
def rare_collections() -> Iterator[None]:
    """Let Python collect garbage rarely: a run's objects die at once or at its end."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1_000)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@contextmanager
def searched_logs(complain: Complain) -> Iterator[None]:
    """Search Master's log lines for secrets and tracebacks instead of writing them."""

    def search(_: Any, __: str, event: Any) -> Any:
        if SECRET_MARK in str(event):
            complain("secret_in_log", str(event))
        if event.get("exc_info"):
            complain("traceback_in_log", str(event))
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[search], wrapper_class=structlog.BoundLogger, cache_logger_on_first_use=False
    )
    try:
        yield
    finally:
        structlog.configure(**before)


def _tell(outcome: Outcome, lab: Lab) -> None:
    scene = lab.scene
    outcome.trace_hash = scene.trace.hash
    outcome.simulated_s = scene.clock.monotonic()
    outcome.violations = scene.ledger.violation_count
    outcome.details = [
        {"at": one.at, "rule": one.rule, "detail": one.detail} for one in scene.ledger.violations
    ]
    counts = scene.tally.counts
    outcome.counts = {name: getattr(counts, name) for name in counts.__dataclass_fields__}
    outcome.counts |= {"brakes": scene.overseer.brakes, "checks": scene.overseer.checks}
    forecasts = scene.overseer.forecasts
    outcome.counts |= {"plans_kept": forecasts.kept, "plans_disturbed": forecasts.void}
    outcome.events = {
        name: count
        for name, count in sorted(scene.trace.counts.items())
        if name not in scene.trace.faults
    }
    outcome.refusals = dict(sorted(scene.trace.refusals.items()))
    outcome.faults = dict(sorted(scene.trace.faults.items()))
    outcome.faults |= {
        f"kill_{moment}": count for moment, count in sorted(scene.house.kills.items())
    }
    outcome.samples = lab.samples
    outcome.samples.marks = [(at - scene.tally.started, name) for at, name in scene.trace.marks]
    outcome.last_events = lab.last_events
