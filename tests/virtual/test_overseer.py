"""The rules notice workers evicted at the wrong time, and reports accepted too late."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from master.memory import Watch
from master.model import SessionStatus, WorkerStatus
from master.settings import load_settings
from simulator.virtual.machine.house import House
from simulator.virtual.machine.life import Life
from simulator.virtual.machine.loop import VirtualClock, run_virtually
from simulator.virtual.rules.deadlines import Moment, Silence
from simulator.virtual.rules.file_view import LoginRow, WorkerRow
from simulator.virtual.rules.login_rules import find_accepted_late

HERE = {name: WorkerRow(WorkerStatus.CONNECTED, 0, (), 1) for name in "abcd"}


def lose(*names: str) -> dict[str, WorkerRow]:
    """Return the four workers; these are evicted."""
    return {
        name: replace(row, status=WorkerStatus.OFFLINE if name in names else row.status)
        for name, row in HERE.items()
    }


def watch(tmp_path, script) -> list[str]:
    """Run `script(silence, house)` 1,000 virtual s after Master's start; return broken rules."""
    rules: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        clock = VirtualClock(loop)
        settings = load_settings({"DB_PATH": str(tmp_path / "master.db")}, None)
        house = House(loop, clock, settings, 1)
        silence = Silence(house, settings, clock, lambda rule, _: rules.append(rule))
        await asyncio.sleep(1_000)
        for name in HERE:
            silence.of(name).answered = silence.of(name).arrived = 999.0
        await script(silence, house)

    run_virtually(main)
    return rules


@pytest.mark.parametrize(
    ("stall_ended", "began", "noticed"),
    [
        (1_005.0, 1_030.0, True),
        (1_000.1, 1_030.0, True),
        (1_000.0, 1_030.0, False),
        (999.0, 1_030.0, False),
        (1_030.0, 1_029.0, False),
    ],
)
def test_no_worker_may_be_evicted_within_a_timeout_after_a_stall(
    tmp_path, stall_ended, began, noticed
):
    async def script(silence, house) -> None:
        await asyncio.sleep(30)
        house.stall_ended = stall_ended
        silence.check_evictions(HERE, lose("a"), began)

    assert watch(tmp_path, script) == (["evicted_after_stall"] if noticed else [])


@pytest.mark.parametrize(("started_at", "noticed"), [(999.5, True), (998.5, False), (960.0, False)])
@pytest.mark.parametrize("began", [None, 1_030.0])
def test_who_was_not_heard_since_a_start_may_not_be_evicted_within_the_grace(
    tmp_path, started_at, noticed, began
):
    async def script(silence, house) -> None:
        await asyncio.sleep(30)
        house.started_at = started_at
        silence.check_evictions(HERE, lose("a"), began)

    assert watch(tmp_path, script) == (["grace_missed"] if noticed else [])


def stay_silent(*names: str, braked: bool, until: float):
    """Return a script with workers silent from second 999 on, and not evicted before `until`."""

    async def script(silence, house) -> None:
        while asyncio.get_running_loop().time() < until:
            await asyncio.sleep(1)
            now = asyncio.get_running_loop().time()
            for name in set(HERE) - set(names):
                silence.of(name).arrived = now
            silence.check_late(HERE, now - 900.0, braked=braked)

    return script


@pytest.mark.parametrize(
    ("braked", "until", "noticed"),
    [(False, 1_030, 0), (False, 1_032, 1), (True, 1_061, 0), (True, 1_063, 1)],
)
def test_a_brake_protects_who_is_silent_for_one_further_timeout_only(
    tmp_path, braked, until, noticed
):
    assert (
        watch(tmp_path, stay_silent("a", braked=braked, until=until)) == ["evicted_late"] * noticed
    )


@pytest.mark.parametrize(("until", "noticed"), [(1_091, 0), (1_093, 1)])
def test_where_a_brake_may_have_been_on_already_a_worker_is_protected_by_two_at_the_most(
    tmp_path, until, noticed
):
    async def script(silence, house) -> None:
        # its deadline passes while `a` is silent, and it is evicted at once
        silence.of("b").arrived = 980.0
        await stay_silent("a", "b", braked=True, until=1_020)(silence, house)
        silence.of("b").arrived = 1_020.0
        await stay_silent("a", braked=True, until=until)(silence, house)

    assert watch(tmp_path, script) == ["evicted_late"] * noticed


