"""When silent workers are evicted: a brake protects the workers it began for, and no others."""

from __future__ import annotations

import pytest

from master.decisions.liveness import longest_protection_s
from master.model import WorkerStatus
from master.operations.audit import look_over
from master.operations.silence import evict_silent, is_somebody_due
from tests.core.core import Core, hold

TIMEOUT_S = 30


def make_core(*worker_ids: str) -> Core:
    """Return a core with these workers, each with an account of its own."""
    core = Core()
    for worker_id in worker_ids:
        core.add_worker(worker_id, *hold(worker_id, f"account of {worker_id}"))
    return core


def hear(core: Core, *worker_ids: str) -> None:
    """Receive a sign of life from each of these workers now."""
    for worker_id in worker_ids:
        core.memory.sessions.hear(worker_id, monotonic=core.monotonic, at=int(core.now))
        core.memory.sessions.seats[worker_id].heard = core.monotonic


def stall(core: Core, seconds: float = 3.0) -> None:
    """Let Master's loop have stalled for this long until now."""
    keep_s = longest_protection_s(TIMEOUT_S)
    core.memory.sessions.note_stall(core.monotonic - seconds, core.monotonic, keep_s=keep_s)


def sweep(core: Core) -> None:
    """Run the sweep for silent workers, as happens twice a second."""
    if is_somebody_due(core.memory, core.monotonic, TIMEOUT_S):
        core.run(evict_silent)


def find_offline(core: Core) -> list[str]:
    """Return the evicted workers."""
    return sorted(
        one.id for one in core.memory.farm.workers.all() if one.status is WorkerStatus.OFFLINE
    )


def test_a_brake_is_judged_anew_for_those_that_were_not_silent_yet_when_it_was_put_on():
    core = make_core("w1", "w2", "w3")
    core.advance(10)
    hear(core, "w2", "w3")
    core.advance(21)
    stall(core)
    core.run(evict_silent)
    assert core.memory.watch.brakes == 1, "put on for w1 alone"
    hear(core, "w1")
    core.advance(TIMEOUT_S)
    core.run(evict_silent)
    assert find_offline(core) == [], "two of three: they have a brake of their own"
    assert core.memory.watch.brakes == 2
    hear(core, "w1")
    core.advance(TIMEOUT_S)
    core.run(evict_silent)
    assert find_offline(core) == ["w2", "w3"], "and it was their last"
    assert core.memory.watch.brakes == 2


def test_those_that_a_brake_was_put_on_for_are_evicted_at_its_end():
    core = make_core("w1", "w2", "w3")
    core.advance(0.1)
    hear(core, "w3")
    core.advance(TIMEOUT_S)
    core.run(evict_silent)
    assert core.memory.watch.brakes == 1
    core.advance(TIMEOUT_S)
    hear(core, "w3")
    core.run(evict_silent)
    assert find_offline(core) == ["w1", "w2"]
    assert core.memory.watch.brakes == 1


def test_who_was_evicted_by_the_audit_counts_for_the_brake():
    core = make_core("w1", "w2", "w3", "w4", "w5")
    core.advance(10)
    hear(core, "w3", "w4", "w5")
    core.advance(26)
    hear(core, "w4", "w5")
    core.run(look_over)
    assert find_offline(core) == ["w1", "w2"]
    core.advance(5)
    core.run(evict_silent)
    assert find_offline(core) == ["w1", "w2"], "the third of five within a timeout"
    assert core.memory.watch.brakes == 1


# -- outsiders and the brake -----------------------------------------------------------------------


def test_workers_that_hold_nothing_put_no_brake_on_and_are_evicted_at_once():
    core = make_core("w1", "w2", "w3")
    empty = [f"empty-{number}" for number in range(20)]
    for worker_id in empty:
        core.add_worker(worker_id, capabilities=("nothing",))
    core.fall_silent(*empty)
    sweep(core)
    assert find_offline(core) == sorted(empty)
    assert (core.memory.watch.brakes, core.memory.watch.evictions) == (0, ())


def test_a_crowd_that_holds_nothing_and_falls_silent_delays_no_replacement():
    core = make_core("w1", "w2", "w3")
    for number in range(20):
        core.add_worker(f"empty-{number}", capabilities=("nothing",))
    core.advance(TIMEOUT_S + 0.1)
    hear(core, "w2", "w3")
    sweep(core)
    assert "w1" in find_offline(core)
    assert core.owner_of("account of w1") in ("w2", "w3")
    assert core.memory.watch.brakes == 0


def test_a_crowd_that_holds_nothing_does_not_hide_that_most_of_the_others_fell_silent():
    core = make_core("w1", "w2", "w3")
    for number in range(20):
        core.add_worker(f"empty-{number}", capabilities=("nothing",))
    core.fall_silent("w1", "w2")
    sweep(core)
    assert find_offline(core) == []
    assert core.memory.watch.brakes == 1


