"""Who is silent, and since when: the judgement behind `offline`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from master.model import Stall, WorkerStatus

SIGN_OF_LIFE = "sign_of_life"
SOCKET_CLOSED = "socket_closed"
SILENCE = "silence"
GOODBYE = "goodbye"

TRANSITIONS: Mapping[tuple[WorkerStatus, str], WorkerStatus] = {
    (WorkerStatus.CONNECTED, SIGN_OF_LIFE): WorkerStatus.CONNECTED,
    (WorkerStatus.CONNECTED, SOCKET_CLOSED): WorkerStatus.DISCONNECTED,
    (WorkerStatus.CONNECTED, SILENCE): WorkerStatus.OFFLINE,
    (WorkerStatus.CONNECTED, GOODBYE): WorkerStatus.OFFLINE,
    (WorkerStatus.DISCONNECTED, SIGN_OF_LIFE): WorkerStatus.CONNECTED,
    (WorkerStatus.DISCONNECTED, SOCKET_CLOSED): WorkerStatus.DISCONNECTED,
    (WorkerStatus.DISCONNECTED, SILENCE): WorkerStatus.OFFLINE,
    (WorkerStatus.DISCONNECTED, GOODBYE): WorkerStatus.OFFLINE,
    (WorkerStatus.OFFLINE, SIGN_OF_LIFE): WorkerStatus.CONNECTED,
    (WorkerStatus.OFFLINE, SOCKET_CLOSED): WorkerStatus.OFFLINE,
    (WorkerStatus.OFFLINE, SILENCE): WorkerStatus.OFFLINE,
    (WorkerStatus.OFFLINE, GOODBYE): WorkerStatus.OFFLINE,
}
"""protocol.md section 5: every event is legal in every state; a closed socket never revives an offline worker."""


def follow(status: WorkerStatus, event: str) -> WorkerStatus:
    """Return the state that `event` leads to from `status`."""
    return TRANSITIONS[status, event]


BRAKE_FROM_WORKERS = 3


HELD_TIMEOUTS = 3
"""After so many timeouts of silence no brake holds a worker any more: outsiders can put one on again and again."""


def longest_hold_s(timeout_s: float) -> float:
    """Return for how long a worker may be silent until no brake holds it any more."""
    return HELD_TIMEOUTS * timeout_s


def is_more_likely_us(lost: int, total: int, stalled: bool) -> bool:
    """Tell whether so much silence at once is more likely our own fault than the workers'.

    Both numbers count those alone that hold something, accounts or an open login: anybody can bring others and let them
    fall silent. `lost` workers are about to be given up or were within one timeout, of `total`. It is us if our own
    loop `stalled`, or if more than half of at least three fall silent within one timeout.
    """
    return lost > 0 and (stalled or (total >= BRAKE_FROM_WORKERS and 2 * lost > total))


def may_be_held(heard: float, now: float, timeout_s: float, stalls: Iterable[Stall]) -> bool:
    """Tell whether a brake may still hold a worker last heard then (monotonic seconds).

    It may not for longer than three timeouts of silence, however often a stall puts it on anew. But a stall that began
    before the worker was silent for too long leaves it a timeout from its end on, however long it was: before, Master
    could not hear anybody.
    """
    if now - heard <= longest_hold_s(timeout_s):
        return True
    return any(
        stall.began <= heard + timeout_s and now - stall.ended <= timeout_s for stall in stalls
    )


def find_silent(heard: Iterable[tuple[str, float]], now: float, timeout_s: float) -> list[str]:
    """Return the workers not heard from for longer than `timeout_s`.

    `heard` holds (worker id, monotonic seconds of the last sign of life). A worker last heard exactly `timeout_s`
    ago is still alive.
    """
    return sorted(worker_id for worker_id, at in heard if now - at > timeout_s)
