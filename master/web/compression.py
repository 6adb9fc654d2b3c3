"""Compressed answers, for clients that accept them (RFC 9110, 12.5.3)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from aiohttp import web

LEAST_BYTES = 1024
"""Smaller answers are sent as they are: a packet or two either way."""
IN_LOOP_BYTES = 16 * 1024
"""A larger answer is compressed in a thread, so that no other request waits for it."""
CODINGS = {one.value: one for one in (web.ContentCoding.gzip, web.ContentCoding.deflate)}
"""Encodings that Master can produce, the preferred one first."""


def compress(request: web.Request, answer: web.Response) -> web.Response:
    """Let an answer be sent in a coding that its client accepts.

    Only for answers without secrets: their length would tell about a secret if somebody else could
    add text to the answer. Images are compressed already.
    """
    answer.headers["Vary"] = "Accept-Encoding"
    body = answer.body
    is_large = isinstance(body, bytes) and len(body) > LEAST_BYTES
    if is_large and (name := choose(request.headers)) is not None:
        answer.enable_compression(CODINGS[name])
    return answer


def choose(headers: Mapping[str, str]) -> str | None:
    """Return the coding that a client prefers of those that Master can produce, or None."""
    wanted = dict(_read_weights(headers.get("Accept-Encoding", "")))
    weights = {name: wanted.get(name, wanted.get("*", 0.0)) for name in CODINGS}
    best = max(weights, key=lambda name: weights[name])
    return best if weights[best] > 0 else None


def _read_weights(accepted: str) -> Iterator[tuple[str, float]]:
    """Yield (coding, weight) of an Accept-Encoding header; an unreadable weight is 0."""
    for part in accepted.lower().split(","):
        name, *parameters = (one.strip() for one in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                weight = float(value) if re.fullmatch(r"[01](\.\d{0,3})?", value.strip()) else 0.0
        yield name, weight
