"""The middlewares every request of the API passes: request id, refusals as answers, security headers."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from master.errors import MethodNotAllowed, Missing, Refusal, TooLarge, Unreadable
from master.web.answers import answer_internal, answer_refusal

REST_BYTES = 64 * 1024
REQUEST_ID = "X-Request-Id"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
}
"""What every answer says to browsers; an answer that is a page says its own policy."""
_SANE_ID = re.compile(r"[A-Za-z0-9._:+/=-]{1,128}")

log = structlog.get_logger(__name__)


def make_request_ids(new_id: Callable[[], str]) -> Middleware:
    """Return a middleware that names every request, in the log and in the answer; a caller's sane name is kept."""

    @web.middleware
    async def name_request(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get(REQUEST_ID, "")
        request_id = given if _SANE_ID.fullmatch(given) else new_id()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            answer = await handler(request)
        await _read_rest(request)
        answer.headers[REQUEST_ID] = request_id
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
        return answer

    return name_request


async def _read_rest(request: web.Request) -> None:
    """Read the rest of a small body that was refused, so that its sender reads the answer and not a reset.

    What is larger is left to the end of the connection.
    """
    content = request.content
    if (
        content.exception() is None
        and not content.is_eof()
        and 0 < (request.content_length or 0) <= REST_BYTES
    ):
        with suppress(ConnectionError, web.RequestPayloadError):
            await content.read()
    if content.exception() is not None and not content.is_eof():
        content.feed_eof()  # refused unread, and broken: the server would read on and call it our error


@web.middleware
async def translate_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every refusal in its own words, and every bug without any; never a traceback on the wire."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return answer_refusal(refusal)
    except web.HTTPException as fault:
        return _translate(fault)
    except ConnectionError:
        raise  # the caller hung up; nobody is left to answer
    except Exception:
        log.exception("request_failed", method=request.method, path=request.path)
        return answer_internal()


def _translate(fault: web.HTTPException) -> web.StreamResponse:
    """Return aiohttp's own refusals in the API's words."""
    if isinstance(fault, web.HTTPNotFound):
        return answer_refusal(Missing("There is no such route."))
    if isinstance(fault, web.HTTPMethodNotAllowed):
        answer = answer_refusal(MethodNotAllowed())
        answer.headers["Allow"] = ", ".join(sorted(fault.allowed_methods))
        return answer
    if isinstance(fault, web.HTTPRequestEntityTooLarge):
        return answer_refusal(TooLarge())
    if fault.status < 400:
        raise fault
    return answer_refusal(Unreadable(), status=fault.status)
