"""Who is given up when: the brake holds those that it was put on for, and is judged anew for everybody else."""

from __future__ import annotations

from master.model import WorkerStatus
from master.operations.silence import give_up_silent
from tests.core.core import Core, hold

TIMEOUT_S = 30


def make_core(*worker_ids: str) -> Core:
    """Return a core with these workers, each with an account of its own."""
    core = Core()
    for worker_id in worker_ids:
        core.add_worker(worker_id, *hold(worker_id, f"account of {worker_id}"))
    return core


def hear(core: Core, *worker_ids: str) -> None:
    """Let these workers give a sign of life now."""
    for worker_id in worker_ids:
        core.memory.sessions.hear(worker_id, monotonic=core.monotonic, at=int(core.now))
        core.memory.sessions.seats[worker_id].heard = core.monotonic


def find_offline(core: Core) -> list[str]:
    """Return whom Master has given up."""
    return sorted(one.id for one in core.memory.farm.workers.all() if one.status is WorkerStatus.OFFLINE)


def test_a_brake_is_judged_anew_for_those_that_were_not_silent_yet_when_it_was_put_on():
    core = make_core("w1", "w2", "w3")
    core.advance(10)
    hear(core, "w2", "w3")
    core.advance(21)
    core.memory.sessions.stalled_at = core.monotonic
    core.run(give_up_silent)
    assert core.memory.watch.brakes == 1, "put on for w1 alone"
    hear(core, "w1")
    core.advance(TIMEOUT_S)
    core.run(give_up_silent)
    assert find_offline(core) == [], "two of three: they have a brake of their own"
    assert core.memory.watch.brakes == 2
    hear(core, "w1")
    core.advance(TIMEOUT_S)
    core.run(give_up_silent)
    assert find_offline(core) == ["w2", "w3"], "and it was their last"
    assert core.memory.watch.brakes == 2


def test_those_that_a_brake_was_put_on_for_are_given_up_at_its_end():
    core = make_core("w1", "w2", "w3")
    core.advance(0.1)
    hear(core, "w3")
    core.advance(TIMEOUT_S)
    core.run(give_up_silent)
    assert core.memory.watch.brakes == 1
    core.advance(TIMEOUT_S)
    hear(core, "w3")
    core.run(give_up_silent)
    assert find_offline(core) == ["w1", "w2"]
    assert core.memory.watch.brakes == 1
