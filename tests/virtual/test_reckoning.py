"""The reckoning notices violations: each rule is broken on purpose, in Master or in an actor."""

from __future__ import annotations

import itertools
from dataclasses import replace
from unittest.mock import patch

import pytest

import simulator.actors.connection
from master.deadlines import SOMEBODY
from master.memory import Memory
from master.model import WorkerStatus
from master.operations import reports
from master.sessions import Sessions
from master.sockets.namespace import Namespace
from master.sockets.server import SocketServer
from simulator.actors.outbox import Outbox
from simulator.virtual.plan import DAY, Plan
from simulator.virtual.reckoning import _describe, find_differences
from simulator.virtual.run import play
from tests.records import make_account, make_worker

FARM = replace(
    DAY, seed=5, workers=2, accounts=4, rate_per_s=0.3, client_drop_rate_per_min=0.0, ramp_s=0.0
)
FARM = replace(
    FARM,
    scan_delay_s=(1.0, 5.0),
    never_scan_rate=0.0,
    login_failure_rate=0.0,
    monitor_interval_s=20,
)
CALM = Plan(5, FARM, 60.0)
STORMS = replace(CALM, gaps_s={"storm": 12.0})


def find_rules(plan: Plan) -> set[str]:
    """Play a plan; return the broken rules."""
    return {str(detail["rule"]) for detail in play(plan).details}


def test_a_calm_run_and_one_with_storms_break_nothing():
    assert find_rules(CALM) == set()
    assert find_rules(STORMS) == set()


def test_every_twentieth_acknowledgement_that_is_missing_is_noticed():
    acknowledge, numbers = SocketServer._acknowledge, itertools.count(1)

    def lose_some(self, *args):
        if next(numbers) % 20:
            acknowledge(self, *args)

    with patch.object(SocketServer, "_acknowledge", lose_some):
        assert "never_answered" in find_rules(CALM)


def test_who_comes_back_only_after_the_specified_time_is_late():
    with patch.object(simulator.actors.connection, "draw_backoff", lambda *_: 150.0):
        assert "not_reconnected" in find_rules(STORMS)


def test_an_outbox_that_tries_again_only_after_the_specified_time_is_late():
    retry = Outbox.retry

    def retry_late(self, report, now, least_s=0.0):
        return retry(self, report, now, least_s + 150.0)

    # lost acknowledgements make it retry
    plan = replace(
        CALM, scenario=replace(FARM, rate_per_s=3.0, monitor_interval_s=5), gaps_s={"lost_ack": 3.0}
    )
    assert find_rules(plan) == set()
    with patch.object(Outbox, "retry", retry_late):
        assert "outbox_not_drained" in find_rules(plan)


def test_what_master_keeps_for_ever_is_noticed():
    with patch.object(Sessions, "forget_delivered", lambda *_: None):
        assert find_rules(CALM) == {"memory_grows"}

    leave = Namespace.on_disconnect

    async def leave_a_lane(self, sid, reason=None):
        lane = self._sockets.lanes.get(sid)
        await leave(self, sid, reason)
        self._sockets.lanes[sid] = lane

    with patch.object(Namespace, "on_disconnect", leave_a_lane):
        assert "memory_grows" in find_rules(STORMS)


def test_figures_that_are_not_those_of_the_laboratory_are_noticed():
    count = reports.count_workers

    def count_one_more(turn):
        told = count(turn)
        return {**told, "online": told["online"] + 1}

    with patch.object(reports, "count_workers", count_one_more):
        assert find_rules(CALM) == {"counter_differs"}


def show_memory(*, status=WorkerStatus.CONNECTED, heard_at=1_000, epoch=1) -> Memory:
    """Return the knowledge of a Master with one worker and one account."""
    memory = Memory()
    memory.farm.workers.put(make_worker("w", 1, status=status))
    memory.farm.accounts.put(make_account("a", assigned_worker_id="w", epoch=epoch))
    memory.sessions.seat("w", heard=0.0, heard_at=heard_at)
    return memory


@pytest.mark.parametrize(
    ("after", "found"),
    [
        (show_memory(status=WorkerStatus.DISCONNECTED), []),
        (show_memory(status=WorkerStatus.CONNECTED), ["statuses"]),
        (show_memory(status=WorkerStatus.OFFLINE), ["statuses"]),
        (show_memory(status=WorkerStatus.DISCONNECTED, heard_at=990), ["w was heard"]),
        (show_memory(status=WorkerStatus.DISCONNECTED, epoch=2), ["owned"]),
    ],
)
def test_a_master_started_anew_must_know_what_the_one_before_knew(after, found):
    differences = list(find_differences(_describe(show_memory()), _describe(after), 1_010.0))
    assert [
        difference[: len(name)] for difference, name in zip(differences, found, strict=True)
    ] == found


def test_a_sign_of_life_of_the_last_batch_may_be_lost_with_master():
    after = show_memory(status=WorkerStatus.DISCONNECTED, heard_at=990)
    assert list(find_differences(_describe(show_memory()), _describe(after), 1_004.0)) == []


def test_a_master_started_anew_must_wait_for_former_owners_as_long_as_the_one_before():
    before, after = show_memory(), show_memory(status=WorkerStatus.DISCONNECTED)
    before.deadlines.record_handovers(["a"], "v", now=0.0, until=30.0)
    after.deadlines.record_handovers(["a"], SOMEBODY, now=0.0, until=20.0)
    assert "until" in "".join(find_differences(_describe(before), _describe(after), 1_000.0))
    after.deadlines.record_handovers(["a"], SOMEBODY, now=0.0, until=30.0)
    assert list(find_differences(_describe(before), _describe(after), 1_000.0)) == []
