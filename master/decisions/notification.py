"""Builds the notification of a new message."""

from __future__ import annotations

from master.model import Message, MessageKind, Notification, NotificationType, Priority

TITLES = {MessageKind.COMMENT: "新评论", MessageKind.DIRECT_MESSAGE: "新私信"}
"""Titles from the source document."""

CONTENT_LIMIT = 500
"""Most characters of a text in a notification; the message keeps the whole text."""


def announce_message(message: Message, notification_id: str, seq: int, now: float) -> Notification:
    """Return the notification of a newly stored message, or of an edit (`edited_at` in `data`).

    `content` is the message's text, cut to 500 characters. `post_title` in `data` is cut as well,
    because every reader receives it.
    """
    data = {
        "message_id": message.id,
        "platform_id": message.platform_id,
        "account_id": message.account_id,
        "author_name": message.author_name,
        "author_id": message.author_id,
        "detected_at": message.detected_at,
    }
    if message.edited_at is not None:
        data["edited_at"] = message.edited_at
    if message.kind is MessageKind.COMMENT:
        data |= {"post_id": message.post_id, "post_title": _cut(message.post_title)}
    else:
        data |= {"direction": message.direction}
    return Notification(
        id=notification_id,
        seq=seq,
        type=NotificationType(message.kind),
        account_id=message.account_id,
        related_id=message.id,
        title=TITLES[message.kind],
        content=_cut(message.content) or "",
        data=data,
        priority=Priority.NORMAL,
        is_sent=False,
        sent_at=None,
        created_at=int(now),
    )


def _cut(text: str | None) -> str | None:
    return None if text is None else text[:CONTENT_LIMIT]
