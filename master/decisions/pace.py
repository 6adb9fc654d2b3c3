"""How fast something may come: a token bucket as a record and a function."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bucket:
    """What is left in the bucket (negative: owed) at the monotonic second `at`."""

    tokens: float
    at: float


def fill(burst: float, now: float) -> Bucket:
    """Return a full bucket."""
    return Bucket(burst, now)


def take(bucket: Bucket, now: float, rate: float, burst: float, cost: float = 1.0) -> tuple[Bucket, float]:
    """Take `cost` tokens; return the bucket after it, and the seconds to wait until they are really there.

    `rate` is tokens per second. A bucket never holds more than `burst`.
    """
    assert rate > 0, "a rate of 0 means no limit and is not asked for"
    tokens = min(burst, bucket.tokens + max(0.0, now - bucket.at) * rate) - cost
    return Bucket(tokens, now), max(0.0, -tokens / rate)


def give_back(bucket: Bucket, cost: float = 1.0) -> Bucket:
    """Return the bucket with what was taken in it again."""
    return Bucket(bucket.tokens + cost, bucket.at)
