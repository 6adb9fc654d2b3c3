"""An open login's QR code as an image."""

from __future__ import annotations

import base64
import binascii
import io
import re

import segno
from aiohttp import web

from master.endpoints import Endpoint
from master.errors import Missing
from master.model import JsonObject
from master.operations.logins import show_qr_code
from master.turn import Caller
from master.web.reading import read_request
from master.writer import Turns

_IMAGE = re.compile(r"(?:data:image/(?P<kind>png|jpe?g|webp|gif);base64,)?(?P<base64>[A-Za-z0-9+/=\s]+)", re.IGNORECASE)
_BEGINNINGS = {
    b"\x89PNG\r\n\x1a\n": "png",
    b"\xff\xd8\xff": "jpeg",
    b"GIF8": "gif",
    b"RIFF": "webp",
}
"""How images begin, for Base64 that does not say what it is (the source document's column asks for no more)."""

HTTP = Caller("http")


class QrCodes:
    """Answers `login-sessions/{id}/qr.png`."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    async def show(self, request: web.Request, endpoint: Endpoint) -> web.Response:
        """Send the code of an open login as an image. Errors: Missing."""
        shown = await self._turns.look(show_qr_code, await read_request(request, endpoint), HTTP)
        kind, image = render_code(shown)
        return web.Response(body=image, content_type=kind)


def render_code(shown: JsonObject) -> tuple[str, bytes]:
    """Return content type and bytes of a session's code: the worker's image, or one of its URL. Errors: Missing."""
    sent = _read_image(shown.get("qr_code_data") or "")
    if sent is not None:
        return sent
    url = shown.get("qr_code_url")
    if url:
        try:
            code = segno.make(url, micro=False)
        except ValueError:
            raise Missing("This login's code cannot be shown as an image.") from None
        drawn = io.BytesIO()
        code.save(drawn, kind="png", scale=8)
        return "image/png", drawn.getvalue()
    raise Missing("This login's code cannot be shown as an image.")


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
