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
from master.operations.logins import show_qr_code
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
"""How images begin, for Base64 that does not say what it is (the source document's column asks for no more)."""

URL_BYTES = 1_024
"""The longest URL that is drawn; what platforms show is a tenth of it, and drawing takes longer with every byte."""

KEPT_S = 5.0
"""How long a drawn code is kept for others who ask: a code is a secret, and pages ask again every few seconds."""

HTTP = Caller("http")
NO_IMAGE = "This login's code cannot be shown as an image."


class QrCodes:
    """Answers `login-sessions/{id}/qr.png`."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._drawn: dict[bytes, asyncio.Task[bytes]] = {}
        """SHA-256 of a URL -> its code, drawn or being drawn."""
        self._one_at_a_time = asyncio.Lock()

    async def show(self, event: ById) -> web.Response:
        """Show the code of an open login as an image.

        Errors: Missing.
        """
        shown = await self._turns.look(show_qr_code, event, HTTP)
        kind, image = _read_image(shown.get("qr_code_data") or "") or await self._draw(shown)
        return web.Response(body=image, content_type=kind)

    async def _draw(self, shown: JsonObject) -> tuple[str, bytes]:
        """Return content type and bytes of a session's URL as a code, drawn once for all who ask. Errors: Missing."""
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
            drawn.exception()  # all who asked may have gone
        asyncio.get_running_loop().call_later(KEPT_S, self._drawn.pop, key, None)

    async def _draw_in_thread(self, url: str) -> bytes:
        async with self._one_at_a_time:
            return await asyncio.to_thread(draw_code, url)


def draw_code(url: str) -> bytes:
    """Return a URL as a code, in PNG. Errors: ValueError."""
    drawn = io.BytesIO()
    segno.make(url, micro=False).save(drawn, kind="png", scale=8)
    return drawn.getvalue()


def _read_image(code: str) -> tuple[str, bytes] | None:
    """Return content type and bytes of an image in Base64, with or without what a data URL begins with."""
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
