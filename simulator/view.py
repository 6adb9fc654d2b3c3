"""The live view of a run: a terminal of 80 x 24, or a line now and then where there is no terminal."""

from __future__ import annotations

import asyncio
from collections import deque

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from simulator.ledger import Ledger
from simulator.pace import wait_event
from simulator.scenario import Scenario
from simulator.tally import Tally, WorkerState

FRAME_S = 0.25
LINE_S = 5.0
RATE_WINDOW_S = 5.0
EVENTS_SHOWN = 6
HEIGHT = 23

WORKER_STYLES = {
    WorkerState.CONNECTED: "green",
    WorkerState.CONNECTING: "yellow",
    WorkerState.CRASHED: "red",
    WorkerState.AWAY: "dim",
    WorkerState.GONE: "dim",
}
ACCOUNT_STYLES = {"logged_in": "green", "logging_in": "yellow", "login_failed": "red", "not_logged_in": "dim"}


class Rates:
    """Events per second over the last five seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, tuple[int, ...]]] = deque(maxlen=int(RATE_WINDOW_S / FRAME_S) + 1)

    def sample(self, now: float, *totals: int) -> list[float]:
        """Add the totals of `now` and return the rate of each."""
        self._samples.append((now, totals))
        then, before = self._samples[0]
        span = now - then
        return [(total - old) / span if span > 0 else 0.0 for total, old in zip(totals, before, strict=True)]


class View:
    """Shows one run while it lasts. `phase` says what is going on."""

    def __init__(self, console: Console, scenario: Scenario, tally: Tally, ledger: Ledger, url: str) -> None:
        self._console = console
        self._scenario = scenario
        self._tally = tally
        self._ledger = ledger
        self._url = url
        self._rates = Rates()
        self.phase = "running"

    async def show_until(self, end: asyncio.Event) -> None:
        """Draw until `end`: frames on a terminal, else lines."""
        if self._console.is_terminal:
            with Live(self.draw(), console=self._console, auto_refresh=False, transient=True) as live:
                while not end.is_set():
                    live.update(self.draw(), refresh=True)
                    await asyncio.sleep(FRAME_S)
        else:
            while not end.is_set():
                self._console.print(self.say(), markup=False, highlight=False, soft_wrap=True)
                await wait_event(end, LINE_S)
                if end.is_set():
                    return

    def say(self) -> str:
        """Return the present state in one line."""
        counts, workers = self._tally.counts, self._tally.count_workers()
        p99 = self._tally.latency["all"].find_percentile(99)
        return (
            f"{self._tally.elapsed():6.1f} s {self.phase}: {workers['connected']}/{self._scenario.workers} workers, "
            f"{self._tally.count_accounts()['logged_in']}/{self._scenario.account_count} accounts logged in, "
            f"{counts.heartbeats} heartbeats, {counts.messages_stored} messages, "
            f"{counts.admin_notifications + counts.client_notifications} notifications, "
            f"p99 {_show_ms(p99)}, {self._ledger.violation_count} violations"
        )

    def draw(self) -> RenderableType:
        """Return one frame."""
        rates = self._rates.sample(
            self._tally.elapsed(),
            self._tally.counts.heartbeats,
            self._tally.counts.messages_stored,
            self._tally.counts.admin_notifications + self._tally.counts.client_notifications,
        )
        frame = Layout()
        frame.split_column(
            Layout(self._draw_header(), size=2),
            Layout(name="upper", size=7),
            Layout(name="lower", size=6),
            Layout(self._draw_events(), size=EVENTS_SHOWN + 2),
        )
        frame["upper"].split_row(self._draw_workers(), self._draw_accounts(), self._draw_logins())
        frame["lower"].split_row(
            self._draw_traffic(rates), self._draw_people(rates), self._draw_latency()
        )
        return _Fixed(frame, HEIGHT)
