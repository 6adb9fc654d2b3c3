"""One load test: start a Master, run the users, check and print the figures, stop the Master."""

from __future__ import annotations

import logging
import resource
import sys

import gevent
from locust.stats import RequestStats

from loadtest.plan import Plan
from loadtest.report import OWN_KINDS, Row, find_faults, show_table
from loadtest.shapes import choose_shape
from loadtest.target import Target, TargetFailed
from loadtest.users import PLATFORM, AdminUser, DeviceUser, Peer, Stage, WorkerUser

STOP_TIMEOUT_S = 15
SHOWN_ERRORS = 10


def run_plan(plan: Plan) -> int:
    """Run one load test, print its table, and return 0, or 1 past a threshold."""
    # Locust warns of every burst, which is intended here
    logging.getLogger("locust.runners").setLevel(logging.ERROR)
    target = Target(plan.port)
    try:
        target.start()
        for number in range(plan.accounts):
            target.create_account(PLATFORM, f"Load {number}")
        print(
            f"Master on {target.url}: {plan.users} users, {plan.shape}, {plan.time_s:.0f} s",
            flush=True,
        )
        stage = perform(plan, target.url)
        rows = read_rows(stage.stats)
        faults = find_faults(rows, plan.p99_ms) + find_lost(stage, target) + read_errors(stage)
        code = target.stop()
    except TargetFailed as fault:
        print(fault, file=sys.stderr)
        return 1
    finally:
        target.stop()
    if code != 0:
        faults.append(f"Master ended with code {code} after SIGTERM:\n{target.read_output()}")
    print(show_table(rows))
    print(f"messages stored: {stage.stored}; processor seconds: {show_effort()}")
    print("\n".join(f"FAILED {fault}" for fault in faults) or "passed")
    return 1 if faults else 0


def show_effort() -> str:
    """Return the processor seconds of both sides.

    If those of the load generator are near the test's length, it was the bottleneck, not Master.
    """
    master, own = (
        resource.getrusage(resource.RUSAGE_CHILDREN),
        resource.getrusage(resource.RUSAGE_SELF),
    )
    return (
        f"Master {master.ru_utime + master.ru_stime:.0f}, "
        f"load generator {own.ru_utime + own.ru_stime:.0f}"
    )


def perform(plan: Plan, url: str) -> Stage:
    """Run the users of the plan; return the stage with Locust's statistics."""
    crowd = {WorkerUser: plan.workers, AdminUser: plan.admins, DeviceUser: plan.clients}
    users: list[type[Peer]] = []
    for user, weight in crowd.items():
        user.weight = weight
        if weight:
            users.append(user)
    stage = Stage(
        plan,
        user_classes=users,
        shape_class=choose_shape(plan),
        host=url,
        stop_timeout=STOP_TIMEOUT_S,
    )
    runner = stage.create_local_runner()
    try:
        runner.start_shape()
        gevent.joinall([runner.shape_greenlet])
    finally:
        runner.quit()
    return stage


def read_rows(stats: RequestStats) -> list[Row]:
    """Return the rows that the users measured; ignore Locust's own rows of the same calls."""
    return [
        Row(
            kind=entry.method,
            name=entry.name,
            count=entry.num_requests,
            failures=entry.num_failures,
            per_s=entry.total_rps,
            p50_ms=entry.get_response_time_percentile(0.5) or 0,
            p95_ms=entry.get_response_time_percentile(0.95) or 0,
            p99_ms=entry.get_response_time_percentile(0.99) or 0,
            max_ms=entry.max_response_time,
        )
        for entry in stats.entries.values()
        if entry.method in OWN_KINDS
    ]


def read_errors(stage: Stage) -> list[str]:
    """Return texts of the most frequent errors, and of exceptions raised inside the users."""
    errors = sorted(stage.stats.errors.values(), key=lambda error: -error.occurrences)
    shown = [
        f"{e.occurrences} x {e.method} {e.name}: {e.error}" for e in errors if e.method in OWN_KINDS
    ]
    raised = [f"{e['count']} x a user raised: {e['msg']}" for e in stage.runner.exceptions.values()]
    return [*shown[:SHOWN_ERRORS], *raised[:SHOWN_ERRORS]]


def find_lost(stage: Stage, target: Target) -> list[str]:
    """Return a fault if Master lists fewer messages than it acknowledged.

    It may list more: the end of the test may cut off an acknowledgement.
    """
    listed = int(target.ask("GET", "/api/v1/comments?limit=1")["total"])
    if listed >= stage.stored:
        return []
    return [f"{stage.stored} messages were acknowledged as stored, {listed} are listed"]
