"""The record of accounts' states and persons: what it expects, and what it forgives."""

from __future__ import annotations

import pytest

from simulator.truth.account_states import States
from simulator.truth.persons import Persons


def judge(row, *, then=lambda states: None):
    """Return the rules broken by a row after an acknowledged logout of the account."""
    broken: list[str] = []
    states = States(lambda rule, _: broken.append(rule))
    states.begin("a", 1)
    states.end("a", 1, {"login_status": "logged_out", "status": "active"})
    expected = states.freeze()
    then(states)
    states.compare({"a": row}, expected)
    return broken


@pytest.mark.parametrize(
    ("row", "broken"),
    [
        ({"login_status": "logged_out", "status": "active"}, []),
        ({"login_status": "logging_in", "status": "active"}, []),
        ({"login_status": "logged_in", "status": "active"}, ["status_lost"]),
        ({"login_status": "expired", "status": "active"}, ["status_lost"]),
        ({"login_status": "logged_out", "status": "banned"}, ["status_lost"]),
    ],
)
def test_a_row_must_say_what_was_acknowledged(row, broken):
    assert judge(row) == broken


@pytest.mark.parametrize(
    "then",
    [
        lambda states: states.begin("a", 2),
        lambda states: (states.begin("a", 2), states.end("a", 2)),
        lambda states: (states.begin("a", 2), states.end("a", 2, {"login_status": "logged_in"})),
    ],
)
def test_what_came_later_is_a_reason(then):
    assert judge({"login_status": "logged_in", "status": "active"}, then=then) == []


def test_short_cookies_may_end():
    row = {"login_status": "expired", "status": "active"}
    assert judge(row, then=lambda states: states.short_lived.add("a")) == []


@pytest.mark.parametrize(
    ("told", "ack", "broken"),
    [
        ({"login_status": "logged_out"}, {"login_status": "logged_out"}, []),
        ({"login_status": "logged_out"}, {"login_status": "logged_in"}, ["status_lost"]),
        ({"login_status": "logged_out"}, {"login_status": "logging_in"}, []),
        ({"account_status": "banned"}, {"status": "active"}, ["status_lost"]),
        (
            {"login_status": "logged_out"},
            {"login_status": "logged_in", "notes": [{"field": "observed_at"}]},
            [],
        ),
    ],
)
def test_an_answer_must_say_what_was_reported_or_why_not(told, ack, broken):
    found: list[str] = []
    States(lambda rule, _: found.append(rule)).note_told("a", told, ack)
    assert found == broken


def test_another_person_is_taken_only_with_an_administrators_word():
    found: list[str] = []
    persons = Persons(lambda rule, _: found.append(rule))
    persons.note_success("a", "mia")
    persons.note_mismatch("a", "leo")
    assert found == []
    persons.note_success("a", "leo")
    persons.note_mismatch("a", "leo")
    assert found == ["identity_taken", "login_lost"]
    persons.note_taking("a")
    persons.note_success("a", "ada")
    persons.note_mismatch("a", "ada")
    assert found == ["identity_taken", "login_lost"]
