"""The reports of a run: its JSON object, its summary, and its live view."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from master.clock import ManualClock
from simulator.display.report import Listed, build_result, choose_console, print_summary
from simulator.display.view import View
from simulator.scenario import Scenario
from simulator.truth.ledger import Ledger
from simulator.truth.tally import Tally, WorkerState

KEYS = {
    *("workers", "heartbeats", "logins", "messages", "notifications", "violations", "latency_ms"),
    *("latency_ms_by_event", "violation_details", "accounts", "duplicates", "messages_produced"),
    *("ownership_overlaps", "counts", "seed", "duration_s"),
}


class Run:
    """Figures for a report."""

    def __init__(self, violations: int = 0) -> None:
        clock = ManualClock()
        self.scenario = Scenario(workers=3, seed=7, duration_s=30)
        self.tally, self.ledger = Tally(clock), Ledger(clock)
        for number in range(violations):
            self.ledger.complain("two_owners", f"violation {number}")
        counts = self.tally.counts
        counts.heartbeats, counts.messages_stored, counts.logins_succeeded = 12, 34, 5
        self.tally.note_latency("worker:heartbeat", 0.004)
        self.tally.account_states["1"] = "logged_in"
        self.tally.worker_states["w"] = WorkerState.CONNECTED
        self.tally.tell("something happened")
        clock.advance(12.5)
        self.view = View(Console(), self.scenario, self.tally, self.ledger, "http://127.0.0.1:3000")

    @property
    def result(self):
        return build_result(self.scenario, self.tally, self.ledger, 40, Listed(34, 34), 12.3456)


def draw(what: object, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(what)
    return console.file.getvalue()


def test_the_json_object_has_all_its_keys():
    result = Run().result
    assert set(result) == KEYS
    assert json.loads(json.dumps(result)) == result
    assert {
        key: result[key] for key in ("workers", "heartbeats", "logins", "messages", "notifications")
    } == {
        "workers": 3,
        "heartbeats": 12,
        "logins": 5,
        "messages": 34,
        "notifications": 34,
    }
    assert result["violations"] == 0
    assert result["latency_ms"] == {"p50": 4.0, "p95": 4.0, "p99": 4.0, "max": 4.0}
    assert result["latency_ms_by_event"]["message"]["p99"] is None
    assert (result["seed"], result["duration_s"]) == (7, 12.346)


def test_violations_are_counted_and_told():
    result = Run(violations=2).result
    assert result["violations"] == 2
    assert result["violation_details"][0] == {
        "at": 0.0,
        "rule": "two_owners",
        "detail": "violation 0",
    }


@pytest.mark.parametrize(
    ("violations", "said"),
    [(0, "No violation"), (1, "1 violation"), (11, "11 violations"), (11, "and 1 more")],
)
def test_the_summary_says_what_was_violated(violations, said):
    console = Console(file=io.StringIO(), width=100)
    print_summary(console, Run(violations).result)
    assert said in console.file.getvalue()


def test_the_view_fits_a_terminal_of_80_by_24():
    lines = draw(Run().view.draw()).splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    for word in (
        "workers 3",
        "logged in",
        "heartbeats",
        "stored",
        "logins",
        "deliveries",
        "ack p50",
        "ack p99",
    ):
        assert word in text
    assert "something happened" in text


def test_without_a_terminal_the_view_is_a_line():
    line = Run(violations=1).view.say()
    assert "\n" not in line
    assert (
        "12.5 s running: 1/3 workers, 1/12 accounts logged in, 12 heartbeats, 34 messages" in line
    )
    assert "1 violations" in line


def test_the_view_never_goes_where_the_json_goes():
    assert choose_console(True).stderr
    assert not choose_console(False).stderr
