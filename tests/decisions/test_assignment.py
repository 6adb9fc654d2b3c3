"""The assignment of accounts to workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from master.decisions.assignment import choose_login_worker, find_moves, place_accounts
from master.decisions.schedule import find_due, portion
from master.errors import NoWorker, WorkerFull, WorkerNotConnected, WorkerUnfit
from master.model import Account, AccountStatus, LoginStatus, Worker, WorkerStatus
from tests.records import make_account, make_worker


def place(
    accounts: Iterable[Account], workers: Iterable[Worker], kept: Mapping[str, str], **options: Any
) -> list[tuple[Account, str]]:
    """Assign accounts as memory lists them: queues by platform and pinned worker, oldest first."""
    queues: dict[tuple[str, str | None], list[Account]] = {}
    for account in sorted(accounts, key=lambda one: (one.created_at, one.id)):
        queues.setdefault((account.platform, account.pinned_worker_id), []).append(account)
    return place_accounts([iter(queue) for queue in queues.values()], workers, kept.get, **options)


@pytest.mark.parametrize(
    ("workers", "accounts", "placed"),
    [
        ([make_worker("a", 1), make_worker("b", 0)], ["1"], ["b"]),
        ([make_worker("b"), make_worker("a")], ["1"], ["a"]),
        ([make_worker("a"), make_worker("b")], ["1", "2", "3", "4"], ["a", "b", "a", "b"]),
        ([make_worker("a", 3)], ["1"], []),
        ([make_worker("a", 2)], ["1", "2"], ["a"]),
        ([make_worker("a", status=WorkerStatus.DISCONNECTED)], ["1"], []),
        ([make_worker("a", capabilities=("xiaohongshu",))], ["1"], []),
        ([], ["1"], []),
    ],
)
def test_accounts_go_to_the_least_loaded_fitting_worker(workers, accounts, placed):
    found = place([make_account(one) for one in accounts], workers, {})
    assert [worker for _, worker in found] == placed


def test_two_platforms_share_a_workers_room():
    both = make_worker("a", 1, capabilities=("douyin", "xiaohongshu"))
    accounts = [make_account("1"), make_account("2", platform="xiaohongshu"), make_account("3")]
    assert [account.id for account, _ in place(accounts, [both], {})] == ["1", "2"]


def test_a_pinned_account_goes_nowhere_else():
    pinned = make_account("1", pinned_worker_id="b")
    assert place([pinned], [make_worker("a")], {}) == []
    assert place([pinned], [make_worker("a"), make_worker("b", 2)], {})[0][1] == "b"


@pytest.mark.parametrize(
    ("kept", "load", "placed"),
    [
        ({}, 2, ["pinned"]),
        ({}, 3, []),
        ({"pinned": "b"}, 2, ["pinned", "free"]),
        ({"pinned": "b"}, 3, ["pinned"]),
        ({"pinned": "b"}, 4, []),
        ({"pinned": "a"}, 3, []),
        ({"free": "b"}, 3, []),
    ],
)
def test_who_is_pinned_gets_the_slot_that_is_kept_for_its_own_login(kept, load, placed):
    accounts = [make_account("pinned", pinned_worker_id="b"), make_account("free", created_at=1)]
    found = place(accounts, [make_worker("b", load)], kept)
    assert [(account.id, worker_id) for account, worker_id in found] == [
        (one, "b") for one in placed
    ]


def test_of_two_queues_the_longest_known_goes_first_whichever_it_waits_in():
    accounts = [
        make_account("1", created_at=3),
        make_account("2", created_at=2, platform="xiaohongshu"),
        make_account("3", created_at=1, pinned_worker_id="a"),
    ]
    worker = make_worker("a", capabilities=("douyin", "xiaohongshu"))
    assert [account.id for account, _ in place(accounts, [worker], {})] == ["3", "2", "1"]
    assert [account.id for account, _ in place(accounts, [worker], {}, limit=2)] == ["3", "2"]


def test_a_pinned_account_that_fits_nowhere_delays_no_other_but_behind_a_free_one_none_is_looked_at():  # noqa: E501
    looked_at: list[str] = []

    def look(*account_ids: str, **changes: Any) -> Iterator[Account]:
        for account_id in account_ids:
            looked_at.append(account_id)
            yield make_account(account_id, **changes)

    queues = [look("1", "3", "5"), look("2", "4", "6", pinned_worker_id="b")]
    placed = place_accounts(queues, [make_worker("a", 2), make_worker("b", 3)], {"4": "b"}.get)
    assert [(account.id, worker_id) for account, worker_id in placed] == [("1", "a"), ("4", "b")]
    assert looked_at == ["1", "2", "3", "4", "6"]


def hold(worker_id: str, *account_ids: str, **changes: Any) -> list[Account]:
    return [make_account(one, assigned_worker_id=worker_id, **changes) for one in account_ids]


@pytest.mark.parametrize(
    ("accounts", "workers", "moved"),
    [
        (hold("a", "1", "2"), [make_worker("a", 2), make_worker("b")], [("1", "b")]),
        (hold("a", "1"), [make_worker("a", 1), make_worker("b")], []),
        (
            hold("a", "1", "2", "3"),
            [make_worker("a", 3), make_worker("b"), make_worker("c")],
            [("1", "b")],
        ),
        (
            hold("a", "1", "2") + hold("b", "3", "4"),
            [make_worker("a", 2), make_worker("b", 2), make_worker("c")],
            [("1", "c")],
        ),
        (
            hold("a", "1", "2", "3") + hold("b", "4", "5", "6"),
            [make_worker("a", 3), make_worker("b", 3), make_worker("c")],
            [("1", "c"), ("4", "c")],
        ),
        (
            hold("a", "1") + hold("a", "2", login_status=LoginStatus.NOT_LOGGED_IN),
            [make_worker("a", 2), make_worker("b")],
            [("2", "b")],
        ),
        (
            hold("a", "1", pinned_worker_id="a")
            + hold("a", "2", login_status=LoginStatus.LOGGING_IN),
            [make_worker("a", 2), make_worker("b")],
            [],
        ),
        (
            hold("a", "1", "2"),
            [make_worker("a", 2), make_worker("b", capabilities=("xiaohongshu",))],
            [],
        ),
        (hold("a", "1", "2"), [make_worker("a", 2), make_worker("b", max_accounts=0)], []),
        (
            hold("a", "1", "2"),
            [make_worker("a", 2), make_worker("b", status=WorkerStatus.DISCONNECTED)],
            [],
        ),
        (
            hold("a", "1", "2"),
            [make_worker("a", 2, status=WorkerStatus.DISCONNECTED), make_worker("b")],
            [],
        ),
    ],
)
def test_what_may_move_goes_to_a_worker_with_two_fewer_one_of_each(accounts, workers, moved):
    assert [(account.id, worker_id) for account, worker_id in move(accounts, workers)] == moved


def move(accounts: list[Account], workers: list[Worker]) -> list[tuple[Account, str]]:
    return find_moves(
        accounts, Counter(str(account.assigned_worker_id) for account in accounts), workers
    )


def test_a_slot_kept_for_a_login_is_no_reason_to_move_something_away():
    accounts = hold("a", "1", "2", "3") + hold("b", "4", "5")
    assert move(accounts, [make_worker("a", 5, max_accounts=9), make_worker("b", 2)]) == []
    assert move(accounts[:3], [make_worker("a", 3), make_worker("b", 2, max_accounts=9)]) == []


def test_who_holds_more_than_it_takes_loses_and_gets_nothing():
    workers = [
        make_worker("a0", 10, max_accounts=20),
        make_worker("g", 5, max_accounts=2, capabilities=("xiaohongshu", "douyin")),
        make_worker("h", 5, max_accounts=20, capabilities=("douyin", "xiaohongshu")),
        make_worker("w", 0, max_accounts=20, capabilities=("weibo",)),
    ]
    accounts = hold("a0", *(f"a{number}" for number in range(10)))
    accounts += hold("g", *(f"g{number}" for number in range(5)), platform="weibo")
    accounts += hold("h", *(f"h{number}" for number in range(5)), platform="xiaohongshu")
    assert "g" not in {worker_id for _, worker_id in move(accounts, workers)}


def test_of_two_alike_that_moves_which_has_moved_less():
    accounts = hold("a", "1", epoch=2) + hold("a", "2", epoch=1)
    assert [
        account.id for account, _ in move(accounts, [make_worker("a", 2), make_worker("b")])
    ] == ["2"]


@pytest.mark.parametrize("status", [AccountStatus.PAUSED, AccountStatus.INACTIVE])
def test_what_is_not_active_is_moved_nowhere(status):
    assert move(hold("a", "1", "2", status=status), [make_worker("a", 2), make_worker("b")]) == []


PLATFORMS = ("douyin", "xiaohongshu")


@settings(derandomize=True, database=None, deadline=None)  # a failing example is reproduced
@given(data=st.data())
def test_moves_come_to_an_end_and_then_no_account_could_make_loads_more_even(data):
    workers = [
        make_worker(
            f"w{number}",
            capabilities=data.draw(st.sampled_from([PLATFORMS, PLATFORMS[:1], PLATFORMS[1:]])),
        )
        for number in range(data.draw(st.integers(1, 5)))
    ]
    workers = [replace(worker, max_accounts=data.draw(st.integers(0, 8))) for worker in workers]
    owners = {}
    for number in range(data.draw(st.integers(0, 20))):
        platform = data.draw(st.sampled_from(PLATFORMS))
        fitting = [
            one
            for one in workers
            if one.supports(platform) and list(owners.values()).count(one.id) < 8
        ]
        if fitting:
            owners[f"{number:02}", platform] = data.draw(st.sampled_from(fitting)).id

    def look():
        loads = Counter(owners.values())
        return (
            [
                make_account(name, platform=platform, assigned_worker_id=w)
                for (name, platform), w in owners.items()
            ],
            [replace(worker, assigned_accounts=loads[worker.id]) for worker in workers],
        )

    by_id = {worker.id: worker for worker in workers}
    for _ in range(200):
        moves = move(*look())
        if not moves:
            break
        squares = sum(load**2 for load in Counter(owners.values()).values())
        assert len({account.assigned_worker_id for account, _ in moves}) == len(moves)
        for account, worker_id in moves:
            owners[account.id, account.platform] = worker_id
            assert Counter(owners.values())[worker_id] <= by_id[worker_id].max_accounts
        assert sum(load**2 for load in Counter(owners.values()).values()) < squares
    assert moves == []
    accounts, workers = look()
    by_id = {worker.id: worker for worker in workers}
    for account in accounts:
        owner = by_id[account.assigned_worker_id]
        fitting = [one for one in workers if one.supports(account.platform) and one.room > 0]
        assert all(owner.assigned_accounts - one.assigned_accounts < 2 for one in fitting)


@pytest.mark.parametrize(
    ("wanted", "refusal"),
    [
        (make_worker("a", status=WorkerStatus.OFFLINE), WorkerNotConnected),
        (make_worker("a", capabilities=()), WorkerUnfit),
        (make_worker("a", 3), WorkerFull),
        (None, NoWorker),
    ],
)
def test_a_login_worker_that_cannot_is_refused_by_name(wanted, refusal):
    with pytest.raises(refusal):
        choose_login_worker(make_account("1"), wanted, [])


def test_a_login_goes_to_the_owner_even_when_it_is_full():
    owner = make_worker("b", 3)
    account = make_account("1", assigned_worker_id="b")
    assert choose_login_worker(account, None, [make_worker("a"), owner]) is owner


@pytest.mark.parametrize(("passed", "due"), [(19.9, False), (20, True), (None, True)])
def test_an_account_is_due_when_its_interval_has_passed(passed, due):
    account = make_account("1", assigned_worker_id="w")
    handed_out = {} if passed is None else {"1": 100.0}
    assert find_due([account], handed_out, 100.0 + (passed or 0)) == (
        {"w": [account]} if due else {}
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"status": AccountStatus.PAUSED},
        {"login_status": LoginStatus.LOGGING_IN},
        {"assigned_worker_id": None},
    ],
)
def test_what_is_not_to_be_watched_is_never_due(changes):
    assert find_due([make_account("1", **{"assigned_worker_id": "w"} | changes)], {}, 0) == {}


def test_portions_have_at_most_their_size():
    assert [len(some) for some in portion(range(205), 100)] == [100, 100, 5]
