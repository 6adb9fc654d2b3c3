"""HTTP access: the middleware that every request passes before its query or body is parsed."""

from __future__ import annotations

from collections.abc import Mapping

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from master.access import Access, name_address, read_bearer
from master.errors import Forbidden, ForeignOrigin, Refusal, Unreadable, UnsupportedEncoding
from master.lines import Lines
from master.logs import AUDIT
from master.model import Grant, Scope
from master.web.answers import answer_refusal
from master.web.connections import Answer, end_with_caller, require_small_head
from master.web.origins import SAFE, Origins, may_be_rebound
from master.web.relayed import is_relayed

OPEN = frozenset({"/health", "/health/live", "/health/ready"})
"""Paths for load balancers and supervisors, which have no token."""

BAD_REQUEST = 400

audit = structlog.get_logger(AUDIT)

SCOPE = web.RequestKey("scope", Scope)
"""Key of a request's scope."""

Scopes = Mapping[tuple[str, str], Scope]
"""(method, path as the route writes it) -> the scope that a caller must have."""


def guard_requests(access: Access, scopes: Scopes, lines: Lines, origins: Origins) -> Middleware:
    """Return the middleware that authenticates, authorises and rate-limits requests.

    An earlier middleware answers preflights and refuses changes from foreign pages.
    """

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        _require_plain(request)
        if request.path in OPEN:
            answer = await handler(request)
            if not lines.is_known(request):
                # a stranger's connection has a deadline, which might fall into a later request
                answer.force_close()
            return answer
        grant = _identify(access, lines, request)
        request[SCOPE] = grant.scope
        _require_direct(access, origins, request)
        if grant.scope < _find_scope(scopes, request):
            raise Forbidden(f"A token of the scope {grant.scope.name.lower()} may not do this.")
        if request.method in SAFE:
            # a change is never cancelled: it may be committed already when its caller hangs up
            with end_with_caller(request):
                return await handler(request)
        answer = await handler(request)
        if access.guarded:
            audit.info(
                "change_asked",
                by=grant.name,
                method=request.method,
                path=request.path,
                status=answer.status,
            )
        return answer

    return check


def _require_plain(request: web.Request) -> None:
    """Refuse large heads and encoded bodies before authentication.

    Errors: HeadTooLarge, UnsupportedEncoding.
    """
    require_small_head(request)
    if "Content-Encoding" in request.headers:
        raise UnsupportedEncoding


def _identify(access: Access, lines: Lines, request: web.Request) -> Grant:
    """Return the caller's grant. Errors: Unauthorized, Forbidden, TooManyAttempts, TooManyRequests.

    Each token has its own rate limit. The rate limit of an address counts only requests without a
    valid token, so that these cannot use up the limit of other callers behind that address.
    """
    remote = request.remote or ""
    address = name_address(remote)
    try:
        grant = access.identify("admin", read_bearer(request.headers.get("Authorization")), remote)
    except Refusal:
        lines.meter.admit(address)
        raise
    lines.welcome(request)
    lines.meter.admit(f"token {grant.name}" if grant.name else address)
    return grant


def _require_direct(access: Access, origins: Origins, request: web.Request) -> None:
    """Without tokens, refuse requests that are not from a program or page of this machine.

    Errors: Forbidden, ForeignOrigin.
    """
    if access.guarded:
        return
    if may_be_rebound(request.headers.get("Host", "")):
        raise Forbidden(
            "Without tokens Master accepts no domain as Host; use localhost or an IP address."
        )
    if is_relayed(request.headers):
        raise Forbidden("Without tokens Master accepts no request through a proxy; set tokens.")
    _refuse_cross_site(origins, request)


def _refuse_cross_site(origins: Origins, request: web.Request) -> None:
    """Refuse a browser's cross-site request unless its Origin is allowed. Errors: ForeignOrigin.

    Browsers send no Origin with some of them, but mark them in Sec-Fetch-Site.
    """
    if request.headers.get("Sec-Fetch-Site", "").lower() != "cross-site":
        return
    if "Origin" not in request.headers or not origins.allows(request):
        raise ForeignOrigin(
            "Pages of other sites may not send requests here; allow them with ALLOWED_ORIGINS."
        )


def guard_sockets(access: Access, origins: Origins, answer_sockets: Answer) -> Answer:
    """Return `answer_sockets` behind the checks that HTTP requests pass.

    Socket.IO checks tokens and meters connections itself. A foreign page may not even read here: a
    browser lets every page use a WebSocket.
    """

    async def check(request: web.Request) -> web.StreamResponse:
        try:
            access.require_near(request.remote or "")
            _require_plain(request)
            _require_direct(access, origins, request)
            if access.guarded:  # else `_require_direct` has checked it
                _refuse_cross_site(origins, request)
            if not origins.allows(request):
                raise ForeignOrigin
            if "j" in request.query:
                raise Unreadable("JSONP is not supported: any page could read its answers.")
        except Refusal as refusal:
            return answer_refusal(refusal)
        try:
            answer = await answer_sockets(request)
        except web.HTTPBadRequest:  # its text repeats headers of the request
            return answer_refusal(Unreadable("The WebSocket handshake is malformed."))
        if answer.status == BAD_REQUEST and isinstance(answer, web.Response):
            answer.body = b'"Bad Request"'  # the library repeats parts of the request
        return answer

    return check


def _find_scope(scopes: Scopes, request: web.Request) -> Scope:
    """Return the scope that the route requires; READ if there is no route, which answers 404."""
    resource = request.match_info.route.resource
    method = "GET" if request.method == "HEAD" else request.method
    return scopes.get((method, resource.canonical if resource is not None else ""), Scope.READ)
