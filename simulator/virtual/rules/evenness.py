"""Whether accounts go to the least loaded worker, and whether loads become even where Master is to make them so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Taker:
    """One connected worker. `load` counts the places kept for logins as well."""

    load: int
    max_accounts: int
    capabilities: Collection[str]


@dataclass(frozen=True, slots=True)
class Gain:
    """One account that changed hands: `chosen` if Master had the choice, `kept` the worker that kept a place for it."""

    worker_id: str
    platform: str
    chosen: bool
    kept: str | None = None


def find_overloaded(
    gains: Sequence[Gain], lost: Mapping[str, int], takers: Mapping[str, Taker]
) -> Iterator[str]:
    """Yield what is wrong with where one turn's accounts went, judged by how loads are after it.

    When the last account that `other` could have taken went to a worker, that one held no more than `other` did then.
    Since then `other` may have lost what the turn took from it (`lost`), the worker may have got what `other` could not
    take, and what had its place kept with `other` was counted twice for as long as the turn placed others.
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
                yield f"{worker_id} holds {worker.load} and was given more, {other_id} holds {other.load}"


def find_uneven(takers: Mapping[str, Taker], movable: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield the pairs of workers of which one could give the other an account; `movable` is (worker, platform)."""
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
                yield f"{worker_id} holds {takers[worker_id].load}, {other_id} holds {other.load}, both take {platform}"
