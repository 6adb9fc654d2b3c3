"""Repeatable randomness: one stream per purpose, so one more draw shifts no other stream."""

from __future__ import annotations

from random import Random


def open_stream(seed: int, purpose: str, name: str = "") -> Random:
    """Return an actor's random stream for a purpose; equal arguments give equal draws anywhere."""
    return Random(f"{seed}/{purpose}/{name}")


def draw_backoff(rng: Random, attempt: int, wait_s: tuple[float, float]) -> float:
    """Return the seconds to wait before retry `attempt` (0 is the first), with full jitter.

    `wait_s` is the upper bound before the first retry, and the upper bound of all retries. The draw
    covers the whole span: a draw around its end would bring all workers back in the same second.
    """
    first_s, most_s = wait_s
    return rng.uniform(0.1, min(most_s, first_s * 2.0 ** min(attempt, 16)))


def draw_gap(rng: Random, per_s: float) -> float:
    """Return the seconds until the next event of a Poisson process; infinity without a rate."""
    return rng.expovariate(per_s) if per_s > 0 else float("inf")
