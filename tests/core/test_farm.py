"""The farm maintains its indexes: after any changes they equal a recomputation."""

from __future__ import annotations

import pytest

from master.farm import LOGINS, Farm
from master.model import AccountStatus, SessionStatus, WorkerStatus
from tests.core.growth import Chance, Model, check
from tests.records import make_account, make_login, make_proxy, make_worker

SEEDS = range(10)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_index_says_what_a_recomputation_says(seed):
    farm, model, chance = Farm(), Model(), Chance(seed)
    for _ in range(150):
        chance.change(model, farm)
        check(farm, model)


def test_a_table_that_was_emptied_has_no_group_any_more():
    farm, model, chance = Farm(), Model(), Chance(1)
    for _ in range(300):
        chance.change(model, farm)
    for table in farm.tables:
        for record in list(table.all()):
            table.remove(table.kind.key(record))
        assert len(table) == 0
        assert [list(table.list_groups(index)) for index, _ in table.kind.indexes] == [
            [] for _ in table.kind.indexes
        ]
        assert [table.count(tally) for tally in table.kind.tallies] == [
            {} for _ in table.kind.tallies
        ]


def test_two_accounts_may_exchange_their_names_in_either_order():
    one, other = make_account("1", account_id="x"), make_account("2", account_id="y")
    swapped = [make_account("1", account_id="y"), make_account("2", account_id="x")]
    for order in (swapped, swapped[::-1]):
        farm = Farm()
        for record in (one, other, *order):
            farm.accounts.put(record)
        assert [record.id for record in farm.accounts.find("name", ("douyin", "x"))] == ["2"]
        assert [record.id for record in farm.accounts.find("name", ("douyin", "y"))] == ["1"]


def test_what_waits_comes_by_its_age_and_then_by_its_id():
    farm = Farm()
    for name, age in (("c", 1), ("a", 2), ("b", 1), ("d", 0)):
        farm.accounts.put(make_account(name, created_at=age))
    assert [one.id for one in farm.accounts.find("waiting", ("douyin", None))] == [
        "d",
        "b",
        "c",
        "a",
    ]
    assert [one.id for one in farm.accounts.find("waiting", ("douyin", None), (1, "b"))] == [
        "c",
        "a",
    ]


@pytest.mark.parametrize(
    "changes",
    [{"status": AccountStatus.PAUSED}, {"assigned_worker_id": "w"}],
    ids=["is not to be watched", "is watched"],
)
def test_what_has_no_need_of_a_worker_does_not_wait(changes):
    farm = Farm()
    farm.accounts.put(make_account("a"))
    farm.accounts.put(make_account("a", **changes))
    assert list(farm.accounts.list_groups("waiting")) == []


def test_only_connected_workers_are_found_by_their_platforms_even_one_that_names_one_twice():
    farm = Farm()
    farm.workers.put(make_worker("a", capabilities=("douyin", "weibo", "douyin")))
    assert [worker.id for worker in farm.workers.find("platform", "douyin")] == ["a"]
    farm.workers.put(make_worker("a", capabilities=("douyin",), status=WorkerStatus.DISCONNECTED))
    assert list(farm.workers.find("platform", "douyin")) == []
    farm.workers.remove("a")
    assert len(farm.workers) == 0


def test_of_logins_only_open_ones_are_kept_and_an_account_has_one():
    farm = Farm()
    farm.logins.put(make_login("old", "a", "w"))
    farm.logins.put(make_login("old", "a", "w", status=SessionStatus.FAILED))
    farm.logins.put(make_login("new", "a", "w"))
    assert [login.id for login in farm.logins.find("account", "a")] == ["new"]
    assert [login.id for login in farm.logins.find("worker", "w")] == ["new"]
    assert [LOGINS.is_kept(login) for login in farm.logins.all()] == [False, True]


def test_a_farm_that_becomes_another_one_is_that_one_in_every_table():
    farm, other, model, chance = Farm(), Farm(), Model(), Chance(3)
    farm.proxies.put(make_proxy("before"))
    for _ in range(100):
        chance.change(model, other)
    other.last_seq = 7
    farm.replace(other)
    check(farm, model)
    assert farm.last_seq == 7
