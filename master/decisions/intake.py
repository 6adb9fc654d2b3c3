"""Intake of reports: which messages are repeats, and which reported times are accepted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import StrEnum
from operator import attrgetter

from master.model import Message, MessageKind
from master.record import change

SAID = ("content", "author_id", "post_id")
"""Fields compared between two messages with the same id; a difference is examined further."""

EARLIEST = 946_684_800
"""The beginning of 2000 (Unix seconds): no watched message is older; earlier times are raised."""

AHEAD_S = 60
"""Seconds by which a peer's clock may be ahead without a note."""

_read_said = attrgetter(*SAID)


class Relation(StrEnum):
    """The relation of a reported message to a stored one with the same id."""

    SAME = "same"
    EDITED = "edited"
    """The same message with another text."""
    OTHER = "other"
    """A message of another conversation: some platforms number each conversation on its own."""


def compare(stored: Message, reported: Message) -> Relation:
    """Return what a reported message is to a stored one with its account, kind and platform id.

    Another author or another post is another conversation; an unknown one proves nothing. A text
    from before an edit is a late repeat.
    """
    for known, new in (
        (stored.author_id, reported.author_id),
        (stored.post_id, reported.post_id),
    ):
        if known is not None and new is not None and known != new:
            return Relation.OTHER
    if reported.content in (None, stored.content, stored.earlier_content):
        return Relation.SAME
    return Relation.EDITED


def edit(stored: Message, reported: Message, now: int) -> Message:
    """Return a stored message with the text of its edit; the first text stays beside it."""
    return change(
        stored,
        content=reported.content,
        content_type=reported.content_type,
        edited_at=now,
        earlier_content=stored.content if stored.edited_at is None else stored.earlier_content,
    )


def name_variant(message: Message, *, is_unsure: bool = False) -> str:
    """Return the `variant` of a message whose id a message of another conversation has.

    If its person or post was left out, its text tells it apart.
    """
    known = f"{message.author_id or ''} {message.post_id or ''}"
    if not is_unsure:
        return known
    return f"{known} {hashlib.sha256((message.content or '').encode()).hexdigest()[:16]}"


def drop_repeats(messages: Iterable[Message]) -> tuple[list[Message], list[Message]]:
    """Return the messages without later repeats, and the repeats that differ from the first.

    A repeat has the same (account, kind, platform id); its text and time do not matter. It differs
    from the first if any field of `SAID` does.
    """
    seen: dict[tuple[str, MessageKind, str], Message] = {}
    kept, differing = [], []
    for message in messages:
        first = seen.setdefault((message.account_id, message.kind, message.platform_id), message)
        if first is message:
            kept.append(message)
        elif _read_said(first) != _read_said(message):
            differing.append(message)
    return kept, differing


def believe_time(reported: int | None, now: int) -> int:
    """Return a peer's time bounded to [EARLIEST, now]; `now` for None (Unix seconds).

    A message dated in the future would be the first of every list until that time.
    """
    return now if reported is None else max(EARLIEST, min(reported, now))


def explain_belief(reported: int | None, believed: int) -> str | None:
    """Return in words why a peer's time was replaced, or None if it was not.

    A clock that is a little ahead is usual, and needs no note on every report.
    """
    if reported is None or believed <= reported <= believed + AHEAD_S:
        return None
    return (
        "in the future: stored as now" if reported > believed else "stored as the beginning of 2000"
    )
