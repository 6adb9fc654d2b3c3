"""Who may still act on an account, and when a login ends, as memory knows it."""

from __future__ import annotations

from master.presence import Presence


def test_a_new_owner_waits_for_every_former_one():
    """X -> Y -> Z, and Z, which is gone, is no reason to forget X when Y gets the account back."""
    presence = Presence()
    presence.part(["a"], "x", now=0, until=30)
    presence.part(["a"], "y", now=10, until=40)
    assert presence.find_wait("a", "y", 12) == 18
    assert presence.find_wait("a", "z", 12) == 28


def test_a_turn_that_was_undone_makes_nobody_forgotten():
    """W -> X, then a revocation from X that did not come about: X waits for W as before."""
    presence = Presence()
    presence.part(["a"], "w", now=0, until=30)
    presence.part(["a"], "x", now=5, until=35)
    assert presence.find_wait("a", "x", 5) == 25


def test_what_is_over_is_forgotten_and_one_account_does_not_hold_up_another():
    presence = Presence()
    presence.part(["a", "b"], "x", now=0, until=30)
    assert presence.find_wait("c", "y", 1) == 0
    assert presence.find_wait("b", "x", 1) == 0
    presence.part(["b"], "y", now=31, until=61)
    assert presence.partings == {"b": {"y": 61}}
    assert presence.find_wait("a", "y", 31) == 0


def test_after_a_start_everybody_waits():
    presence = Presence()
    presence.begin_grace(100, grace_s=30, timeout_s=30)
    assert presence.find_wait("a", "x", 110) == 20


def test_who_may_act_on_an_account_may_act_on_its_heir():
    presence = Presence()
    presence.part(["a"], "x", now=0, until=30)
    presence.part(["b"], "x", now=10, until=40)
    presence.pass_partings("a", "b")
    presence.pass_partings("a", "c")
    presence.pass_partings("unknown", "c")
    assert [presence.find_wait(name, "y", 20) for name in ("a", "b", "c")] == [10, 20, 10]
    assert presence.find_wait("c", "x", 20) == 0
    presence.part(["d"], "y", now=50, until=80)
    assert presence.partings == {"d": {"y": 80}}


def test_a_login_ends_most_s_after_it_began_whatever_the_wall_clock_says():
    presence = Presence()
    presence.note_deadline("s", 1_300, now=1_000, monotonic=0, most_s=600)
    assert presence.find_overdue(1_000, 299) == []
    presence.note_deadline("s", 1_590, now=1_290, monotonic=290, most_s=600)
    assert presence.find_overdue(1_300, 300) == []
    presence.note_deadline("s", 600, now=0, monotonic=500, most_s=600)
    assert presence.find_overdue(50, 599.9) == []
    assert presence.find_overdue(50, 600) == ["s"]
    presence.forget_deadline("s")
    assert (presence.deadlines, presence.ends, presence.last_ends) == ({}, {}, {})