@pytest.mark.parametrize(
    ("stalled_at", "until", "noticed"),
    [(1_035, 1_102, 0), (1_035, 1_104, 1), (1_020, 1_071, 0), (1_020, 1_073, 1)],
)
def test_a_brake_begins_anew_only_after_a_stall_while_it_was_on(
    tmp_path, stalled_at, until, noticed
):
    async def script(silence, house) -> None:
        house.life = Life("master")
        for now in range(1_001, until + 1):
            await asyncio.sleep(1)
            if now == stalled_at:
                house.stall()  # before or after the deadline of `a` at 1,029
            if now == 1_040:
                house.resume()
            if house.stalled_since is not None:
                house.disturb()
            for name in set(HERE) - {"a"}:
                silence.of(name).arrived = now
            silence.check_late(HERE, now - house.undisturbed_since, braked=True)

    assert watch(tmp_path, script) == ["evicted_late"] * noticed


@pytest.mark.parametrize(
    ("braked_at", "until", "noticed"), [(1_055, 1_086, 0), (1_055, 1_088, 1), (1_059, 1_063, 1)]
)
def test_a_brake_that_begins_as_a_stalls_protection_ends_keeps_a_worker_once_more(
    tmp_path, braked_at, until, noticed
):
    async def script(silence, house) -> None:
        house.life = Life("master")
        for now in range(1_001, until + 1):
            await asyncio.sleep(1)
            if now == 1_015:
                house.stall()  # a and b are due at 1,029, c and d at 1,054
            if now == 1_024:
                house.resume()
            for name in "cd" if now <= 1_024 else ():
                silence.of(name).arrived = now
            since = now - house.undisturbed_since
            silence.check_late({"a": HERE["a"], "c": HERE["c"]}, since, braked=now >= braked_at)

    assert watch(tmp_path, script)[:1] == ["evicted_late"] * noticed


@pytest.mark.parametrize("killed", [False, True])
def test_what_arrives_at_a_master_that_stands_still_is_heard_when_it_goes_on(tmp_path, killed):
    async def script(silence, house) -> None:
        house.life = Life("master")
        house.stall()
        await asyncio.sleep(10)
        silence.note_arrived("a")
        assert silence.of("a").arrived == 1_010
        await asyncio.sleep(10)
        if killed:
            house.life = None
        house.resume()
        assert silence.of("a").arrived == (1_010 if killed else 1_020)
        await asyncio.sleep(10)
        house.resume()
        assert silence.of("a").arrived == (1_010 if killed else 1_020)

    assert watch(tmp_path, script) == []


@pytest.mark.parametrize(
    ("lost", "holding", "noticed"),
    [("ab", "abc", 1), ("a", "abc", 0), ("ab", "ab", 0), ("ab", "", 0)],
)
def test_a_brake_is_missed_where_most_of_those_that_hold_something_are_evicted(
    tmp_path, lost, holding, noticed
):
    async def script(silence, house) -> None:
        await asyncio.sleep(30)
        silence.check_evictions(HERE, lose(*lost), 1_030.0, set(holding))

    assert watch(tmp_path, script) == ["brake_missed"] * noticed


@pytest.mark.parametrize(
    ("silent", "holding", "noticed"),
    [("ab", "abc", 0), ("a", "abc", 1), ("ab", "cd", 1), ("ab", "ab", 0)],
)
def test_nothing_but_the_silence_of_most_that_hold_something_puts_a_brake_on(
    tmp_path, silent, holding, noticed
):
    async def script(silence, house) -> None:
        await asyncio.sleep(30.5)
        for name in set(HERE) - set(silent):
            silence.of(name).answered = 1_030.0
        silence.check_protection(HERE, set(holding), Watch())
        silence.check_protection(HERE, set(holding), Watch(put_on_at=1_030.5, brakes=1))

    assert watch(tmp_path, script) == ["brake_held"] * noticed


@pytest.mark.parametrize(("put_on_at", "noticed"), [(1_030.1, 0), (1_030.7, 1)])
def test_who_was_heard_since_a_brake_was_put_on_may_have_been_silent_then(
    tmp_path, put_on_at, noticed
):
    async def script(silence, house) -> None:
        await asyncio.sleep(31)
        for name in HERE:
            silence.of(name).answered = 1_030.5
        silence.check_protection(HERE, {"a", "b", "c"}, Watch())
        silence.check_protection(HERE, {"a", "b", "c"}, Watch(put_on_at=put_on_at, brakes=1))

    assert watch(tmp_path, script) == ["brake_held"] * noticed


@pytest.mark.parametrize(("sent", "noticed"), [(1_031.0, 0), (1_029.0, 1)])
def test_a_worker_that_one_batch_evicted_and_registered_again_may_count_for_a_brake(
    tmp_path, sent, noticed
):
    async def script(silence, house) -> None:
        await asyncio.sleep(31.5)
        silence.note_answered("a", sent, 0)
        silence.of("d").answered = sent
        silence.check_protection(HERE, {"a", "b", "c", "d"}, Watch())
        silence.check_protection(HERE, {"a", "b", "c", "d"}, Watch(put_on_at=1_031.5, brakes=1))

    assert watch(tmp_path, script) == ["brake_held"] * noticed


