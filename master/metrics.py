"""Prometheus metrics of this process, with bounded label values only."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_LATEST
FAST_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Events(Collector):
    """Acknowledged events as plain numbers: counted very often, and rarely rendered."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, str], int] = {}
        self._seconds: dict[str, list[float]] = {}
        """Namespace -> events per bucket of FAST_S and beyond the last; then the sum of seconds."""

    def count(self, namespace: str, event: str, result: str, seconds: float) -> None:
        """Count one event, and the seconds until its acknowledgement."""
        key = namespace, event, result
        self._counts[key] = self._counts.get(key, 0) + 1
        buckets = self._seconds.get(namespace)
        if buckets is None:
            buckets = self._seconds[namespace] = [0.0] * (len(FAST_S) + 2)
        buckets[bisect_left(FAST_S, seconds)] += 1
        buckets[-1] += seconds

    def collect(self) -> Iterator[Metric]:
        """Yield both metrics for Prometheus."""
        counted = CounterMetricFamily(
            "master_events",
            "Events by result (ok or the refusal's code).",
            labels=["namespace", "event", "result"],
        )
        for labels, count in self._counts.items():
            counted.add_metric(labels, count)
        yield counted
        seconds = HistogramMetricFamily(
            "master_ack_seconds",
            "From an event's arrival to its acknowledgement.",
            labels=["namespace"],
        )
        for namespace, buckets in self._seconds.items():
            bounds = [*(f"{bound:g}" for bound in FAST_S), "+Inf"]
            seconds.add_metric(
                [namespace], list(zip(bounds, accumulate(buckets[:-1]), strict=True)), buckets[-1]
            )
        yield seconds


class Metrics:
    """One Master's metrics, in its own registry: two Masters in one process stay separate."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.events = Events()
        self.registry.register(self.events)
        self.group_items = Histogram(
            "master_group_items",
            "Items per write transaction.",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200),
            registry=self.registry,
        )
        self.commit_seconds = Histogram(
            "master_commit_seconds",
            "From a batch's first statement to the end of its commit.",
            buckets=FAST_S,
            registry=self.registry,
        )
        self.storage_troubles = Counter(
            "master_storage_troubles",
            "Times the database failed a write or a read.",
            registry=self.registry,
        )
        self.messages = Counter(
            "master_messages",
            "Reported messages: stored or duplicates.",
            ["result"],
            registry=self.registry,
        )
        self.sweep_findings = Counter(
            "master_sweep_findings",
            "Overdue items that sweeps found.",
            ["sweep"],
            registry=self.registry,
        )
        self.slow_consumers = Counter(
            "master_slow_consumers",
            "Connections closed because their reader had stopped.",
            registry=self.registry,
        )
        self.brakes = Gauge(
            "master_brakes",
            "Times the eviction brake was put on.",
            registry=self.registry,
        )
        self.takeovers = Gauge(
            "master_takeovers",
            "Live sockets of workers replaced by another of the same worker.",
            registry=self.registry,
        )
        self.altered_duplicates = Gauge(
            "master_altered_duplicates",
            "Reports that differed from the stored message, which was kept.",
            registry=self.registry,
        )
        self.outbound_bytes = Gauge(
            "master_outbound_bytes",
            "The most bytes queued for one connection.",
            registry=self.registry,
        )
        self.descriptor_shortages = Counter(
            "master_descriptor_shortages",
            "Seconds in which no file descriptor was left for a new connection.",
            registry=self.registry,
        )
        self.strangers = Gauge(
            "master_strangers", "TCP connections of strangers.", registry=self.registry
        )
        self.hung_up = Gauge(
            "master_hung_up",
            "Connections closed past their deadline.",
            registry=self.registry,
        )
        self.logins = Gauge(
            "master_logins", "Ended logins by outcome.", ["outcome"], registry=self.registry
        )
        self.loop_lag = Gauge(
            "master_loop_lag_seconds",
            "The latest delay of Master's event loop.",
            registry=self.registry,
        )
        self.write_queue = Gauge(
            "master_write_queue_items", "Items queued for the writer.", registry=self.registry
        )
        self.sockets = Gauge(
            "master_sockets", "Live sockets.", ["namespace"], registry=self.registry
        )
        self.workers = Gauge(
            "master_workers", "Workers by state.", ["status"], registry=self.registry
        )
        self.accounts = Gauge(
            "master_accounts", "Accounts by login state.", ["login_status"], registry=self.registry
        )

    def count_event(self, namespace: str, event: str, result: str, seconds: float) -> None:
        """Count one acknowledged event; its labels come from the tables of routes and refusals."""
        self.events.count(namespace, event, result, seconds)

    def set_all(self, gauge: Gauge, figures: Mapping[str, float]) -> None:
        """Set a gauge's labels to these figures, and remove all others."""
        gauge.clear()
        for label, figure in figures.items():
            gauge.labels(label).set(figure)

    def render(self) -> bytes:
        """Return everything in Prometheus's text format."""
        return generate_latest(self.registry)
