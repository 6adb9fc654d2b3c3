"""The messages that workers detect: comments and direct messages, a report of many at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AliasChoices, Field

from master.errors import Refusal
from master.model import Direction, MessageKind
from master.protocol.budgets import cut_text, drop_text
from master.protocol.decoding import decode
from master.protocol.facts import (
    AnyDirection,
    AnyId,
    AnyKind,
    AnyName,
    AnyText,
    name_content,
    spread_person,
)
from master.protocol.wire import (
    MAX_ITEMS,
    MAX_TEXT,
    MAX_TITLE,
    SHORT,
    Fact,
    Id,
    Payload,
    Seconds,
    ShortText,
)

Called = Annotated[ShortText, cut_text(SHORT), AnyName, AnyText]
KnownId = Annotated[Annotated[str, Field(strict=True)] | None, drop_text(SHORT), AnyId]
LongText = Annotated[str, cut_text(MAX_TEXT), AnyText]
Title = Annotated[str, cut_text(MAX_TITLE), AnyText]


class CommentItem(Fact):
    """One detected comment."""

    identity: ClassVar[frozenset[str]] = frozenset({"platform_comment_id"})

    platform_comment_id: Id = Field(validation_alias=AliasChoices("platform_comment_id", "id"))
    content: LongText | None = None
    content_type: Called | None = None
    author_name: Called | None = None
    author_id: KnownId = None
    post_id: KnownId = None
    post_title: Title | None = None
    detected_at: Seconds | None = None
    created_at: Seconds | None = None


class DirectMessageItem(Fact):
    """One detected direct message."""

    identity: ClassVar[frozenset[str]] = frozenset({"platform_message_id"})

    platform_message_id: Id = Field(validation_alias=AliasChoices("platform_message_id", "id"))
    content: LongText | None = None
    content_type: Called | None = None
    sender_name: Called | None = None
    sender_id: KnownId = None
    direction: Annotated[Direction, AnyDirection] = Direction.INBOUND
    detected_at: Seconds | None = None
    created_at: Seconds | None = None


class MessagesDetected(Payload):
    """Messages that a worker detected; each is decoded alone, so that a bad one loses no other."""

    largest: ClassVar[int] = 7 * 1024 * 1024
    type: Annotated[MessageKind, AnyKind]
    account_id: Id
    messages: Annotated[list[Any], Field(min_length=1, max_length=MAX_ITEMS)]
    """Each item is raw, decoded, or replaced by its refusal."""

    def unpack(self) -> Iterator[None]:
        """Decode each item where it stands; the raw items are dropped."""
        for index, item in enumerate(self.messages):
            self.messages[index] = read_item(self.type, item)
            if index % PORTION == PORTION - 1:
                yield


PORTION = 250
"""Items decoded per step."""


def read_item(kind: MessageKind, item: Any) -> CommentItem | DirectMessageItem | Refusal:
    """Return a report's item decoded, or its refusal; a decoded item is returned unchanged."""
    if isinstance(item, (CommentItem, DirectMessageItem, Refusal)):
        return item
    try:
        return decode(ITEMS[kind], spread_person(name_content(item), *PEOPLE[kind]))
    except Refusal as refusal:
        return refusal


PEOPLE: Mapping[MessageKind, tuple[str, str, str]] = {
    MessageKind.COMMENT: ("author", "author_name", "author_id"),
    MessageKind.DIRECT_MESSAGE: ("sender", "sender_name", "sender_id"),
}
"""The object that some workers send for a person -> the fields of its name and its id."""

ITEMS: Mapping[MessageKind, type[CommentItem | DirectMessageItem]] = {
    MessageKind.COMMENT: CommentItem,
    MessageKind.DIRECT_MESSAGE: DirectMessageItem,
}
