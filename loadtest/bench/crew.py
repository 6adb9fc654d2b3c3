"""The generator processes of one measurement, which begin each step together, and their sums."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType

from loadtest.bench.loads import Job, Outcome, Span
from loadtest.bench.process import BenchFailed
from loadtest.target import ROOT

STEP_LIMIT_S = 600.0
"""The longest that one order may take; then the generators are killed."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One span over all generators: `us` are the server's processor microseconds per operation.

    `busy` is the share of the time in which the busiest generator computed. Near 1 the generator
    was the bottleneck, and the server may be faster than the figure says.
    """

    count: int
    seconds: float
    us: float | None
    busy: float

    @property
    def per_s(self) -> float:
        """Return operations per second."""
        return self.count / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class Total:
    """The figures of all generators of one measurement."""

    spans: dict[str, Measured] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def add_spans(spans: Sequence[Span]) -> Measured:
    """Return one span's counts over all generators, which ran at the same time."""
    count = sum(span.count for span in spans)
    seconds = max(span.to_s for span in spans) - min(span.from_s for span in spans)
    begun = [span.cpu_from_s for span in spans if span.cpu_from_s is not None]
    ended = [span.cpu_to_s for span in spans if span.cpu_to_s is not None]
    us = 1e6 * (max(ended) - min(begun)) / count if begun and ended and count else None
    busy = max(span.own_s / max(span.to_s - span.from_s, 1e-9) for span in spans)
    return Measured(count, seconds, us, busy)


def add_outcomes(outcomes: Sequence[Outcome]) -> Total:
    """Add up the generators' figures; keep one of their readings of the server's memory."""
    names = dict.fromkeys(name for outcome in outcomes for name in outcome.spans)
    spans = {}
    for name in names:
        spans[name] = add_spans([found.spans[name] for found in outcomes if name in found.spans])
    figures: dict[str, float] = {}
    for name in dict.fromkeys(name for outcome in outcomes for name in outcome.figures):
        found = [outcome.figures[name] for outcome in outcomes if name in outcome.figures]
        if name == "rss_before":
            figures[name] = min(found)
        else:
            figures[name] = max(found) if name == "rss_after" else sum(found)
    return Total(spans, figures, [fault for outcome in outcomes for fault in outcome.faults])


class Crew:
    """Generator processes with one job each; leaving the context manager ends them."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs
        self._processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Crew:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        for job in self._jobs:
            process = subprocess.Popen(
                [sys.executable, "-m", "loadtest.bench.generator"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
            )
            self._processes.append(process)
            self._tell(process, json.dumps(job.to_dict()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for process in self._processes:
            if kind is None:
                self._tell(process, "close")
            else:
                process.kill()
        for process in self._processes:
            try:
                process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()

    def order(self, order: str) -> Total:
        """Let all generators carry out one order at the same time. Errors: BenchFailed."""
        for process in self._processes:
            self._tell(process, order)
        watchdog = threading.Timer(STEP_LIMIT_S, self._kill)
        watchdog.start()
        try:
            total = add_outcomes([self._hear(process) for process in self._processes])
        finally:
            watchdog.cancel()
        if total.faults:
            raise BenchFailed("; ".join(total.faults))
        return total

    def _kill(self) -> None:
        for process in self._processes:
            process.kill()

    def _tell(self, process: subprocess.Popen[str], line: str) -> None:
        assert process.stdin is not None
        try:
            process.stdin.write(line + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended; reading its answer reports that

    def _hear(self, process: subprocess.Popen[str]) -> Outcome:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise BenchFailed(f"A load generator ended with {process.wait()}.")
        found = json.loads(line)
        spans = {name: Span(**span) for name, span in found["spans"].items()}
        return Outcome(spans, found["figures"], found["faults"])
