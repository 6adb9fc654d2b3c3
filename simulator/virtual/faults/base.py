"""The type of a fault, and helpers that draw its victims."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from simulator.virtual.scene import Scene

Fault = Callable[[Scene, Random], Awaitable[None]]
"""Plays one fault to its end. It is cancelled when chaos ends; the laboratory then heals."""


def pick(rng: Random, things: Any) -> Any:
    """Return a random element of `things`, or None if there is none."""
    found = list(things)
    return rng.choice(found) if found else None


def pick_some(rng: Random, things: Any) -> list[Any]:
    """Return at least one of `things` in random order, or an empty list if there is none."""
    found = list(things)
    return rng.sample(found, rng.randint(1, len(found))) if found else []
