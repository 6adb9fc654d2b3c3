"""Which sockets are in which room: the library's manager, without its look through every room when one leaves.

Each socket has a room of its own: the library finds the rooms of one that leaves by looking into all of them, so that a
thousand that leave cost a million looks.
"""

from __future__ import annotations

from typing import Any

import socketio


class RoomManager(socketio.AsyncManager):
    """Keeps beside the library's rooms which ones each socket is in."""

    def __init__(self) -> None:
        super().__init__()
        self._rooms_of: dict[tuple[str, str], dict[Any, None]] = {}

    def basic_enter_room(
        self, sid: str, namespace: str, room: Any, eio_sid: str | None = None
    ) -> None:
        """Let a socket hear a room."""
        super().basic_enter_room(sid, namespace, room, eio_sid)
        self._rooms_of.setdefault((namespace, sid), {})[room] = None

    def basic_leave_room(self, sid: str, namespace: str, room: Any) -> None:
        """Let a socket hear a room no more."""
        super().basic_leave_room(sid, namespace, room)
        self._rooms_of.get((namespace, sid), {}).pop(room, None)

    def basic_disconnect(self, sid: str, namespace: str, **options: Any) -> None:
        """Forget a socket: it leaves its own rooms, and the library finds it in no other."""
        for room in list(self._rooms_of.pop((namespace, sid), ())):
            super().basic_leave_room(sid, namespace, room)
        rooms = self.rooms.pop(namespace, None)
        self.rooms[namespace] = {}
        try:
            super().basic_disconnect(sid, namespace, **options)
        finally:
            if rooms:
                self.rooms[namespace] = rooms
            else:
                self.rooms.pop(namespace, None)
