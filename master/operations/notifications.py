"""People's devices take notifications, say what they have seen, and are told what they are still owed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from master.errors import Missing, NotRegistered, NotYours
from master.memory import Memory
from master.model import Device, JsonObject, Notification, NotificationType, Priority, change
from master.protocol.admin import NotificationConfirmed, show_notification
from master.protocol.client import (
    SYNC_LIMIT,
    ConfirmNotification,
    DeviceHeartbeat,
    DeviceRegistered,
    RegisterDevice,
    SyncRequest,
    SyncResponse,
)
from master.protocol.http import Listing, NotificationsQuery, Request
from master.protocol.wire import decode
from master.store import notifications as rows
from master.turn import ADMINS, Caller, Turn, clients_of

ALARM_TITLE = "系统告警"


async def register_device(event: RegisterDevice, turn: Turn) -> JsonObject:
    """Take a device in and send what it is owed.

    A known device is owed what it has not confirmed; a new one what has reached nobody yet. More than 500 come by sync.
    """
    accounts, key = turn.caller.accounts, _name_device(turn.caller, event.device_id)
    known = turn.draft.devices.get(key)
    last_seq = await _find_last_place(turn)
    if known is None:
        unsent = await rows.find_first_unsent(turn.connection, accounts)
        seen = last_seq if unsent is None else unsent - 1
        device = Device(key, event.device_type, event.device_name, seen, turn.at, turn.at)
    else:
        device = change(
            known,
            device_type=event.device_type or known.device_type,
            device_name=event.device_name or known.device_name,
            last_seen_at=turn.at,
        )
    device = await _pass_confirmed(turn, device, last_seq)
    owed, total = await rows.find_owed(turn.connection, device, limit=SYNC_LIMIT, accounts=accounts)
    sid = turn.caller.sid
    assert sid is not None, "only sockets register devices"
    reply = DeviceRegistered(sid, event.device_id, turn.at, total, last_seq)
    turn.answer(reply)
    turn.join()
    _push(turn, owed)

    def remember() -> None:
        if sid in turn.sessions.clients:
            turn.sessions.clients[sid] = event.device_id

    turn.after_commit(remember)
    return reply.show()


async def _find_last_place(turn: Turn) -> int:
    """Return the newest place in the sequence, or the newest of the accounts that the caller may hear of."""
    accounts = turn.caller.accounts
    return turn.draft.last_seq if accounts is None else await rows.find_last_of(turn.connection, accounts)


def _name_device(caller: Caller, device_id: str) -> str:
    """Return what a device is kept under. Who sees some accounts only names no device but their own token's."""
    return device_id if caller.accounts is None else f"{caller.name}:{device_id}"


async def _pass_confirmed(turn: Turn, device: Device, newest: int) -> Device:
    """Let a device pass everything before the first that it is owed, or up to `newest` if it is owed nothing.

    Else a device that confirms one by one, and never syncs, would have all that it has ever seen looked through.
    """
    first = await rows.find_first_owed(turn.connection, device, turn.caller.accounts)
    return await _raise_seen(turn, device, newest if first is None else first - 1)


async def _raise_seen(turn: Turn, device: Device, seq: int) -> Device:
    """Note that a device needs nothing up to `seq` any more; what it has passed already stays passed."""
    if seq > device.seen_seq:
        device = change(device, seen_seq=seq, last_seen_at=turn.at)
        await rows.forget_confirmed(turn.connection, device.device_id, seq)
    turn.draft.devices.put(device)
    return device


def hear_device(sent: Any, caller: Caller, memory: Memory, now: float, monotonic: float) -> JsonObject:
    """Answer a device's sign of life. Errors: Refusal."""
    decode(DeviceHeartbeat, sent)
    return {"client_id": memory.sessions.clients.get(caller.sid or ""), "timestamp": int(now * 1000)}


