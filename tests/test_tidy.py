"""The tidy test: lengths of functions, files and lines, and places in which one thing is written.

`python -m tools.tidy` prints the same figures.
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.waiting import find_sleeps
from tools import tidy

LONG_FUNCTIONS = {
    ("master/metrics.py", "__init__"): "one statement for each metric, in the order of /metrics",
    ("master/app.py", "__init__"): "the composition root: it makes each part once, in order",
    ("simulator/__main__.py", "build_parser"): "one statement for each option",
    ("loadtest/plan.py", "read_plan"): "one statement for each option",
}
"""Functions past the limit, with the reason."""

LONG_FILES = {
    "tests/security/test_metering.py": "every budget of Socket.IO, with the peers that exceed it",
    "tests/test_logs.py": "everything that a log line may not contain",
}
"""Files past the limit, with the reason."""

VIRTUAL_TIME = (
    "tests/virtual/",
    "tests/simulator/test_worker.py",
    "tests/simulator/test_logins.py",
    "tests/simulator/test_pace.py",
)
"""Tests whose sleeps take no time."""

BODY_LINES = {"master": 13_250, "simulator": 7_500, "loadtest": 2_300, "tools": 600}
"""Lines in function bodies: a change that needs more says so here.

Of tools/, three quarters render docs/protocol.md and types.d.ts: each field, acknowledgement, word
and example.
"""

COLUMN_FILES = {"monitor_interval": 12, "fingerprint": 11, "account_name": 18}
"""Files of master/ that name a column that only stores a value."""


@pytest.mark.parametrize("folder", tidy.PACKAGES)
def test_functions_are_short(folder: str) -> None:
    functions = tidy.measure_functions(folder)
    assert tidy.find_p90(functions) <= 20
    long = {(one.file, one.name) for one in functions if one.lines > tidy.LONGEST_FUNCTION}
    assert long == {key for key in LONG_FUNCTIONS if key[0].startswith(f"{folder}/")}


@pytest.mark.parametrize("folder", tidy.PACKAGES)
def test_function_bodies_have_no_more_lines_than_was_agreed(folder: str) -> None:
    assert sum(one.lines for one in tidy.measure_functions(folder)) <= BODY_LINES[folder]


def test_files_are_short() -> None:
    files = tidy.measure_files(*tidy.PACKAGES, "tests")
    assert {name for name, lines in files.items() if lines > tidy.LONGEST_FILE} == set(LONG_FILES)


def test_lines_are_short() -> None:
    assert tidy.find_long_lines(*tidy.PACKAGES, "tests") == []


def test_no_test_sleeps_in_real_time() -> None:
    assert [where for where in find_sleeps() if not where.startswith(VIRTUAL_TIME)] == []


def test_each_event_and_each_route_is_written_once() -> None:
    assert {name: count for name, count in tidy.count_event_uses().items() if count > 1} == {}
    assert {route: count for route, count in tidy.count_route_rows().items() if count > 1} == {}


def test_a_column_that_stores_a_value_is_named_in_few_files() -> None:
    found = tidy.count_column_files()
    assert {name: found[name] for name in COLUMN_FILES if found[name] > COLUMN_FILES[name]} == {}


def test_each_word_of_the_glossary_has_one_meaning() -> None:
    terms = Counter(term for term, _ in tidy.read_glossary())
    assert [term for term, count in terms.items() if count > 1] == []
    assert [term for term, meaning in tidy.read_glossary() if not meaning] == []
