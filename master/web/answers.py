"""The envelopes of HTTP answers (docs/protocol.md, "HTTP")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

from master.errors import INTERNAL, Refusal
from master.protocol.answers import Listing
from master.protocol.wire import refuse
from master.web.compression import IN_LOOP_BYTES

PAGE_BYTES = 1024 * 1024
"""A page of a list ends at this size, whatever its `limit`; it has at least one row."""


def answer_json(content: Mapping[str, Any], *, status: int = 200) -> web.Response:
    """Return `content` as a JSON answer."""
    return web.Response(
        body=orjson.dumps(content, default=str),
        status=status,
        content_type="application/json",
        charset="utf-8",
        zlib_executor_size=IN_LOOP_BYTES,
    )


def answer_list(
    listing: Listing[Any],
    *,
    limit: int,
    offset: int,
    also_as: str | None = None,
    rev: int | None = None,
) -> web.Response:
    """Return a page of rows as `data`, and under the name that pages in use read, if any.

    PAGE_BYTES ends it as well as `limit`: `has_more` says whether there are further rows, and
    `next_offset` and `next_before` where they begin.
    """
    shown, size = [], 0
    for row in listing.rows:
        shown.append(orjson.dumps(row, default=str))
        size += len(shown[-1])
        if size >= PAGE_BYTES:
            break
    rows = orjson.Fragment(b"[" + b",".join(shown) + b"]")  # written once, sent under two names
    after = offset + len(shown)
    follow = after < listing.total if listing.has_more is None else listing.has_more
    is_cut = len(shown) < len(listing.rows)
    has_more = is_cut or (follow and (bool(shown) or listing.end is not None))
    behind = listing.end if listing.end is not None and not is_cut else None
    if behind is None and has_more and listing.cursors:
        behind = listing.cursors[len(shown) - 1]
    return answer_json(
        {
            "success": True,
            **({} if also_as is None else {also_as: rows}),
            "data": rows,
            "total": listing.total,
            "total_is_more": listing.total_is_more,
            "limit": limit,
            "offset": offset,
            "has_more": has_more,
            "next_offset": after if has_more and listing.end is None else None,
            "next_before": behind,
            "rev": rev,
        }
    )


def answer_one(
    singular: str, content: Any, *, status: int = 200, rev: int | None = None
) -> web.Response:
    """Return one object, under the noun's own name and as `data`, with its revision, if any."""
    answer = {"success": True, singular: content, "data": content}
    return answer_json(answer if rev is None else {**answer, "rev": rev}, status=status)


def answer_refusal(refusal: Refusal, *, status: int | None = None) -> web.Response:
    """Return a refusal as an answer, with the same error object as on a socket.

    429 and 503 have Retry-After.
    """
    answer = answer_json(refuse(refusal), status=status or refusal.status)
    if answer.status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    if answer.status in (429, 503):
        answer.headers["Retry-After"] = str(max(1, -(-(refusal.retry_after_ms or 1_000) // 1_000)))
    return answer


def answer_internal() -> web.Response:
    """Return an internal error without any detail."""
    return answer_json({"success": False, "error": INTERNAL}, status=500)
