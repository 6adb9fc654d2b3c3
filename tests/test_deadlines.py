"""Deadlines in memory: former owners, the end of logins, and the silence of workers."""

from __future__ import annotations

from master.deadlines import ANY_NAME, SOMEBODY, Deadlines
from master.sessions import Sessions


def test_a_new_owner_waits_for_every_former_one():
    """X -> Y -> Z: that Z is gone does not make X forgotten when Y gets the account back."""
    deadlines = Deadlines()
    deadlines.record_handovers(["a"], "x", now=0, until=30)
    deadlines.record_handovers(["a"], "y", now=10, until=40)
    assert deadlines.find_wait("a", "y", 12) == 18
    assert deadlines.find_wait("a", "z", 12) == 28


def test_a_turn_that_was_undone_forgets_no_former_owner():
    """W -> X, then a revocation from X that was undone: X waits for W as before."""
    deadlines = Deadlines()
    deadlines.record_handovers(["a"], "w", now=0, until=30)
    deadlines.record_handovers(["a"], "x", now=5, until=35)
    assert deadlines.find_wait("a", "x", 5) == 25


def test_what_is_over_is_forgotten_and_one_account_does_not_delay_another():
    deadlines = Deadlines()
    deadlines.record_handovers(["a", "b"], "x", now=0, until=30)
    assert deadlines.find_wait("c", "y", 1) == 0
    assert deadlines.find_wait("b", "x", 1) == 0
    deadlines.record_handovers(["b"], "y", now=31, until=61)
    assert deadlines.handovers == {"b": {"y": 61}}
    assert deadlines.find_wait("a", "y", 31) == 0


def test_the_new_owner_of_what_somebody_unknown_may_own_waits():
    deadlines = Deadlines()
    assert deadlines.find_wait("a", "x", 0) == 0
    deadlines.record_handovers(["a"], SOMEBODY, now=100, until=130)
    assert deadlines.find_wait("a", "x", 110) == 20
    deadlines.record_handovers(["a"], "y", now=110, until=140)
    assert deadlines.find_wait("a", "x", 110) == 30
    assert deadlines.find_wait("a", "y", 110) == 20
    assert deadlines.find_wait("b", "x", 110) == 0, "no worker ever owned this one"
    deadlines.record_handovers([ANY_NAME], SOMEBODY, now=110, until=140)
    deadlines.pass_handovers("a name on a platform", "b")
    assert deadlines.find_wait("b", "x", 110) == 30, "somebody may own it under another id"
    assert deadlines.find_wait("b", "x", 141) == 0


def test_after_a_start_a_worker_without_a_socket_is_silent_from_the_end_of_the_grace_on():
    sessions = Sessions()
    for worker_id in ("here", "away"):
        sessions.seat(worker_id, heard=0, heard_at=7)
    sessions.bind("here", "socket")
    sessions.begin_grace(100, grace_s=30)
    assert {seat.worker_id: (seat.heard, seat.heard_at) for seat in sessions.seats.values()} == {
        "here": (0, 7),
        "away": (130, 7),
    }
    sessions.hear("away", monotonic=110, at=117)
    assert sessions.seats["away"].heard == 110, (
        "its silence counts from here on: the grace was for workers without a socket"
    )
    assert sessions.unwritten == {"away": 117}


def test_who_may_act_on_an_account_may_act_on_its_heir():
    deadlines = Deadlines()
    deadlines.record_handovers(["a"], "x", now=0, until=30)
    deadlines.record_handovers(["b"], "x", now=10, until=40)
    deadlines.pass_handovers("a", "b")
    deadlines.pass_handovers("a", "c")
    deadlines.pass_handovers("unknown", "c")
    assert [deadlines.find_wait(name, "y", 20) for name in ("a", "b", "c")] == [10, 20, 10]
    assert deadlines.find_wait("c", "x", 20) == 0
    deadlines.record_handovers(["d"], "y", now=50, until=80)
    assert deadlines.handovers == {"d": {"y": 80}}


def test_a_login_ends_most_s_after_it_began_whatever_the_wall_clock_says():
    deadlines = Deadlines()
    deadlines.note_login("s", 1_300, now=1_000, monotonic=0, most_s=600)
    assert deadlines.find_overdue(1_000, 299) == []
    deadlines.note_login("s", 1_590, now=1_290, monotonic=290, most_s=600)
    assert deadlines.find_overdue(1_300, 300) == []
    deadlines.note_login("s", 600, now=0, monotonic=500, most_s=600)
    assert deadlines.find_overdue(50, 599.9) == []
    assert deadlines.find_overdue(50, 600) == ["s"]
    deadlines.forget_login("s")
    assert (deadlines.expiries, deadlines.ends, deadlines.last_ends) == ({}, {}, {})


def test_an_overdue_login_stays_overdue_until_it_is_forgotten_and_delays_no_other():
    """The disk may refuse to end it."""
    deadlines = Deadlines()
    deadlines.note_login("a", 300, now=0, monotonic=0, most_s=600)
    deadlines.note_login("b", 310, now=0, monotonic=0, most_s=600)
    for _ in range(3):
        assert deadlines.find_overdue(300, 300) == ["a"]
    assert deadlines.find_overdue(310, 300) == ["a", "b"]
    deadlines.forget_login("a")
    assert deadlines.find_overdue(310, 310) == ["b"]
    assert deadlines.find_overdue(0, 310) == ["b"], (
        "a wall clock that is set back keeps nothing open"
    )


def test_signs_of_life_never_go_back_and_newer_ones_wait_for_the_next_batch():
    sessions = Sessions()
    sessions.seat("w", heard=10, heard_at=None)
    sessions.bind("w", "socket")
    sessions.hear("w", monotonic=20, at=120)
    sessions.hear("w", monotonic=15, at=115)
    assert (sessions.seats["w"].heard, sessions.unwritten) == (20, {"w": 120})
    written = dict(sessions.unwritten)
    sessions.hear("w", monotonic=30, at=130)
    sessions.forget_written(written)
    assert sessions.unwritten == {"w": 130}
    sessions.hear("unknown", monotonic=40, at=140)
    assert "unknown" not in sessions.unwritten


def test_one_socket_speaks_for_one_worker_and_one_worker_has_one_socket():
    sessions = Sessions()
    for worker_id in ("v", "w"):
        sessions.seat(worker_id, heard=0, heard_at=None)
    assert sessions.bind("v", "1") is None
    assert sessions.bind("v", "2") == "1"
    assert sessions.find_seat("1") is None
    assert sessions.bind("w", "2") is None, "the socket of another worker now speaks for this one"
    assert (sessions.seats["v"].sid, sessions.seats["w"].sid) == (None, "2")
    assert sessions.leave("1") is None
    assert sessions.leave("2") == "w"
    assert sessions.seats["w"].sid is None
