"""The history as people read it: timelines of accounts and workers, and the audit."""

from __future__ import annotations

from master.decisions.history import ABSENT, REFUSED, UNWATCHED, Event, Span, find_gaps
from master.decisions.retention import find_cutoff
from master.errors import Refusal, UnknownAccount, UnknownWorker
from master.protocol.history import ShownAudit, ShownEvent, ShownGap, ShownTimeline
from master.protocol.http import AuditQuery, TimelineQuery
from master.store.events import find_next, list_audit, list_history, remove_old_events
from master.store.rows import ROWS
from master.turn import Turn


async def show_account_timeline(event: TimelineQuery, turn: Turn) -> ShownTimeline:
    """Return what happened to an account, also a removed one, and when no worker watched it."""
    if turn.caller.accounts is not None and event.id not in turn.caller.accounts:
        raise UnknownAccount
    is_known = turn.draft.accounts.get(event.id) is not None
    return await _show(event, turn, "account_id", UNWATCHED, None if is_known else UnknownAccount())


async def show_worker_timeline(event: TimelineQuery, turn: Turn) -> ShownTimeline:
    """Return what happened to a worker, also a removed one, and when it was not connected."""
    is_known = turn.draft.workers.get(event.id) is not None
    return await _show(event, turn, "worker_id", ABSENT, None if is_known else UnknownWorker())


async def _show(
    event: TimelineQuery, turn: Turn, column: str, span: Span, unknown: Refusal | None
) -> ShownTimeline:
    found = await list_history(
        turn.connection, column, event.id, before=event.before, limit=event.limit + 1
    )
    if unknown is not None and all(one.kind == REFUSED for one in found):
        raise unknown  # nothing of that name ever was
    page, before = _cut(found, event.limit)
    after = None
    if event.before is not None and page:
        after = await find_next(turn.connection, column, event.id, span.kinds, page[0].seq)
    gaps = find_gaps(reversed(page), span, after)
    shown: list[ShownGap] = [
        {"from": gap.since, "to": gap.until, "reason": gap.reason} for gap in reversed(gaps)
    ]
    return {"items": [_render_event(one) for one in page], "gaps": shown, "before": before}


async def show_audit(event: AuditQuery, turn: Turn) -> ShownAudit:
    """List the commands of people and what they changed, refused ones included."""
    found = await list_audit(
        turn.connection,
        by=event.by,
        action=event.action,
        target=event.target,
        before=event.before,
        limit=event.limit + 1,
    )
    page, before = _cut(found, event.limit)
    return {"items": [_render_event(one) for one in page], "before": before}


def _cut(found: list[Event], limit: int) -> tuple[list[Event], int | None]:
    """Return the page of events, of which one more was read, and where the next one begins."""
    page = found[:limit]
    return page, page[-1].seq if len(found) > limit else None


def _render_event(event: Event) -> ShownEvent:
    params = dict(event.params or {})
    scope = params.pop("scope", None)
    return {
        "seq": event.seq,
        "at_ms": event.at_ms,
        "kind": event.kind,
        "by": {"kind": event.by_kind, "name": event.by_name, "scope": scope},
        "account_id": event.account_id,
        "worker_id": event.worker_id,
        "target": event.target,
        "epoch": event.epoch,
        "reason": event.reason,
        "params": params,
        "request_id": event.request_id,
    }


async def forget_events(event: int | None, turn: Turn) -> int:
    """Remove old events, a portion per turn, from the number `event` on; return how many."""
    settings = turn.settings
    cutoff = find_cutoff(turn.now, settings.retention_events_days)
    people = find_cutoff(turn.now, settings.retention_audit_days)
    removed, last = await remove_old_events(
        turn.connection, event or 0, cutoff * 1000, people * 1000, ROWS
    )
    if last is not None:
        turn.go_on(forget_events, last)
    return removed
