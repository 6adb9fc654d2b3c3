"""Builds the notifications of new messages and of account states."""

from __future__ import annotations

from collections.abc import Mapping

from master.model import (
    Account,
    AccountStatus,
    LoginStatus,
    Message,
    MessageKind,
    Notification,
    NotificationType,
    Priority,
)

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


STATE_TITLE = "账号状态"
"""The title of a notification about an account's state."""

ENDING = "The cookies of {name} end in {left}; log it in again before."
STATES: Mapping[str, str] = {
    AccountStatus.ACTIVE: "{name} is active again.",
    AccountStatus.BANNED: "{name} is banned by its platform.",
    AccountStatus.RESTRICTED: "{name} is restricted by its platform.",
    AccountStatus.ERROR: "{name} does not work, says its worker.",
    LoginStatus.LOGGED_IN: "{name} is logged in again.",
    LoginStatus.LOGGED_OUT: "{name} was logged out by its platform; log it in again.",
    LoginStatus.EXPIRED: "The cookies of {name} are over; log it in again.",
    LoginStatus.NEEDS_VERIFICATION: "{name} must be verified by a person; log it in again.",
}


def announce_account(
    account: Account,
    notification_id: str,
    seq: int,
    now: float,
    priority: Priority,
    *,
    state: AccountStatus | LoginStatus | None,
) -> Notification:
    """Return the notification of an account's new `state`; None: its cookies end soon.

    `data` has the account's states, since when and why.
    """
    name = f"{account.platform} {account.account_name}"
    if state is None:
        left = (account.cookies_valid_until or 0) - int(now)
        words = ENDING.format(name=name, left=_say_duration(left))
    else:
        words = STATES[state].format(name=name)
    reason = f" ({account.state_reason})" if state is not None and account.state_reason else ""
    return Notification(
        id=notification_id,
        seq=seq,
        type=NotificationType.ACCOUNT_STATUS,
        account_id=account.id,
        related_id=account.id,
        title=STATE_TITLE,
        content=_cut(words + reason) or "",
        data={
            "account_id": account.id,
            "status": account.status,
            "login_status": account.login_status,
            "since": account.state_since,
            "reason": account.state_reason if state is not None else "cookies_end",
            "detail": _cut(account.state_detail) if state is not None else None,
            "cookies_valid_until": account.cookies_valid_until,
        },
        priority=priority,
        is_sent=False,
        sent_at=None,
        created_at=int(now),
    )


def _say_duration(seconds: int) -> str:
    hours, minutes = seconds // 3_600, seconds // 60
    return f"{hours} h" if hours else f"{max(1, minutes)} min"


def _cut(text: str | None) -> str | None:
    return None if text is None else text[:CONTENT_LIMIT]
