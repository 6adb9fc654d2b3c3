"""Runs that once violated a rule: they are replayed, and each would notice its defect again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from simulator.virtual.run import play
from simulator.virtual.tools.record import read_plan
from tests.virtual.undone import UNDONE, undone

PLANS = sorted((Path(__file__).parents[2] / "fixtures" / "simulation").glob("*.json"))


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_what_was_once_found_stays_mended(path):
    found = json.loads(path.read_text(encoding="utf-8"))
    plan = read_plan(found["plan"])
    assert play(plan).details == [], found["what"]
    with undone(path.stem):
        assert play(plan, until_violation=True).first == found["rule"], (
            f"it does not notice any more: {found['what']}"
        )


def test_each_such_run_says_what_mended_it():
    assert set(UNDONE) == {path.stem for path in PLANS}
    assert len(PLANS) >= 10