async def confirm_notification(event: ConfirmNotification, turn: Turn) -> JsonObject:
    """Note that a device has shown a notification, and tell administrators the first time."""
    device_id, accounts = turn.sessions.clients.get(turn.caller.sid or ""), turn.caller.accounts
    if device_id is None:
        raise NotRegistered("Register this device first.")
    notification = await rows.find_notification(turn.connection, event.notification_id)
    if notification is None or (accounts is not None and notification.account_id not in accounts):
        raise Missing("There is no such notification.")
    key = _name_device(turn.caller, device_id)
    device = turn.draft.devices.get(key)
    passed = device is not None and notification.seq <= device.seen_seq
    new = not passed and await rows.confirm_delivery(turn.connection, key, notification.id, turn.at)
    reply = NotificationConfirmed(notification.id, device_id, turn.at)
    if new:
        if not notification.is_sent:
            await rows.mark_sent(turn.connection, [notification.id], turn.at)
        if device is not None:
            await _pass_confirmed(turn, device, notification.seq)
        turn.tell(ADMINS, reply)
    return reply.show()


async def sync_device(event: SyncRequest, turn: Turn) -> JsonObject:
    """Give a device a part of the sequence; `after_seq` also says that it holds everything up to there.

    A place that was never given proves nothing: an older file has come back. The device gets what it has not passed.
    """
    accounts = turn.caller.accounts
    registered = turn.sessions.clients.get(turn.caller.sid or "")
    if registered not in (None, event.device_id):
        raise NotYours("This connection speaks for another device.")
    device = turn.draft.devices.get(_name_device(turn.caller, event.device_id))
    seen, newest = device.seen_seq if device is not None else 0, await _find_last_place(turn)
    after = event.after_seq
    if after is not None and after > max(seen, newest):
        after = seen
    reached = min(after or 0, newest)
    if device is not None and reached > device.seen_seq:
        await rows.mark_passed(turn.connection, device.seen_seq, reached, turn.at, accounts)
        await _raise_seen(turn, device, reached)
    found, total = await rows.find_since(
        turn.connection,
        after_seq=after,
        since=event.since_timestamp,
        limit=event.limit,
        offset=event.offset,
        accounts=accounts,
    )
    reply = SyncResponse(
        device_id=event.device_id,
        notifications=[show_notification(one) for one in found],
        total_count=total,
        last_seq=found[-1].seq if found else reached,
        has_more=event.offset + len(found) < total,
    )
    turn.answer(reply)
    handed = dict.fromkeys(one.id for one in found if not one.is_sent)
    turn.after_commit(lambda: turn.sessions.delivered.update(handed))
    return reply.show()


def raise_alarm(turn: Turn, content: str, data: JsonObject) -> None:
    """Tell everybody, urgently, that Master itself may be in trouble."""
    alarm = Notification(
        id=turn.new_id(),
        seq=turn.draft.take_places(1),
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
    notify(turn, [alarm])


def notify(turn: Turn, notifications: Sequence[Notification]) -> None:
    """Store notifications and send them to administrators and devices."""
    turn.draft.notes += notifications
    for notification in notifications:
        shown = show_notification(notification)
        turn.tell(ADMINS, shown)
        turn.tell(clients_of(notification.account_id), shown)


async def greet_admin(event: None, turn: Turn) -> None:
    """Let an administrator who has just come hear what is told, and send what has reached nobody yet."""
    turn.join()
    _push(turn, await rows.list_unsent(turn.connection, limit=SYNC_LIMIT))


async def mark_sent(event: None, turn: Turn) -> int:
    """Note which notifications have been handed to at least one person since the last time.

    A crash before it costs no delivery: what is not marked is sent once more.
    """
    delivered = list(turn.sessions.delivered)
    await rows.mark_sent(turn.connection, delivered, turn.at)
    turn.after_commit(lambda: turn.sessions.forget_delivered(delivered))
    return len(delivered)


async def list_notifications(event: Request[NotificationsQuery, None], turn: Turn) -> Listing:
    """List notifications, the newest first."""
    query = event.query
    filters = {
        "type": query.type,
        "account_id": query.account_id,
        "is_sent": query.is_sent,
        "priority": query.priority,
    }
    found, total = await rows.list_notifications(turn.connection, filters, limit=query.limit, offset=query.offset)
    return Listing(
        [{**show_notification(one).show(), "is_sent": one.is_sent, "sent_at": one.sent_at} for one in found], total
    )


def _push(turn: Turn, notifications: Sequence[Notification]) -> None:
    for notification in notifications:
        turn.answer(show_notification(notification))
