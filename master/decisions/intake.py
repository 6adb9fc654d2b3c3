"""Intake of reports: which messages are repeats, and which reported times are accepted."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from master.model import Message, MessageKind

SAID = ("content", "author_id", "post_id", "direction")
"""Fields compared between two messages with the same id; a difference counts as an alteration."""

EARLIEST = 946_684_800
"""The beginning of 2000 (Unix seconds): no watched message is older; earlier times are raised."""

_read_said = attrgetter(*SAID)


def drop_repeats(messages: Iterable[Message]) -> tuple[list[Message], int]:
    """Return the messages without later repeats, and how many repeats differ from the first.

    A repeat has the same (account, kind, platform id); its text and time do not matter. It differs
    from the first if any field of `SAID` does.
    """
    seen: dict[tuple[str, MessageKind, str], Message] = {}
    kept, altered = [], 0
    for message in messages:
        key = (message.account_id, message.kind, message.platform_id)
        first = seen.setdefault(key, message)
        if first is message:
            kept.append(message)
        elif _read_said(first) != _read_said(message):
            altered += 1
    return kept, altered


def believe_time(reported: int | None, now: int) -> int:
    """Return a peer's time bounded to [EARLIEST, now]; `now` for None (Unix seconds).

    A message dated in the future would be the first of every list until that time.
    """
    return now if reported is None else max(EARLIEST, min(reported, now))
