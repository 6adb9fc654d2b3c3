"""The rule notices plans that differ from what then happens, and judges none that was disturbed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from master.model import SessionStatus, WorkerStatus
from simulator.virtual.rules.file_view import AccountRow, LoginRow, View, WorkerRow
from simulator.virtual.rules.forecasts import Forecasts

WORKER = WorkerRow(WorkerStatus.CONNECTED, 1, ["douyin"], 5)
DRAINED = replace(WORKER, drain_since=100, drain_deadline=200)
DONE = replace(DRAINED, drain_done=True)
ACCOUNT = AccountRow("w1", 3, "douyin", None, "active")
LOGIN = {"s": LoginRow("b", "w2", SessionStatus.PENDING, 300)}
MOVE = [{"account_id": "a", "from": "w1", "to": "w2"}]


def show(worker: WorkerRow = WORKER, owner: str | None = "w1", **more: Any) -> View:
    """Return the file with account `a` and workers w1 and w2."""
    account = replace(ACCOUNT, owner=owner, pinned=more.get("pinned"))
    return View({"a": account}, {"w1": worker, "w2": WORKER}, more.get("logins", {}))


def follow(course: list[View], *, heard: bool = True, **step: Any) -> tuple[list[str], int, int]:
    """Return the broken rules and how many plans came true and were disturbed."""
    found: list[str] = []
    forecasts = Forecasts(lambda rule, _: found.append(rule), lambda _: heard)
    forecasts.view = course[0]
    plan = {"moves": step.pop("moves", MOVE), "stay": [], "is_complete": True}
    forecasts.expect(plan, step.pop("seen", course[0]), **step)
    for now in course[1:]:
        forecasts.check(forecasts.view, now, together=False)
    return found, forecasts.kept, forecasts.void


DRAIN = [show(), show(DRAINED), show(DRAINED, "w2"), show(DONE, "w2")]


@pytest.mark.parametrize(
    ("course", "more", "outcome"),
    [
        (DRAIN, {}, ([], 1, 0)),
        (DRAIN, {"moves": []}, (["plan_differs"], 0, 0)),
        ([show(), show(DRAINED), show(DONE)], {}, (["plan_differs"], 0, 0)),
        ([show(), show(DRAINED), show(DRAINED, "w3")], {}, (["plan_differs"], 0, 0)),
        (DRAIN, {"heard": False}, ([], 0, 1)),
        (DRAIN, {"seen": show(DRAINED)}, ([], 0, 0)),
        ([show(), show(DRAINED), show(WORKER)], {}, ([], 0, 1)),
        ([show(), show(DRAINED), show(DRAINED, "w2", logins=LOGIN)], {}, ([], 0, 1)),
        ([show(), show(replace(DRAINED, max_accounts=3))], {}, ([], 0, 1)),
    ],
)
def test_a_drain_is_compared_move_by_move(course, more, outcome):
    assert follow(course, drain="w1", **more) == outcome


@pytest.mark.parametrize(
    ("course", "outcome"),
    [
        ([show(), show(owner="w2", pinned="w2")], ([], 1, 0)),
        ([show(), show(pinned="w2")], (["plan_differs"], 0, 0)),
        ([show(), show(owner="w2")], ([], 0, 1)),
        ([show(), show(logins=LOGIN)], ([], 0, 1)),
    ],
)
def test_a_pin_is_compared_with_its_one_turn(course, outcome):
    assert follow(course, pin=("a", "w2")) == outcome


def test_a_batch_of_several_turns_is_not_judged():
    found: list[str] = []
    forecasts = Forecasts(lambda rule, _: found.append(rule), lambda _: True)
    forecasts.view = show()
    forecasts.expect(
        {"moves": MOVE, "stay": [], "is_complete": True}, forecasts.view, pin=("a", "w2")
    )
    forecasts.check(forecasts.view, show(pinned="w2"), together=True)
    assert (found, forecasts.void) == ([], 1)
