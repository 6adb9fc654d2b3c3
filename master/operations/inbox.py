"""People read messages: lists, and marks of what somebody has read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from master.errors import Conflict, Missing, UnknownAccount
from master.model import Message, MessageKind
from master.protocol.answers import (
    Listing,
    ShownComment,
    ShownDirectMessage,
    ShownMarks,
    ShownTold,
    UnreadOf,
)
from master.protocol.facts import find_kind
from master.protocol.http import MarkMessages, MessageById
from master.protocol.inbox import MessagesRead
from master.protocol.lists import CommentsQuery, DirectMessagesQuery
from master.store import messages as rows
from master.store.messages import Mark, Portion
from master.turn import ADMINS, Turn

AT_ONCE = 500
"""Messages of an account that one turn marks; the next turn goes on."""

LOOKED_AT = 5_000
"""Messages of an account that one turn looks at."""


async def list_comments(event: CommentsQuery, turn: Turn) -> Listing[ShownComment]:
    """List comments, the latest detected first."""
    return await _list(MessageKind.COMMENT, event, turn)


async def list_direct_messages(
    event: DirectMessagesQuery, turn: Turn
) -> Listing[ShownDirectMessage]:
    """List direct messages, the latest detected first."""
    return await _list(MessageKind.DIRECT_MESSAGE, event, turn)


async def _list(kind: MessageKind, event: CommentsQuery, turn: Turn) -> Listing[Any]:
    total = _find_total(kind, event, turn)
    found = await rows.list_messages(turn.connection, kind, event, total=total)
    return found.render(render_message)


def _find_total(kind: MessageKind, event: CommentsQuery, turn: Turn) -> int | None:
    """Return the number of messages asked for; None if memory does not know it."""
    known = {"account_id", "is_read"}
    filters = {name for name, value in event.list_filters().items() if value is not None}
    if event.q is not None or event.since is not None or filters - known:
        return None
    total, unread = (
        turn.draft.memory.farm.messages.count(kind)
        if event.account_id is None
        else turn.draft.count_messages((event.account_id, kind))
    )
    return {None: total, False: unread, True: total - unread}[event.is_read]


async def mark_read(event: MessageById, turn: Turn) -> ShownComment | ShownDirectMessage:
    """Mark a message as read; `kind` is comments or direct-messages."""
    return await _mark_one(event, turn, is_read=True)


async def mark_unread(event: MessageById, turn: Turn) -> ShownComment | ShownDirectMessage:
    """Mark a message as unread again; `kind` is comments or direct-messages."""
    return await _mark_one(event, turn, is_read=False)


async def _mark_one(
    event: MessageById, turn: Turn, *, is_read: bool
) -> ShownComment | ShownDirectMessage:
    kind = find_kind(event.kind)
    marks = await rows.find_marks(turn.connection, kind, [event.id]) if kind else []
    if kind is None or not marks:
        raise Missing("There is no such message.")
    if marks[0].is_outbound and not is_read:
        raise Conflict("The account itself has sent this message; it cannot be unread.")
    await _mark(turn, kind, marks, is_read=is_read, by=_name_caller(turn))
    message = await rows.find_message(turn.connection, kind, event.id)
    assert message is not None, "it was there in this transaction"
    return render_message(message)


async def mark_messages_read(event: MarkMessages, turn: Turn) -> ShownMarks:
    """Mark messages as read: up to 500 by their ids, or all of an account.

    Many messages of an account are marked in portions: the answer counts the first one, and
    `continues` is true.
    """
    return await _mark_many(event, turn, is_read=True)


async def mark_messages_unread(event: MarkMessages, turn: Turn) -> ShownMarks:
    """Mark messages as unread again: up to 500 by their ids, or all of an account.

    Messages that an account has sent itself stay read.
    """
    return await _mark_many(event, turn, is_read=False)


async def _mark_many(event: MarkMessages, turn: Turn, *, is_read: bool) -> ShownMarks:
    if event.account_id is not None:
        return await _begin_account(event, event.account_id, turn, is_read=is_read)
    changed, missing, accounts = 0, [], set[str]()
    wanted = {(one.kind, one.id): None for one in event.ids or ()}
    for kind in MessageKind:
        ids = [name for of, name in wanted if of is kind]
        marks = await rows.find_marks(turn.connection, kind, ids) if ids else []
        changed += await _mark(turn, kind, marks, is_read=is_read, by=_name_caller(turn))
        accounts |= {mark.account_id for mark in marks}
        known = {mark.id for mark in marks}
        missing += [{"kind": kind.value, "id": name} for name in ids if name not in known]
    return {
        "changed": changed,
        "unread": _count_unread(turn, accounts),
        "missing": missing,
        "continues": False,
    }


@dataclass(frozen=True, slots=True)
class AccountsMarks:
    """An account's messages that are still to be marked; the first kind begins at `behind`."""

    account_id: str
    kinds: tuple[MessageKind, ...]
    detected_before: int
    is_read: bool
    by: str
    behind: list[Any] | None = None


