"""Answers of the history: timelines of accounts and workers, and the audit."""

from __future__ import annotations

from typing import Any, TypedDict


class ShownWho(TypedDict):
    """The cause of an event: `kind` is worker, admin, http, client, or sweep for Master itself.

    The name is that of a token, or the id of a worker; only people have a scope.
    """

    kind: str
    name: str | None
    scope: str | None


class ShownEvent(TypedDict):
    """An event of the history; `seq` grows, `target` is the id of a login or a proxy."""

    seq: int
    at_ms: int
    kind: str
    by: ShownWho
    account_id: str | None
    worker_id: str | None
    target: str | None
    epoch: int | None
    reason: str | None
    params: dict[str, Any]
    request_id: str | None


ShownGap = TypedDict("ShownGap", {"from": int, "to": int | None, "reason": str | None})
ShownGap.__doc__ = (
    "A time without an owner, or a worker's without a connection, in ms; `to` is null if it lasts."
)


class ShownTimeline(TypedDict):
    """A page of events, the newest first, with the gaps that begin in it.

    `before` is the parameter for the next page; null at the end.
    """

    items: list[ShownEvent]
    gaps: list[ShownGap]
    before: int | None


class ShownAudit(TypedDict):
    """A page of the events of people, the newest first; `before` as in a timeline."""

    items: list[ShownEvent]
    before: int | None