@pytest.mark.parametrize(("others_heard", "noticed"), [(("c",), 0), (("b", "c"), 1)])
def test_a_worker_that_returns_in_the_batch_that_found_it_silent_counts_once(
    tmp_path, others_heard, noticed
):
    async def script(silence, house) -> None:
        await asyncio.sleep(31.5)
        silence.note_answered("a", 1_031.0, 0)
        for name in others_heard:
            silence.of(name).answered = 1_031.0
        silence.check_protection(HERE, {"a", "b", "c"}, Watch())
        silence.check_protection(HERE, {"a", "b", "c"}, Watch(put_on_at=1_031.5, brakes=1))

    assert watch(tmp_path, script) == ["brake_held"] * noticed


def test_a_stall_puts_a_brake_on_each_silent_worker(tmp_path):
    async def script(silence, house) -> None:
        house.life = Life("master")
        house.stall()
        await asyncio.sleep(20)
        house.resume()
        await asyncio.sleep(20)
        silence.check_protection(HERE, {"a"}, Watch(put_on_at=1_040.0, brakes=1))

    assert watch(tmp_path, script) == []


@pytest.mark.parametrize(
    ("stalls", "until", "noticed"),
    [
        ([], 1_090, 0),
        ([], 1_092, 1),
        ([(1_005, 1_011), (1_050, 1_056), (1_080, 1_088)], 1_090, 0),
        ([(1_005, 1_011), (1_050, 1_056), (1_080, 1_088)], 1_092, 1),
        ([(1_029, 1_085)], 1_116, 0),
        ([(1_029, 1_085)], 1_118, 1),
        ([(1_031, 1_085)], 1_092, 1),
        ([(1_085, 1_200)], 1_199, 0),  # a stalled Master can evict no worker
    ],
)
def test_no_brake_protects_a_worker_for_longer_than_three_timeouts(
    tmp_path, stalls, until, noticed
):
    async def script(silence, house) -> None:
        house.life, house.master, ends = Life("master"), "lives", dict(stalls)
        for now in range(1_001, until + 1):
            await asyncio.sleep(1)
            if now in ends:
                house.stall()
            elif now in ends.values():
                house.resume()
            for name in set(HERE) - {"a"}:
                silence.of(name).arrived = now
            silence.check_protection(HERE, {"a", "b"}, Watch())

    assert watch(tmp_path, script) == ["brake_held"] * noticed


def test_after_a_stall_only_who_may_still_be_protected_must_not_be_evicted(tmp_path):
    async def script(silence, house) -> None:
        house.life = Life("master")
        await asyncio.sleep(83)
        silence.of("b").answered = 1_040.0
        house.stall()
        await asyncio.sleep(5)
        house.resume()
        await asyncio.sleep(2)
        silence.check_evictions(HERE, lose("a"), 1_090.0)
        silence.check_evictions(HERE, lose("b"), 1_090.0)

    assert watch(tmp_path, script) == ["evicted_after_stall"]


LOGIN = LoginRow("account", "a", SessionStatus.PENDING, 1_300)
CODE, SUCCESS = (
    replace(LOGIN, status=SessionStatus.SCANNING),
    replace(LOGIN, status=SessionStatus.SUCCESS),
)


@pytest.mark.parametrize(
    ("old", "new", "began", "noticed"),
    [
        (LOGIN, SUCCESS, 1_299.9, False),
        (LOGIN, SUCCESS, 1_300.0, True),
        (LOGIN, CODE, 1_300.0, True),
        (CODE, replace(CODE, expires_at=1_600), 1_300.0, True),
        (CODE, replace(CODE, expires_at=1_600), 1_299.0, False),
        (CODE, replace(LOGIN, status=SessionStatus.EXPIRED), 1_300.0, False),
        (CODE, replace(LOGIN, status=SessionStatus.FAILED), 1_300.0, False),
    ],
)
def test_nothing_is_accepted_of_a_login_whose_time_is_up(old, new, began, noticed):
    found = find_accepted_late(
        {"s": old}, {"s": new}, Moment(10.0, began), Moment(10.5, began + 0.5)
    )
    assert bool(found) is noticed


def test_nothing_is_said_of_turns_during_which_the_wall_clock_was_stepped():
    assert (
        find_accepted_late(
            {"s": LOGIN}, {"s": SUCCESS}, Moment(10.0, 1_300.0), Moment(10.5, 4_900.5)
        )
        == []
    )
