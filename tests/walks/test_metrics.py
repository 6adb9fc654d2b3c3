"""The metrics for Prometheus."""

from __future__ import annotations

import aiohttp

from tests.walks.test_messages import comment
from tests.walks.test_workers import make_account


async def test_metrics_tell_what_happened(bench):
    account = await make_account(bench)
    worker = await bench.worker()
    report = {"type": "comment", "account_id": account["id"], "messages": [comment(1)]}
    await worker.ask("worker:message:detected", report)
    await worker.ask("worker:message:detected", report)
    await worker.ask("nonsense", {})
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{bench.master.port}/metrics") as answer,
    ):
        assert answer.status == 200
        lines = (await answer.text()).splitlines()
    for line in (
        'master_events_total{event="worker:message:detected",namespace="worker",result="ok"} 2.0',
        'master_events_total{event="(unknown)",namespace="worker",result="unknown_event"} 1.0',
        'master_messages_total{result="stored"} 1.0',
        'master_messages_total{result="duplicate"} 1.0',
        'master_workers{status="connected"} 1.0',
        'master_accounts{login_status="not_logged_in"} 1.0',
        'master_sockets{namespace="worker"} 1.0',
    ):
        assert line in lines
