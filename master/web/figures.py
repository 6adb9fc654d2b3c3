"""`/metrics`: counters kept as events happen, and gauges read at each request."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from master.memory import Memory
from master.meter import Meter
from master.metrics import CONTENT_TYPE, Metrics
from master.writer import Turns


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
        metrics.write_queue.set(self._turns.waiting)
        metrics.strangers.set(self._meter.strange_lines)
        metrics.hung_up.set(self._meter.hung_up)
        metrics.brakes.set(memory.watch.brakes)
        metrics.altered_duplicates.set(memory.altered_duplicates)
        metrics.takeovers.set(sessions.takeover_count)
        metrics.outbound_bytes.set(self._measure_outbound())
        metrics.set_all(metrics.logins, memory.login_outcomes)
        metrics.set_all(metrics.workers, memory.farm.workers.count("status"))
        metrics.set_all(metrics.accounts, memory.farm.accounts.count("login_status"))
        sockets = {
            "worker": sessions.worker_sockets,
            "admin": sessions.admins,
            "client": sessions.clients,
        }
        metrics.set_all(metrics.sockets, {name: len(live) for name, live in sockets.items()})
        return web.Response(body=metrics.render(), headers={"Content-Type": CONTENT_TYPE})
