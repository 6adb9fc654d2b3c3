"""Judges which workers are silent and for how long; the basis of the state `offline`."""

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
"""Any event is allowed in any state; only a sign of life ends `offline`."""


def follow(status: WorkerStatus, event: str) -> WorkerStatus:
    """Return the state that `event` leads to from `status`."""
    return TRANSITIONS[status, event]


BRAKE_FROM_WORKERS = 3


PROTECTED_TIMEOUTS = 3
"""Timeouts of silence after which no brake protects a worker any more.

This bounds peers that can trigger the brake again and again.
"""


def longest_protection_s(timeout_s: float) -> float:
    """Return the seconds of silence after which no brake protects a worker any more."""
    return PROTECTED_TIMEOUTS * timeout_s


def is_more_likely_us(lost: int, total: int, stalled: bool) -> bool:
    """Tell whether so much silence at once is more likely Master's fault than the workers'.

    Both counts include only workers with accounts or an open login, because any peer can register
    further workers and let them fall silent. Of `total` such workers, `lost` are about to be
    evicted or were evicted within one timeout.
    It is Master's fault if its own loop `stalled`, or if more than half of at least three workers
    fall silent within one timeout.
    """
    return lost > 0 and (stalled or (total >= BRAKE_FROM_WORKERS and 2 * lost > total))


def may_be_protected(heard: float, now: float, timeout_s: float, stalls: Iterable[Stall]) -> bool:
    """Tell whether a brake may still protect a worker last heard at `heard` (monotonic seconds).

    The protection ends after three timeouts of silence, however often a stall renews the brake. One
    exception: a stall that began before the worker had been silent for a timeout protects it until
    one timeout after the stall's end, however long the stall was, because Master could hear no
    worker before.
    """
    if now - heard <= longest_protection_s(timeout_s):
        return True
    return any(
        stall.began <= heard + timeout_s and now - stall.ended <= timeout_s for stall in stalls
    )


def find_silent(heard: Iterable[tuple[str, float]], now: float, timeout_s: float) -> list[str]:
    """Return the ids of the workers not heard from for longer than `timeout_s`, sorted.

    `heard` yields (worker id, monotonic seconds of the last sign of life). A worker last heard
    exactly `timeout_s` ago is still alive.
    """
    return sorted(worker_id for worker_id, at in heard if now - at > timeout_s)
