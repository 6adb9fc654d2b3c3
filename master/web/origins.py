"""Origins: CORS, and the refusal of changes that a foreign page makes in a person's browser."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection
from functools import lru_cache

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from master.errors import ForeignOrigin
from master.web.answers import answer_refusal

METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
HEADERS = "Authorization, Content-Type, X-Request-Id"
EXPOSED = "Location, Retry-After, X-Request-Id"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
PORTS = {"http": "80", "https": "443"}
"""Schemes of pages, each with the port that browsers leave out."""
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]@/?#\s]+)(?::(\d{1,5}))?")


class Origins:
    """The one rule of which pages may use Master, over HTTP and Socket.IO alike.

    A page may if its origin is one of `listed` ("*" is all), or if Master itself served it.
    """

    def __init__(self, listed: Collection[str], needs_token: Callable[[str], bool]) -> None:
        self._listed = listed
        self._needs_token = needs_token

    def is_listed(self, origin: str) -> bool:
        """Tell whether an origin is in the settings."""
        return origin in self._listed or "*" in self._listed

    def allows(self, request: web.Request) -> bool:
        """Tell whether a request comes from a page that may use Master, or from no web page.

        A name proves a page to be Master's own only where tokens are required: it may be rebound to
        this machine, but the page behind it then has no token.
        """
        origin = request.headers.get("Origin")
        return (
            origin is None
            or self.is_listed(origin)
            or is_own_page(
                origin,
                request.headers.get("Host", ""),
                guarded=self._needs_token(request.remote or ""),
            )
        )

    @staticmethod
    def is_own(request: web.Request) -> bool:
        """Tell whether a page that Master served sent a request, or a person who typed its address.

        A session's cookie counts only there: browsers send it with requests of every page of the
        same site, whatever its port. A read without an Origin is of the own origin, or its page
        cannot read the answer; a change and a WebSocket always have an Origin.
        """
        origin = request.headers.get("Origin")
        site = request.headers.get("Sec-Fetch-Site", "").lower()
        if origin is None:
            plain = request.method in SAFE and "Upgrade" not in request.headers
            return plain and site in ("", "same-origin", "none")
        host = request.headers.get("Host", "")
        return site in ("", "same-origin") and is_own_page(origin, host, guarded=True)


def allow_origins(origins: Origins) -> Middleware:
    """Return a middleware that allows pages of the listed origins, with credentials.

    A request without an Origin does not come from a web page, and passes.
    """

    @web.middleware
    async def check_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        known = origin is not None and origins.is_listed(origin)
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
        elif origin and request.method not in SAFE and not origins.allows(request):
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


@lru_cache(maxsize=64)
def may_be_rebound(host: str) -> bool:
    """Tell whether a foreign page could point this Host's domain at this machine (DNS rebinding).

    An IP address cannot be pointed elsewhere, and a name without a dot is no public domain.
    """
    name = host.lower().partition(":")[0].rstrip(".")
    return "." in name and not name.endswith(".localhost") and not _is_address(name)


def is_own_page(origin: str, host: str, *, guarded: bool) -> bool:
    """Tell whether Master itself served the page: its origin is the Host of the request.

    A port that is missing in either is the scheme's: behind a proxy that speaks TLS, the scheme is
    the page's and not Master's. If not `guarded`, only localhost or an address counts as own.
    """
    scheme, _, authority = origin.partition("://")
    of_page, of_host = _HOST.fullmatch(authority.lower()), _HOST.fullmatch(host.lower())
    if scheme not in PORTS or of_page is None or of_host is None:
        return False
    usual, name = PORTS[scheme], of_host[1].strip("[]")
    return (
        of_page[1] == of_host[1]
        and (of_page[2] or usual) == (of_host[2] or usual)
        and (guarded or name == "localhost" or _is_address(name))
    )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
