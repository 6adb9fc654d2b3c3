"""Which workers do their work: what their figures say, and for how long nothing has succeeded."""

from __future__ import annotations

import pytest

from master.decisions.sickness import (
    LEAST_S,
    Health,
    HealthReason,
    Signs,
    Track,
    find_period,
    follow,
    judge,
    render_health,
)
from master.model import AccountStatus, LoginStatus
from tests.records import make_account

ERRORS, NO_SUCCESS = HealthReason.ERRORS, HealthReason.NO_SUCCESS
P = LEAST_S


def tell(told, until, **options):
    """Return the judgement at `until`; `told` are (second, errors, successes, last success)."""
    track = Track(0)
    for at, errors, successes, last_success in told:
        track = follow(track, Signs(errors, successes, last_success), at, P)
    return judge(track, until, options.get("period", P))


@pytest.mark.parametrize(
    ("told", "until", "reason"),
    [
        # it says nothing of its work: silence is normal
        ([(0, None, None, None)], 10 * P, None),
        # errors that stand still, of a worker that never tells of successes
        ([(0, 7, None, None)], 10 * P, None),
        # one burst of errors is no sickness
        ([(0, 0, None, None), (10, 7, None, None)], P + 1, None),
        ([(0, 0, None, None), (10, 7, None, None)], 10 * P, None),
        # errors that grow all the time, and no success
        ([(at, at, None, None) for at in range(0, 700, 10)], 690, ERRORS),
        ([(at, at, None, None) for at in range(0, 600, 10)], 600, None),
        # they have stopped growing
        ([(at, at, None, None) for at in range(0, 700, 10)], 690 + P, None),
        # few errors, far apart
        ([(at, at, None, None) for at in range(0, 7_000, 400)], 6_990, None),
        # errors and successes grow
        ([(at, at, at, None) for at in range(0, 700, 10)], 690, None),
        ([(at, at, None, 10**9 + at) for at in range(0, 700, 10)], 690, None),
        # the process began anew, its errors grow from 0 again
        ([(at, at % 300, None, None) for at in range(0, 1_300, 10)], 1_290, ERRORS),
        # it tells of successes, and has none
        ([(0, None, 5, None)], P, None),
        ([(0, None, 5, None)], P + 1, NO_SUCCESS),
        ([(0, None, None, 10**9)], P + 1, NO_SUCCESS),
        ([(0, 3, 5, None), (P, 4, 5, None)], P + 1, ERRORS),
        ([(0, 3, 5, None), (10, 4, 5, None)], P + 1, NO_SUCCESS),
        # it told of them once, and says nothing now
        ([(0, None, 5, None), (P, None, None, None)], P + 1, NO_SUCCESS),
        ([(0, None, 5, None), (P, 1, None, None)], P + 1, NO_SUCCESS),
        # a success ends it
        ([(0, None, 5, None), (P, None, 6, None)], P + 1, None),
        ([(0, None, None, 10**9), (P, None, None, 10**9 + 1)], 2 * P, None),
        # a worker's clock that goes back, and a process that begins anew, are no success
        ([(0, None, None, 10**9), (P, None, None, 10**9 - 99)], P + 1, NO_SUCCESS),
        ([(0, None, 5, None), (P, None, 0, None)], P + 1, NO_SUCCESS),
    ],
)
def test_only_a_worker_that_says_so_is_sick(told, until, reason):
    assert tell(told, until) is reason


def test_a_worker_without_anything_to_judge_is_well():
    assert tell([(0, None, 5, None)], 10 * P, period=None) is None


def test_what_master_saw_itself_counts_as_a_success():
    track = follow(Track(0), Signs(successes=5), 0, P)
    assert judge(follow(track, Signs(successes=5), P, P, P - 1), P + 1, P) is None
    failing = follow(track, Signs(errors=1), P, P)
    assert follow(failing, Signs(errors=1), P + 1, P, P + 1).errors_at is None


OUT = {"login_status": LoginStatus.LOGGED_OUT}
PAUSED = {"status": AccountStatus.PAUSED}
NOW = 1_000_000


@pytest.mark.parametrize(
    ("accounts", "intervals", "period_s"),
    [
        ([], 30, None),
        ([OUT], 30, None),
        ([PAUSED], 30, None),
        ([OUT, PAUSED], 30, None),
        ([{}], 30, LEAST_S),
        ([{"status": AccountStatus.RESTRICTED}], 30, LEAST_S),
        ([{"monitor_interval": 60}], 30, 1_800),
        ([{"monitor_interval": 60}], 1, LEAST_S),
        # the longest interval of those that are watched
        ([{"monitor_interval": 60}, {"monitor_interval": 90}], 30, 2_700),
        ([{"monitor_interval": 60}, {"monitor_interval": 90, **OUT}], 30, 1_800),
        # all of them came or changed lately
        ([{"updated_at": NOW - 599}], 30, None),
        ([{"updated_at": NOW - 600}], 30, LEAST_S),
        ([{"updated_at": NOW - 599}, {}], 30, LEAST_S),
    ],
)
def test_the_time_without_a_success_is_that_of_the_slowest_watched_account(
    accounts, intervals, period_s
):
    made = [make_account(str(number), **changes) for number, changes in enumerate(accounts)]
    assert find_period(made, intervals, NOW) == period_s


def test_the_reason_gives_the_state():
    shown = [render_health(one) for one in (None, Health(ERRORS, 5), Health(NO_SUCCESS, 6))]
    assert shown == [
        {"state": "ok", "reason": None, "since": None},
        {"state": "failing", "reason": "errors", "since": 5},
        {"state": "quiet", "reason": "no_success", "since": 6},
    ]
