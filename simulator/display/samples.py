"""Samples of a run at successive moments, for the plots of its report."""

from __future__ import annotations

from dataclasses import dataclass, field

from simulator.truth.histogram import Histogram
from simulator.truth.ledger import Ledger
from simulator.truth.tally import Tally

LIMIT = 800
"""Samples that are kept: at twice as many every second one is dropped, however long the run."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment. `at` is seconds since the start, latencies are milliseconds.

    Rates are per second since the previous sample.
    """

    at: float
    master: bool
    workers: dict[str, int]
    accounts: dict[str, int]
    assigned: int
    stored: int
    messages_per_s: float
    waiting: int
    p50_ms: float | None
    p99_ms: float | None


@dataclass(slots=True)
class Samples:
    """A run's samples, and the marks (at, what) of its faults."""

    kept: list[Sample] = field(default_factory=list)
    marks: list[tuple[float, str]] = field(default_factory=list)
    _stored: int = 0
    _at: float = 0.0

    def record(self, tally: Tally, ledger: Ledger, *, master: bool, waiting: int) -> None:
        """Add a sample of this moment."""
        at, stored = tally.elapsed(), tally.counts.messages_stored
        window, tally.window = tally.window, Histogram()
        figures = window.show_ms()
        self.kept.append(
            Sample(
                at=round(at, 3),
                master=master,
                workers=tally.count_workers(),
                accounts=tally.count_accounts(),
                assigned=ledger.ownership.count_owned(),
                stored=stored,
                messages_per_s=round((stored - self._stored) / max(0.001, at - self._at), 3),
                waiting=waiting,
                p50_ms=figures["p50"],
                p99_ms=figures["p99"],
            )
        )
        self._stored, self._at = stored, at
        if len(self.kept) >= 2 * LIMIT:
            self.kept = self.kept[1::2]
