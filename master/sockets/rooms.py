"""Parcels to sockets: who is meant, and one emit for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog

from master.presence import Presence
from master.turn import Parcel

log = structlog.get_logger(__name__)


class Rooms:
    """Publishes over Socket.IO and notes which notifications were handed to at least one person."""

    def __init__(self, sockets: Any, presence: Presence) -> None:
        self._sockets = sockets
        self._presence = presence

    async def publish(self, parcels: Sequence[Parcel]) -> None:
        """Send every parcel; one that cannot be delivered harms no other."""
        for parcel in parcels:
            try:
                if await self._send(parcel) and parcel.event == "notification:new":
                    self._presence.delivered[parcel.payload["id"]] = None
            except Exception:
                log.exception("parcel_failed", event_name=parcel.event)

    async def _send(self, parcel: Parcel) -> bool:
        """Return whether there was anybody to send to."""
        to = parcel.address.to
        if to in ("admins", "clients"):
            if not self._is_anybody_in(to):
                return False
            await self._sockets.emit(parcel.event, parcel.payload, room=to, namespace=f"/{to[:-1]}")
            return True
        if to == "worker":
            seat = self._presence.seats.get(parcel.address.id)
            if seat is None or seat.sid is None:
                return False
            await self._sockets.emit(parcel.event, parcel.payload, to=seat.sid, namespace="/worker")
            return True
        namespace = "/" + to.removesuffix("_socket")
        if not self._sockets.manager.is_connected(parcel.address.id, namespace):
            return False
        if parcel.kind == "hang_up":
            await self._sockets.disconnect(parcel.address.id, namespace=namespace)
        elif parcel.kind == "join":
            await self._sockets.enter_room(parcel.address.id, namespace[1:] + "s", namespace=namespace)
        else:
            await self._sockets.emit(parcel.event, parcel.payload, to=parcel.address.id, namespace=namespace)
        return True

    def _is_anybody_in(self, room: str) -> bool:
        return any(True for _ in self._sockets.manager.get_participants(f"/{room[:-1]}", room))
