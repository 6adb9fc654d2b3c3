"""Derives the events of the history from the rows before and after a change of the farm.

No event has a secret: changed settings are named, and only states, ids and counts are told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

from master.model import (
    OPEN_SESSION,
    Account,
    JsonObject,
    Login,
    LoginStatus,
    Proxy,
    Worker,
    WorkerConfig,
    WorkerStatus,
)
from master.reasons import EventKind
from master.record import quick_to_make

PEOPLE = ("admin", "http", "link")
"""The kinds of caller behind which is a person; their events are the audit.

Behind `link` is an account's owner, who has no scope.
"""

TARGET_CHARACTERS = 128


@dataclass(slots=True)
class Event:
    """One event. `worker_id` is the worker that it concerns, `target` any other object's id.

    When it was and who caused it is filled in once: thousands may be told in one turn.
    """

    kind: str
    account_id: str | None = None
    worker_id: str | None = None
    target: str | None = None
    epoch: int | None = None
    reason: str | None = None
    params: JsonObject | None = None
    at_ms: int = 0
    by_kind: str = ""
    by_name: str | None = None
    request_id: str | None = None
    seq: int = 0
    """Its position in the history; 0 until it is stored."""


Reason = Mapping[tuple[str, str], str]
"""(table, row) -> why an operation changed it."""

Kept = Collection[str]
"""The columns of a row that memory does not keep and that get new values."""


@quick_to_make
@dataclass(frozen=True, slots=True)
class Deed:
    """A command of a person as the edge received it: `action` is its route or event.

    It is recorded only if it changes no row, or if it was refused with `refused`, an error code.
    """

    action: str
    account_id: str | None = None
    worker_id: str | None = None
    target: str | None = None
    refused: str | None = None
    left_out: int = 0
    """How many refused commands before this one were not recorded."""


WORKERS = ("workers", "worker-configs")
"""The first words of the paths whose ids are those of workers."""


def describe_request(method: str, path: str, target: str | None) -> Deed:
    """Return an HTTP request as a deed; `path` is the route's own, without the ids."""
    if target is not None:
        # a refused request may have any text there
        target = target.encode(errors="replace").decode()[:TARGET_CHARACTERS]
    noun = path.strip("/").partition("/")[0]
    return Deed(
        f"{method} {path}",
        account_id=target if noun == "accounts" else None,
        worker_id=target if noun in WORKERS else None,
        target=target if noun != "accounts" and noun not in WORKERS else None,
    )


def describe_event(name: str, payload: object) -> Deed:
    """Return an event of an administrator as a deed."""
    return Deed(
        name,
        account_id=getattr(payload, "account_id", None),
        worker_id=getattr(payload, "worker_id", None),
        target=getattr(payload, "session_id", None),
    )


REFUSED = EventKind.REFUSED
"""The kind of the event of a refused command."""


def tell_deed(deed: Deed, logins: Mapping[str, Login] | Any) -> Event:
    """Return the event of a command that no changed row tells of."""
    login = logins.get(deed.target or "")
    params: JsonObject = {"action": deed.action}
    if deed.left_out:
        params["left_out"] = deed.left_out
    return Event(
        EventKind.COMMAND if deed.refused is None else REFUSED,
        account_id=deed.account_id or (login.account_id if login is not None else None),
        worker_id=deed.worker_id or (login.worker_id if login is not None else None),
        target=deed.target,
        reason=deed.refused,
        params=params,
    )


# -- accounts -------------------------------------------------------------------------------------

ACCOUNT_FIELDS = (
    "platform",
    "account_name",
    "account_id",
    "monitor_interval",
    "proxy_id",
    "tags",
    "note",
)
_read_hands = attrgetter("assigned_worker_id", "epoch")
_read_rest = attrgetter(*ACCOUNT_FIELDS, "status", "login_status", "pinned_worker_id")


def tell_account(before: Account | None, after: Account | None, why: Reason) -> list[Event]:
    """Return the events of one account, in the order in which they happened.

    A registration may move thousands of accounts: those that only change hands are told at once.
    """
    told: list[Event] = []
    moves = before is None or after is None or _read_hands(before) != _read_hands(after)
    if before is not None and moves and before.assigned_worker_id is not None:
        name, reason = before.id, why.get(("accounts", before.id))
        told.append(
            Event(EventKind.REVOKED, name, before.assigned_worker_id, None, before.epoch, reason)
        )
    if before is None or after is None:
        told += _tell_added_or_removed(before, after)
    elif _read_rest(before) != _read_rest(after):
        edited = Event(EventKind.ACCOUNT_EDITED, after.id)
        told += _tell_edits(edited, before, after, ACCOUNT_FIELDS)
        told += _tell_states(before, after)
        told += _tell_pin(before.pinned_worker_id, after)
    if after is not None and moves and after.assigned_worker_id is not None:
        told.append(
            Event(EventKind.ASSIGNED, after.id, after.assigned_worker_id, None, after.epoch)
        )
    return told


