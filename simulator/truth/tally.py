"""The figures of a run: counts, latencies, states and recent events, for any output."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from master.clock import Clock
from master.model import LOST
from simulator.truth.histogram import Histogram

RECENT = 40
MARKS = 10_000

SENT, ANSWERED = "sent", "answered"
Watcher = Callable[[str, str], None]
"""Called with SENT and the event for each call, and with ANSWERED once it is answered."""


class WorkerState(StrEnum):
    """The state of a simulated worker."""

    AWAY = "away"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    CRASHED = "crashed"
    GONE = "gone"


@dataclass(slots=True)
class Counts:
    """Counts since the start of the run."""

    registrations: int = 0
    reconnects: int = 0
    crashes: int = 0
    lapses: int = 0
    heartbeats: int = 0
    heartbeats_lost: int = 0
    acks_late: int = 0
    assignments: int = 0
    revocations: int = 0
    looks: int = 0
    reports: int = 0
    resends: int = 0
    repeats_on_purpose: int = 0
    reports_refused: int = 0
    messages_reported: int = 0
    messages_acknowledged: int = 0
    messages_stored: int = 0
    duplicates: int = 0
    logins_started: int = 0
    logins_refused: int = 0
    qr_codes: int = 0
    logins_succeeded: int = 0
    logins_failed: int = 0
    logins_expired: int = 0
    logins_cancelled: int = 0
    admin_notifications: int = 0
    client_notifications: int = 0
    confirmations: int = 0
    syncs: int = 0
    states_told: int = 0
    mismatches: int = 0
    mishaps: int = 0


class Tally:
    """One run's figures."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.started = clock.monotonic()
        self.counts = Counts()
        self.latency = {
            kind: Histogram() for kind in ("all", "heartbeat", "message", "login", "other")
        }
        self.window = Histogram()
        """Latencies since the last sample (samples.py)."""
        self.worker_states: dict[str, WorkerState] = {}
        self.account_states: dict[str, str] = {}
        self.waiting_reports = 0
        self.leaving = False
        self.marks: list[tuple[float, str]] = []
        """The moment and kind of each fault, for the report."""
        self.recent: deque[tuple[float, str]] = deque(maxlen=RECENT)
        self.watcher: Watcher | None = None

    def elapsed(self) -> float:
        """Return the seconds since the start of the run."""
        return self.clock.monotonic() - self.started

    def tell(self, text: str) -> None:
        """Add a line to the recent events."""
        self.recent.append((self.elapsed(), text))

    def mark(self, what: str) -> None:
        """Note a fault; only the first MARKS are kept."""
        if len(self.marks) < MARKS:
            self.marks.append((self.elapsed(), what))

    def begin(self) -> None:
        """Count the time from now."""
        self.started = self.clock.monotonic()

    def note_call(self, stage: str, event: str) -> None:
        """Note that a call was SENT or ANSWERED."""
        if self.watcher is not None:
            self.watcher(stage, event)

    def note_latency(self, event: str, duration_s: float) -> None:
        """Count a latency, unless all actors are leaving: their goodbyes are no normal load."""
        if self.leaving:
            return
        self.latency["all"].add(duration_s)
        self.window.add(duration_s)
        self.latency[_sort_event(event)].add(duration_s)

    def count_workers(self) -> dict[str, int]:
        """Return how many workers are in each state."""
        found = Counter(self.worker_states.values())
        return {state.value: found.get(state, 0) for state in WorkerState}

    def count_accounts(self) -> dict[str, int]:
        """Return how many accounts are in each login state; sessions that ended are one state."""
        found = Counter(self.account_states.values())
        states = ("not_logged_in", "logging_in", "logged_in", "login_failed")
        lost = sum(found.get(state, 0) for state in LOST)
        return {**{state: found.get(state, 0) for state in states}, "session_ended": lost}


def _sort_event(event: str) -> str:
    if event == "worker:heartbeat":
        return "heartbeat"
    if event == "worker:message:detected":
        return "message"
    return "login" if ":login:" in event else "other"
