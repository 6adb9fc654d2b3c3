"""Stores each detected message once, and notifies people of new ones in the same transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from master.decisions.intake import believe_time, drop_repeats, explain_belief
from master.decisions.notification import announce_message
from master.decisions.retention import find_cutoff
from master.decisions.schedule import portion
from master.errors import Invalid, NotRegistered, NotYours, Refusal, UnknownAccount
from master.model import Direction, JsonObject, Message
from master.operations.edits import Compared, store_differing
from master.operations.notifications import notify
from master.protocol.budgets import MOST_NOTES
from master.protocol.detected import CommentItem, DirectMessageItem, MessagesDetected, read_item
from master.store import messages as message_rows
from master.store.holders import ANYBODY, find_former_holders, remove_old_holders
from master.tallies import NONE, Key, Numbers, add
from master.turn import Bulk, Caller, Turn

TELLING = frozenset({"author_id", "author", "sender_id", "sender", "post_id"})
"""Fields that tell conversations apart."""

ONE_READ, ONE_UNREAD = (1, 0), (1, 1)

AT_ONCE = 500
"""Messages processed in one stretch; heartbeats must not wait for the largest report."""


async def _keep_detected(batch: Sequence[tuple[MessagesDetected, Caller]], turn: Turn) -> list[Any]:
    """Store comments or direct messages that a worker has detected, each once.

    All queued reports are stored at once, with one reply or refusal per report.
    Reports are facts: they are accepted also for an account that has changed owners since, and from
    a returning worker before it registers again if its token names it; never from a worker that has
    not owned the account. An invalid item is refused alone, and the others are stored.
    """
    replies: list[Any] = []
    found: list[list[Message]] = []
    unsure = set[str]()
    reporters = [_identify(caller, turn) for _, caller in batch]
    former = await _find_former(batch, reporters, turn)
    for (event, _), worker_id in zip(batch, reporters, strict=True):
        messages: list[Message] = []
        details: list[JsonObject] = []
        notes: list[JsonObject] = list(event.notes)
        try:
            reporter = require_holder(event, worker_id, former, turn)
        except Refusal as refusal:
            replies.append(refusal)
        else:
            messages, details = await _read_items(event, reporter, turn, notes, unsure)
            replies.append(
                _refuse_whole(details) if not messages else {"details": details, "notes": notes}
            )
        found.append(messages)
    compared = await _store(found, turn, unsure)
    new_ids = {message.id for message in compared.new}
    for position, messages in enumerate(found):
        if messages:
            inserted = sum(message.id in new_ids for message in messages)
            counts: JsonObject = {"inserted": inserted, "duplicates": len(messages) - inserted}
            if edited := sum(message.id in compared.edited for message in messages):
                counts["edited"] = edited
            details, notes = replies[position]["details"], replies[position]["notes"]
            counts |= {"refused": len(details), "details": details} if details else {}
            replies[position] = counts | ({"notes": notes} if notes else {})
    _tell_people(compared, turn)
    successful = {name for name, some in zip(reporters, found, strict=True) if name and some}
    turn.after_commit(lambda: turn.sessions.note_success(successful, turn.monotonic))
    return replies


async def _store(found: Sequence[Sequence[Message]], turn: Turn, unsure: set[str]) -> Compared:
    """Store new messages and edits; return them. `unsure`: ids of messages that edit no other."""
    kept, differing = drop_repeats(message for some in found for message in some)
    new: list[Message] = []
    for part in portion(kept, AT_ONCE):
        more, others = await message_rows.keep_messages(turn.connection, part)
        new += more
        differing += others
    compared = await store_differing(differing, turn, unsure)
    compared.new[:0] = new
    tallied: dict[Key, Numbers] = {}
    for message in compared.new:
        key = message.account_id, message.kind
        tallied[key] = add(tallied.get(key, NONE), ONE_READ if message.is_read else ONE_UNREAD)
    for key, numbers in tallied.items():
        turn.draft.tally(key, numbers)
    if compared.new:
        turn.draft.count_stored(len(compared.new), turn.now)
    turn.draft.is_told |= bool(compared.edited)
    return compared


def _identify(caller: Caller, turn: Turn) -> str | None:
    """Return the reporting worker: the one its socket speaks for, else the one its token names."""
    return turn.draft.speaker_of(caller.sid) or (caller.name if caller.is_named_worker else None)


async def _find_former(
    batch: Sequence[tuple[MessagesDetected, Caller]], reporters: Sequence[str | None], turn: Turn
) -> set[tuple[str, str]]:
    """Return (account, worker) of recent former owners of the reported accounts.

    Only accounts reported by a worker that does not own them are looked up.
    """
    accounts = turn.draft.accounts
    others = {
        event.account_id
        for (event, _), reporter in zip(batch, reporters, strict=True)
        if (account := accounts.get(event.account_id)) is not None
        and account.assigned_worker_id != reporter
    }
    if not others:
        return set()
    since = find_cutoff(turn.now, turn.settings.late_reports_days)
    return await find_former_holders(turn.connection, others, since)


def require_holder(
    event: MessagesDetected, reporter: str | None, former: set[tuple[str, str]], turn: Turn
) -> str:
    """Return the reporting worker, which owns the account or owned it lately.

    Errors: UnknownAccount; NotRegistered if the reporter is unknown; NotYours.
    """
    account = turn.draft.accounts.get(event.account_id)
    if account is None:
        raise UnknownAccount
    if reporter is None:
        raise NotRegistered
    if reporter != account.assigned_worker_id and former.isdisjoint(
        {(account.id, reporter), (account.id, ANYBODY)}
    ):
        raise NotYours("This worker has not owned this account lately; its report is refused.")
    return reporter


keep_detected = Bulk(_keep_detected, weigh=lambda event: len(event.messages))


async def forget_former(event: None, turn: Turn) -> int:
    """Remove former owners whose reports are no longer accepted for their age; return how many."""
    before = find_cutoff(turn.now, turn.settings.late_reports_days)
    removed = await remove_old_holders(turn.connection, before, AT_ONCE)
    if removed == AT_ONCE:
        turn.go_on(forget_former)
    return removed


async def _read_items(
    event: MessagesDetected,
    reporter: str,
    turn: Turn,
    notes: list[JsonObject],
    unsure: set[str],
) -> tuple[list[Message], list[JsonObject]]:
    """Return valid items as messages, and `{index, code, message, details}` per invalid item.

    What was cut from valid items is noted as `{index, field, message}`. A message whose person or
    post was left out is `unsure`.
    """
    messages, details = [], []
    for index, item in enumerate(event.messages):
        if index % AT_ONCE == AT_ONCE - 1:
            await asyncio.sleep(0)
        try:
            fact = read_item(event.type, item)
            if isinstance(fact, Refusal):
                raise fact
        except Refusal as refusal:
            details.append({"index": index} | refusal.to_wire())
            continue
        times, replaced = _believe_times(fact, turn.at)
        message = _read_item(event, fact, times, reporter, turn)
        messages.append(message)
        if said := [*fact.notes, *replaced]:
            notes += [{"index": index, **one} for one in said[: MOST_NOTES - len(notes)]]
            if any(note["field"] in TELLING for note in fact.notes):
                unsure.add(message.id)
    return messages, details


def _believe_times(
    item: CommentItem | DirectMessageItem, now: int
) -> tuple[dict[str, Any], list[JsonObject]]:
    """Return the times of an item as they are stored, and a note for each that was replaced."""
    times: dict[str, Any] = {}
    notes: list[JsonObject] = []
    for name in ("detected_at", "created_at"):
        reported = getattr(item, name)
        times[name] = believe_time(reported, now)
        if (why := explain_belief(reported, times[name])) is not None:
            notes.append({"field": name, "message": why})
    return times, notes


def _read_item(
    event: MessagesDetected,
    item: CommentItem | DirectMessageItem,
    times: dict[str, Any],
    reporter: str,
    turn: Turn,
) -> Message:
    """Return an item of a report as a message, with the times that are believed."""
    if isinstance(item, CommentItem):
        comment = item
        return Message(
            id=turn.new_id(),
            account_id=event.account_id,
            kind=event.type,
            platform_id=comment.platform_comment_id,
            content=comment.content,
            content_type=comment.content_type,
            author_name=comment.author_name,
            author_id=comment.author_id,
            post_id=comment.post_id,
            post_title=comment.post_title,
            direction=None,
            is_read=False,
            **times,
            reported_by=reporter,
        )
    direct = item
    return Message(
        id=turn.new_id(),
        account_id=event.account_id,
        kind=event.type,
        platform_id=direct.platform_message_id,
        content=direct.content,
        content_type=direct.content_type,
        author_name=direct.sender_name,
        author_id=direct.sender_id,
        post_id=None,
        post_title=None,
        direction=direct.direction,
        is_read=direct.direction is Direction.OUTBOUND,
        **times,
        reported_by=reporter,
    )


def _refuse_whole(details: list[JsonObject]) -> Invalid:
    return Invalid("None of these messages can be stored.", details=details)


def _tell_people(compared: Compared, turn: Turn) -> None:
    """Create one notification per new message and per edit of an unread one.

    Our own answers ring for no person.
    """
    messages = {one.id: one for one in (*compared.new, *compared.edited.values())}
    told = [
        message
        for message in messages.values()
        if not message.is_read and message.direction is not Direction.OUTBOUND
    ]
    if told:
        first = turn.draft.allocate_seqs(len(told))
        notify(
            turn,
            [
                announce_message(message, turn.new_id(), first + step, turn.now)
                for step, message in enumerate(told)
            ],
        )
