"""The live view of a run: a terminal of 80 x 24, or without a terminal one line at intervals."""

from __future__ import annotations

import asyncio
from collections import deque

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from simulator.pace import wait_set
from simulator.scenario import Scenario
from simulator.truth.ledger import Ledger
from simulator.truth.tally import Tally, WorkerState

FRAME_S = 0.25
LINE_S = 5.0
RATE_WINDOW_S = 5.0
EVENTS_SHOWN = 5

WORKER_STYLES = {
    WorkerState.CONNECTED: "green",
    WorkerState.CONNECTING: "yellow",
    WorkerState.CRASHED: "red",
    WorkerState.AWAY: "dim",
    WorkerState.GONE: "dim",
}
ACCOUNT_STYLES = {
    "logged_in": "green",
    "logging_in": "yellow",
    "login_failed": "red",
    "not_logged_in": "dim",
    "session_ended": "red",
}


class Rates:
    """Events per second over the last five seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, tuple[int, ...]]] = deque(
            maxlen=int(RATE_WINDOW_S / FRAME_S) + 1
        )

    def sample(self, now: float, *totals: int) -> list[float]:
        """Add the totals of `now` and return the rate of each."""
        self._samples.append((now, totals))
        then, before = self._samples[0]
        span = now - then
        return [
            (total - old) / span if span > 0 else 0.0
            for total, old in zip(totals, before, strict=True)
        ]


class View:
    """Shows one run while it lasts; `phase` is the current phase."""

    def __init__(
        self, console: Console, scenario: Scenario, tally: Tally, ledger: Ledger, url: str
    ) -> None:
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
            with Live(
                self.draw(), console=self._console, auto_refresh=False, transient=True
            ) as live:
                while not end.is_set():
                    live.update(self.draw(), refresh=True)
                    await asyncio.sleep(FRAME_S)
        else:
            while not end.is_set():
                self._console.print(self.say(), markup=False, highlight=False, soft_wrap=True)
                await wait_set(end, LINE_S)

    def say(self) -> str:
        """Return the current state in one line."""
        counts, workers = self._tally.counts, self._tally.count_workers()
        p99 = self._tally.latency["all"].find_percentile(99)
        return (
            f"{self._tally.elapsed():6.1f} s {self.phase}: "
            f"{workers['connected']}/{self._scenario.workers} workers, "
            f"{self._tally.count_accounts()['logged_in']}/{self._scenario.account_count} "
            "accounts logged in, "
            f"{counts.heartbeats} heartbeats, {counts.messages_stored} messages, "
            f"{counts.admin_notifications + counts.client_notifications} deliveries, "
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
        return Group(
            self._draw_header(),
            _draw_row(8, self._draw_workers(), self._draw_accounts(), self._draw_logins()),
            _draw_row(
                6,
                self._draw_messages(rates[1]),
                self._draw_people(rates[2]),
                self._draw_latency(rates[0]),
            ),
            self._draw_events(),
        )

    def _draw_header(self) -> RenderableType:
        elapsed, whole = self._tally.elapsed(), self._scenario.duration_s
        violations = self._ledger.violation_count
        text = Text.assemble(
            (" simulator ", "bold reverse"),
            f" {self._url.removeprefix('http://')}  seed {self._scenario.seed}"
            f"  {_show_time(elapsed)}",
            f" of {_show_time(whole)}" if whole else "",
            f"  {self.phase}  ",
            (f"{violations} violations", "bold red" if violations else "green"),
            no_wrap=True,
        )
        hint: RenderableType = Text(" Ctrl-C ends the run with a summary", style="dim")
        # The padding makes the bar end its line.
        bar = Padding(ProgressBar(total=whole, completed=min(elapsed, whole)), 0) if whole else hint
        return Group(text, bar)

    def _draw_workers(self) -> tuple[str, Table]:
        table = _open_table()
        states = self._tally.count_workers()
        for state in (WorkerState.CONNECTED, WorkerState.CONNECTING, WorkerState.CRASHED):
            table.add_row(Text(state.value, WORKER_STYLES[state]), f"{states[state.value]:,}")
        table.add_row(Text("not started, left", "dim"), f"{states['away'] + states['gone']:,}")
        counts = self._tally.counts
        table.add_row("mishaps of the field", f"{counts.mishaps:,}")
        table.add_row("crashes, reconnects", f"{counts.crashes}, {counts.reconnects}")
        return f"workers {self._scenario.workers:,}", table

    def _draw_accounts(self) -> tuple[str, Table]:
        table = _open_table()
        for state, number in self._tally.count_accounts().items():
            table.add_row(Text(state.replace("_", " "), ACCOUNT_STYLES[state]), f"{number:,}")
        table.add_row("held by a worker", f"{self._ledger.ownership.count_owned():,}")
        return f"accounts {self._scenario.account_count:,}", table

    def _draw_logins(self) -> tuple[str, Table]:
        table, counts = _open_table(), self._tally.counts
        table.add_row(Text("succeeded", "green"), f"{counts.logins_succeeded:,}")
        table.add_row(Text("failed", "red"), f"{counts.logins_failed:,}")
        table.add_row(Text("expired", "yellow"), f"{counts.logins_expired:,}")
        table.add_row("cancelled", f"{counts.logins_cancelled:,}")
        table.add_row("wrong person", f"{counts.mismatches:,}")
        table.add_row("QR codes", f"{counts.qr_codes:,}")
        return f"logins {counts.logins_started:,}", table

    def _draw_messages(self, rate: float) -> tuple[str, Table]:
        table, counts = _open_table(), self._tally.counts
        table.add_row("stored", f"{counts.messages_stored:,}")
        table.add_row("duplicates", f"{counts.duplicates:,}")
        table.add_row("reports repeated", f"{counts.resends:,}")
        table.add_row("unacknowledged", f"{self._tally.waiting_reports:,}")
        return f"messages {rate:.0f}/s", table

    def _draw_people(self, rate: float) -> tuple[str, Table]:
        table, counts = _open_table(), self._tally.counts
        table.add_row(f"to {self._scenario.admins} admins", f"{counts.admin_notifications:,}")
        table.add_row(f"to {self._scenario.clients} devices", f"{counts.client_notifications:,}")
        table.add_row("confirmed", f"{counts.confirmations:,}")
        table.add_row("syncs", f"{counts.syncs:,}")
        return f"deliveries {rate:.0f}/s", table

    def _draw_latency(self, rate: float) -> tuple[str, Table]:
        table, latency = _open_table(), self._tally.latency["all"]
        table.add_row("heartbeats", f"{self._tally.counts.heartbeats:,}")
        table.add_row("ack p50", _show_ms(latency.find_percentile(50)))
        table.add_row("ack p95", _show_ms(latency.find_percentile(95)))
        table.add_row("ack p99", _show_ms(latency.find_percentile(99)))
        return f"heartbeats {rate:.1f}/s", table

    def _draw_events(self) -> RenderableType:
        latest = list(self._tally.recent)[-EVENTS_SHOWN:]
        lines = [
            Text(f"{at:7.1f} s  {what}", no_wrap=True, overflow="ellipsis") for at, what in latest
        ]
        return Panel(
            Group(*lines), title="events", title_align="left", height=EVENTS_SHOWN + 2, style="dim"
        )


def _open_table() -> Table:
    table = Table.grid(expand=True)
    table.add_column(ratio=1, no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    return table


def _draw_row(height: int, *cells: tuple[str, Table]) -> Table:
    row = Table.grid(expand=True)
    for _ in cells:
        row.add_column(ratio=1)
    row.add_row(
        *(
            Panel(table, title=f"[bold]{title}", title_align="left", height=height)
            for title, table in cells
        )
    )
    return row


def _show_time(seconds: float | None) -> str:
    whole = int(seconds or 0)
    return (
        f"{whole // 60:02d}:{whole % 60:02d}"
        if whole < 3600
        else f"{whole // 3600}:{whole // 60 % 60:02d} h"
    )


def _show_ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.1f} ms"
