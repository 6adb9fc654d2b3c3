"""HTTP access: the middleware that every request passes before its query or body is parsed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from master.access import Access, name_address, read_bearer
from master.decisions.history import describe_request
from master.errors import (
    NOT_NOW,
    Forbidden,
    ForeignOrigin,
    Refusal,
    Unreadable,
    UnsupportedEncoding,
)
from master.lines import Lines
from master.logs import AUDIT
from master.model import Grant, Scope
from master.signins import Session
from master.turn import Caller
from master.web.answers import answer_refusal
from master.web.connections import Answer, end_with_caller, require_small_head
from master.web.endpoint import Endpoint
from master.web.origins import SAFE, Origins, may_be_rebound
from master.web.problems import ID
from master.web.relayed import is_relayed

OPEN = frozenset({"/health", "/health/live", "/health/ready"})
"""Paths for load balancers and supervisors, which have no token."""

SESSION_PATH = "/api/v1/console/session"
BAD_REQUEST = 400

audit = structlog.get_logger(AUDIT)

GRANT = web.RequestKey("grant", Grant)
"""Key of a request's grant."""

Endpoints = Mapping[tuple[str, str], Endpoint]
"""(method, path as the route writes it) -> the endpoint."""

Note = Callable[[Caller], object]
"""Records a person's command that changes no row, or that was refused."""


def authenticate_requests(
    access: Access,
    endpoints: Endpoints,
    lines: Lines,
    note: Note,
    origins: Origins,
) -> Middleware:
    """Return the middleware that authenticates, authorises, rate-limits and audits requests.

    An earlier middleware answers preflights and refuses changes from foreign pages.
    """

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        _require_plain(request)
        if request.path in OPEN or is_console(request) or is_link(request):
            read_session(access, origins, lines, request)
            answer = await handler(request)
            if not lines.is_known(request):
                # a stranger's connection has a deadline, which might fall into a later request
                answer.force_close()
            return answer
        grant = _identify(access, origins, lines, request)
        request[GRANT] = grant
        require_direct(access, origins, request)
        endpoint = _find_endpoint(endpoints, request)
        if request.method in SAFE:
            _require_scope(grant, endpoint)
            # a change is never cancelled: it may be committed already when its caller hangs up
            with end_with_caller(request):
                return await handler(request)
        try:
            _require_scope(grant, endpoint)
            answer = await handler(request)
        except Refusal as refusal:
            _log_change(grant, request, refusal.status, code=refusal.code)
            is_judged = not isinstance(refusal, NOT_NOW)
            if endpoint is not None and endpoint.is_command and is_judged:
                caller = name_caller(request, endpoint)
                assert caller.deed is not None, "a command has a deed"
                note(replace(caller, deed=replace(caller.deed, refused=refusal.code)))
            raise
        _log_change(grant, request, answer.status)
        return answer

    return check


def name_caller(request: web.Request, endpoint: Endpoint) -> Caller:
    """Return the caller of a request, with its command if the audit records that."""
    grant = request.get(GRANT) or Grant("admin", "", Scope.NONE)
    deed = None
    if endpoint.is_command:
        deed = describe_request(endpoint.method, endpoint.path, request.match_info.get("id"))
    return Caller(
        "http",
        name=grant.name,
        scope=grant.scope,
        accounts=grant.accounts,
        request_id=request.get(ID),
        deed=deed,
    )


def _log_change(grant: Grant, request: web.Request, status: int, **refused: str) -> None:
    audit.info(
        "change_asked",
        by=grant.name,
        method=request.method,
        path=request.path,
        status=status,
        **refused,
    )


def _require_plain(request: web.Request) -> None:
    """Refuse large heads and encoded bodies before authentication.

    Errors: HeadTooLarge, UnsupportedEncoding.
    """
    require_small_head(request)
    if "Content-Encoding" in request.headers:
        raise UnsupportedEncoding


def is_console(request: web.Request) -> bool:
    """Tell whether a request is for a file of the console, which has no data, or a sign-in."""
    return f"{request.path}/".startswith("/console/") or (
        request.method == "POST" and request.path == SESSION_PATH
    )


def is_link(request: web.Request) -> bool:
    """Tell whether a request is for the page of login links, which checks its own secrets."""
    return f"{request.path}/".startswith("/l/")


def read_session(
    access: Access, origins: Origins, lines: Lines, request: web.Request
) -> Session | None:
    """Return the session of a request's cookie, if the console sent the request; else None.

    A token in the header wins.
    """
    if not access.guarded or "Authorization" in request.headers:
        return None
    name = name_cookie(request)
    secret = request.cookies.get(f"__Host-{name}") or request.cookies.get(name)
    session = access.signins.find(secret) if secret and origins.is_own(request) else None
    if session is not None:
        lines.welcome(request)
    return session


def name_cookie(request: web.Request) -> str:
    """Return the name of the session's cookie: browsers share cookies among the ports of a host."""
    port = request.headers.get("Host", "").rpartition(":")[2]
    return f"master_console_{port}" if port.isdecimal() else "master_console"


def _require_json(request: web.Request) -> None:
    """Refuse a page's body that is not declared as JSON: only forms of other sites send others.

    Errors: Unreadable.
    """
    if request.body_exists and request.content_type != "application/json":
        raise Unreadable("With a session, a body is sent as application/json.")


def _identify(access: Access, origins: Origins, lines: Lines, request: web.Request) -> Grant:
    """Return the caller's grant. Errors: Unauthorized, Forbidden, TooManyAttempts, TooManyRequests.

    Each token has its own rate limit. The rate limit of an address counts only requests without a
    valid token, so that these cannot use up the limit of other callers behind that address.
    """
    remote = request.remote or ""
    address = name_address(remote)
    session = read_session(access, origins, lines, request)
    if session is not None:
        lines.meter.admit(f"token {session.grant.name}")
        _require_json(request)
        return session.grant
    try:
        grant = access.identify("admin", read_bearer(request.headers.get("Authorization")), remote)
    except Refusal:
        lines.meter.admit(address)
        raise
    lines.welcome(request)
    lines.meter.admit(f"token {grant.name}" if grant.name else address)
    return grant


def require_direct(access: Access, origins: Origins, request: web.Request) -> None:
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


def check_sockets(access: Access, origins: Origins, answer_sockets: Answer) -> Answer:
    """Return `answer_sockets` behind the checks that HTTP requests pass.

    Socket.IO checks tokens and meters connections itself. A foreign page may not even read here: a
    browser lets every page use a WebSocket.
    """

    async def check(request: web.Request) -> web.StreamResponse:
        try:
            access.require_near(request.remote or "")
            _require_plain(request)
            require_direct(access, origins, request)
            if access.guarded:  # else `require_direct` has checked it
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


def _find_endpoint(endpoints: Endpoints, request: web.Request) -> Endpoint | None:
    """Return the endpoint of the request's route; None if there is none, which answers 404."""
    resource = request.match_info.route.resource
    method = "GET" if request.method == "HEAD" else request.method
    return endpoints.get((method, resource.canonical if resource is not None else ""))


def _require_scope(grant: Grant, endpoint: Endpoint | None) -> None:
    """Refuse a caller below the endpoint's scope. Errors: Forbidden."""
    if grant.scope < (endpoint.scope if endpoint is not None else Scope.READ):
        raise Forbidden(f"A token of the scope {grant.scope.name.lower()} may not do this.")