def _tell_added_or_removed(before: Account | None, after: Account | None) -> Iterator[Event]:
    """Yield that an account was added or removed."""
    if after is None:
        if before is not None:
            shown = {"platform": before.platform, "name": before.account_name}
            yield Event(EventKind.ACCOUNT_REMOVED, before.id, epoch=before.epoch, params=shown)
        return
    shown = {"platform": after.platform, "name": after.account_name, "status": after.status}
    yield Event(EventKind.ACCOUNT_ADDED, after.id, reason=after.state_reason, params=shown)
    yield from _tell_pin(None, after)


def _tell_states(before: Account, after: Account) -> Iterator[Event]:
    """Yield the changes of states; the begin of a login is an event of that login."""
    is_new = (before.state_since, before.state_reason) != (after.state_since, after.state_reason)
    reason = after.state_reason if is_new else None
    for field in (EventKind.STATUS, EventKind.LOGIN_STATUS):
        old, new = getattr(before, field), getattr(after, field)
        if old is not new and new is not LoginStatus.LOGGING_IN:
            yield Event(field, after.id, reason=reason, params={"from": old, "to": new})


def _tell_pin(before: str | None, after: Account) -> Iterator[Event]:
    pinned = after.pinned_worker_id
    if pinned != before:
        yield Event(
            EventKind.UNPINNED if pinned is None else EventKind.PINNED, after.id, pinned or before
        )


# -- logins ---------------------------------------------------------------------------------------


def tell_login(before: Login | None, after: Login | None, why: Reason) -> Iterator[Event]:
    """Yield the events of one login: never its code."""
    login = after or before
    assert login is not None, "a changed login has a record before or after"
    opened = Event(EventKind.LOGIN_OPENED, login.account_id, login.worker_id, login.id)
    was_open = before is not None and before.status in OPEN_SESSION
    if before is None and after is not None:
        other = {"accept_identity": True} if after.accept_identity else None
        yield replace(opened, params=other)
    if after is not None and after.status in OPEN_SESSION:
        is_later = before is None or not before.has_qr_code or before.expires_at != after.expires_at
        if why.get(("login_codes", login.id)) and is_later:
            # of codes within one second only the first is told, so that a worker cannot flood
            yield replace(opened, kind=EventKind.LOGIN_CODE)
        if step := why.get(("login_steps", login.id)):
            yield replace(opened, kind=EventKind.LOGIN_STEP, reason=step)
    elif was_open or before is None:
        reason = why.get(("login_sessions", login.id))
        status = after.status if after is not None else "removed"
        reason = reason or status
        yield replace(opened, kind=EventKind.LOGIN_ENDED, reason=reason, params={"status": status})


# -- workers, proxies, processes ------------------------------------------------------------------

WORKER_FIELDS = ("host", "port", "capabilities", "max_accounts", "version", "metadata")
PROXY_FIELDS = ("name", "server", "protocol", "username", "status")
CONFIG_FIELDS = (
    "command", "args", "env", "proxy_id", "max_accounts", "auto_start", "auto_restart",
)  # fmt: skip

STATES = {
    WorkerStatus.CONNECTED: EventKind.WORKER_CONNECTED,
    WorkerStatus.DISCONNECTED: EventKind.WORKER_DISCONNECTED,
    WorkerStatus.OFFLINE: EventKind.WORKER_OFFLINE,
}


def tell_worker(before: Worker | None, after: Worker | None, why: Reason) -> Iterator[Event]:
    """Yield the events of one worker; its heartbeats are none."""
    known = after or before
    assert known is not None, "a changed worker has a record before or after"
    if before is None:
        shown = {"host": known.host, "port": known.port, "version": known.version}
        yield Event(EventKind.WORKER_ADDED, worker_id=known.id, params=shown)
    if after is None:
        yield Event(EventKind.WORKER_REMOVED, worker_id=known.id)
        return
    if before is not None:
        edited = Event(EventKind.WORKER_EDITED, worker_id=known.id)
        yield from _tell_edits(edited, before, after, WORKER_FIELDS)
    if before is None or before.status is not after.status:
        reason = why.get(("workers", known.id))
        yield Event(STATES[after.status], worker_id=known.id, reason=reason)
    if before is not None:
        yield from _tell_drain(before, after, why)


