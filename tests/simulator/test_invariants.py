"""Every invariant can fail: each receives a violation, and must name it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from master.clock import ManualClock
from master.model import MessageKind
from simulator.scenario import Scenario
from simulator.trials.master_process import search_output
from simulator.truth.api import ApiTrouble, list_all
from simulator.truth.holdings import Holdings, WorkerProfile
from simulator.truth.invariants import Stored, check_all, read_stored
from simulator.truth.ledger import MAX_VIOLATIONS, SECRET_MARK, Ledger
from simulator.truth.platform import Platform
from simulator.truth.sequence import SeenSequence

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ACCOUNT = "account-1"
FEED = (ACCOUNT, MessageKind.COMMENT)
ONLY_AS_A_WHOLE = {"outbox_not_drained", "sync_failed", "stray_fault", "master_exit"} | {
    "not_back",
    "owner_differs",
    "back_too_late",
    "accounts_moved",
}
"""Rules of demo.py, crash.py, restart.py and master_process.py that need a whole Master."""

BY_ABLATIONS = {"fact_lost"}
"""Rules that tests/virtual/test_ablations.py breaks, with the safeguard taken away."""


class Run:
    """The end of a sound run: two comments were reported, acknowledged and stored."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.ledger = Ledger(self.clock)
        self.platform = Platform(Scenario(), self.clock, "run")
        self.platform.enroll(ACCOUNT, "handle")
        self.ledger.note_sent(FEED, [1, 2])
        self.ledger.note_acknowledged(FEED, [1, 2], 2, 0)
        self.rows = [{"id": f"row-{n}", "platform_comment_id": self.name(n)} for n in (1, 2)]
        self.notifications = [
            {"type": "comment", "related_id": f"row-{n}", "seq": n} for n in (1, 2)
        ]
        self.account = {"login_status": "logged_in", "has_credentials": True}
        self.ledger.logged_in.add(ACCOUNT)
        self.device = SeenSequence("device", self.ledger.complain)
        self.device.begin(0)
        self.device.record_page(0, [1, 2])

    def name(self, number: int) -> str:
        return self.platform.name_item(ACCOUNT, MessageKind.COMMENT, number)

    def judge(self) -> list[str]:
        stored = Stored({FEED: self.rows}, self.notifications, {ACCOUNT: self.account})
        check_all(stored, self.ledger.freeze(), self.ledger, self.platform, [self.device])
        return [violation.rule for violation in self.ledger.violations]


@pytest.fixture
def run() -> Run:
    return Run()


def test_a_run_in_which_all_is_well_has_no_violation(run):
    assert run.judge() == []


def test_messages_of_an_earlier_run_are_not_judged(run):
    run.rows.append({"id": "row-9", "platform_comment_id": "earlier-1"})
    run.notifications.append({"type": "comment", "related_id": "row-9", "seq": 2})
    assert run.judge() == []


def test_what_was_sent_and_not_acknowledged_may_be_stored(run):
    run.ledger.note_sent(FEED, [3])
    run.rows.append({"id": "row-3", "platform_comment_id": run.name(3)})
    run.notifications.append({"type": "comment", "related_id": "row-3", "seq": 2})
    assert run.judge() == []


def test_an_acknowledged_message_that_is_not_listed(run):
    run.rows.pop()
    run.notifications.pop()
    assert run.judge() == ["acknowledged_and_lost", "inserted_too_often"]


def test_a_message_listed_twice(run):
    run.rows.append({"id": "row-3", "platform_comment_id": run.name(2)})
    run.notifications.append({"type": "comment", "related_id": "row-3", "seq": 2})
    assert run.judge() == ["stored_twice"]


def test_a_message_that_was_never_reported(run):
    run.rows.append({"id": "row-3", "platform_comment_id": run.name(3)})
    run.notifications.append({"type": "comment", "related_id": "row-3", "seq": 2})
    assert run.judge() == ["never_sent"]


def test_more_insertions_than_messages(run):
    run.ledger.note_acknowledged(FEED, [1], 1, 0)
    assert run.judge() == ["inserted_too_often"]


def test_an_acknowledgement_that_does_not_add_up(run):
    run.ledger.note_acknowledged(FEED, [1, 2], 0, 1)
    assert run.judge() == ["count_in_ack"]


@pytest.mark.parametrize(("times", "rule"), [(0, "not_notified"), (2, "notified_twice")])
def test_a_message_without_exactly_one_notification(run, times, rule):
    run.notifications = [run.notifications[1]] + [run.notifications[0]] * times
    assert run.judge() == [rule]


def test_a_notification_of_nothing(run):
    run.notifications.append({"type": "comment", "related_id": "row-9", "seq": 2})
    assert run.judge() == ["notification_of_nothing"]


@pytest.mark.parametrize("change", [{"login_status": "not_logged_in"}, {"has_credentials": False}])
def test_a_login_that_is_lost(run, change):
    run.account |= change
    assert run.judge() == ["login_lost"]


def test_a_device_that_has_not_seen_the_newest(run):
    run.notifications[1]["seq"] = 3
    assert run.judge() == ["device_gap"]


def test_a_sync_with_a_hole(run):
    run.device.record_page(2, [3, 5])
    assert run.judge() == ["sync_gap"]


