"""Parcels to sockets: find the addressed room, and encode each event once for all sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog

from master.protocol.admin import NewNotification
from master.protocol.client import SyncHint
from master.protocol.json_text import FastJson
from master.protocol.processes import ProcessLog, ProcessLogBehind
from master.protocol.wire import Outbound
from master.sessions import Sessions
from master.sockets.outbound import PACKET_BYTES, Frame
from master.sockets.server import SocketServer
from master.turn import HangUp, Join, Parcel, name_account_room

log = structlog.get_logger(__name__)

YIELD_BYTES = 32 * 1024
"""After this many queued bytes the writers of the sockets run, so that a burst does not look
like a slow reader.

Bytes are counted because the queues are bounded in bytes; the number is smaller than the bound of
any queue in use.
"""


class Rooms:
    """Publishes over Socket.IO and notes the notifications that reached at least one socket."""

    def __init__(self, sockets: SocketServer, sessions: Sessions) -> None:
        self._sockets = sockets
        self._sessions = sessions

    async def publish(self, parcels: Sequence[Parcel]) -> None:
        """Send every parcel; one that fails does not stop the others."""
        before: Any = None
        text, queued = "", 0
        for parcel in parcels:
            while queued >= YIELD_BYTES:
                queued -= YIELD_BYTES
                await asyncio.sleep(0)
            try:
                target, content = self._find_room(parcel), parcel.content
                if target is None:
                    continue
                namespace, room = target
                if isinstance(content, (Join, HangUp)):
                    await self._act(content, namespace, room)
                    continue
                if content.is_void:
                    continue
                if content is not before:  # one content goes to administrators and devices
                    before, text = content, FastJson.dumps(content.to_wire())
                frame = _make_frame(content, namespace, text)
                hint = _make_hint(content, namespace)
                reached = self._sockets.tell(frame, namespace, room, hint)
                if room == "clients" and parcel.address.id:
                    limited = name_account_room(parcel.address.id)
                    reached = self._sockets.tell(frame, namespace, limited, hint) or reached
                if reached:
                    queued += PACKET_BYTES + len(frame.text)
                    if content.delivery is not None:
                        self._sessions.delivered[content.delivery] = None
            except Exception:
                log.exception("parcel_failed", event_name=type(parcel.content).__name__)

    def _find_room(self, parcel: Parcel) -> tuple[str, str] | None:
        """Return the namespace and room of a parcel; None if its socket is not connected."""
        to, name = parcel.address.to, parcel.address.id
        if to in ("admins", "operators", "readers"):
            return "/admin", to
        if to == "clients":
            return "/client", to
        if to == "worker":
            seat = self._sessions.seats.get(name)
            return ("/worker", seat.sid) if seat is not None and seat.sid is not None else None
        namespace = "/" + to.removesuffix("_socket")
        return (namespace, name) if self._sockets.manager.is_connected(name, namespace) else None

    async def _act(self, content: Join | HangUp, namespace: str, sid: str) -> None:
        if isinstance(content, HangUp):
            await self._sockets.disconnect(sid, namespace=namespace)
        else:
            for name in content.rooms:
                await self._sockets.enter_room(sid, name, namespace=namespace)


def _make_frame(content: Outbound, namespace: str, text: str) -> Frame:
    key = content.state_key
    return Frame(f'42{namespace},["{content.event}",{text}]', key and f"{namespace} {key}")


def _make_hint(content: Outbound, namespace: str) -> Frame | None:
    """Return what stands for an event where too many wait; None if nothing may stand for it."""
    hint: Outbound
    if isinstance(content, NewNotification):
        hint = SyncHint(content.seq)
    elif isinstance(content, ProcessLog):
        hint = ProcessLogBehind(content.worker_id)
    else:
        return None
    return _make_frame(hint, namespace, FastJson.dumps(hint.to_wire()))
