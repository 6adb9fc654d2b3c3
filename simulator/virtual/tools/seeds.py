"""Plays many seeds over several processes: their rate, what occurred, and the first failure."""

from __future__ import annotations

import multiprocessing
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.pool import Pool
from time import perf_counter

from simulator.display.samples import Samples
from simulator.trials.master_process import StartTrouble
from simulator.virtual.faults import FAULTS
from simulator.virtual.faults.processes import MOMENTS
from simulator.virtual.plan import Plan, plan_swarm
from simulator.virtual.run import Outcome, play
from simulator.virtual.tools.ablations import ABLATIONS

PER_PROCESS = 25
"""Seeds per process: the dead Masters of a run are kept until its process ends (life.py)."""

SEED_LIMIT_S = 600
"""Real seconds within which one of the seeds must end; the slowest take a few."""

SOMETIMES_FROM = 200
"""Number of seeds from which on everything in the table must have occurred."""

REFUSALS = (
    "already_exists",
    "invalid",
    "login_closed",
    "method_not_allowed",
    "no_worker",
    "not_found",
    "not_registered",
    "not_yours",
    "overloaded",
    "stale_epoch",
    "storage_trouble",
    "unknown_account",
    "unknown_event",
    "unknown_parameter",
    "unknown_session",
    "unknown_worker",
    "unreadable",
    "worker_full",
    "worker_not_connected",
    "worker_unfit",
)
"""Refusal codes that a swarm must meet; the others need people or pages that no run has."""


@dataclass(slots=True)
class Sums:
    """The sums over many runs."""

    seeds: int = 0
    simulated_s: float = 0.0
    wall_s: float = 0.0
    stopped: bool = False
    """Whether Ctrl-C stopped it."""
    events: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    brakes: int = 0
    plans_kept: int = 0
    failed: list[Outcome] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Return the seeds per real second."""
        return self.seeds / max(0.001, self.wall_s)

    def add(self, outcome: Outcome) -> None:
        """Add one run."""
        self.seeds += 1
        self.simulated_s += outcome.simulated_s
        self.events.update(outcome.events)
        self.faults.update(outcome.faults)
        self.refusals.update(outcome.refusals)
        self.brakes += outcome.counts.get("brakes", 0)
        self.plans_kept += outcome.counts.get("plans_kept", 0)
        if outcome.violations:
            self.failed.append(outcome)

    def list_sometimes(self, faults: Sequence[str]) -> list[tuple[str, int]]:
        """Return everything that must occur sometimes, with its count."""
        rows = [(f"fault {name}", self.faults[name]) for name in sorted(faults)]
        if "master_kill" in faults:
            rows += [
                (f"killed {moment}", self.faults[f"kill_{moment}"])
                for moment in (*MOMENTS, "start")
            ]
        if set(faults) == set(FAULTS):
            rows += [(f"refusal {code}", self.refusals[code]) for code in REFUSALS]
            rows += [("brake", self.brakes), ("plan that came true", self.plans_kept)]
        return rows


@dataclass(frozen=True, slots=True)
class Task:
    """One seed to play; `ablation` names the removed safeguard: the first violation ends it."""

    seed: int
    faults: tuple[str, ...] = tuple(FAULTS)
    hours: float | None = None
    ablation: str = ""

    def make_plan(self) -> Plan:
        """Return its plan."""
        return plan_swarm(self.seed, self.faults, self.hours)


def play_task(task: Task) -> Outcome:
    """Play one seed and return its outcome, without the samples that only a report needs."""
    with ABLATIONS[task.ablation].off() if task.ablation else nullcontext():
        outcome = play(task.make_plan(), until_violation=bool(task.ablation))
    outcome.samples = Samples()
    return outcome


def play_all(tasks: Iterable[Task], jobs: int) -> Generator[Outcome, None, None]:
    """Yield the outcomes of many seeds as they come. Errors: StartTrouble if none comes for too
    long.

    Close it (contextlib.closing) when leaving early: that ends its processes and removes their
    folders, which are all inside one folder.
    """
    with tempfile.TemporaryDirectory(prefix="virtual-") as folder, _open_pool(jobs, folder) as pool:
        outcomes = pool.imap_unordered(play_task, tasks)
        while True:
            try:
                yield outcomes.next(SEED_LIMIT_S)
            except StopIteration:
                return
            except (
                multiprocessing.TimeoutError
            ):  # the pool waits forever for the result of a dead process
                raise StartTrouble(
                    f"no seed has ended for {SEED_LIMIT_S} s: did a process die?"
                ) from None


def _open_pool(jobs: int, folder: str) -> Pool:
    """Return a pool whose processes use `folder` for temporary files and leave Ctrl-C to the
    parent.

    New threads and processes inherit the blocked signals; the parent receives Ctrl-C again
    afterwards.
    """
    resource_tracker.ensure_running()  # first: its start would unblock the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        context = multiprocessing.get_context("spawn")
        return context.Pool(jobs, _begin_process, (folder,), maxtasksperchild=PER_PROCESS)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_process(folder: str) -> None:
    tempfile.tempdir = folder


def run_seeds(
    tasks: Sequence[Task], jobs: int, tell: Callable[[Sums], None], *, stop_at_first: bool = True
) -> Sums:
    """Play seeds until one fails, all are done, or Ctrl-C; call `tell` after each."""
    sums, began = Sums(), perf_counter()
    try:
        with closing(play_all(tasks, jobs)) as outcomes:
            for outcome in outcomes:
                sums.add(outcome)
                sums.wall_s = perf_counter() - began
                tell(sums)
                if sums.failed and stop_at_first:
                    break
    except KeyboardInterrupt:
        sums.stopped = True
    return sums
