"""WebSocket frames and Socket.IO packets, encoded and decoded without a library."""

from __future__ import annotations

from typing import Any

import orjson

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
FINAL = 0x80
MASKED = 0x80
LARGEST = 64 * 1024 * 1024
"""A longer frame counts as a broken stream."""

MASK = b"\x5a\x5a\x5a\x5a"
"""Four equal bytes mask by one table lookup. Four zeros would mask nothing, and would spare `ws` on
Node the unmasking, which is part of a server's work."""

_MASK_TABLE = bytes(byte ^ MASK[0] for byte in range(256))


class BrokenStream(Exception):
    """The bytes are no WebSocket stream of whole messages."""


def encode_frame(payload: bytes, kind: int = TEXT) -> bytes:
    """Return one masked frame."""
    size = len(payload)
    if size < 126:
        head = bytes((FINAL | kind, MASKED | size))
    elif size < 65_536:
        head = bytes((FINAL | kind, MASKED | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((FINAL | kind, MASKED | 127)) + size.to_bytes(8, "big")
    return head + MASK + payload.translate(_MASK_TABLE)


class FrameReader:
    """Cuts a server's byte stream into frames."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Return (kind, payload) of every frame that is now complete. Errors: BrokenStream."""
        if self._rest:
            data = self._rest + data
        frames, at, end = [], 0, len(data)
        while end - at >= 2:
            first, size, start = data[at], data[at + 1], at + 2
            if not first & FINAL or first & 0x0F == 0 or size & MASKED:
                raise BrokenStream("A server's frame is fragmented or masked.")
            if size >= 126:
                start += 2 if size == 126 else 8
                if end < start:
                    break
                size = int.from_bytes(data[at + 2 : start], "big")
                if size > LARGEST:
                    raise BrokenStream(f"A frame announces {size} bytes.")
            if end - start < size:
                break
            frames.append((first & 0x0F, data[start : start + size]))
            at = start + size
        self._rest = data[at:]
        return frames


def encode_handshake(host: str, port: int) -> bytes:
    """Return the HTTP request that opens an Engine.IO connection over WebSocket."""
    return (
        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n"
        f"Host: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: bWFzdGVyLWJlbmNoLWtleQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def encode_join(namespace: str) -> bytes:
    """Return the packet that joins a namespace."""
    return f"40{namespace},".encode()


def encode_event(event: str, payload: Any) -> bytes:
    """Return the content of an event, which follows `head_event`."""
    return orjson.dumps([event, payload])


def head_event(namespace: str, number: int) -> bytes:
    """Return the prefix of an event's content; `number` is the id of its acknowledgement."""
    return f"42{namespace},{number}".encode()


def read_acknowledgement(packet: bytes, head: int) -> tuple[int, Any]:
    """Return number and answer of a packet `43<namespace>,<number>[answer]`.

    `head` is the length of the part before the number.
    """
    bracket = packet.index(b"[", head)
    content = orjson.loads(packet[bracket:])
    return int(packet[head:bracket]), content[0] if content else None
