"""Answers to "why", for HTTP."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict

from master.reasons import Action, Rule, Verdict


class ExplainedCandidate(TypedDict):
    """A worker as a candidate for an account: `owner`, `fits`, or `excluded` by `rule`."""

    worker_id: str
    verdict: str
    rule: Rule | None
    connected: bool
    platform: bool
    pinned: bool
    held: int
    reserved: int
    max: int


class ExplainedRemedy(TypedDict):
    """A remedy: an action that would help, and its values."""

    action: Action
    params: dict[str, Any]


class AccountExplained(TypedDict):
    """Why an account is where it is.

    `sentence` is a code, its parameters, and the sentence in English. `starts_in_ms` is how long
    its worker still waits for a former owner.
    """

    account_id: str
    verdict: Verdict
    worker_id: str | None
    rule: str | None
    since: int | None
    sentence: dict[str, Any]
    starts_in_ms: int
    candidates: list[ExplainedCandidate]
    would_help: list[ExplainedRemedy]


class ExplainedWaiting(TypedDict):
    """An account that waits for a worker, and why this one cannot have it; null: it can."""

    account_id: str
    platform: str
    rule: Rule | None


class WorkerExplained(TypedDict):
    """The load of a worker, and the reason for which it is not given the accounts that wait.

    `verdict`: `not_connected`, `full`, `next` (it is given more) or `enough` (none waits for it).
    `waiting` has the first accounts of all that wait, those that it can have first.
    """

    worker_id: str
    verdict: str
    held: int
    reserved: int
    max: int
    platforms: list[str]
    waiting: list[ExplainedWaiting]
    waiting_total: int


PlannedMove = TypedDict("PlannedMove", {"account_id": str, "from": str | None, "to": str | None})
"""An account that would change its worker; null: none."""


class PlannedStay(TypedDict):
    """An account that would have no worker, or whose pin would be refused, with the rule."""

    account_id: str
    rule: str


class PlacementPlan(TypedDict):
    """Moves of a plan, and accounts that cannot; `is_complete` is false if more would follow."""

    moves: list[PlannedMove]
    stay: list[PlannedStay]
    is_complete: bool