_read_drain = attrgetter("drain_since", "drain_deadline", "drain_reason")


def _tell_drain(before: Worker, after: Worker, why: Reason) -> Iterator[Event]:
    """Yield that a worker is taken out of service, may be stopped, or is in service again."""
    if _read_drain(before) != _read_drain(after):
        if after.drain_since is None:
            reason, moved = why.get(("drains", after.id)), {"moved": before.drain_moved}
            yield Event(EventKind.DRAIN_ENDED, worker_id=after.id, reason=reason, params=moved)
        else:
            shown = {"deadline_at": after.drain_deadline, "reason": after.drain_reason}
            yield Event(EventKind.DRAIN_BEGUN, worker_id=after.id, params=shown)
    if after.drain_done and not before.drain_done:
        yield Event(EventKind.DRAINED, worker_id=after.id, params={"moved": after.drain_moved})


def tell_maintenance(wanted: tuple[int, str | None] | None) -> Event:
    """Return that a maintenance has ended (None), or has begun or another end and reason."""
    if wanted is None:
        return Event(EventKind.MAINTENANCE_ENDED)
    deadline_at, reason = wanted
    shown = {"deadline_at": deadline_at, "reason": reason}
    return Event(EventKind.MAINTENANCE_BEGUN, params=shown)


def tell_proxy(before: Proxy | None, after: Proxy | None, kept: Kept) -> Iterator[Event]:
    """Yield the events of one proxy."""
    known = after or before
    assert known is not None, "a changed proxy has a record before or after"
    if before is None or after is None:
        kind = EventKind.PROXY_ADDED if before is None else EventKind.PROXY_REMOVED
        yield Event(kind, target=known.id, params={"name": known.name})
    else:
        edited = Event(EventKind.PROXY_EDITED, target=known.id)
        yield from _tell_edits(edited, before, after, PROXY_FIELDS, more=kept)


def tell_config(before: WorkerConfig | None, after: WorkerConfig | None) -> Iterator[Event]:
    """Yield the events of one worker's process configuration."""
    known = after or before
    assert known is not None, "a changed configuration has a record before or after"
    if before is None or after is None:
        kind = EventKind.CONFIG_ADDED if before is None else EventKind.CONFIG_REMOVED
        yield Event(kind, worker_id=known.worker_id)
    else:
        edited = Event(EventKind.CONFIG_EDITED, worker_id=known.worker_id)
        yield from _tell_edits(edited, before, after, CONFIG_FIELDS)


def _tell_edits(
    told: Event, before: Any, after: Any, fields: Sequence[str], *, more: Kept = ()
) -> Iterator[Event]:
    """Yield `told` with the fields that differ: their names, because a value may be a secret."""
    edited = [field for field in fields if getattr(before, field) != getattr(after, field)]
    if edited or more:
        yield replace(told, params={"fields": [*edited, *more]})


# -- reading --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Span:
    """The kinds of event that begin a gap, and those that end it."""

    opens: frozenset[str]
    closes: frozenset[str]

    @property
    def kinds(self) -> list[str]:
        """Return all of them."""
        return sorted(self.opens | self.closes)


UNWATCHED = Span(
    frozenset({EventKind.ACCOUNT_ADDED, EventKind.REVOKED}),
    frozenset({EventKind.ASSIGNED, EventKind.ACCOUNT_REMOVED}),
)
"""Times without an owner."""

ABSENT = Span(
    frozenset({EventKind.WORKER_DISCONNECTED, EventKind.WORKER_OFFLINE}),
    frozenset({EventKind.WORKER_CONNECTED, EventKind.WORKER_REMOVED}),
)
"""Times of a worker without a connection."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in milliseconds; `until` is None if it lasts."""

    since: int
    until: int | None
    reason: str | None


def find_gaps(events: Iterable[Event], span: Span, after: Event | None) -> list[Gap]:
    """Return the gaps that begin in `events`, which are in order, the oldest first.

    `after` is the first event of the span behind them, which may end the last gap. An event that
    begins a gap within a gap begins another: a worker is disconnected, then offline.
    """
    turns = [event for event in events if event.kind in span.opens | span.closes]
    gaps: list[Gap] = []
    for number, event in enumerate(turns):
        if event.kind not in span.opens:
            continue
        end = turns[number + 1] if number + 1 < len(turns) else after
        if end is None or end.at_ms != event.at_ms:
            reason = event.reason or (event.kind if event.kind != EventKind.REVOKED else None)
            gaps.append(Gap(event.at_ms, end.at_ms if end is not None else None, reason))
    return gaps
