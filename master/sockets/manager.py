"""The library's room manager, with an index of the rooms of each socket.

Each socket has a room of its own. When a socket leaves, the library searches all rooms for it, so
that a thousand sockets that leave cost a million searches.
"""

from __future__ import annotations

from typing import Any

import socketio


class RoomManager(socketio.AsyncManager):
    """Keeps the rooms of each socket, beside the library's sockets of each room."""

    def __init__(self) -> None:
        super().__init__()
        self._rooms_of: dict[tuple[str, str], dict[Any, None]] = {}

    def basic_enter_room(
        self, sid: str, namespace: str, room: Any, eio_sid: str | None = None
    ) -> None:
        """Add a socket to a room."""
        super().basic_enter_room(sid, namespace, room, eio_sid)
        self._rooms_of.setdefault((namespace, sid), {})[room] = None

    def basic_leave_room(self, sid: str, namespace: str, room: Any) -> None:
        """Remove a socket from a room."""
        super().basic_leave_room(sid, namespace, room)
        self._rooms_of.get((namespace, sid), {}).pop(room, None)

    def basic_disconnect(self, sid: str, namespace: str, **options: Any) -> None:
        """Remove a socket from its rooms; the library then has no other room to search."""
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
