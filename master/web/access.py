"""Who may ask over HTTP: the middleware that every request passes before anything of it is read."""

from __future__ import annotations

from collections.abc import Mapping

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from master.access import Access, read_bearer
from master.errors import Forbidden, Refusal, Unreadable
from master.lines import Lines
from master.model import Scope
from master.web.answers import answer_refusal
from master.web.origins import SAFE, may_be_rebound
from master.web.problems import belongs_to_sockets

OPEN = frozenset({"/health", "/health/live", "/health/ready"})
"""What load balancers and supervisors ask, who have no token."""

log = structlog.get_logger(__name__)

Scopes = Mapping[tuple[str, str], Scope]
"""What a caller must have, by method and path as the route writes it."""


def guard_requests(access: Access, scopes: Scopes, lines: Lines) -> Middleware:
    """Return a middleware that lets those in who may ask, as fast as they may."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if belongs_to_sockets(request):
            return await _pass_to_sockets(access, request, handler)
        if request.path in OPEN:
            return await handler(request)
        address = request.remote or ""
        access.admit_request(address)
        grant = access.identify("admin", read_bearer(request.headers.get("Authorization")), address)
        lines.welcome(request)
        if not access.guarded and may_be_rebound(request.headers.get("Host", "")):
            raise Forbidden("Without tokens Master answers to no domain's name; use localhost or an address.")
        if grant.scope < _find_scope(scopes, request):
            raise Forbidden(f"A token of the scope {grant.scope.name.lower()} may not do this.")
        if not access.guarded or request.method in SAFE:
            return await handler(request)
        answer = await handler(request)
        log.info("change_asked", by=grant.name, method=request.method, path=request.path, status=answer.status)
        return answer

    return check


async def _pass_to_sockets(access: Access, request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let Socket.IO answer, which asks for tokens itself."""
    try:
        access.require_near(request.remote or "")
        if "j" in request.query:
            raise Unreadable("JSONP is not spoken here: any page could read it.")
    except Refusal as refusal:
        return answer_refusal(refusal)
    return await handler(request)


def _find_scope(scopes: Scopes, request: web.Request) -> Scope:
    """Return what the route asks for; what is no route says so to whoever may read."""
    resource = request.match_info.route.resource
    method = "GET" if request.method == "HEAD" else request.method
    return scopes.get((method, resource.canonical if resource is not None else ""), Scope.READ)
