"""An open login's QR code as an image."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import io
import re

import segno
from aiohttp import web

from master.errors import Missing
from master.model import JsonObject
from master.operations.login_views import show_qr_code
from master.protocol.http import ById
from master.turn import Caller
from master.writer import Turns

_IMAGE = re.compile(
    r"(?:data:image/(?P<kind>png|jpe?g|webp|gif);base64,)?(?P<base64>[A-Za-z0-9+/=\s]+)",
    re.IGNORECASE,
)
_BEGINNINGS = {
    b"\x89PNG\r\n\x1a\n": "png",
    b"\xff\xd8\xff": "jpeg",
    b"GIF8": "gif",
    b"RIFF": "webp",
}
"""First bytes of each image type, for Base64 without a type.

The source document's column requires no type.
"""

URL_BYTES = 1_024
"""The longest URL that is drawn: platforms' URLs are a tenth of it, and each byte makes drawing
slower."""

KEPT_S = 5.0
"""How long a drawn code is kept: pages request it again every few seconds, but it is a secret."""

HTTP = Caller("http")
NO_IMAGE = "This login has no code that can be rendered as an image."


class QrCodes:
    """Answers `login-sessions/{id}/qr.png`."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._drawn: dict[bytes, asyncio.Task[bytes]] = {}
        """SHA-256 of a URL -> the task that draws its code, or has drawn it."""
        self._one_at_a_time = asyncio.Lock()

    async def show(self, event: ById) -> web.Response:
        """Return the code of an open login as an image.

        Errors: Missing.
        """
        shown = await self._turns.look(show_qr_code, event, HTTP)
        kind, image = _read_image(shown.get("qr_code_data") or "") or await self._draw(shown)
        return web.Response(body=image, content_type=kind)

    async def _draw(self, shown: JsonObject) -> tuple[str, bytes]:
        """Return content type and bytes of the code for a session's URL.

        Concurrent requests share one drawing. Errors: Missing.
        """
        url = (shown.get("qr_code_url") or "").encode("utf-8", "replace")
        if not 0 < len(url) <= URL_BYTES:
            raise Missing(NO_IMAGE)
        key = hashlib.sha256(url).digest()
        task = self._drawn.get(key)
        if task is None:
            task = self._drawn[key] = asyncio.create_task(self._draw_in_thread(url.decode()))
            task.add_done_callback(lambda drawn: self._forget_soon(key, drawn))
        try:
            return "image/png", await asyncio.shield(task)
        except ValueError:
            raise Missing(NO_IMAGE) from None

    def _forget_soon(self, key: bytes, drawn: asyncio.Task[bytes]) -> None:
        if not drawn.cancelled():
            drawn.exception()  # mark it as read: all callers may have gone
        asyncio.get_running_loop().call_later(KEPT_S, self._drawn.pop, key, None)

    async def _draw_in_thread(self, url: str) -> bytes:
        async with self._one_at_a_time:
            return await asyncio.to_thread(draw_code, url)


def draw_code(url: str) -> bytes:
    """Return a URL as a QR code in PNG. Errors: ValueError."""
    drawn = io.BytesIO()
    segno.make(url, micro=False).save(drawn, kind="png", scale=8)
    return drawn.getvalue()


def _read_image(code: str) -> tuple[str, bytes] | None:
    """Return content type and bytes of a Base64 image or data URL; None if it is neither."""
    found = _IMAGE.fullmatch(code)
    if found is None:
        return None
    try:
        image = base64.b64decode("".join(found["base64"].split()), validate=True)
    except binascii.Error:
        return None
    known = (kind for beginning, kind in _BEGINNINGS.items() if image.startswith(beginning))
    kind = found["kind"].lower().replace("jpg", "jpeg") if found["kind"] else next(known, None)
    return (f"image/{kind}", image) if kind and image else None
