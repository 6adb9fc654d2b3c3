"""Reports with the id of a stored message and other content: edits, or other conversations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import structlog

from master.decisions.intake import Relation, compare, edit, name_variant
from master.decisions.schedule import portion
from master.model import Message, MessageKind
from master.record import change
from master.store.messages import find_with_ids, keep_messages, store_edits
from master.turn import Turn

log = structlog.get_logger(__name__)

AT_ONCE = 50
"""Stored messages read at once: each may have 100,000 characters."""

SHOWN = 20
"""Most ids that one log line names."""


@dataclass(slots=True)
class Compared:
    """The outcome for messages that differ from stored ones.

    `new` are stored now, `edited` is the id of a report's message -> the stored one as it is now.
    """

    new: list[Message] = field(default_factory=list)
    edited: dict[str, Message] = field(default_factory=dict)


async def store_differing(differing: Sequence[Message], turn: Turn, unsure: set[str]) -> Compared:
    """Store edits of stored messages, and messages of other conversations with the same ids.

    `unsure` messages edit no other: their person or post was left out, because its id may have been
    rounded, so that another text may well be another person's.
    """
    compared = Compared()
    for kind in MessageKind:
        of_kind = [one for one in differing if one.kind is kind]
        for some in portion(of_kind, AT_ONCE):
            stored = await find_with_ids(turn.connection, kind, some)
            part = _judge(some, stored, turn.at, unsure)
            # several edits of one message: the last text counts
            last = {one.id: one for one in part.edited.values()}
            await store_edits(turn.connection, list(last.values()))
            new, _ = await keep_messages(turn.connection, part.new)
            compared.new += new
            compared.edited |= part.edited
    _note(compared, differing, turn)
    return compared


def _note(compared: Compared, differing: Sequence[Message], turn: Turn) -> None:
    """Count and log the messages that were not mere repeats."""
    others = {one.id for one in compared.new}
    told = [one for one in differing if one.id in compared.edited or one.id in others]
    if told:
        log.warning(
            "duplicates_differ",
            edited=sorted({one.id for one in compared.edited.values()})[:SHOWN],
            other=sorted(others)[:SHOWN],
            count=len(told),
            reported_by=sorted({str(one.reported_by) for one in told})[:SHOWN],
        )
        turn.after_commit(lambda: turn.draft.memory.count_altered(len(told)))


def _judge(
    reported: Iterable[Message], stored: Iterable[Message], now: int, unsure: set[str]
) -> Compared:
    """Return which reported messages are edits and which are new, in the order reported."""
    known: dict[tuple[str, str], list[Message]] = {}
    for message in stored:
        known.setdefault((message.account_id, message.platform_id), []).append(message)
    compared = Compared()
    for message in reported:
        alike = known.setdefault((message.account_id, message.platform_id), [])
        relations = [compare(one, message) for one in alike]
        if Relation.SAME in relations:
            continue
        if Relation.EDITED in relations and message.id not in unsure:
            index = relations.index(Relation.EDITED)
            alike[index] = compared.edited[message.id] = edit(alike[index], message, now)
        else:
            variant = name_variant(message, is_unsure=message.id in unsure) if alike else ""
            other = change(message, variant=variant)
            alike.append(other)
            compared.new.append(other)
    return compared
