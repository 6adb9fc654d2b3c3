"""Runs that once violated something: they are played for ever."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from simulator.virtual.record import read_plan
from simulator.virtual.run import play

PLANS = sorted((Path(__file__).parents[2] / "fixtures" / "simulation").glob("*.json"))


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_what_was_once_found_stays_mended(path):
    found = json.loads(path.read_text(encoding="utf-8"))
    assert play(read_plan(found["plan"])).details == [], found["what"]


def test_there_are_such_runs():
    assert len(PLANS) >= 10
