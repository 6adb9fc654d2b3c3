"""Budgets: the costs that each kind of peer may cause (docs/operating.md, "Limits")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

STRANGER_S = 30.0
"""Seconds that a line or a flow may stand before a peer authenticates on it."""

FAREWELL_S = 1.0
"""Additional seconds that a line may stand, for the orderly end of its flow."""

PATIENCE_S = 120.0
"""Seconds that an authenticated peer may take to finish sending a body or reading an answer."""

PROGRESS_BYTES = 1_024
"""Bytes of one unfinished message or body that count as progress of its authenticated sender.

Answers to pings are smaller: they prove that a connection stands, and not that its program runs.
"""

BURST = 4
"""Requests or events of this many seconds may come at once."""

STRANGERS_PER_ADDRESS = 256
"""Limit of strangers' lines per address, without young ones (strangers.py); the same of flows."""

STRANGE_LINES = 4_096
STRANGE_FLOWS = 1_280
"""Lines and flows of strangers in total. A line costs 6 kB, a flow with its line 24 kB."""

YOUNG_LINE_S = 10.0
YOUNG_FLOW_S = 4.0
"""Seconds that a line or a flow counts as young.

A program that starts thousands of workers needs time to authenticate on each. Each address has a
rate limit of new flows (openings.py), so that at most STRANGE_FLOWS of them can be young.
"""

OPENING_WAIT_S = 10
"""Longest wait of a new flow for its admission (openings.py), in seconds."""

OPENINGS_WAITING = 2_048
"""New flows that may wait for admission, in total."""

MOST_ADDRESSES = 10_000
"""Addresses whose rate is remembered; the least recently heard one is dropped first."""

STRANGER_BYTES = 16 * 1024
"""Largest packet or body accepted from a stranger: authentication needs no more."""

LOOSE_PER_S = 50
"""Packets per second of one flow that are not events of a joined socket; also the burst."""

STRANGERS_PER_S = 500
"""Packets per second of all strangers together, and half as many of one address.

Packets that lead to an authentication are refunded.
"""


class Kind(StrEnum):
    """The kinds of peer, each with a larger budget than the one before."""

    STRANGER = "stranger"
    DEVICE = "client"
    ADMINISTRATOR = "admin"
    WORKER = "worker"


@dataclass(frozen=True, slots=True)
class Budget:
    """The budget of one flow.

    Rates are per second, with a burst of `BURST` seconds; a rate of 0 is no limit.
    """

    packet_bytes: int
    """The largest packet, or body of one POST, while it is read."""
    post_packets: int
    """Packets in the body of one POST."""
    loose_per_s: float
    """Packets that are no event of a socket in its namespace; also the burst."""
    events_per_s: float
    bytes_per_s: float
    pending_bytes: int
    """Bytes of unanswered events, also of those at the writer; one event always fits."""


def make_budgets(events_per_s: float, largest_bytes: int) -> Mapping[Kind, Budget]:
    """Return the budget of each kind of peer; the largest event is a worker's.

    Without a limit on events, authenticated peers have none on packets and bytes per second either.
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
