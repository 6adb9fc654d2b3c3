"""`/metrics`: counters kept as events happen, and gauges read at each request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from aiohttp import web

from master.decisions.sickness import HealthReason
from master.memory import Memory
from master.meter import Meter
from master.metrics import CONTENT_TYPE, Metrics
from master.model import OPEN_SESSION, LoginStatus, SessionStatus, WorkerStatus
from master.operations.placement import count_unplaced
from master.reasons import Unplaced
from master.web.compression import IN_LOOP_BYTES, compress
from master.writer import Turns

ENDED = [status for status in SessionStatus if status not in OPEN_SESSION]
"""The outcomes of a login."""


class Figures:
    """Renders Prometheus's metrics from memory."""

    def __init__(
        self,
        turns: Turns,
        memory: Memory,
        metrics: Metrics,
        measure_outbound: Callable[[], int],
        meter: Meter,
    ) -> None:
        self._measure_outbound = measure_outbound
        self._meter = meter
        self._turns = turns
        self._memory = memory
        self._metrics = metrics

    async def show(self, request: web.Request) -> web.Response:
        """Return all metrics in Prometheus's text format."""
        metrics, memory, sessions = self._metrics, self._memory, self._memory.sessions
        totals, farm = metrics.totals, memory.farm
        metrics.write_queue.set(self._turns.waiting)
        metrics.strangers.set(self._meter.strange_lines)
        totals.set("master_hung_up", self._meter.hung_up)
        totals.set("master_brakes", memory.watch.brakes)
        totals.set("master_altered_duplicates", memory.altered_duplicates)
        totals.set("master_takeovers", sessions.takeover_count)
        totals.set("master_workers_contested", sessions.contest_count)
        sick = Counter[str](one.reason for one in memory.wards.health.values())
        metrics.set_all(metrics.workers_unhealthy, sick, HealthReason)
        metrics.outbound_bytes.set(self._measure_outbound())
        totals.set_all("master_logins", memory.login_outcomes, ENDED)
        metrics.set_all(metrics.workers, farm.workers.count("status"), WorkerStatus)
        metrics.set_all(metrics.accounts, farm.accounts.count("login_status"), LoginStatus)
        metrics.set_all(metrics.unplaced, count_unplaced(memory), Unplaced)
        live = sessions.count_sockets()
        metrics.set_all(metrics.sockets, live, live)
        answer = web.Response(
            body=metrics.render(),
            headers={"Content-Type": CONTENT_TYPE},
            zlib_executor_size=IN_LOOP_BYTES,
        )
        return compress(request, answer)
