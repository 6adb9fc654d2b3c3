"""What a fault is, and what it may touch."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from simulator.virtual.scene import Scene

Fault = Callable[[Scene, Random], Awaitable[None]]
"""Does one thing that goes wrong, from its beginning to its end. Cancelled when chaos ends: the laboratory heals."""


def pick(rng: Random, things: Any) -> Any:
    """Return one of `things`; None of none."""
    found = list(things)
    return rng.choice(found) if found else None


def pick_some(rng: Random, things: Any) -> list[Any]:
    """Return one to all of `things`, in an order of their own; nothing of none."""
    found = list(things)
    return rng.sample(found, rng.randint(1, len(found))) if found else []
