"""Randomness that can be repeated: one stream per purpose, so that one more draw in one place shifts no other."""

from __future__ import annotations

from random import Random


def open_stream(seed: int, purpose: str, name: str = "") -> Random:
    """Return the random stream of one purpose of one actor; equal arguments give equal draws everywhere."""
    return Random(f"{seed}/{purpose}/{name}")


def draw_backoff(rng: Random, attempt: int, *, base_s: float = 0.5, cap_s: float = 15.0) -> float:
    """Return the seconds to wait before try `attempt` (0 is the first repetition), with full jitter.

    Spread over the whole span, not around its end: otherwise all workers come back in the same second.
    """
    return rng.uniform(0.1, min(cap_s, base_s * 2.0 ** min(attempt, 16)))


def draw_gap(rng: Random, per_s: float) -> float:
    """Return the seconds until the next event of a Poisson process; infinity where it never happens."""
    return rng.expovariate(per_s) if per_s > 0 else float("inf")
