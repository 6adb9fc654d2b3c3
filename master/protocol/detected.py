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
    AnyItems,
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

    @classmethod
    def prepare(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Return an item in which an object `author` is a name and an id."""
        return spread_person(name_content(data), "author", "author_name", "author_id")


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

    @classmethod
    def prepare(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Return an item in which an object `sender` is a name and an id."""
        return spread_person(name_content(data), "sender", "sender_name", "sender_id")


class MessagesDetected(Fact):
    """Messages that a worker detected; each is decoded alone, so that a bad one loses no other."""

    identity: ClassVar[frozenset[str]] = frozenset({"type", "account_id", "messages"})
    parts: ClassVar[tuple[type[Payload], ...]] = (CommentItem, DirectMessageItem)
    largest: ClassVar[int] = 7 * 1024 * 1024
    type: Annotated[MessageKind, AnyKind]
    account_id: Id
    messages: Annotated[list[Any], Field(min_length=1, max_length=MAX_ITEMS), AnyItems]
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
        return decode(ITEMS[kind], item)
    except Refusal as refusal:
        return refusal


ITEMS: Mapping[MessageKind, type[CommentItem | DirectMessageItem]] = {
    MessageKind.COMMENT: CommentItem,
    MessageKind.DIRECT_MESSAGE: DirectMessageItem,
}
