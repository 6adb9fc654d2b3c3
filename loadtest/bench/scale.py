"""Figures from inside Master: registrations without sockets, and the table of scale."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from loadtest.bench.farm import copy_file, fill_accounts
from loadtest.bench.plan import BenchPlan, Scale
from loadtest.bench.process import BenchFailed, read_rss_bytes, run_child
from loadtest.bench.report import Findings, Sample, ScaleRow
from loadtest.bench.sides import OURS, Ours
from loadtest.target import TargetFailed

INSIDE = Path(__file__).with_name("inside.py")


class Inside:
    """Runs inside.py on databases of the measured Master."""

    def __init__(self, ours: Ours, plan: BenchPlan, folder: Path) -> None:
        self._ours, self._plan, self._folder = ours, plan, folder
        self._empty: tuple[int, int] | None = None

    def make_file(self, folder: str, accounts: int, workers: int = 0) -> Path:
        """Return a new database with these accounts, assigned to `workers`; with 0 they wait."""
        path = Path(folder) / "master.db"
        copy_file(self._ours.template, path)
        fill_accounts(path, accounts, workers)
        return path

    def run(self, task: str, path: Path, **options: int) -> dict[str, Any]:
        """Run one task in a child process and return its result. Errors: BenchFailed."""
        job = json.dumps({"do": task, "db": str(path), **options})
        command = [self._ours.python, "-P", str(INSIDE), job]
        environment = {"PYTHONPATH": str(self._ours.root)}
        return run_child(command, environment, self._folder, self._plan.limit_s)

    def measure_empty(self) -> tuple[int, int]:
        """Return resident and traced bytes of a Master without accounts, measured once."""
        if self._empty is None:
            with tempfile.TemporaryDirectory(prefix="master-bench-") as folder:
                path = self.make_file(folder, 0)
                _, rss = measure_start(self._ours, path)
                self._empty = rss, int(self.run("memory", path)["traced_bytes"])
        return self._empty

    def seal(self, path: Path) -> None:
        """Store sealed secrets of the accounts of a file, if the plan says so."""
        if self._plan.secrets:
            self.run("seal", path)


def measure_in_process(inside: Inside, plan: BenchPlan, findings: Findings) -> None:
    """Measure registrations without sockets once. Errors: BenchFailed."""
    workers, each = plan.register_workers, plan.register_accounts
    with tempfile.TemporaryDirectory(prefix="master-bench-") as folder:
        path = inside.make_file(folder, workers * each)
        found = inside.run("register", path, workers=workers, accounts=each)
    us = 1e6 * found["cpu_s"] / workers
    findings.add("registrations", OURS, Sample(workers / found["seconds"], us))
    findings.add("accounts", OURS, Sample(workers * each / found["seconds"], us / each))


def measure_start(ours: Ours, path: Path) -> tuple[float, int]:
    """Return seconds until Master is ready, and its memory in bytes then. Errors: BenchFailed."""
    target = ours.make_target()
    try:
        copy_file(path, target.db_path)
        began = time.perf_counter()
        target.start()
        seconds = time.perf_counter() - began
        return seconds, read_rss_bytes(target.pid) or 0
    except TargetFailed as fault:
        raise BenchFailed(str(fault)) from fault
    finally:
        target.stop()


def measure_scale(inside: Inside, ours: Ours, scale: Scale, findings: Findings) -> None:
    """Measure one row: a start with assigned accounts, then the assignment of waiting ones."""
    accounts, workers = scale.accounts, scale.workers
    empty_rss, empty_traced = inside.measure_empty()
    with tempfile.TemporaryDirectory(prefix="master-bench-") as folder:
        assigned = inside.make_file(folder, accounts, workers)
        inside.seal(assigned)
        start_s, rss = measure_start(ours, assigned)
        traced = inside.run("memory", assigned)["traced_bytes"]
    with tempfile.TemporaryDirectory(prefix="master-bench-") as folder:
        waiting = inside.make_file(folder, accounts)
        inside.seal(waiting)
        found = inside.run("place", waiting, workers=workers, accounts=accounts, lost=scale.lost)
    row = ScaleRow(
        scale,
        start_s,
        rss,
        (rss - empty_rss) / accounts,
        (traced - empty_traced) / accounts,
        placed_s=found["placed_s"],
        place_block_ms=found["place_block_ms"],
        place_cpu_ms=found["place_cpu_ms"],
        moved=int(found["moved"]),
        replaced_s=found["replaced_s"],
        replace_block_ms=found["replace_block_ms"],
        replace_cpu_ms=found["replace_cpu_ms"],
    )
    findings.tell(f"  scale {accounts}: start {start_s:.1f} s, placed in {row.placed_s:.1f} s")
    findings.scales.append(row)
