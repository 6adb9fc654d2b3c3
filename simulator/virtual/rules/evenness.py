"""Rules about load: the least loaded worker gets an account; settings may require even loads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Taker:
    """One connected worker. `load` includes its reservations for logins."""

    load: int
    max_accounts: int
    capabilities: Collection[str]


@dataclass(frozen=True, slots=True)
class Gain:
    """An account that changed hands. `chosen`: by Master; `kept`: the worker with a reservation."""

    worker_id: str
    platform: str
    chosen: bool
    kept: str | None = None


def find_overloaded(
    gains: Sequence[Gain], lost: Mapping[str, int], takers: Mapping[str, Taker]
) -> Iterator[str]:
    """Yield the assignments of one turn that went to a worker that was not the least loaded, by the
    loads after the turn.

    When the last account that fits `other` went to a worker, that worker's load was at most that of
    `other`. Three things may differ since: `other` may have lost accounts in the turn (`lost`), the
    worker may have gained accounts that `other` does not serve, and an account with a reservation
    on `other` was counted twice during the turn.
    """
    gained = Counter(gain.worker_id for gain in gains)
    kept = Counter(gain.worker_id for gain in gains if gain.kept == gain.worker_id)
    for worker_id in sorted(gained.keys() & takers.keys()):
        worker = takers[worker_id]
        for other_id, other in sorted(takers.items()):
            lately = lost.get(other_id, 0)
            if other_id == worker_id or other.load + lately >= other.max_accounts:
                continue
            shared = sum(
                gain.chosen and gain.worker_id == worker_id and gain.platform in other.capabilities
                for gain in gains
            )
            excess = (
                worker.load
                - other.load
                - 1
                - (gained[worker_id] - shared)
                - kept[other_id]
                - lately
            )
            if shared and excess > 0:
                yield f"{worker_id} owns {worker.load} and gained, {other_id} owns {other.load}"


def find_uneven(takers: Mapping[str, Taker], movable: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield the pairs of workers that one account could even; `movable` is (worker, platform)."""
    for worker_id, platform in sorted(set(movable)):
        if worker_id not in takers:
            continue
        for other_id, other in sorted(takers.items()):
            room = other.max_accounts - other.load
            if (
                platform in other.capabilities
                and room > 0
                and takers[worker_id].load - other.load > 1
            ):
                yield (
                    f"{worker_id} owns {takers[worker_id].load}, {other_id} owns {other.load}, "
                    f"both serve {platform}"
                )
