"""The rules notice a draining worker that gets accounts, or loses them to no other worker."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from master.clock import ManualClock
from master.model import WorkerStatus
from simulator.virtual.rules.drain_rules import Drains
from simulator.virtual.rules.file_view import AccountRow, View, WorkerRow

HOUSE: Any = None  # only how a drain ends asks for it
DRAINED = WorkerRow(WorkerStatus.CONNECTED, 1, ["douyin"], 5, 100, 200, 0)
HELD = AccountRow("w1", 3, "douyin", None, "active")


def show(account: AccountRow) -> View:
    """Return the file with a draining w1, and this account."""
    return View({"a": account}, {"w1": DRAINED, "w2": replace(DRAINED, drain_since=None)})


@pytest.mark.parametrize(
    ("course", "broken"),
    [
        ([HELD, replace(HELD, owner="w2", epoch=4)], []),
        ([HELD, replace(HELD, owner=None)], ["drain_left_unowned"]),
        # two turns of one batch: w2 got the account, and no longer takes its platform
        ([HELD, replace(HELD, owner=None, epoch=4)], []),
        ([replace(HELD, owner="w2"), HELD], ["given_to_draining"]),
        ([HELD, replace(HELD, owner="w2", epoch=4), HELD], ["drain_moved_twice"]),
        ([replace(HELD, pinned="w1"), replace(HELD, pinned="w1", owner=None)], []),
    ],
)
def test_a_draining_worker_only_loses_accounts_and_each_to_another(course, broken):
    found: list[str] = []
    drains = Drains(HOUSE, ManualClock(), lambda rule, _: found.append(rule))
    for before, after in pairwise(course):
        drains.check_hands(show(before), show(after), lambda _: "active")
    assert found == broken
