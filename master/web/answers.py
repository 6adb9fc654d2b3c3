"""How answers look: the envelopes of protocol.md section 7."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

from master.errors import INTERNAL, Refusal
from master.protocol.http import Listing


def answer_json(content: Mapping[str, Any], *, status: int = 200) -> web.Response:
    """Return `content` as a JSON answer."""
    return web.Response(
        body=orjson.dumps(content, default=str), status=status, content_type="application/json", charset="utf-8"
    )


def answer_list(plural: str, listing: Listing, *, limit: int, offset: int) -> web.Response:
    """Return a page of rows, under the noun's own name and as `data`."""
    rows = orjson.Fragment(orjson.dumps(listing.rows, default=str))  # written once, sent under two names
    return answer_json(
        {
            "success": True,
            plural: rows,
            "data": rows,
            "total": listing.total,
            "limit": limit,
            "offset": offset,
        }
    )


def answer_one(singular: str, content: Any, *, status: int = 200) -> web.Response:
    """Return one thing, under the noun's own name and as `data`."""
    return answer_json({"success": True, singular: content, "data": content}, status=status)


def answer_refusal(refusal: Refusal, *, status: int | None = None) -> web.Response:
    """Return what was refused and why; what may be tried again says when."""
    error: dict[str, Any] = {"code": refusal.code, "message": refusal.message}
    if refusal.details is not None:
        error["details"] = refusal.details
    answer = answer_json({"success": False, "error": error}, status=status or refusal.status)
    if answer.status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    if answer.status in (429, 503):
        answer.headers["Retry-After"] = str(max(1, -(-(refusal.retry_after_ms or 1_000) // 1_000)))
    return answer


def answer_internal() -> web.Response:
    """Return that something is broken, without saying what."""
    error = {"code": INTERNAL["code"], "message": INTERNAL["message"]}
    return answer_json({"success": False, "error": error}, status=500)
