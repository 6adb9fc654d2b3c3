"""A draft over a draft over the farm reads like a farm with all changes applied."""

from __future__ import annotations

import pytest

from master.changes import changes_of
from master.draft import Draft
from master.memory import Memory
from master.model import WorkerStatus
from tests.core.growth import KINDS, Chance, Model, assign, check, fill
from tests.records import make_account, make_login, make_worker

SEEDS = range(20)


def grow(chance: Chance, count: int) -> tuple[Memory, Model]:
    """Return memory with some records, and its model."""
    memory, model = Memory(), Model()
    for _ in range(count):
        chance.change(model)
    fill(memory.farm, model)
    return memory, model


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_is_written_into_drafts_over_drafts_is_read_as_if_it_were_applied(seed):
    chance = Chance(seed)
    memory, committed = grow(chance, 80)
    for _ in range(4):  # batches
        batch, decided = Draft(memory), committed.copy()
        for _ in range(6):  # items
            draft, model = batch.begin(), decided.copy()
            for _ in range(chance.random.randrange(6)):
                chance.change(model, draft)
                check(draft, model)
            if chance.random.random() < 0.3:  # a refused item: its draft is dropped
                check(batch, decided)
                continue
            batch.absorb(draft)
            decided = model
            check(batch, decided)
        check(memory.farm, committed)
        if chance.random.random() < 0.7:
            assign(batch, memory.farm)
            committed = decided
        check(memory.farm, committed)


@pytest.mark.parametrize("seed", SEEDS)
def test_three_drafts_deep_nothing_is_lost(seed):
    chance = Chance(1_000 + seed)
    memory, model = grow(chance, 60)
    draft = Draft(memory)
    for _ in range(3):
        draft = draft.begin()
        for _ in range(10):
            chance.change(model, draft)
        check(draft, model)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_removed_from_the_beginning_of_what_waits_is_not_seen_again(seed):
    """As the assignment does: each item consumes the first few; some return, new ones come."""
    chance = Chance(2_000 + seed)
    pick = chance.random
    memory, model = Memory(), Model()
    accounts = model.of(KINDS[3])
    for number in range(40):
        account = make_account(f"{number:02}", created_at=pick.randrange(20))
        accounts[account.id] = account
    fill(memory.farm, model)
    key = ("douyin", None)
    batch = Draft(memory)
    for _ in range(12):
        draft = batch.begin()
        waiting = list(draft.accounts.find("waiting", key))
        owned = (
            waiting[: pick.randrange(5)]
            if pick.random() < 0.7
            else pick.sample(waiting, min(len(waiting), 3))
        )
        for account in owned:
            accounts[account.id] = make_account(
                account.id,
                created_at=account.created_at,
                assigned_worker_id="w",
                epoch=account.epoch + 1,
            )
            draft.accounts.put(accounts[account.id])
        held = [one for one in accounts.values() if one.assigned_worker_id is not None]
        for account in pick.sample(held, min(len(held), pick.randrange(3))):
            accounts[account.id] = make_account(
                account.id, created_at=account.created_at, epoch=account.epoch
            )
            draft.accounts.put(accounts[account.id])
        check(draft, model)
        batch.absorb(draft)
        check(batch, model)
    assign(batch, memory.farm)
    check(memory.farm, model)


def test_what_a_draft_has_changed_is_yielded_as_it_is_there():
    memory = Memory()
    memory.farm.accounts.put(make_account("a", assigned_worker_id="w"))
    draft = Draft(memory)
    draft.accounts.put(make_account("a", assigned_worker_id="w", monitor_interval=99))
    for over in (draft, draft.begin(), draft.begin().begin()):
        assert [one.monitor_interval for one in over.accounts.find("owner", "w")] == [99]
        assert [one.monitor_interval for one in over.held_by("w")] == [99]


def test_a_draft_is_empty_until_something_is_to_be_stored():
    memory = Memory()
    memory.farm.workers.put(make_worker("w"))
    assert Draft(memory).is_empty()
    for write in (
        lambda draft: draft.workers.remove("w"),
        lambda draft: draft.accounts.put(make_account("a")),
        lambda draft: draft.keep("accounts", "a", {"credentials": None}),
        lambda draft: draft.signs.update(w=1),
        lambda draft: draft.allocate_seqs(1),
    ):
        draft = Draft(memory)
        item = draft.begin()
        write(item)
        assert draft.is_empty()
        draft.absorb(item)
        assert not draft.is_empty()


def test_seqs_go_on_from_draft_to_draft_and_come_back_with_one_that_is_dropped():
    memory = Memory()
    memory.farm.last_seq = 10
    batch = Draft(memory)
    first = batch.begin()
    assert first.allocate_seqs(3) == 11
    dropped = batch.begin()
    assert dropped.allocate_seqs(5) == 11
    batch.absorb(first)
    assert batch.begin().allocate_seqs(1) == 14
    assert memory.farm.last_seq == 10


