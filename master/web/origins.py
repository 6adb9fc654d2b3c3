"""Origins: CORS, and the refusal of changes that a foreign page makes in a person's browser."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from functools import lru_cache

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from master.errors import ForeignOrigin
from master.web.answers import answer_refusal

METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
HEADERS = "Authorization, Content-Type, X-Request-Id"
EXPOSED = "Location, Retry-After, X-Request-Id"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(:\d+)?")


def allow_origins(allowed: Collection[str]) -> Middleware:
    """Return a middleware that allows pages of `allowed` origins ("*" for all), with credentials.

    A request without an Origin does not come from a web page, and passes.
    """

    @web.middleware
    async def check_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        known = origin is not None and (origin in allowed or "*" in allowed)
        if (
            request.method == "OPTIONS"
            and origin
            and "Access-Control-Request-Method" in request.headers
        ):
            answer: web.StreamResponse = web.Response(status=204)
            if known:
                answer.headers["Access-Control-Allow-Methods"] = METHODS
                answer.headers["Access-Control-Allow-Headers"] = HEADERS
                answer.headers["Access-Control-Max-Age"] = "600"
        elif (
            origin and request.method not in SAFE and not is_allowed(origin, request.host, allowed)
        ):
            # browsers send a request that looks like a form without a preflight
            answer = answer_refusal(ForeignOrigin())
        else:
            answer = await handler(request)
        answer.headers["Vary"] = ", ".join((*answer.headers.getall("Vary", ()), "Origin"))
        if known and origin:
            answer.headers["Access-Control-Allow-Origin"] = origin
            answer.headers["Access-Control-Allow-Credentials"] = "true"
            answer.headers["Access-Control-Expose-Headers"] = EXPOSED
        return answer

    return check_origin


def is_allowed(origin: str, host: str, allowed: Collection[str]) -> bool:
    """Tell whether an origin is in `allowed`, or is that of Master's own pages at `host`."""
    return origin in allowed or "*" in allowed or is_own_page(origin, host)


@lru_cache(maxsize=64)
def may_be_rebound(host: str) -> bool:
    """Tell whether a foreign page could point this Host's domain at this machine (DNS rebinding).

    An IP address cannot be pointed elsewhere, and a name without a dot is no public domain.
    """
    name = host.lower().partition(":")[0].rstrip(".")
    return "." in name and not name.endswith(".localhost") and not _is_address(name)


def is_own_page(origin: str, host: str) -> bool:
    """Tell whether Master itself served the page.

    A name other than localhost proves nothing: it may be rebound.
    """
    scheme, _, authority = origin.partition("://")
    parts = _HOST.fullmatch(host.lower())
    if scheme not in ("http", "https") or authority.lower() != host.lower() or parts is None:
        return False
    name = parts.group(1).strip("[]")
    return name == "localhost" or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