def test_an_open_login_is_something_that_is_held():
    core = make_core("w1")
    for worker_id in ("w2", "w3"):
        core.add_account(f"login of {worker_id}", pinned_worker_id=worker_id, status="paused")
        core.add_worker(worker_id)
        core.add_login(f"login of {worker_id}", worker_id)
    core.fall_silent("w2", "w3")
    sweep(core)
    assert find_offline(core) == []
    assert core.memory.watch.brakes == 1


def test_a_worker_that_holds_nothing_raises_no_alarm_after_a_stall():
    core = make_core("w1")
    core.add_worker("empty", capabilities=("nothing",))
    core.fall_silent("empty")
    stall(core)
    sweep(core)
    assert (find_offline(core), core.memory.watch.brakes) == ([], 0)
    core.advance(TIMEOUT_S + 0.1)
    hear(core, "w1")
    sweep(core)
    assert find_offline(core) == ["empty"]


@pytest.mark.parametrize("every_s", [2.5, 5, 9, 29])
def test_a_stall_protects_no_worker_past_three_timeouts_of_silence_however_often_it_comes(
    every_s,
):
    core = make_core("w1", "w2", "w3")
    silent_s = 0.0
    while silent_s <= 3 * TIMEOUT_S:
        core.advance(every_s)
        silent_s += every_s
        hear(core, "w2", "w3")
        stall(core, min(every_s - 0.5, 12.0))
        if silent_s <= 3 * TIMEOUT_S:
            sweep(core)
            core.run(look_over)
            assert find_offline(core) == []
    sweep(core)
    assert find_offline(core) == ["w1"], "at once, though the brake is on"
    assert core.owner_of("account of w1") in ("w2", "w3")
    assert len(core.memory.sessions.stalls) <= 3 * TIMEOUT_S / every_s + 1


def test_the_audit_evicts_as_well_whom_no_brake_protects_any_more():
    core = make_core("w1", "w2", "w3")
    for _ in range(10):
        core.advance(9.1)
        hear(core, "w2", "w3")
        stall(core)
    core.run(look_over)
    assert find_offline(core) == ["w1"]


@pytest.mark.parametrize("seconds", [31, 91, 600])
def test_after_a_stall_however_long_everybody_has_a_timeout_to_be_heard(seconds):
    core = make_core("w1", "w2", "w3", "w4")
    core.advance(seconds)
    stall(core, seconds - 0.5)
    sweep(core)
    core.run(look_over)
    core.advance(TIMEOUT_S / 2)
    hear(core, "w2", "w3", "w4")
    stall(core)
    sweep(core)
    core.advance(TIMEOUT_S / 2)
    sweep(core)
    assert find_offline(core) == []
    hear(core, "w2", "w3", "w4")
    core.advance(TIMEOUT_S - 1)
    stall(core)
    hear(core, "w2", "w3", "w4")
    core.advance(2)
    sweep(core)
    assert find_offline(core) == ["w1"], "the later stalls protect it no more"


def test_a_brake_that_outsiders_put_on_protects_a_dead_worker_for_three_timeouts_at_the_most():
    """Other workers with accounts fall silent one after the other, so a brake is always on."""
    core = make_core("dead", *(f"w{number}" for number in range(4)))
    silent_s = 0.0
    while silent_s <= 3 * TIMEOUT_S:
        core.advance(5)
        silent_s += 5
        hear(
            core, *(f"w{number}" for number in range(4) if (silent_s // 35) % 2 == 0 or number == 0)
        )
        sweep(core)
    assert "dead" in find_offline(core)


def test_a_brake_is_no_reason_to_begin_one_anew_for_those_that_were_heard_after_it():
    """A worker is always silent, so the brake never ends; a stall during it is long over."""
    core = make_core("w1", "w2", "w3")
    core.fall_silent("w1")
    stall(core)
    sweep(core)
    core.advance(10)
    stall(core)
    hear(core, "w1", "w2", "w3")
    core.advance(TIMEOUT_S)
    hear(core, "w2", "w3")
    core.add_worker("empty", capabilities=("nothing",))
    core.memory.sessions.seats["empty"].heard = core.monotonic - TIMEOUT_S + 0.5
    core.advance(1)
    sweep(core)
    assert core.memory.watch.brakes == 1
    assert "w1" in find_offline(core)


def test_a_stall_that_is_long_over_is_no_reason_to_begin_a_brake_anew():
    """After the stall the silent worker had a whole timeout in which it could be heard."""
    core = make_core("w1", "w2", "w3")
    core.fall_silent("w1")
    stall(core)
    sweep(core)
    assert core.memory.watch.brakes == 1
    core.advance(10)
    stall(core)
    hear(core, "w2", "w3")
    core.advance(TIMEOUT_S + 1)
    hear(core, "w2", "w3")
    sweep(core)
    assert core.memory.watch.brakes == 1
    assert find_offline(core) == ["w1"]
