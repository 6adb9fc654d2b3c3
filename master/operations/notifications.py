"""People's devices take notifications, say what they have seen, and are told what they are still owed."""

from __future__ import annotations

from collections.abc import Sequence

from master.errors import Missing, NotRegistered
from master.model import Device, JsonObject, Notification, NotificationType, Priority
from master.presence import Presence
from master.protocol.admin import show_notification
from master.protocol.client import SYNC_LIMIT, ConfirmNotification, DeviceHeartbeat, RegisterDevice, SyncRequest
from master.protocol.http import Listing, NotificationsQuery, Request
from master.store import notifications as rows
from master.turn import ADMINS, CLIENTS, Caller, Turn

ALARM_TITLE = "系统告警"


async def register_device(event: RegisterDevice, turn: Turn) -> JsonObject:
    """Take a device in and send what it is owed.

    A known device is owed what it has not confirmed; a new one what has reached nobody yet. More than 500 come by sync.
    """
    device = await rows.find_device(turn.connection, event.device_id)
    last_seq = await rows.find_last_place(turn.connection)
    if device is None:
        unsent = await rows.find_first_unsent(turn.connection)
        seen = last_seq if unsent is None else unsent - 1
        device = Device(event.device_id, event.device_type, event.device_name, seen, turn.at, turn.at)
    await rows.put_device(
        turn.connection,
        Device(device.device_id, event.device_type, event.device_name, device.seen_seq, turn.at, device.created_at),
    )
    owed, total = await rows.find_owed(turn.connection, device, limit=SYNC_LIMIT)
    sid = turn.caller.sid
    assert sid is not None, "only sockets register devices"
    reply = {
        "session_id": sid,
        "device_id": device.device_id,
        "connected_at": turn.at,
        "owed": total,
        "last_seq": last_seq,
    }
    turn.answer("client:register:success", reply)
    turn.join()
    _push(turn, owed)

    def remember() -> None:
        if sid in turn.presence.clients:
            turn.presence.clients[sid] = event.device_id

    turn.after_commit(remember)
    return reply


def hear_device(event: DeviceHeartbeat, caller: Caller, presence: Presence, now: float, monotonic: float) -> JsonObject:
    """Answer a device's sign of life."""
    return {"client_id": presence.clients.get(caller.sid or ""), "timestamp": int(now * 1000)}


async def confirm_notification(event: ConfirmNotification, turn: Turn) -> JsonObject:
    """Note that a device has shown a notification, and tell administrators the first time."""
    device_id = turn.presence.clients.get(turn.caller.sid or "")
    if device_id is None:
        raise NotRegistered("Register this device first.")
    notification = await rows.find_notification(turn.connection, event.notification_id)
    if notification is None:
        raise Missing("There is no such notification.")
    device = await rows.find_device(turn.connection, device_id)
    passed = device is not None and notification.seq <= device.seen_seq
    new = not passed and await rows.confirm_delivery(turn.connection, device_id, notification.id, turn.at)
    reply = {"notification_id": notification.id, "confirmed_by": device_id, "confirmed_at": turn.at}
    if new:
        await rows.mark_sent(turn.connection, [notification.id], turn.at)
        turn.tell(ADMINS, "notification:confirmed", reply)
    return reply


async def sync_device(event: SyncRequest, turn: Turn) -> JsonObject:
    """Give a device a part of the sequence; `after_seq` also says that it holds everything up to there."""
    reached = min(event.after_seq or 0, await rows.find_last_place(turn.connection))
    if event.after_seq is not None:
        await rows.raise_seen(turn.connection, event.device_id, reached, turn.at)
    found, total = await rows.find_since(
        turn.connection,
        after_seq=event.after_seq,
        since=event.since_timestamp,
        limit=event.limit,
        offset=event.offset,
    )
    reply = {
        "device_id": event.device_id,
        "notifications": [show_notification(one) for one in found],
        "total_count": total,
        "last_seq": found[-1].seq if found else reached,
        "has_more": event.offset + len(found) < total,
    }
    turn.answer("client:sync:response", reply)
    return reply


async def raise_alarm(turn: Turn, content: str, data: JsonObject) -> None:
    """Tell everybody, urgently, that Master itself may be in trouble."""
    alarm = Notification(
        id=turn.new_id(),
        seq=await rows.take_places(turn.connection, 1),
        type=NotificationType.SYSTEM,
        account_id=None,
        related_id=None,
        title=ALARM_TITLE,
        content=content,
        data=data,
        priority=Priority.URGENT,
        is_sent=False,
        sent_at=None,
        created_at=turn.at,
    )
    await rows.add_notifications(turn.connection, [alarm])
    tell_people(turn, [alarm])


def tell_people(turn: Turn, notifications: Sequence[Notification]) -> None:
    """Send notifications to administrators and devices."""
    for notification in notifications:
        shown = show_notification(notification)
        turn.tell(ADMINS, "notification:new", shown)
        turn.tell(CLIENTS, "notification:new", shown)


async def greet_admin(event: None, turn: Turn) -> None:
    """Let an administrator who has just come hear what is told, and send what has reached nobody yet."""
    turn.join()
    _push(turn, await rows.list_unsent(turn.connection, limit=SYNC_LIMIT))


async def mark_sent(event: None, turn: Turn) -> int:
    """Note which notifications have been handed to at least one person since the last time.

    A crash before it costs no delivery: what is not marked is sent once more.
    """
    delivered = list(turn.presence.delivered)
    await rows.mark_sent(turn.connection, delivered, turn.at)
    turn.after_commit(lambda: turn.presence.forget_delivered(delivered))
    return len(delivered)


async def list_notifications(event: Request[NotificationsQuery, None], turn: Turn) -> Listing:
    """List notifications, the newest first."""
    query = event.query
    filters = {
        "type": query.type.value if query.type else None,
        "account_id": query.account_id,
        "is_sent": query.is_sent,
        "priority": query.priority.value if query.priority else None,
    }
    found, total = await rows.list_notifications(turn.connection, filters, limit=query.limit, offset=query.offset)
    return Listing([{**show_notification(one), "is_sent": one.is_sent, "sent_at": one.sent_at} for one in found], total)


def _push(turn: Turn, notifications: Sequence[Notification]) -> None:
    for notification in notifications:
        turn.answer("notification:new", show_notification(notification))
