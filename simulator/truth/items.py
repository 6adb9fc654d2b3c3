"""A message as a platform lists it, with what must be stored of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from master.model import JsonObject, MessageKind


@dataclass(frozen=True, slots=True)
class Item:
    """One message as the platform lists it.

    `position` counts an account's messages and edits, `number` the messages of one kind. `truth` is
    the stored columns of the message as they must be; empty if nothing compares them.
    """

    position: int
    kind: MessageKind
    number: int
    payload: JsonObject
    truth: JsonObject = field(default_factory=dict)
    is_plain: bool = True
    """Whether the message is neither odd, edited nor one of two with the same id."""
