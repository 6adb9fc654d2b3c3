"""The figures that are measured over real WebSockets, of either side."""

from __future__ import annotations

import secrets
from dataclasses import replace

from loadtest.bench.crew import Crew, Measured, Total
from loadtest.bench.loads import Job
from loadtest.bench.plan import CONNECT, HEARTBEATS, MESSAGES, REGISTER, BenchPlan
from loadtest.bench.process import BenchFailed
from loadtest.bench.report import Findings, Sample
from loadtest.bench.sides import Running, Side

ON_WIRE = (CONNECT, REGISTER, HEARTBEATS, MESSAGES)


def make_job(part: str, plan: BenchPlan) -> Job:
    """Return the job of all generators together for one part, still without its server."""
    base = Job("", "", "", 0, in_flight=plan.in_flight, warm_s=plan.warm, seconds=plan.seconds)
    warm = replace(base, warm_workers=plan.warm_workers, settle_s=plan.settle)
    if part == CONNECT:
        return replace(warm, load="arrivals", workers=plan.connect_workers)
    if part == REGISTER:
        workers, accounts = plan.register_workers, plan.register_accounts
        return replace(warm, load="registrations", workers=workers, max_accounts=accounts)
    if part == HEARTBEATS:
        workers, depth = plan.heartbeat_workers, plan.heartbeat_depth
        return replace(base, load="heartbeats", workers=workers, depth=depth)
    return replace(
        base,
        load="reports",
        workers=plan.report_workers,
        depth=plan.report_depth,
        max_accounts=1,
        batch=plan.batch,
        admins=plan.admins,
    )


def share_job(job: Job, generators: int, server: Running) -> list[Job]:
    """Return each generator's part of a job; administrators are all in the first one."""
    run = secrets.token_hex(3)
    whole, rest = divmod(job.workers, generators)
    return [
        replace(
            job,
            name=f"{run}-{number}",
            host=server.host,
            port=server.port,
            pid=server.pid,
            workers=whole + (number < rest),
            admins=job.admins if number == 0 else 0,
        )
        for number in range(min(generators, job.workers))
    ]


def count_accounts(job: Job, generators: int) -> int:
    """Return how many accounts must wait so that every worker of a job gets `max_accounts`."""
    return (job.workers + job.warm_workers * generators) * job.max_accounts


def measure_on_wire(part: str, side: Side, plan: BenchPlan, findings: Findings) -> None:
    """Measure one part of one side once, on a server of its own. Errors: BenchFailed."""
    job = make_job(part, plan)
    with side.open(count_accounts(job, plan.generators)) as server:
        before = server.count_comments() if part == MESSAGES else 0
        with Crew(share_job(job, plan.generators, server)) as crew:
            crew.order("prepare")
            total = crew.order("run")
            if part == MESSAGES:
                inserted = int(total.figures["inserted"])
                crew.order(f"finish {inserted}")
                listed = server.count_comments() - before
                if listed != inserted:
                    fault = f"{inserted} comments were acknowledged, {listed} are listed."
                    raise BenchFailed(fault)
    for name, span in total.spans.items():
        findings.add(name, side.name, _to_sample(span))
    if part == CONNECT:
        _add_idle(total, side, plan, findings)
    if part == MESSAGES:
        _add_messages(total.spans["report"], side, plan, findings)


def _add_idle(total: Total, side: Side, plan: BenchPlan, findings: Findings) -> None:
    before, after = total.figures.get("rss_before"), total.figures.get("rss_after")
    if before is not None and after is not None:
        findings.add("idle", side.name, Sample((after - before) / plan.connect_workers / 1024))


def _add_messages(span: Measured, side: Side, plan: BenchPlan, findings: Findings) -> None:
    us = None if span.us is None else span.us / plan.batch
    findings.add("messages", side.name, Sample(span.per_s * plan.batch, us, span.busy))


def _to_sample(span: Measured) -> Sample:
    return Sample(span.per_s, span.us, span.busy)
