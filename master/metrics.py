"""Prometheus metrics of this process, with bounded label values only."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from master.sinks import LOST

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


TOTALS = {
    "master_brakes": "Times the eviction brake was put on.",
    "master_takeovers": "Live sockets of workers replaced by another of the same worker.",
    "master_altered_duplicates": "Messages with a stored one's id that were edits, or others.",
    "master_workers_contested": "Findings that two processes contend for one worker id.",
    "master_hung_up": "Connections closed past their deadline.",
    "master_logins": "Ended logins by outcome.",
}
"""Counters whose numbers other parts of Master keep; each name gets `_total`."""

NEW_TOTALS = frozenset({"master_workers_contested"})
"""Counters that were never gauges without `_total`."""

TOTALS_LABEL = {"master_logins": ("outcome",)}


class Totals(Collector):
    """The counters of TOTALS.

    All but the new ones are also gauges without `_total`: earlier versions had only these, and
    alerts name them.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, Mapping[str, float]] = {}

    def set(self, name: str, number: float) -> None:
        """Set a counter without a label."""
        self._numbers[name] = {"": number}

    def set_all(self, name: str, numbers: Mapping[str, float], known: Iterable[str]) -> None:
        """Set a counter's numbers by label; a known label without a number is 0."""
        self._numbers[name] = dict.fromkeys(known, 0) | dict(numbers)

    def collect(self) -> Iterator[Metric]:
        """Yield each counter, and the gauge of the same number if there ever was one."""
        for name, numbers in self._numbers.items():
            labels = TOTALS_LABEL.get(name, ())
            counter = CounterMetricFamily(name, TOTALS[name], labels=labels)
            gauge = GaugeMetricFamily(name, f"The same as {name}_total.", labels=labels)
            for label, number in numbers.items():
                counter.add_metric([label][: len(labels)], number)
                gauge.add_metric([label][: len(labels)], number)
            yield counter
            if name not in NEW_TOTALS:
                yield gauge


class LostLines(Collector):
    """Log lines that this process has lost."""

    def collect(self) -> Iterator[Metric]:
        """Yield the metric for Prometheus."""
        lost = CounterMetricFamily(
            "master_log_lines_lost",
            "Log lines that a sink could not take.",
            labels=["sink"],
        )
        for sink, lines in list(LOST.items()):
            lost.add_metric([sink], lines)
        yield lost


class Metrics:
    """One Master's metrics, in its own registry: two Masters in one process stay separate."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.events = Events()
        self.totals = Totals()
        self.registry.register(self.events)
        self.registry.register(self.totals)
        self.registry.register(LostLines())
        # a batch was once called a group; dashboards read the metric by its first name
        self.batch_items = Histogram(
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
        for result in ("stored", "duplicate"):
            self.messages.labels(result)  # it is 0, not missing, until there is one
        self.facts_forgiven = Counter(
            "master_facts_forgiven",
            "Fields of workers' reports that were cut, left out or read in another form.",
            ["event", "field"],
            registry=self.registry,
        )
        self.facts_refused = Counter(
            "master_facts_refused",
            "Workers' reports, and single messages of reports, that were refused for good.",
            ["event", "code"],
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
        self.hints = Counter(
            "master_sync_hints",
            "Notifications for one connection that a client:sync stands for.",
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
        self.workers_unhealthy = Gauge(
            "master_workers_unhealthy",
            "Connected workers that do not do their work, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self.accounts = Gauge(
            "master_accounts", "Accounts by login state.", ["login_status"], registry=self.registry
        )
        self.unplaced = Gauge(
            "master_accounts_unplaced", "Accounts that wait for a worker, by reason.", ["reason"],
            registry=self.registry,
        )  # fmt: skip

    def count_event(self, namespace: str, event: str, result: str, seconds: float) -> None:
        """Count one acknowledged event; its labels come from the tables of routes and refusals."""
        self.events.count(namespace, event, result, seconds)

    def set_all(self, gauge: Gauge, figures: Mapping[str, float], known: Iterable[str]) -> None:
        """Set a gauge's labels to these figures; a known label without a figure is 0."""
        gauge.clear()
        for label, figure in (dict.fromkeys(known, 0.0) | dict(figures)).items():
            gauge.labels(label).set(figure)

    def render(self) -> bytes:
        """Return everything in Prometheus's text format."""
        return generate_latest(self.registry)
