"""Devices receive notifications, confirm them, and fetch those that they are still owed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

from master.errors import Missing, NotRegistered, NotYours
from master.memory import Memory
from master.model import Device, JsonObject, Notification, NotificationType, Priority
from master.operations.names import require_device_name
from master.protocol.admin import NotificationConfirmed, render_notification
from master.protocol.answers import Listing, ShownNotification
from master.protocol.client import (
    SYNC_LIMIT,
    ConfirmNotification,
    DeviceHeartbeat,
    DeviceRegistered,
    RegisterDevice,
    SyncRequest,
    SyncResponse,
)
from master.protocol.decoding import decode
from master.protocol.lists import NotificationsQuery
from master.record import change
from master.store import notifications as rows
from master.turn import ADMINS, Caller, Onward, Turn, clients_of

ALARM_TITLE = "系统告警"

SEPARATOR = "\x1f"
"""Stands between a token's name and its device's id; no id contains a control character."""

PASSED_AT_ONCE = 1_000
"""Most notifications that one turn marks for a device, because other turns wait meanwhile."""

LOOKED_AHEAD = 100
"""Notifications that a confirmation searches for the first one still owed."""


@dataclass(frozen=True, slots=True)
class Introduced:
    """The result of the look for a registering device: all that it is owed, however old.

    `fresh` is the record to store if the device has none. `newest` is the newest sequence number
    that it may receive, `read_to` the number up to which the look searched, `seen` the number up to
    which it is owed nothing. `more` tells whether over 500 are owed.
    """

    event: RegisterDevice
    fresh: Device
    inherits: str | None
    owed: Sequence[Notification]
    more: bool
    newest: int
    read_to: int
    seen: int


async def look_up_device(event: RegisterDevice, turn: Turn) -> Onward:
    """Register a device and send it the notifications that it is owed.

    A known device is owed those it has not confirmed, a new one those that have reached no person
    yet. More than 500 follow by sync.
    """
    accounts, read_to, connection = turn.caller.accounts, turn.draft.last_seq, turn.connection
    key, newest = _name_device(turn.caller, event.device_id), await _find_last_seq(turn)
    known, inherits = turn.draft.devices.get(key), None
    if known is None:
        known = _find_nameless(turn, event.device_id)
        inherits = known.device_id if known is not None else None
    if known is None:
        unsent = await rows.find_first_unsent(connection, accounts)
        seen = newest if unsent is None else unsent - 1
        known = Device(key, event.device_type, event.device_name, seen, turn.at, turn.at)
    owed, more = await rows.find_owed(connection, known, limit=SYNC_LIMIT, accounts=accounts)
    if owed:
        read_to, newest = max(read_to, owed[-1].seq), max(newest, owed[-1].seq)
    seen = owed[0].seq - 1 if owed else newest
    fresh = change(known, device_id=key)
    return Onward(
        register_device, Introduced(event, fresh, inherits, owed, more, newest, read_to, seen)
    )


async def register_device(event: Introduced, turn: Turn) -> JsonObject:
    """Store a device, and push the notifications found by the look and any newer ones."""
    asked, sid, key = event.event, turn.caller.sid, event.fresh.device_id
    assert sid is not None, "only sockets register devices"
    if turn.draft.devices.get(key) is None:
        require_device_name(turn, key.removesuffix(asked.device_id))
        if event.inherits is not None:
            turn.go_on(copy_confirmed, (event.inherits, key))
    device = change(
        known := turn.draft.devices.get(key) or event.fresh,
        device_type=asked.device_type or known.device_type,
        device_name=asked.device_name or known.device_name,
        last_seen_at=turn.at,
    )
    device = await _pass(turn, Passage(key, event.seen, turn.caller.accounts), device)
    late, more = ([], True) if event.more else await _find_late(turn, device, event)
    owed = [*event.owed, *late][:SYNC_LIMIT]
    newest = (
        turn.draft.last_seq
        if turn.caller.accounts is None
        else max(event.newest, *(one.seq for one in late), 0)
    )
    reply = DeviceRegistered(sid, asked.device_id, turn.at, len(owed), newest, more or None)
    turn.answer(reply)
    turn.join()
    _push(turn, owed)

    def remember() -> None:
        if sid in turn.sessions.clients:
            turn.sessions.clients[sid] = asked.device_id

    turn.after_commit(remember)
    return reply.render()


async def _find_late(
    turn: Turn, device: Device, event: Introduced
) -> tuple[list[Notification], bool]:
    """Return what a device is owed since the look, and whether more exists than may be pushed."""
    newest = turn.draft.last_seq
    if newest <= event.read_to:
        return [], False
    end = await rows.find_end(turn.connection, event.read_to, newest, PASSED_AT_ONCE)
    room = SYNC_LIMIT - len(event.owed)
    late, more = await rows.find_owed(
        turn.connection, device, limit=room, accounts=turn.caller.accounts, after_seq=event.read_to
    )
    return late, more or end < newest


async def _find_last_seq(turn: Turn) -> int:
    """Return the last sequence number, counting only accounts that the caller may read."""
    accounts = turn.caller.accounts
    return (
        turn.draft.last_seq
        if accounts is None
        else await rows.find_last_of(turn.connection, accounts)
    )


def _name_device(caller: Caller, device_id: str) -> str:
    """Return a device's key, prefixed by its token's name: no other token can use the key."""
    return f"{caller.name}{SEPARATOR}{device_id}"


def _find_nameless(turn: Turn, device_id: str) -> Device | None:
    """Return a device's record from before keys named a token, or from when none was required.

    The record belongs to no token: any token with this device id starts where the record was, and
    does not change it.
    """
    caller = turn.caller
    former = device_id if caller.accounts is None else f"{caller.name}:{device_id}"
    return turn.draft.devices.get(f"{SEPARATOR}{former}")


async def copy_confirmed(event: tuple[str, str], turn: Turn) -> None:
    """Copy the confirmations of a former device key to a new one; `event` is (former, new)."""
    if turn.draft.devices.get(event[1]) is not None:
        await rows.copy_confirmed(turn.connection, *event, limit=PASSED_AT_ONCE)


@dataclass(frozen=True, slots=True)
class Passage:
    """A device needs no notification up to `seq` any more.

    `marks` tells whether those notifications have thereby reached a person.
    """

    key: str
    seq: int
    accounts: frozenset[str] | None
    marks: bool = False


async def pass_on(event: Passage, turn: Turn) -> None:
    """Advance a device by the next portion."""
    if (device := turn.draft.devices.get(event.key)) is not None:
        await _pass(turn, event, device)


async def _pass(turn: Turn, passage: Passage, device: Device) -> Device:
    """Advance a device to a sequence number, a portion per turn; it never goes back."""
    seen = device.seen_seq
    if passage.seq > seen:
        end = await rows.find_end(turn.connection, seen, passage.seq, PASSED_AT_ONCE)
        if passage.marks:
            await rows.mark_passed(turn.connection, seen, end, turn.at, passage.accounts)
        await rows.forget_confirmed(turn.connection, device.device_id, seen, end)
        device = change(device, seen_seq=end, last_seen_at=turn.at)
        if end < passage.seq:
            turn.go_on(pass_on, passage)
    turn.draft.devices.put(device)
    return device


async def _pass_confirmed(turn: Turn, device: Device, newest: int) -> None:
    """Advance a device to just before its first owed notification, or to `newest`.

    Only the next few notifications are searched. Without this, a device that confirms one by one
    and never syncs would have everything it has ever seen searched.
    """
    end = await rows.find_end(turn.connection, device.seen_seq, turn.draft.last_seq, LOOKED_AHEAD)
    first = await rows.find_first_owed(turn.connection, device, end, turn.caller.accounts)
    passed = min(end, newest) if first is None else first - 1
    await _pass(turn, Passage(device.device_id, passed, turn.caller.accounts), device)


def hear_device(
    sent: Any, caller: Caller, memory: Memory, now: float, monotonic: float
) -> JsonObject:
    """Answer a device's heartbeat. Errors: Refusal."""
    decode(DeviceHeartbeat, sent)
    return {
        "client_id": memory.sessions.clients.get(caller.sid or ""),
        "timestamp": int(now * 1000),
    }


