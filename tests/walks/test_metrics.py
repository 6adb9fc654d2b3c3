"""The metrics for Prometheus."""

from __future__ import annotations

import re

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from master.metrics import NEW_TOTALS, TOTALS
from tests.conftest import Bench
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


async def scrape(bench: Bench) -> str:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{bench.master.port}/metrics") as answer,
    ):
        return await answer.text()


KNOWN = {
    "master_workers_unhealthy": {"errors", "no_success"},
    "master_workers": {"connected", "disconnected", "offline"},
    "master_accounts": {
        "not_logged_in", "logging_in", "logged_in", "login_failed", "credentials_unreadable",
        "expired", "logged_out", "needs_verification",
    },
    "master_sockets": {"worker", "admin", "client"},
    "master_messages_total": {"stored", "duplicate"},
    "master_logins": {"success", "failed", "expired"},
    "master_logins_total": {"success", "failed", "expired"},
}  # fmt: skip
"""Metric -> the values of its label, each of which is there always."""


async def test_a_known_value_of_a_label_is_0_and_never_missing(bench):
    fresh = await scrape(bench)
    worker = await bench.worker()
    busy = await scrape(bench)
    await worker.close()
    for text in (fresh, busy, await scrape(bench)):
        for name, values in KNOWN.items():
            assert set(re.findall(rf'^{name}{{\w+="(\w+)"}}', text, re.M)) == values, name
    assert 'master_workers{status="connected"} 0.0' in fresh
    assert 'master_workers{status="connected"} 1.0' in busy


async def test_what_only_grows_is_a_counter_and_keeps_its_former_name(bench):
    text = await scrape(bench)
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M))
    for name in TOTALS:
        former = None if name in NEW_TOTALS else "gauge"
        assert (kinds[f"{name}_total"], kinds.get(name)) == ("counter", former)
    families = list(text_string_to_metric_families(text))
    values = {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }
    assert len(values) == sum(len(family.samples) for family in families), "none is there twice"
    for (name, *labels), value in values.items():
        if name in TOTALS:
            assert values[f"{name}_total", *labels] == value