def test_a_push_out_of_order(run):
    assert run.device.record_push(3)
    run.device.record_push(3)
    assert run.judge() == ["push_order"]


def test_a_push_that_is_ahead_is_a_gap_until_the_sync_fills_it(run):
    run.device.record_push(5)
    assert run.device.has_gap
    assert run.device.record_page(2, [3, 4]) == 2
    assert not run.device.has_gap
    assert run.device.last == 5
    assert run.judge() == []


def test_a_new_connection_may_be_pushed_again_what_was_seen(run):
    run.device.record_push(3)
    run.device.reconnect()
    assert not run.device.record_push(3)
    assert run.judge() == []


def test_two_owners_for_longer_than_the_news_takes(run):
    ownership = run.ledger.ownership
    ownership.take("a", ACCOUNT, 10.0)
    ownership.take("b", ACCOUNT, 20.0)
    ownership.sweep(21.0)
    assert run.judge() == []
    ownership.sweep(21.01)
    assert run.judge() == ["two_owners"]
    assert ownership.overlaps == 1


def test_two_owners_are_seen_also_where_one_lets_go_between_two_looks(run):
    run.ledger.ownership.take("a", ACCOUNT, 10.0)
    run.ledger.ownership.take("b", ACCOUNT, 10.0)
    run.ledger.ownership.drop("a", ACCOUNT, 12.0)
    assert run.judge() == ["two_owners"]


def hold(run: Run, *accounts: dict[str, Any]) -> list[str]:
    Holdings(WorkerProfile("w", ("douyin",), 1), run.clock, run.ledger).take(accounts)
    return run.judge()


def test_more_accounts_than_a_worker_takes(run):
    assert hold(run, {"id": "1", "platform": "douyin"}, {"id": "2", "platform": "douyin"}) == [
        "over_capacity"
    ]


def test_an_account_of_a_platform_that_the_worker_does_not_list(run):
    assert hold(run, {"id": "1", "platform": "xiaohongshu"}) == ["platform_not_listed"]


def test_a_secret_where_people_look(run):
    run.ledger.search_secrets("GET accounts", b'{"cookies": "nothing"}')
    assert run.judge() == []
    run.ledger.search_secrets("GET accounts", f'{{"cookies": "{SECRET_MARK}.1"}}'.encode())
    assert run.judge() == ["secret_leak"]
    assert SECRET_MARK not in run.ledger.violations[0].detail


def test_what_master_prints_is_searched(tmp_path):
    output = tmp_path / "output"
    output.write_text(
        f"fine\nTraceback (most recent call last):\ncookie {SECRET_MARK}.1\n", encoding="utf-8"
    )
    assert [rule for rule, _ in search_output(output)] == ["traceback", "secret_in_log"]


def test_many_violations_are_all_counted_and_some_are_kept(run):
    for number in range(MAX_VIOLATIONS + 50):
        run.ledger.complain("rule", f"{number}")
    assert run.ledger.violation_count == MAX_VIOLATIONS + 50
    assert len(run.ledger.violations) == MAX_VIOLATIONS


class Shelf:
    """An API with given lists; `total` may be wrong."""

    def __init__(self, count: int, total: int | None = None, status: int = 200) -> None:
        self.count, self.total, self.status = count, count if total is None else total, status

    async def ask(
        self, method: str, path: str, *, query: Any = None, body: Any = None
    ) -> tuple[int, dict[str, Any]]:
        if query is None:
            return self.status, {"account": {"id": path}}
        rows = [{"id": n} for n in range(self.count)][
            query["offset"] : query["offset"] + query["limit"]
        ]
        return self.status, {"data": rows, "total": self.total}


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1000])
async def test_lists_are_read_to_their_end(count):
    assert len([row async for row in list_all(Shelf(count), "comments")]) == count


@pytest.mark.parametrize("shelf", [Shelf(3, total=4), Shelf(3, status=500)])
async def test_a_list_that_does_not_add_up_or_is_missing_is_an_error(shelf):
    with pytest.raises(ApiTrouble):
        [row async for row in list_all(shelf, "comments")]


async def test_an_account_that_is_gone_is_an_error():
    with pytest.raises(ApiTrouble):
        await read_stored(Shelf(0, status=404), ["1"])


async def test_everything_about_each_account_is_read():
    stored = await read_stored(Shelf(2), ["1", "2"])
    assert len(stored.accounts) == 2
    assert len(stored.messages) == 4
    assert len(stored.notifications) == 4


def find_rules() -> Iterator[str]:
    virtual = ROOT / "simulator" / "virtual"
    for source in sorted((ROOT / "simulator").rglob("*.py")):
        if virtual in source.parents:
            continue  # its rules have tests in tests/virtual
        text = source.read_text(encoding="utf-8")
        yield from re.findall(r'(?:complain\(|\(\()\s*"([a-z]+(?:_[a-z]+)*)",', text)


def test_every_rule_has_a_test_that_breaks_it():
    tests = "".join(path.read_text(encoding="utf-8") for path in HERE.glob("test_*.py"))
    rules = set(find_rules())
    assert len(rules) > 25
    assert {
        rule for rule in rules - ONLY_AS_A_WHOLE - BY_ABLATIONS if f'"{rule}"' not in tests
    } == set()
