"""The event to /admin that people have read messages, or want them back as unread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from master.model import MessageKind
from master.protocol.wire import Outbound


@dataclass(frozen=True, slots=True)
class MessagesRead(Outbound):
    """A person has marked messages of an account as read (or unread: `is_read` is false)."""

    event: ClassVar[str] = "message:read"
    account_id: str
    kind: MessageKind
    ids: list[str]
    is_read: bool
    by: str
    unread: int
    rev: int
