"""The web application: every route of the table, with what every request passes on its way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler

from master.access import Access
from master.endpoints import ENDPOINTS, ROOT, Endpoint
from master.lines import Lines
from master.model import Scope
from master.protocol.http import Listing, Page
from master.settings import Settings
from master.turn import Caller
from master.web.access import SCOPE, guard_requests
from master.web.answers import answer_list, answer_one
from master.web.connections import LINES
from master.web.figures import Figures
from master.web.health import Health, Vitals
from master.web.lifecycle import Lifecycle, Processes
from master.web.origins import allow_origins
from master.web.problems import make_request_ids, translate_problems
from master.web.proxy_trial import ProxyTrials
from master.web.qr_codes import QrCodes
from master.web.reading import read_request
from master.writer import Turns

HTTP = Caller("http")

EdgeHandler = Callable[[web.Request, Endpoint], Awaitable[web.StreamResponse]]


def build_web(
    *,
    turns: Turns,
    supervisor: Processes,
    settings: Settings,
    vitals: Vitals,
    figures: Figures,
    new_id: Callable[[], str],
    access: Access,
    lines: Lines,
) -> web.Application:
    """Return the application that answers everything but Socket.IO's own path."""
    app = web.Application(
        client_max_size=settings.max_body_bytes,
        middlewares=[
            make_request_ids(new_id),
            allow_origins(settings.http_origins),
            translate_problems,
            guard_requests(
                access,
                {(one.method, ROOT + one.path): one.scope for one in ENDPOINTS},
                lines,
                settings.allowed_origins,
            ),
        ],
    )
    app[LINES] = lines
    health = Health(turns, vitals)
    app.router.add_get("/", health.show_root)
    app.router.add_get("/metrics", figures.show)
    app.router.add_get("/health", health.show_health)
    app.router.add_get("/health/live", health.show_live)
    app.router.add_get("/health/ready", health.show_ready)
    app.on_cleanup.append(health.close)
    lifecycle = Lifecycle(turns, supervisor, vitals)
    by_edge: Mapping[tuple[str, str], EdgeHandler] = {
        ("POST", "/workers/{id}/lifecycle/start"): lifecycle.start,
        ("POST", "/workers/{id}/lifecycle/stop"): lifecycle.stop,
        ("POST", "/workers/{id}/lifecycle/restart"): lifecycle.restart,
        ("GET", "/workers/{id}/lifecycle/status"): lifecycle.show_status,
        ("GET", "/workers/{id}/lifecycle/logs"): lifecycle.show_logs,
        ("POST", "/proxies/{id}/test"): ProxyTrials(turns, vitals.clock).run,
        ("GET", "/login-sessions/{id}/qr.png"): QrCodes(turns).show,
        ("GET", "/status"): health.show_status,
    }
    for endpoint in ENDPOINTS:
        if endpoint.operation is not None:
            handler = _make_handler(turns, endpoint)
        else:
            handler = _pass_endpoint(by_edge[endpoint.method, endpoint.path], endpoint)
        app.router.add_route(endpoint.method, ROOT + endpoint.path, handler)
        if endpoint.method == "GET":
            app.router.add_route("HEAD", ROOT + endpoint.path, handler)
    return app


def _make_handler(turns: Turns, endpoint: Endpoint) -> Handler:
    """Return what answers an endpoint that has an operation."""
    operation = endpoint.operation
    assert operation is not None, "the edge answers the others"

    async def handle(request: web.Request) -> web.StreamResponse:
        event = await read_request(request, endpoint)
        caller = replace(HTTP, scope=request.get(SCOPE, Scope.NONE))
        if endpoint.writes:
            reply = await turns.run(operation, event, caller)
        elif endpoint.shared:
            reply = await turns.look_shared(operation)
        else:
            reply = await turns.look(operation, event, caller)
        if isinstance(reply, Listing):
            page = event.query
            assert isinstance(page, Page), "a list is asked for by the page"
            return answer_list(endpoint.plural, reply, limit=page.limit, offset=page.offset)
        answer = answer_one(endpoint.singular, reply, status=endpoint.status)
        if endpoint.status == 201:
            answer.headers["Location"] = f"{ROOT}{endpoint.path}/{quote(str(reply['id']), safe='')}"
        return answer

    return handle


def _pass_endpoint(answer: EdgeHandler, endpoint: Endpoint) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await answer(request, endpoint)

    return handle
