"""`/metrics`: what was counted as it happened, and what is counted when asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from aiohttp import web

from master.errors import Refusal
from master.metrics import CONTENT_TYPE, Metrics
from master.operations.reports import count_login_states
from master.presence import Presence
from master.turn import Caller
from master.writer import Turns

HTTP = Caller("http")


class Figures:
    """Answers Prometheus. Memory is asked for workers and sockets; the database for accounts, if it answers."""

    def __init__(self, turns: Turns, presence: Presence, metrics: Metrics, measure_outbound: Callable[[], int]) -> None:
        self._measure_outbound = measure_outbound
        self._turns = turns
        self._presence = presence
        self._metrics = metrics

    async def show(self, request: web.Request) -> web.Response:
        """Show all figures in Prometheus's text format."""
        metrics, presence = self._metrics, self._presence
        metrics.write_queue.set(self._turns.waiting)
        metrics.brakes.set(presence.brakes)
        metrics.outbound_bytes.set(self._measure_outbound())
        metrics.set_all(metrics.logins, presence.login_outcomes)
        metrics.set_all(metrics.workers, Counter(seat.status.value for seat in presence.seats.values()))
        sockets = {"worker": presence.worker_sockets, "admin": presence.admins, "client": presence.clients}
        metrics.set_all(metrics.sockets, {name: len(live) for name, live in sockets.items()})
        try:
            metrics.set_all(metrics.accounts, await self._turns.look(count_login_states, None, HTTP))
        except Refusal:
            metrics.accounts.clear()  # no figure is better than an old one
        return web.Response(body=metrics.render(), headers={"Content-Type": CONTENT_TYPE})
