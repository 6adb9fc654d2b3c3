"""A login's code in any form that workers send: as an image, or as the text to draw."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

SVG = "image/svg+xml"

RASTERS = {
    "image/png": "image/png",
    "image/jpeg": "image/jpeg",
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/webp": "image/webp",
    "image/gif": "image/gif",
}
"""Declared type -> the type with which the image is served; a browser draws these, no more."""

_BEGINNINGS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
}
"""First bytes of each image type, for data without a type.

The source document's column requires no type.
"""

_SVG_BEGINS = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*+(?>(?:<\?xml.*?\?>|<!--.*?-->|<!DOCTYPE[^>\[]*>)\s*+)*+<svg\b",
    re.DOTALL | re.IGNORECASE,
)
"""Matches all that may precede an SVG's first element. It never backtracks."""

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")


@dataclass(frozen=True, slots=True)
class Image:
    """An image as a worker sent it."""

    kind: str
    content: bytes


def read_code(code: str) -> Image | str | None:
    """Return a code's image, or the text that it is to encode; None if it is neither."""
    text = code.strip(" \t\r\n\ufeff")
    if text[:5].lower() == "data:":
        return _read_data_url(text)
    if text.startswith("<"):
        return _read_svg(text.encode("utf-8", "replace"))
    return _find_image(_decode(text)) or text or None


def _read_data_url(text: str) -> Image | str | None:
    """Return what a data URL contains (RFC 2397): `data:[type][;parameter...][;base64],content`."""
    head, comma, content = text[5:].partition(",")
    if not comma:
        return None
    declared, *parameters = [part.strip().lower() for part in head.split(";")]
    decoded = unquote_to_bytes(content)
    if "base64" in parameters:
        whole = _decode(decoded.decode("ascii", "replace"))
        if whole is None:
            return None
        decoded = whole
    if declared in RASTERS:
        return Image(RASTERS[declared], decoded) if decoded else None
    if declared in ("", "text/plain"):
        return _find_image(decoded) or decoded.decode("utf-8", "replace").strip() or None
    return _find_image(decoded)


def _decode(text: str) -> bytes | None:
    """Return the bytes of Base64 in either alphabet, with or without its padding, else None."""
    packed = "".join(text.split())
    if not _BASE64.fullmatch(packed):
        return None
    plain = packed.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error:
        return None


def _find_image(content: bytes | None) -> Image | None:
    """Return an image whose type its first bytes tell."""
    for beginning, kind in _BEGINNINGS.items():
        if content is not None and content.startswith(beginning):
            return Image(kind, content)
    return None if content is None else _read_svg(content)


def _read_svg(content: bytes) -> Image | None:
    """Return an SVG. One that declares entities is none: they may grow without bound."""
    if _SVG_BEGINS.match(content[:4096]) and b"<!entity" not in content.lower():
        return Image(SVG, content)
    return None
