"""Assignment is one plan per turn, made last, in portions; it equals single assignments."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from master.changes import Changes
from master.model import AccountStatus, Login, SessionStatus, WorkerStatus
from master.operations.accounts import change_account
from master.operations.assignments import place_more, place_what_waits, revoke_accounts
from master.operations.audit import look_over
from master.operations.logins import expire_logins
from master.operations.silence import evict_silent
from master.operations.workers import register_worker, return_worker, say_goodbye
from master.protocol.http import AccountChange
from master.protocol.worker import Goodbye, Heartbeat, Register
from master.turn import PORTION, Caller, Turn
from tests.core.core import Core, hold, told_to_stop, told_to_watch

SILENT = ("w1", "w2", "w3")
LIVE = ("w4", "w5", "w6", "w7", "w8")


def check_one_plan(turn: Turn, evicted: tuple[str, ...]) -> None:
    """Check: no evicted worker gains, no account moves twice, all parcels agree with the farm."""
    draft, farm = turn.draft, turn.draft.memory.farm
    told, stopped = told_to_watch(turn), told_to_stop(turn)
    assert set(told.values()).isdisjoint(evicted)
    for account_id, after in draft.accounts.changed.items():
        before = farm.accounts.get(account_id)
        assert after is not None
        assert before is not None
        assert after.assigned_worker_id not in evicted
        moved = (
            after.assigned_worker_id is not None
            and after.assigned_worker_id != before.assigned_worker_id
        )
        assert after.epoch == before.epoch + moved, "it changes hands once, if at all"
        assert told.get(account_id) == (after.assigned_worker_id if moved else None)
        if (
            before.assigned_worker_id is not None
            and before.assigned_worker_id != after.assigned_worker_id
        ):
            assert account_id in stopped[before.assigned_worker_id]
    for worker_id in evicted:
        assert draft.workers.get(worker_id).status is WorkerStatus.OFFLINE
        assert list(draft.accounts.find("owner", worker_id)) == []
        assert list(draft.logins.find("worker", worker_id)) == []
        assert draft.workers.get(worker_id).assigned_accounts == 0
    for handout in turn.handouts:
        for account_id, epoch in handout.epochs.items():
            account = draft.accounts.get(account_id)
            assert (account.assigned_worker_id, account.epoch) == (handout.worker_id, epoch)


def test_nothing_is_assigned_to_a_worker_that_the_same_sweep_evicts():
    """Three of eight fall silent; the second has an open login, whose end frees a slot."""
    core = Core()
    core.add_worker("w1", *hold("w1", "a1", "a2", "a3"))
    core.add_worker("w2", *hold("w2", "b1"))
    # the least loaded: accounts of w1 and w2 would go there first
    core.add_worker("w3", max_accounts=1)
    for worker_id in LIVE:
        core.add_worker(
            worker_id, *hold(worker_id, *(f"{worker_id}-{number}" for number in range(4)))
        )
    core.add_account("waits")
    core.add_account("scanned", status=AccountStatus.PAUSED)
    core.add_login("scanned", "w2")
    core.fall_silent(*SILENT)
    turn, found = core.decide(evict_silent)
    assert found == 3
    check_one_plan(turn, SILENT)
    assert told_to_watch(turn) == dict(zip(("a1", "a2", "a3", "b1", "waits"), LIVE, strict=True))
    assert told_to_stop(turn) == {"w1": ["a1", "a2", "a3"], "w2": ["b1"]}
    assert turn.draft.logins.get("login of scanned").status is SessionStatus.FAILED
    assert core.memory.deadlines.handovers == {}, (
        "a worker silent for the timeout may not act any more: the new owner need not wait"
    )
    core.commit(turn)
    core.check_loads()
    assert [core.memory.farm.workers.get(worker_id).assigned_accounts for worker_id in LIVE] == [
        5
    ] * 5


@pytest.mark.parametrize("seed", range(40))
def test_nothing_is_assigned_to_a_worker_that_the_same_turn_evicts_whatever_they_hold(seed):
    chance = random.Random(seed)
    core = Core()
    workers = [f"w{number}" for number in range(1, 9)]
    for worker_id in workers:
        held = [
            account
            for number in range(chance.randrange(6))
            for account in hold(
                worker_id,
                f"{worker_id}-{number}",
                platform=chance.choice(["douyin", "weibo"]),
                pinned_worker_id=chance.choice([None, None, None, worker_id, "w2"]),
            )
        ]
        platforms = chance.choice([("douyin", "weibo"), ("douyin",), ("weibo", "douyin")])
        core.add_worker(
            worker_id, *held, capabilities=platforms, max_accounts=chance.choice([5, 6, 20])
        )
    for number in range(chance.randrange(10)):
        core.add_account(
            f"waits-{number}",
            created_at=chance.randrange(3),
            pinned_worker_id=chance.choice([None, "w3"]),
        )
    for account in chance.sample(list(core.memory.farm.accounts.all()), 3):
        core.add_login(account.id, chance.choice(workers))
    silent = tuple(chance.sample(workers, 3))
    core.fall_silent(*silent)
    turn, found = core.decide(evict_silent)
    assert found == 3
    check_one_plan(turn, silent)
    core.commit(turn)
    core.check_loads()
    assert core.decide(place_more)[1] == 0, "all that fits has been placed"


def test_a_worker_that_says_goodbye_gets_nothing_back():
    core = Core()
    core.add_worker("w1", *hold("w1", "a", "b"))
    core.add_worker("w2", max_accounts=1)
    core.add_login("a", "w1")
    caller = Caller("worker", "socket of w1")
    turn, reply = core.decide(say_goodbye, Goodbye(worker_id="w1"), caller)
    assert reply == {"workerId": "w1", "released": 2}
    check_one_plan(turn, ("w1",))
    assert told_to_watch(turn) == {"a": "w2"}


def test_what_a_turn_revokes_it_revokes_before_it_places():
    core = Core()
    core.add_worker("w1", *hold("w1", "a"))
    turn = core.begin()
    place_what_waits(turn)
    with pytest.raises(AssertionError, match="assigns waiting accounts once"):
        place_what_waits(turn)
    with pytest.raises(AssertionError, match="before it assigns"):
        revoke_accounts(turn, hold("w1", "a"), "w1", "reassigned")


def test_a_worker_that_was_not_silent_may_act_until_the_timeout_and_the_new_owner_waits():
    core = Core()
    core.add_worker("w1", *hold("w1", "a"))
    core.add_worker("w2")
    change = AccountChange(id="a", pinned_worker_id="w2")
    turn, _ = core.decide(change_account, change)
    assert told_to_watch(turn) == {"a": "w2"}
    assert (
        core.memory.deadlines.find_wait("a", "w2", core.monotonic)
        == core.settings.heartbeat_timeout_s
    )
    assert core.memory.deadlines.find_wait("a", "w1", core.monotonic) == 0


def test_a_silent_worker_is_told_of_its_losses_when_it_returns_as_well_as_now():
    core = Core()
    core.add_worker("w1", *hold("w1", "a"))
    for worker_id in LIVE:
        core.add_worker(worker_id)
    core.fall_silent("w1")
    [turn] = core.run(evict_silent)
    assert told_to_stop(turn) == {"w1": ["a"]}
    assert core.memory.sessions.seats["w1"].lost == {"a"}


# -- portions --------------------------------------------------------------------------------------


def test_twenty_thousand_waiting_accounts_are_placed_in_portions():
    core = Core()
    for number in range(400):
        core.add_worker(f"w{number:03}", max_accounts=50)
    for number in range(20_000):
        core.add_account(f"a{number:05}", created_at=number % 7)
    turns = core.run(place_more)
    portions = [len(told_to_watch(turn)) for turn in turns]
    assert sum(portions) == 20_000
    assert max(portions) <= PORTION
    assert len([some for some in portions if some]) == 20_000 // PORTION
    assert {worker.assigned_accounts for worker in core.memory.farm.workers.all()} == {50}
    core.check_loads()
    assert all(len(handout.epochs) <= 100 for turn in turns for handout in turn.handouts)


@pytest.mark.parametrize("returns", [False, True], ids=["registers", "returns"])
def test_a_worker_with_room_for_ten_thousand_is_filled_in_portions(returns):
    core = Core()
    if returns:
        core.add_worker("w", max_accounts=10_000, status=WorkerStatus.OFFLINE)
    core.memory.sessions.worker_sockets.add("socket")
    for number in range(1_100):
        core.add_account(f"a{number:05}", created_at=number % 7)
    caller = Caller("worker", "socket")
    register = Register(
        worker_id="w", capabilities=["douyin"], max_accounts=10_000, host="h", port=1, version="1"
    )
    if returns:
        turns = core.run(return_worker, Heartbeat(worker_id="w"), caller)
    else:
        turns = core.run(register_worker, register, caller)
    assigned = [len(turn.draft.accounts.changed) for turn in turns]
    assert [some for some in assigned if some] == [PORTION] * 4 + [100]
    told = [account_id for turn in turns for account_id in told_to_watch(turn)]
    assert sorted(told) == sorted(set(told)) == [f"a{number:05}" for number in range(1_100)]
    assert core.memory.farm.workers.get("w").assigned_accounts == 1_100
    core.check_loads()


def test_of_many_silent_workers_so_many_are_evicted_at_once_as_a_portion_allows():
    core = Core()
    for number in range(6):
        worker_id = f"w{number}"
        core.add_worker(
            worker_id,
            *hold(worker_id, *(f"{worker_id}-{one}" for one in range(900))),
            max_accounts=900,
        )
    for number in range(10):
        core.add_worker(f"x{number}", *hold(f"x{number}", f"x{number}-0"), max_accounts=541)
    core.fall_silent(*(f"w{number}" for number in range(6)))
    turns = core.run(evict_silent)
    for turn in turns:
        assert len(told_to_watch(turn)) <= PORTION
        assert sum(map(len, told_to_stop(turn).values())) < PORTION + 900
    assert {core.memory.farm.workers.get(f"w{number}").status for number in range(6)} == {
        WorkerStatus.OFFLINE
    }
    assert {worker.assigned_accounts for worker in core.memory.farm.workers.all()} == {0, 541}
    assert core.memory.watch.brakes == 0, (
        "those that wait for the next portion are no reason for a brake"
    )
    assert len(core.memory.watch.evictions) == 6
    core.check_loads()


@pytest.mark.parametrize("rooms", [0, 3])
def test_no_more_waiting_accounts_are_looked_at_than_are_placed(rooms, monkeypatch):
    core = Core()
    core.add_worker("w1", max_accounts=rooms)
    for number in range(500):
        core.add_account(f"a{number:03}")
    looked_at: list[str] = []
    find = Changes.find

    def watch(self: Any, index: str, key: Any, *after: Any) -> Iterator[Any]:
        for record in find(self, index, key, *after):
            if index == "waiting":
                looked_at.append(record.id)
            yield record

    monkeypatch.setattr(Changes, "find", watch)
    turn, placed = core.decide(look_over)
    assert placed == len(told_to_watch(turn)) == rooms
    assert looked_at == [f"a{number:03}" for number in range(rooms + 1)]


# -- equality with a model -------------------------------------------------------------------------


def place_one_by_one(core: Core) -> dict[str, str]:
    """Return the assignment of waiting accounts, oldest first, each to the least loaded worker."""
    farm = core.memory.farm
    logins: dict[str, Login] = {login.account_id: login for login in farm.logins.all()}
    owners = {account.id: account.assigned_worker_id for account in farm.accounts.all()}
    placed: dict[str, str] = {}

    def load(worker_id: str) -> int:
        kept = [
            one
            for one, login in logins.items()
            if login.worker_id == worker_id and owners[one] != worker_id
        ]
        return list(owners.values()).count(worker_id) + len(kept)

    waiting = [
        one
        for one in farm.accounts.all()
        if one.assigned_worker_id is None and one.status is AccountStatus.ACTIVE
    ]
    for account in sorted(waiting, key=lambda one: (one.created_at, one.id)):
        login = logins.get(account.id)
        fitting = []
        for worker in farm.workers.all():
            own_slot = (
                login is not None
                and login.worker_id == worker.id
                and account.pinned_worker_id == worker.id
            )
            if (
                worker.status is WorkerStatus.CONNECTED
                and account.platform in worker.capabilities
                and account.pinned_worker_id in (None, worker.id)
                and load(worker.id) - own_slot < worker.max_accounts
            ):
                fitting.append(worker.id)
        if fitting:
            placed[account.id] = owners[account.id] = min(
                fitting, key=lambda name: (load(name), name)
            )
    return placed


@pytest.mark.parametrize("seed", range(60))
def test_a_plan_is_what_placing_one_by_one_would_have_been(seed):
    chance = random.Random(seed)
    core = Core()
    workers = [f"w{number}" for number in range(chance.randrange(1, 7))]
    for worker_id in workers:
        core.add_worker(
            worker_id,
            *hold(worker_id, *(f"{worker_id}-{number}" for number in range(chance.randrange(4)))),
            capabilities=tuple(chance.sample(["douyin", "weibo"], chance.randrange(1, 3))),
            max_accounts=chance.randrange(8),
            status=chance.choice([*[WorkerStatus.CONNECTED] * 4, WorkerStatus.DISCONNECTED]),
        )
    for number in range(chance.randrange(25)):
        core.add_account(
            f"a{number:02}",
            created_at=chance.randrange(4),
            platform=chance.choice(["douyin", "weibo"]),
            pinned_worker_id=chance.choice([None, None, *workers]),
            status=chance.choice([*[AccountStatus.ACTIVE] * 5, AccountStatus.PAUSED]),
        )
    everything = list(core.memory.farm.accounts.all())
    for account in chance.sample(everything, min(len(everything), chance.randrange(4))):
        core.add_login(account.id, chance.choice(workers))
    wanted = place_one_by_one(core)
    turn, placed = core.decide(place_more)
    assert told_to_watch(turn) == wanted
    assert placed == len(wanted)
    core.commit(turn)
    core.check_loads()
    assert place_one_by_one(core) == {}, "nothing that fits is left waiting"


def test_a_login_that_ends_passes_its_slot_on_in_the_same_turn():
    core = Core()
    core.add_worker("w1", max_accounts=1)
    core.add_account("scanned", status=AccountStatus.PAUSED)
    core.add_account("waits")
    core.add_login("scanned", "w1")
    assert core.decide(place_more)[1] == 0, "the slot is kept for the login"
    core.advance(300)
    [turn] = core.run(expire_logins)
    assert told_to_watch(turn) == {"waits": "w1"}
