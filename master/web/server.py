"""The web application: every route of the table, behind the middlewares."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler

from master.access import Access
from master.lines import Lines
from master.links import Links
from master.protocol.answers import Listing
from master.protocol.lists import Page
from master.settings import Settings
from master.turn import Caller, Operation
from master.web.access import authenticate_requests, name_caller
from master.web.account_actions import AccountActions
from master.web.account_imports import AccountImports
from master.web.answers import answer_list, answer_one
from master.web.compression import compress
from master.web.connections import LINES
from master.web.console import Console
from master.web.endpoint import ROOT, Endpoint
from master.web.figures import Figures
from master.web.health import Health, Vitals
from master.web.lifecycle import Lifecycle, Processes
from master.web.login_links import LinkPage
from master.web.origins import Origins, allow_origins
from master.web.problems import make_request_ids, translate_problems
from master.web.proxy_trial import ProxyTrials
from master.web.qr_codes import QrCodes
from master.web.reading import read_request
from master.web.system import System
from master.writer import Turns

Ask = Callable[[Any, Caller], Awaitable[tuple[Any, int | None]]]
"""Answers one endpoint: (payload, caller) -> reply and its revision, if it has one."""


def build_web(
    endpoints: Sequence[Endpoint],
    *,
    turns: Turns,
    supervisor: Processes,
    settings: Settings,
    vitals: Vitals,
    figures: Figures,
    new_id: Callable[[], str],
    access: Access,
    lines: Lines,
    origins: Origins,
    links: Links,
    system: System,
) -> web.Application:
    """Return the application that answers every path but Socket.IO's."""
    app = web.Application(
        client_max_size=settings.max_body_bytes,
        middlewares=[
            make_request_ids(new_id),
            allow_origins(origins),
            translate_problems,
            authenticate_requests(
                access,
                {(one.method, ROOT + one.path): one for one in endpoints},
                lines,
                turns.note,
                origins,
            ),
        ],
    )
    app[LINES] = lines
    health = Health(turns, vitals, _list_plain_paths(endpoints))
    _add_pages(app, health, figures)
    lifecycle = Lifecycle(turns, supervisor, vitals)
    app.on_cleanup.append(lifecycle.close)
    Console(access, origins, lines, settings, vitals).add_to(app)
    codes = QrCodes(turns)
    LinkPage(turns, access, origins, lines, links, codes).add_to(app)
    edges = (
        health,
        lifecycle,
        ProxyTrials(turns, vitals.clock),
        codes,
        AccountActions(turns),
        AccountImports(turns),
        system,
    )
    methods = {
        method.__func__: method
        for edge in edges
        for _, method in inspect.getmembers(edge, inspect.ismethod)
    }
    for endpoint in endpoints:
        if endpoint.operation is not None:
            ask = _ask_operation(turns, endpoint.operation, endpoint)
        else:
            assert endpoint.edge is not None, "an operation or the edge answers"
            ask = _ask_edge(turns, methods[endpoint.edge], endpoint)
        handler = _make_handler(ask, endpoint, settings.list_keys)
        app.router.add_route(endpoint.method, ROOT + endpoint.path, handler)
        if endpoint.method == "GET":
            app.router.add_route("HEAD", ROOT + endpoint.path, handler)
    return app


def _list_plain_paths(endpoints: Sequence[Endpoint]) -> list[str]:
    return [one.path for one in endpoints if one.method == "GET" and "{" not in one.path]


def _add_pages(app: web.Application, health: Health, figures: Figures) -> None:
    """Add what is outside the API: the index, the health and the figures."""
    app.router.add_get("/", health.show_root)
    app.router.add_get(ROOT, health.show_index)
    app.router.add_get(f"{ROOT}/", health.show_index)
    app.router.add_get("/metrics", figures.show)
    app.router.add_get("/health", health.show_health)
    app.router.add_get("/health/live", health.show_live)
    app.router.add_get("/health/ready", health.show_ready)
    app.on_cleanup.append(health.close)


def _ask_operation(turns: Turns, operation: Operation, endpoint: Endpoint) -> Ask:
    async def ask(event: Any, caller: Caller) -> tuple[Any, int | None]:
        if endpoint.writes:
            return await turns.run_with_rev(operation, event, caller)
        if endpoint.shared:
            return await turns.look_shared(operation)
        rev = turns.rev  # before the look: rows may be newer than it, and never older
        return await turns.look(operation, event, caller), rev

    return ask


def _ask_edge(turns: Turns, method: Callable[..., Awaitable[Any]], endpoint: Endpoint) -> Ask:
    async def ask(event: Any, caller: Caller) -> tuple[Any, int | None]:
        reply = await (method(event, caller) if endpoint.for_caller else method(event))
        if not event.changes_nothing:
            turns.note(caller)
        return reply, turns.rev if endpoint.for_caller else None

    return ask


def _make_handler(ask: Ask, endpoint: Endpoint, list_keys: str) -> Handler:
    """Return the handler of an endpoint's requests.

    Answers of operations have no secrets and are compressed; those of the edge (an image, a
    process's log) are not.
    """
    also_as = endpoint.noun.deployed_as if list_keys == "both" else None

    async def handle(request: web.Request) -> web.StreamResponse:
        event = await read_request(request, endpoint)
        reply, rev = await ask(event, name_caller(request, endpoint))
        if isinstance(reply, web.StreamResponse):
            return reply
        if isinstance(reply, Listing):
            assert isinstance(event, Page), "a list's payload is a page"
            page = answer_list(
                reply, limit=event.limit, offset=event.offset, also_as=also_as, rev=rev
            )
            return compress(request, page)
        answer = answer_one(endpoint.noun.singular, reply, status=endpoint.status, rev=rev)
        if endpoint.status == 201:
            answer.headers["Location"] = f"{ROOT}{endpoint.path}/{quote(str(reply['id']), safe='')}"
        return answer if endpoint.edge else compress(request, answer)

    return handle
