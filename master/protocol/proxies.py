"""A proxy beside its row: its users, and its newest trial."""

from __future__ import annotations

from typing_extensions import TypedDict


class ProxyUsers(TypedDict):
    """How many accounts and worker configurations use a proxy."""

    accounts: int
    workers: int


class ShownLastTrial(TypedDict):
    """The newest trial of a proxy since Master's start; `error` is why it failed."""

    at: int
    reachable: bool
    latency_ms: float
    target: str
    error: str | None
