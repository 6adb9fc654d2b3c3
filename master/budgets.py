"""What each kind of peer may cost (docs/operating.md, "Limits")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

STRANGER_S = 30.0
"""How long a line, or a flow, may stand before somebody who is known speaks on it."""

FAREWELL_S = 1.0
"""How much longer a line may stand, for the polite end of the flow on it."""

PATIENCE_S = 120.0
"""How long somebody who is known may take to end what they began on a line: to send a body, to read an answer."""

BURST = 4
"""Seconds' worth of requests or events that may come at once."""

STRANGERS_PER_PLACE = 256
"""Lines of one place on which nobody is known, but for young ones (strangers.py), and as many flows."""

STRANGE_LINES = 4_096
STRANGE_FLOWS = 1_280
"""Lines on which nobody is known, and flows, in all. A line costs 6 kB, a flow with its line 24 kB."""

YOUNG_LINE_S = 10.0
YOUNG_FLOW_S = 4.0
"""How long one is young: a program that starts thousands of workers takes its time to speak on each. Flows of one
place are paced (openings.py), so that no more than STRANGE_FLOWS of it can be young.
"""

OPENING_WAIT_S = 10
"""How long a new flow waits for its turn at most (openings.py)."""

OPENINGS_WAITING = 2_048
"""New flows that wait for their turn, in all."""

MOST_PLACES = 10_000
"""Places whose pace is remembered; the one not heard from for longest is forgotten first."""

STRANGER_BYTES = 16 * 1024
"""The largest packet or body taken from strangers: nothing that says who somebody is needs more."""

LOOSE_PER_S = 50
"""Packets per second of one flow that are no event of a socket in its namespace, and as many at once."""

STRANGERS_PER_S = 500
"""Packets per second of all strangers together, and half as many of one place; what makes somebody known is free."""


class Kind(StrEnum):
    """Who speaks, each with a larger budget than the one before."""

    STRANGER = "stranger"
    DEVICE = "client"
    ADMINISTRATOR = "admin"
    WORKER = "worker"


@dataclass(frozen=True, slots=True)
class Budget:
    """What one flow may cost. Rates are per second, with a burst of `BURST` seconds; a rate of 0 is no limit."""

    packet_bytes: int
    """The largest packet, or body of one POST, while it is read."""
    post_packets: int
    """Packets in the body of one POST."""
    loose_per_s: float
    """Packets that are no event of a socket in its namespace; as many at once."""
    events_per_s: float
    bytes_per_s: float
    pending_bytes: int
    """Bytes of events that are read and not dealt with, those at the writer among them; one event in any case."""


def make_budgets(events_per_s: float, largest_bytes: int) -> Mapping[Kind, Budget]:
    """Return what each kind of peer may cost; the largest event is a worker's.

    No limit to events is none to the packets and bytes per second of those who are known.
    """
    some = 1024 * 1024
    loose, bytes_per_s = (LOOSE_PER_S, some / 4) if events_per_s else (0, 0)
    small = Budget(some, 10_000, loose, events_per_s, bytes_per_s, some)
    return {
        Kind.STRANGER: Budget(
            STRANGER_BYTES, 16, LOOSE_PER_S, LOOSE_PER_S, STRANGER_BYTES, STRANGER_BYTES
        ),
        Kind.DEVICE: small,
        Kind.ADMINISTRATOR: small,
        Kind.WORKER: Budget(largest_bytes, 10_000, loose, events_per_s, 16 * bytes_per_s, 8 * some),
    }
