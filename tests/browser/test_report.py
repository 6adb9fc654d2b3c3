"""The page of a run in a real browser without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from simulator.display.plots import ROWS, write_page
from simulator.scenario import Scenario
from simulator.virtual.plan import plan_run
from simulator.virtual.run import Outcome, play
from tests.browser.conftest import run_script

pytestmark = pytest.mark.browser

FAULTS = (
    "worker_crash",
    "master_kill",
    "storm",
    "cut_link",
    "burst",
    "clean_close",
    "slow_link",
    "disk_slow",
)
BAD = "two_owners: <b>a</b> & 'b'"
WIDTHS = (1280, 700)


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return play(plan_run(Scenario(seed=7, workers=5, accounts=10), 0.05, FAULTS))


@pytest.fixture(scope="module")
def looks(
    browser: Path, outcome: Outcome, tmp_path_factory: pytest.TempPathFactory
) -> dict[int, Any]:
    """The measurements of the page, by window width."""
    page = tmp_path_factory.mktemp("page") / "report.html"
    write_page(page, "A run, <seed 7>", ["one line"], outcome.samples, bad=[BAD])
    return {width: look(browser, page, width) for width in WIDTHS}


def look(browser: Path, page: Path, width: int) -> Any:
    found = json.loads(run_script(browser, "look.mjs", str(page), str(width)).splitlines()[-1])
    if "unavailable" in found:
        pytest.skip(f"no browser runs here: {found['unavailable'][:200]}")
    return found


@pytest.fixture(params=WIDTHS)
def shown(request: pytest.FixtureRequest, looks: dict[int, Any]) -> Any:
    return looks[request.param]


def test_the_page_opens_alone_and_without_a_complaint(shown):
    assert shown["troubles"] == []
    assert len(shown["requests"]) == 1, "the page itself and nothing else"
    assert not shown["wide"]


def test_what_came_of_the_run_is_text_and_never_markup(shown):
    assert shown["heading"] == "A run, <seed 7>"
    assert shown["lines"] == ["one line", BAD]
    assert shown["bad"] == [BAD]


def test_every_plot_has_its_title_and_its_own_legend(shown):
    assert shown["titles"] == list(ROWS)
    workers, accounts, messages, acknowledged = shown["legends"]
    assert {"connected", "crashed"} <= set(workers)
    assert {"logged in", "assigned"} <= set(accounts)
    assert messages == ["stored per second", "reports waiting"]
    assert acknowledged == ["p50", "p99"]
    assert shown["traces"] == sum(map(len, shown["legends"])) + 1, (
        "each line has a name; the marks have an axis of names"
    )


def test_every_fault_is_named_beside_its_marks(shown, outcome):
    happened = [what for _, what in outcome.samples.marks]
    assert len(set(happened)) > 5
    assert sorted(shown["kinds"]) == sorted(what.replace("_", " ") for what in set(happened))
    assert shown["marks"] == len(happened)


def test_titles_legends_and_buttons_cover_one_another_nowhere(shown):
    assert shown["overlaps"] == 0
