"""Reports that Master has not acknowledged with success: kept over crashes, retried, bounded."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from master.model import JsonObject, MessageKind
from simulator.chance import draw_backoff
from simulator.pace import read_wait_s

LIMIT = 500
"""Reports that one worker keeps; while its outbox is full it looks for no more messages."""


class Verdict(StrEnum):
    """The meaning of an acknowledgement for its report."""

    ACCEPTED = "accepted"
    AGAIN = "again"
    REFUSED = "refused"


@dataclass(slots=True)
class Report:
    """Messages of one feed that belong in one event.

    `not_before` is when Master will accept them; `since` is when the report was first due.
    """

    account_id: str
    kind: MessageKind
    numbers: list[int]
    items: list[JsonObject]
    truths: list[JsonObject] = field(default_factory=list)
    """The columns that must be stored of each message; empty if nothing compares them."""
    tries: int = 0
    not_before: float = 0.0
    since: float = 0.0

    def to_wire(self) -> JsonObject:
        """Return the payload of `worker:message:detected`."""
        return {"type": self.kind.value, "account_id": self.account_id, "messages": self.items}


@dataclass(slots=True, eq=False)
class StateReport:
    """A worker's report of an account that it holds, in the epoch in which it saw it."""

    account_id: str
    told: JsonObject
    epoch: int | None
    tries: int = 0
    not_before: float = 0.0
    since: float = 0.0

    def to_wire(self) -> JsonObject:
        """Return the payload of `worker:account:status`."""
        epoch = {} if self.epoch is None else {"epoch": self.epoch}
        return {"account_id": self.account_id, **self.told, **epoch}


Queued = Report | StateReport
"""The content of an outbox: facts that Master must acknowledge."""


def judge_ack(ack: JsonObject) -> tuple[Verdict, float]:
    """Return the verdict on a report, and the least seconds to wait before a retry."""
    if ack.get("success") is True:
        return Verdict.ACCEPTED, 0.0
    error = ack.get("error")
    if isinstance(error, dict) and error.get("retryable") is True:
        return Verdict.AGAIN, read_wait_s(error)
    return Verdict.REFUSED, 0.0


class Outbox:
    """One worker's reports, the earliest due first; without failures, in the order of insertion."""

    def __init__(
        self, rng: Random, limit: int = LIMIT, retry_wait_s: tuple[float, float] = (0.5, 15.0)
    ) -> None:
        self._rng = rng
        self._limit = limit
        self._retry_wait_s = retry_wait_s
        self._heap: list[tuple[float, int, Queued]] = []
        self._sending: dict[int, Queued] = {}
        """Reports that are being sent, by identity: two may be equal."""
        self._number = 0

    def __len__(self) -> int:
        return len(self._heap) + len(self._sending)

    @property
    def room(self) -> int:
        """Return how many more reports fit."""
        return self._limit - len(self)

    def put(self, report: Queued, due: float) -> bool:
        """Add a report to be sent at `due`; False if the outbox is full."""
        if self.room <= 0:
            return False
        report.since = due
        self._push(report, due)
        return True

    def pop_due(self, now: float) -> Queued | None:
        """Remove and return the next due report, or None; `finish` or `retry` must follow."""
        if not self._heap or self._heap[0][0] > now:
            return None
        report = heapq.heappop(self._heap)[2]
        self._sending[id(report)] = report
        return report

    def finish(self, report: Queued) -> None:
        """Drop a report that is being sent: Master has stored it, or will never accept it."""
        assert id(report) in self._sending, f"{report.account_id}: finished without being sent"
        del self._sending[id(report)]

    def retry(self, report: Queued, now: float, least_s: float = 0.0) -> float:
        """Put back a report that is being sent; return the seconds until it is due.

        The waits grow, with jitter.
        """
        self.finish(report)
        wait_s = least_s + draw_backoff(self._rng, report.tries, self._retry_wait_s)
        report.tries += 1
        report.not_before = now + least_s
        self._push(report, now + wait_s)
        return wait_s

    def hurry(self, now: float) -> None:
        """Make every report due now, except while Master asks to wait; end the backoff."""
        self._heap = [
            (min(due, max(now, report.not_before)), number, report)
            for due, number, report in self._heap
        ]
        heapq.heapify(self._heap)

    def shuffle(self, rng: Random) -> None:
        """Shuffle the waiting reports; none is sent before Master will accept it."""
        reports = [report for _, _, report in self._heap]
        rng.shuffle(reports)
        keys = sorted((due, number) for due, number, _ in self._heap)
        self._heap = [
            (max(due, report.not_before), number, report)
            for (due, number), report in zip(keys, reports, strict=True)
        ]
        heapq.heapify(self._heap)

    def has_state(self, account_id: str) -> bool:
        """Return whether a report of this account's state waits or is being sent."""
        return any(
            isinstance(report, StateReport) and report.account_id == account_id
            for report in (*(item[2] for item in self._heap), *self._sending.values())
        )

    def find_oldest(self) -> float | None:
        """Return when the oldest report, even one being sent, was first due; None if empty."""
        return min(
            (
                report.since
                for report in (*(item[2] for item in self._heap), *self._sending.values())
            ),
            default=None,
        )

    def find_wait(self, now: float) -> float | None:
        """Return the seconds until a report is due; None if none waits."""
        return max(0.0, self._heap[0][0] - now) if self._heap else None

    def _push(self, report: Queued, due: float) -> None:
        self._number += 1
        heapq.heappush(self._heap, (due, self._number, report))
