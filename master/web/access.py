"""Who may ask over HTTP: the middleware that every request passes before anything of it is read."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from master.access import Access, name_place, read_bearer
from master.errors import Forbidden, ForeignOrigin, Refusal, Unreadable, UnsupportedEncoding
from master.lines import Lines
from master.logs import AUDIT
from master.model import Grant, Scope
from master.web.answers import answer_refusal
from master.web.connections import Answer, end_with_caller, require_small_head
from master.web.origins import SAFE, is_allowed, may_be_rebound

OPEN = frozenset({"/health", "/health/live", "/health/ready"})
"""What load balancers and supervisors ask, who have no token."""

RELAYED = ("forwarded", "via", "x-forwarded-", "x-real-ip")
"""How headers begin that proxies add: whoever asks through one may be anybody, and not of this machine."""

BAD_REQUEST = 400

audit = structlog.get_logger(AUDIT)

SCOPE = web.RequestKey("scope", Scope)
"""Where a request says what its caller may do."""

Scopes = Mapping[tuple[str, str], Scope]
"""What a caller must have, by method and path as the route writes it."""


def guard_requests(
    access: Access, scopes: Scopes, lines: Lines, allowed_origins: Collection[str]
) -> Middleware:
    """Return a middleware that lets those in who may ask, as fast as they may.

    `allowed_origins` are those of Socket.IO; the origins that HTTP allows are looked at before.
    """

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        _require_plain(request)
        if request.path in OPEN:
            answer = await handler(request)
            if not lines.is_known(request):
                answer.force_close()  # it would be hung up one day, in the middle of a later question maybe
            return answer
        grant = _identify(access, lines, request)
        request[SCOPE] = grant.scope
        _require_direct(access, allowed_origins, request)
        if grant.scope < _find_scope(scopes, request):
            raise Forbidden(f"A token of the scope {grant.scope.name.lower()} may not do this.")
        if request.method in SAFE:
            with end_with_caller(
                request
            ):  # a change goes on: whoever has hung up may have been heard already
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
    """Refuse what nobody needs, before anybody is asked who they are. Errors: HeadTooLarge, UnsupportedEncoding."""
    require_small_head(request)
    if "Content-Encoding" in request.headers:
        raise UnsupportedEncoding


def _identify(access: Access, lines: Lines, request: web.Request) -> Grant:
    """Return who asks. Errors: Unauthorized, Forbidden, TooManyAttempts, TooManyRequests.

    A token has a pace of its own. That of an address is for those behind it who have no right token, so that they
    cannot take it from the others.
    """
    address = request.remote or ""
    place = name_place(address)
    try:
        grant = access.identify("admin", read_bearer(request.headers.get("Authorization")), address)
    except Refusal:
        lines.meter.admit(place)
        raise
    lines.welcome(request)
    lines.meter.admit(f"token {grant.name}" if grant.name else place)
    return grant


def _require_direct(access: Access, allowed_origins: Collection[str], request: web.Request) -> None:
    """Refuse, as long as there is no token, what did not come from a program or a page of this machine itself.

    Errors: Forbidden, ForeignOrigin.
    """
    if access.guarded:
        return
    if may_be_rebound(request.headers.get("Host", "")):
        raise Forbidden(
            "Without tokens Master answers to no domain's name; use localhost or an address."
        )
    if any(name.lower().startswith(RELAYED) for name in request.headers):
        raise Forbidden("Without tokens Master answers nobody behind a proxy; set tokens.")
    _refuse_cross_site(allowed_origins, request)


def _refuse_cross_site(allowed_origins: Collection[str], request: web.Request) -> None:
    """Refuse what a strange page makes a browser ask without saying so in an Origin. Errors: ForeignOrigin."""
    if request.headers.get("Sec-Fetch-Site", "").lower() == "cross-site":
        origin = request.headers.get("Origin")
        if origin is None or not is_allowed(origin, request.host, allowed_origins):
            raise ForeignOrigin(
                "Pages of other sites may not ask here; allow them with ALLOWED_ORIGINS."
            )


def guard_sockets(
    access: Access, allowed_origins: Collection[str], answer_sockets: Answer
) -> Answer:
    """Return what lets Socket.IO answer those who may ask; it asks for tokens itself and meters its connections."""

    async def check(request: web.Request) -> web.StreamResponse:
        try:
            access.require_near(request.remote or "")
            _require_plain(request)
            _require_direct(access, allowed_origins, request)
            if access.guarded:  # else it has been asked already
                _refuse_cross_site(allowed_origins, request)
            if "j" in request.query:
                raise Unreadable("JSONP is not spoken here: any page could read it.")
        except Refusal as refusal:
            return answer_refusal(refusal)
        answer = await answer_sockets(request)
        if answer.status == BAD_REQUEST and isinstance(answer, web.Response):
            answer.body = b'"Bad Request"'  # the library repeats what was asked
        return answer

    return check


def _find_scope(scopes: Scopes, request: web.Request) -> Scope:
    """Return what the route asks for; what is no route says so to whoever may read."""
    resource = request.match_info.route.resource
    method = "GET" if request.method == "HEAD" else request.method
    return scopes.get((method, resource.canonical if resource is not None else ""), Scope.READ)