async def confirm_notification(event: ConfirmNotification, turn: Turn) -> JsonObject:
    """Record that a device has displayed a notification; administrators are told the first time."""
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
    return reply.render()


@dataclass(frozen=True, slots=True)
class Synced:
    """A part of the sequence for a device, and how far its request advances it."""

    reply: SyncResponse
    passage: Passage
    handed: tuple[str, ...]


async def sync_device(event: SyncRequest, turn: Turn) -> JsonObject | Onward:
    """Send a device a part of the sequence; `after_seq` confirms everything up to there.

    Only the device registered on this socket is advanced by that; any other request just receives
    the part. A sequence number that was never issued proves nothing, because an older file was
    restored: the device then receives all that it has not passed.
    """
    accounts = turn.caller.accounts
    registered = turn.sessions.clients.get(turn.caller.sid or "")
    if registered not in (None, event.device_id):
        raise NotYours("This connection speaks for another device.")
    key = _name_device(turn.caller, event.device_id)
    device = turn.draft.devices.get(key)
    seen, newest = device.seen_seq if device is not None else 0, await _find_last_seq(turn)
    after = event.after_seq
    if after is not None and after > max(seen, newest):
        after = seen
    reached = min(after or 0, newest)
    found, more = await rows.find_since(
        turn.connection,
        after_seq=after,
        since=event.since_timestamp,
        limit=event.limit,
        offset=event.offset,
        accounts=accounts,
    )
    reply = SyncResponse(
        device_id=event.device_id,
        notifications=[render_notification(one, turn.rev) for one in found],
        total_count=event.offset + len(found) + more,
        last_seq=found[-1].seq if found else reached,
        has_more=more,
    )
    synced = Synced(
        reply,
        Passage(key, reached, accounts, marks=True),
        tuple(one.id for one in found if not one.is_sent),
    )
    if registered is not None and device is not None and reached > device.seen_seq:
        return Onward(finish_sync, synced)
    return _answer_sync(synced, turn)


