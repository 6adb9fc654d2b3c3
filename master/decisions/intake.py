"""Which of the reported messages are told apart, before the database is asked."""

from __future__ import annotations

from collections.abc import Iterable

from master.model import Message, MessageKind


def drop_repeats(messages: Iterable[Message]) -> list[Message]:
    """Return the messages without later repeats of the same (account, kind, platform id); text and time never count."""
    seen: set[tuple[str, MessageKind, str]] = set()
    kept = []
    for message in messages:
        key = (message.account_id, message.kind, message.platform_id)
        if key not in seen:
            seen.add(key)
            kept.append(message)
    return kept
