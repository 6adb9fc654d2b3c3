"""Bounds on Master's memory: no structure may grow with uptime (docs/simulation.md)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from master.app import Master

DELIVERED_S = 5.0
"""Undisturbed seconds after which a sweep must have stored that a notification was delivered."""


class Memory:
    """Measures Master's memory every few seconds."""

    def __init__(self) -> None:
        self._undelivered: tuple[str | None, float] = (None, 0.0)
        """The oldest notification whose delivery is not stored yet, and since when."""

    def find_grown(
        self, master: Master, *, workers: int, accounts: int, links: int, now: float, calm_s: float
    ) -> Iterator[str]:
        """Yield the structures that exceed their bound or have kept an entry for too long.

        `workers` counts all existing ones, connected or not; `links` the connections that Master
        still serves; `calm_s` the seconds since Master was last disturbed.
        """
        for name, (size, bound) in _measure(master, workers, accounts, links).items():
            if size > bound:
                yield f"{name} has {size}, more than {bound}"
        delivered = master.memory.sessions.delivered
        oldest = next(iter(delivered), None)
        if oldest != self._undelivered[0]:
            self._undelivered = oldest, now
        elif oldest is not None and min(calm_s, now - self._undelivered[1]) > DELIVERED_S:
            yield f"delivered keeps {oldest}, and {len(delivered) - 1} more"
            self._undelivered = None, now


def _measure(
    master: Master, workers: int, accounts: int, links: int
) -> Mapping[str, tuple[int, float]]:
    """Return the size and bound of each structure; an actor joins one namespace per link."""
    memory, sockets = master.memory, master.sockets
    farm, sessions, deadlines = memory.farm, memory.sessions, memory.deadlines
    return {
        "workers": (len(farm.workers), workers),
        "accounts": (len(farm.accounts), accounts),
        "logins": (len(farm.logins), accounts),
        "seats": (len(sessions.seats), workers),
        "unwritten": (len(sessions.unwritten), workers),
        "links": (len(farm.links), accounts),
        "prompts": (len(memory.links.prompts), accounts),
        "ends of links": (len(memory.links.ends.ends), accounts),
        "drains": (len(memory.drains.ends), workers + 1),
        "evictions": (len(memory.watch.evictions), 2 * workers),
        "handed_out": (len(deadlines.handed_out), accounts),
        "expiries": (len(deadlines.expiries), accounts),
        "ends": (len(deadlines.ends), accounts),
        "last_ends": (len(deadlines.last_ends), accounts),
        "handovers": (len(deadlines.handovers), accounts + 1),
        "former owners": (
            sum(len(former) for former in deadlines.handovers.values()),
            (accounts + 1) * (workers + 1),
        ),
        "lost": (sum(len(seat.lost) for seat in sessions.seats.values()), accounts * workers),
        "worker_of_socket": (len(sessions.worker_of_socket), len(sessions.worker_sockets)),
        "sockets": (
            len(sessions.worker_sockets) + len(sessions.admins) + len(sessions.clients),
            links,
        ),
        "lanes": (len(sockets.lanes), links),
        "expected": (len(sockets.expected), 2 * links),
        "connections": (len(sockets.eio.sockets), links),
        "queue": (master.turns.waiting, master.settings.write_queue_items or math.inf),
    }
