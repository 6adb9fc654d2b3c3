"""An open login's QR code as an image."""

from __future__ import annotations

import asyncio
import hashlib
import io

import segno
from aiohttp import web

from master.errors import Missing
from master.operations.login_views import show_qr_code
from master.protocol.http import CodeById, TextToDraw
from master.turn import Caller
from master.web.code_images import SVG, Image, read_code
from master.writer import Turns

TEXT_BYTES = 1_024
"""The longest text that is drawn: platforms' links are a tenth of it, and each byte makes drawing
slower."""

SVG_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'none'"
)
"""No script of a worker's SVG runs, even if somebody opens it as a page, and it loads nothing."""

KEPT_S = 5.0
"""How long a drawn code is kept: pages request it again every few seconds, but it is a secret."""

HTTP = Caller("http")
NO_IMAGE = "This login has no code that can be rendered as an image."


class QrCodes:
    """Answers `login-sessions/{id}/qr.png` and `POST qr.png`."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._drawn: dict[bytes, asyncio.Task[bytes]] = {}
        """SHA-256 of a text -> the task that draws its code, or has drawn it."""
        self._one_at_a_time = asyncio.Lock()

    async def show(self, event: CodeById) -> web.Response:
        """Return the code of an open login as an image.

        Errors: Missing.
        """
        shown = await self._turns.look(show_qr_code, event, HTTP)
        found = read_code(shown.get("qr_code_data") or "")
        if isinstance(found, Image):
            policy = {"Content-Security-Policy": SVG_POLICY} if found.kind == SVG else {}
            return web.Response(body=found.content, content_type=found.kind, headers=policy)
        drawn = await self._draw(shown.get("qr_code_url") or found or "")
        return web.Response(body=drawn, content_type="image/png")

    async def draw(self, event: TextToDraw) -> web.Response:
        """Return a text as a QR code, a PNG image. Errors: Missing if it is too long."""
        return web.Response(body=await self._draw(event.text), content_type="image/png")

    async def _draw(self, text: str) -> bytes:
        """Return the code for a link or another text, as PNG.

        Concurrent requests share one drawing. Errors: Missing.
        """
        encoded = text.encode("utf-8", "replace")
        if not 0 < len(encoded) <= TEXT_BYTES:
            raise Missing(NO_IMAGE)
        key = hashlib.sha256(encoded).digest()
        task = self._drawn.get(key)
        if task is None:
            task = self._drawn[key] = asyncio.create_task(self._draw_in_thread(encoded.decode()))
            task.add_done_callback(lambda drawn: self._forget_soon(key, drawn))
        try:
            return await asyncio.shield(task)
        except ValueError:
            raise Missing(NO_IMAGE) from None

    def _forget_soon(self, key: bytes, drawn: asyncio.Task[bytes]) -> None:
        if not drawn.cancelled():
            drawn.exception()  # mark it as read: all callers may have gone
        asyncio.get_running_loop().call_later(KEPT_S, self._drawn.pop, key, None)

    async def _draw_in_thread(self, text: str) -> bytes:
        async with self._one_at_a_time:
            return await asyncio.to_thread(draw_code, text)


def draw_code(text: str) -> bytes:
    """Return a text as a QR code in PNG. Errors: ValueError."""
    drawn = io.BytesIO()
    segno.make(text, micro=False).save(drawn, kind="png", scale=8)
    return drawn.getvalue()
