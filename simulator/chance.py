"""Randomness that can be repeated: one stream per purpose, so that one more draw in one place shifts no other."""

from __future__ import annotations

from random import Random


def open_stream(seed: int, purpose: str, name: str = "") -> Random:
    """Return the random stream of one purpose of one actor; equal arguments give equal draws everywhere."""
    return Random(f"{seed}/{purpose}/{name}")


def draw_backoff(rng: Random, attempt: int, wait_s: tuple[float, float]) -> float:
    """Return the seconds to wait before try `attempt` (0 is the first repetition), with full jitter.

    `wait_s` is the most before the first repetition and the most of all. Spread over the whole span, not around its
    end: otherwise all workers come back in the same second.
    """
    first_s, most_s = wait_s
    return rng.uniform(0.1, min(most_s, first_s * 2.0 ** min(attempt, 16)))


def draw_gap(rng: Random, per_s: float) -> float:
    """Return the seconds until the next event of a Poisson process; infinity where it never happens."""
    return rng.expovariate(per_s) if per_s > 0 else float("inf")
