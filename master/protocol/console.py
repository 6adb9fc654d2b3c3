"""Answers about sign-ins to the console: who the caller is, and which sessions are open."""

from __future__ import annotations

from typing_extensions import TypedDict


class ShownLimits(TypedDict):
    """Settings that the console counts with, in seconds."""

    login_ttl_s: float
    login_max_s: float
    heartbeat_timeout_s: float


class ShownSignIn(TypedDict):
    """The caller, what it may do, and which Master this is; `now_ms` is Master's clock.

    `expires_at` is null for a caller without a session: a token in the header, or none at all.
    """

    name: str
    scope: str
    guarded: bool
    version: str
    started_at: int
    demo: bool
    demo_label: str | None
    now_ms: int
    expires_at: int | None
    limits: ShownLimits


class ShownSession(TypedDict):
    """A session of the console; `sockets` counts its live ones, `is_own` tells the caller's."""

    id: str
    name: str
    scope: str
    address: str
    agent: str
    created_at: int
    seen_at: int
    expires_at: int
    sockets: int
    is_own: bool