def test_an_assignment_raises_the_epoch_and_the_load_and_a_release_keeps_the_epoch():
    memory = Memory()
    memory.farm.workers.put(make_worker("w", 1))
    memory.farm.accounts.put(make_account("a", epoch=4))
    draft = Draft(memory)
    draft.lost["w"] = {"a", "b"}
    assigned = draft.assign(make_account("a", epoch=4), "w", 7)
    assert (assigned.assigned_worker_id, assigned.epoch, assigned.updated_at) == ("w", 5, 7)
    assert draft.workers.get("w").assigned_accounts == 2
    assert draft.lost_by("w") == {"b"}, "what it gets it has not lost"
    item = draft.begin()
    item.owe("w", ["c"])
    assert (item.lost_by("w"), draft.lost_by("w")) == ({"b", "c"}, {"b"})
    draft.absorb(item)
    assert draft.lost_by("w") == {"b", "c"}
    released = draft.release(assigned, 8)
    assert (released.assigned_worker_id, released.epoch, released.updated_at) == (None, 5, 8)
    assert draft.workers.get("w").assigned_accounts == 1
    assert memory.farm.workers.get("w").assigned_accounts == 1
    with pytest.raises(AssertionError):
        draft.assign(make_account("b", assigned_worker_id="w"), "w", 9)


def test_a_login_keeps_a_slot_until_its_account_is_its_workers():
    memory = Memory()
    memory.farm.workers.put(make_worker("w"))
    for name, owner in (("mine", "w"), ("free", None)):
        memory.farm.accounts.put(make_account(name, assigned_worker_id=owner))
        memory.farm.logins.put(make_login(f"of-{name}", name, "w"))
    draft = Draft(memory)
    assert draft.count_reserved("w") == 1
    draft.assign(make_account("free"), "w", 0)
    assert draft.count_reserved("w") == 0


def test_a_newer_socket_speaks_and_an_older_one_is_mute_as_soon_as_a_draft_says_so():
    memory = Memory()
    memory.farm.workers.put(make_worker("w"))
    memory.sessions.seat("w", heard=0, heard_at=None)
    memory.sessions.worker_sockets |= {"old", "new"}
    memory.sessions.bind("w", "old")
    batch = Draft(memory)
    assert (batch.socket_of("w"), batch.speaker_of("old"), batch.speaker_of("new")) == (
        "old",
        "w",
        None,
    )
    item = batch.begin()
    item.bound["w"] = "new"
    assert (item.socket_of("w"), item.speaker_of("old"), item.speaker_of("new")) == (
        "new",
        None,
        "w",
    )
    assert batch.speaker_of("old") == "w", "another item sees nothing of it until it is absorbed"
    batch.absorb(item)
    assert batch.begin().speaker_of("old") is None
    memory.sessions.worker_sockets.discard("new")
    assert batch.begin().socket_of("w") is None, "it has closed meanwhile"
    assert memory.sessions.seats["w"].sid == "old"


def test_a_draft_touches_whom_it_changes_what_they_hold_and_who_speaks_for_them():
    memory = Memory()
    for name in "abcd":
        memory.farm.workers.put(make_worker(name))
    memory.farm.accounts.put(make_account("1", assigned_worker_id="a"))
    memory.farm.accounts.put(make_account("2", assigned_worker_id="d"))
    draft = Draft(memory)
    draft.accounts.put(make_account("1", assigned_worker_id="b"))
    draft.accounts.put(make_account("2", assigned_worker_id="d", monitor_interval=99))
    assert [draft.touches(name) for name in "abcd"] == [True, True, False, False]
    draft.bound["c"] = "socket"
    draft.workers.put(make_worker("d", status=WorkerStatus.OFFLINE))
    assert [draft.touches(name) for name in "abcd"] == [True, True, True, True]


def test_what_came_and_went_in_one_batch_is_not_named_as_changed():
    memory = Memory()
    memory.farm.workers.put(make_worker("stays"))
    memory.farm.workers.put(make_worker("goes"))
    draft = Draft(memory)
    draft.workers.put(make_worker("comes"))
    draft.workers.put(make_worker("came and went"))
    draft.workers.remove("came and went")
    draft.workers.remove("goes")
    draft.workers.put(make_worker("stays", 1))
    named = [
        (before and before.id, after and after.id)
        for before, after in changes_of(memory.farm.workers, draft.workers)
    ]
    assert sorted(named, key=str) == sorted(
        [(None, "comes"), ("goes", None), ("stays", "stays")], key=str
    )