async def finish_sync(event: Synced, turn: Turn) -> JsonObject:
    """Advance a device as its sync request confirms, and answer it."""
    await pass_on(event.passage, turn)
    return _answer_sync(event, turn)


def _answer_sync(synced: Synced, turn: Turn) -> JsonObject:
    turn.answer(synced.reply)
    handed = dict.fromkeys(synced.handed)
    turn.after_commit(lambda: turn.sessions.delivered.update(handed))
    return synced.reply.render()


def raise_alarm(
    turn: Turn, content: str, data: JsonObject, priority: Priority = Priority.URGENT
) -> None:
    """Send a notification of the system to everyone; an urgent one may mean that Master fails."""
    send_system_notification(turn, ALARM_TITLE, content, data, priority)


def send_system_notification(
    turn: Turn,
    title: str,
    content: str,
    data: JsonObject,
    priority: Priority,
    account_id: str | None = None,
) -> None:
    """Send a notification of the system, about one account or none, to everyone."""
    notification = Notification(
        id=turn.new_id(),
        seq=turn.draft.allocate_seqs(1),
        type=NotificationType.SYSTEM,
        account_id=account_id,
        related_id=account_id,
        title=title,
        content=content,
        data=data,
        priority=priority,
        is_sent=False,
        sent_at=None,
        created_at=turn.at,
    )
    notify(turn, [notification])


def notify(turn: Turn, notifications: Sequence[Notification]) -> None:
    """Store notifications and send them to administrators and devices."""
    for one in notifications:
        notification = _add_tags(turn, one)
        turn.draft.notes.append(notification)
        shown = render_notification(notification, turn.rev)
        turn.tell(ADMINS, shown)
        turn.tell(clients_of(notification.account_id), shown)


def _add_tags(turn: Turn, notification: Notification) -> Notification:
    """Return a notification with the tags of its account, if it has any, so that pages can sort."""
    account = turn.draft.accounts.get(notification.account_id or "")
    if account is None or not account.tags:
        return notification
    return change(notification, data={**notification.data, "tags": list(account.tags)})


async def greet_admin(event: None, turn: Turn) -> None:
    """Subscribe a new administrator, and send all notifications that have reached no person."""
    turn.join()
    _push(turn, await rows.list_unsent(turn.connection, limit=SYNC_LIMIT))


async def mark_sent(event: None, turn: Turn) -> int:
    """Mark notifications that have reached a person since the last run; return how many.

    A crash before it loses no delivery: unmarked notifications are sent once more.
    """
    delivered = list(islice(turn.sessions.delivered, PASSED_AT_ONCE))
    await rows.mark_sent(turn.connection, delivered, turn.at)
    turn.after_commit(lambda: turn.sessions.forget_delivered(delivered))
    if len(delivered) < len(turn.sessions.delivered):
        turn.go_on(mark_sent)
    return len(delivered)


async def list_notifications(event: NotificationsQuery, turn: Turn) -> Listing[ShownNotification]:
    """List notifications, the newest first."""
    return (await rows.list_notifications(turn.connection, event)).render(_render_row)


def _render_row(one: Notification) -> ShownNotification:
    shown = render_notification(one, 0).render()
    del shown["rev"]  # the answer has one for all rows
    return cast(ShownNotification, {**shown, "is_sent": one.is_sent, "sent_at": one.sent_at})


def _push(turn: Turn, notifications: Sequence[Notification]) -> None:
    for notification in notifications:
        turn.answer(render_notification(notification, turn.rev))