async def _begin_account(
    event: MarkMessages, account_id: str, turn: Turn, *, is_read: bool
) -> ShownMarks:
    if turn.draft.accounts.get(account_id) is None:
        raise UnknownAccount
    kinds = tuple(MessageKind) if event.kind is None else (event.kind,)
    before = turn.at + 1 if event.before is None else event.before
    marks = AccountsMarks(account_id, kinds, before, is_read, _name_caller(turn))
    changed, rest = await _mark_portion(marks, turn)
    return {
        "changed": changed,
        "unread": _count_unread(turn, [account_id]),
        "missing": [],
        "continues": rest is not None,
    }


async def go_on_marking(event: AccountsMarks, turn: Turn) -> int:
    """Mark the next portion of an account's messages; return how many have changed."""
    if turn.draft.accounts.get(event.account_id) is None:
        return 0
    changed, _ = await _mark_portion(event, turn)
    return changed


async def _mark_portion(event: AccountsMarks, turn: Turn) -> tuple[int, AccountsMarks | None]:
    """Mark a portion; return how many have changed, and what the next turn goes on with."""
    changed, behind, kinds = 0, event.behind, event.kinds
    while kinds and not changed:
        kind = kinds[0]
        if event.is_read and not turn.draft.count_messages((event.account_id, kind))[1]:
            kinds, behind = kinds[1:], None
            continue
        portion = Portion(event.account_id, event.detected_before, behind, LOOKED_AT, AT_ONCE)
        marks, behind = await rows.find_marks_of(
            turn.connection, kind, portion, is_read=not event.is_read
        )
        changed = await _mark(turn, kind, marks, is_read=event.is_read, by=event.by)
        if behind is not None:
            break
        kinds = kinds[1:]
    if not kinds:
        return changed, None
    rest = AccountsMarks(
        event.account_id, kinds, event.detected_before, event.is_read, event.by, behind
    )
    turn.go_on(go_on_marking, rest)
    return changed, rest


async def _mark(
    turn: Turn, kind: MessageKind, marks: Sequence[Mark], *, is_read: bool, by: str
) -> int:
    """Mark those that are not so yet, and tell administrators; return how many have changed."""
    differing = [
        one for one in marks if one.is_read is not is_read and (is_read or not one.is_outbound)
    ]
    if not differing:
        return 0
    await rows.mark_messages(turn.connection, kind, [one.id for one in differing], is_read=is_read)
    of_account: dict[str, list[str]] = {}
    for one in differing:
        of_account.setdefault(one.account_id, []).append(one.id)
    for account_id, ids in of_account.items():
        turn.draft.tally((account_id, kind), (0, -len(ids) if is_read else len(ids)))
        unread = turn.draft.count_unread(account_id)
        turn.tell(ADMINS, MessagesRead(account_id, kind, ids, is_read, by, unread, turn.rev))
    return len(differing)


def _count_unread(turn: Turn, account_ids: Iterable[str]) -> list[UnreadOf]:
    count = turn.draft.count_unread
    return [{"account_id": name, "unread": count(name)} for name in sorted(account_ids)]


def _name_caller(turn: Turn) -> str:
    return turn.caller.name or turn.caller.kind


def _render_told(message: Message) -> ShownTold:
    return {
        "content_type": message.content_type,
        "edited_at": message.edited_at,
        "earlier_content": message.earlier_content,
        "is_read": message.is_read,
    }


def render_message(message: Message) -> ShownComment | ShownDirectMessage:
    """Return a message under the column names of its table."""
    if message.kind is MessageKind.COMMENT:
        return {
            "id": message.id,
            "account_id": message.account_id,
            "platform_comment_id": message.platform_id,
            "content": message.content,
            "author_name": message.author_name,
            "author_id": message.author_id,
            "post_id": message.post_id,
            "post_title": message.post_title,
            **_render_told(message),
            "reported_by": message.reported_by,
            "detected_at": message.detected_at,
            "created_at": message.created_at,
        }
    return {
        "id": message.id,
        "account_id": message.account_id,
        "platform_message_id": message.platform_id,
        "content": message.content,
        "sender_name": message.author_name,
        "sender_id": message.author_id,
        "direction": message.direction,
        **_render_told(message),
        "reported_by": message.reported_by,
        "detected_at": message.detected_at,
        "created_at": message.created_at,
    }
