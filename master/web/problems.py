"""Middlewares of every API request: request id, refusals as answers, security headers."""

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
ID = web.RequestKey("id", str)
"""Key of a request's id."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
}
"""Headers of every answer, for browsers; an answer may set its own policy."""
_SANE_ID = re.compile(r"[A-Za-z0-9._:+/=-]{1,128}")

log = structlog.get_logger(__name__)


def make_request_ids(new_id: Callable[[], str]) -> Middleware:
    """Return a middleware that assigns an id to every request, in the log and in the answer.

    A caller's own id is kept if it is well-formed.
    """

    @web.middleware
    async def name_request(request: web.Request, handler: Handler) -> web.StreamResponse:
        sent = request.headers.get(REQUEST_ID, "")
        request_id = sent if _SANE_ID.fullmatch(sent) else new_id()
        request[ID] = request_id
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            answer = await handler(request)
        await _read_rest(request)
        answer.headers[REQUEST_ID] = request_id
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
        return answer

    return name_request


async def _read_rest(request: web.Request) -> None:
    """Read the rest of a small refused body, so that the caller gets the answer and not a reset.

    A larger body is left unread; it ends with the connection.
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
        # the body is broken and was refused unread: aiohttp would read on and report an error
        content.feed_eof()


@web.middleware
async def translate_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every refusal with its message, and every bug without detail: never a traceback."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return answer_refusal(refusal)
    except web.HTTPException as fault:
        return _translate(fault)
    except ConnectionError:
        raise  # the caller hung up: there is no peer to answer
    except Exception:
        log.exception("request_failed", method=request.method, path=request.path)
        return answer_internal()


def _translate(fault: web.HTTPException) -> web.StreamResponse:
    """Return aiohttp's own error as one of the API's refusals."""
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
