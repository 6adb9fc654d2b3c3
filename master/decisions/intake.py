"""What of a report counts: who may report, which messages are told apart, and which times are believed."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from master.model import Message, MessageKind

SAID = ("content", "author_id", "post_id", "direction")
"""What a message says: another one of the same id that says something else is no repetition of it."""

AHEAD_S = 3_600
"""A peer's clock may be so far ahead; what it says beyond that is not believed."""

EARLIEST = 946_684_800
"""The beginning of 2000: no message that anybody watches is older."""

_read_said = attrgetter(*SAID)


def drop_repeats(messages: Iterable[Message]) -> tuple[list[Message], int]:
    """Return the messages without later repeats of the same (account, kind, platform id); text and time never count.

    And how many of those repeats say something else than the first.
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
    """Return when something happened, as far as a peer is believed (Unix seconds); now, if it does not say."""
    return now if reported is None else max(EARLIEST, min(reported, now + AHEAD_S))
