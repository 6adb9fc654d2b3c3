"""The owner's side of login links: the page `/l/`, and the few requests that its cookie allows."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable
from typing import NoReturn, TypeVar

import orjson
import structlog
from aiohttp import web

from master.access import Access, name_address
from master.decisions.links import name_agent
from master.errors import ForeignOrigin, LinkClosed, LinkTaken, TooManyRequests, Unreadable
from master.lines import Lines
from master.links import Links
from master.login_link import OPEN_LINK
from master.logs import AUDIT
from master.operations.link_views import OwnerState, find_owners_login, show_to_owner
from master.operations.login_links import (
    Opened,
    Opening,
    Owner,
    check_secret,
    digest,
    open_link,
    start_by_link,
    type_by_link,
)
from master.protocol.decoding import decode
from master.protocol.http import CodeById, Nothing
from master.protocol.login_links import OpenLink, OwnerInput
from master.protocol.wire import HttpPayload
from master.turn import Caller, Operation
from master.web.access import require_direct
from master.web.answers import answer_json
from master.web.connections import end_with_caller
from master.web.console_files import load_link_files
from master.web.origins import Origins
from master.web.problems import ID
from master.web.qr_codes import QrCodes
from master.web.reading import read_object
from master.writer import Turns

P = TypeVar("P", bound=HttpPayload)
R = TypeVar("R")

POLL_S = 25.0
"""How long a request for the state waits for news; proxies end silent requests after a minute."""

MOST_POLLS = 4
"""Requests of one device that wait at the same time: more are those of pages that it has left."""

COOKIE_S = 2 * 86_400
"""How long a browser keeps a link's cookie, which opens nothing after the link's end."""

PREFIX = "master_link_"
SECURE = "__Secure-"
_LINK_ID = re.compile(r"[A-Za-z0-9-]{1,64}")

audit = structlog.get_logger(AUDIT)


class LinkPage:
    """Answers `/l/`: nothing happens before a person taps, and a cookie opens one link only."""

    def __init__(
        self,
        turns: Turns,
        access: Access,
        origins: Origins,
        lines: Lines,
        links: Links,
        codes: QrCodes,
    ) -> None:
        self._turns = turns
        self._access = access
        self._origins = origins
        self._lines = lines
        self._links = links
        self._codes = codes

    def add_to(self, app: web.Application) -> None:
        """Add the routes to an application."""
        files = load_link_files()
        app.router.add_get("/l", files.redirect)
        app.router.add_get("/l/", files.show_page)
        app.router.add_get("/l/files/{version}/{name:.+}", files.show_file)
        app.router.add_post("/l/open", self.open)
        app.router.add_get("/l/state", self.show_state)
        app.router.add_post("/l/start", self.start)
        app.router.add_post("/l/input", self.relay_input)
        app.router.add_get("/l/qr.png", self.show_code)
        app.on_shutdown.append(self._let_go)

    async def open(self, request: web.Request) -> web.Response:
        """Bind a link to this device, or recognise the device.

        Errors: ForeignOrigin, Unreadable, Invalid, LinkClosed, LinkTaken, TooManyAttempts.
        """
        self._require_own(request)
        sent = await self._read(request, OpenLink)
        remote = request.remote or ""
        agent = name_agent(request.headers.get("User-Agent", ""))
        opening = Opening(digest(sent.secret), _list_devices(request), remote, agent)
        # a look, because guesses shall not cost turns
        link_id: str = await self._ask(request, self._turns.look(check_secret, opening))
        caller = Caller("link", name=link_id, request_id=request.get(ID))
        opened: Opened = await self._ask(request, self._turns.run(open_link, opening, caller))
        if opened["is_taken"]:
            audit.warning("login_link_taken", link=opened["id"], address=remote)
            raise LinkTaken
        self._lines.welcome(request)
        audit.info("login_link_opened", link=opened["id"], address=remote)
        answer = answer_json({"success": True, "data": {"id": opened["id"]}})
        if opened["cookie"] is not None:
            secure = request.headers.get("Origin", "").lower().startswith("https://")
            # without a path it is that of this request's folder, whatever prefix a proxy takes off
            answer.set_cookie(
                f"{SECURE if secure else ''}{PREFIX}{opened['id']}",
                opened["cookie"],
                max_age=COOKIE_S,
                path="",
                httponly=True,
                samesite="Strict",
                secure=secure,
            )
        return answer

    async def show_state(self, request: web.Request) -> web.Response:
        """Return the link's state, once it is another one than `after`, or after POLL_S.

        Errors: ForeignOrigin, LinkClosed, TooManyAttempts, TooManyRequests.
        """
        owner = self._identify(request)
        after = request.query.get("after", "")
        if self._links.count_waiting(owner.link_id) >= MOST_POLLS:
            raise TooManyRequests(retry_after_ms=2_000)
        news = self._links.wait(owner.link_id)  # before the look: nothing is missed between them
        try:
            state = await self._look(request, owner)
            if _name_state(state) == after and state["state"] in OPEN_LINK:
                with end_with_caller(request):
                    await asyncio.wait({news}, timeout=POLL_S)
                state = await self._look(request, owner)
        finally:
            self._links.leave(owner.link_id, news)
        return answer_json({"success": True, "data": {**state, "tag": _name_state(state)}})

    async def start(self, request: web.Request) -> web.Response:
        """Start a login. Errors: as `show_state`, and those of a login's start."""
        owner = self._identify(request)
        await self._read(request, Nothing)
        return await self._do(request, start_by_link, owner, "login_link_started")

    async def relay_input(self, request: web.Request) -> web.Response:
        """Relay what the owner typed. Errors: as `show_state`, Invalid, StepPassed, LoginClosed."""
        owner = self._identify(request)
        sent = await self._read(request, OwnerInput)
        typed = Owner(owner.link_id, owner.device_hash, sent.value, sent.step_id)
        return await self._do(request, type_by_link, typed, "login_link_answered")

    async def show_code(self, request: web.Request) -> web.Response:
        """Return the code of the login under way. Errors: as `show_state`, Missing."""
        owner = self._identify(request)
        session_id = await self._ask(request, self._turns.look(find_owners_login, owner))
        return await self._codes.show(CodeById(id=session_id))

    # -- parts ------------------------------------------------------------------------------------

    async def _do(
        self, request: web.Request, operation: Operation, owner: Owner, done: str
    ) -> web.Response:
        caller = Caller("link", name=owner.link_id, request_id=request.get(ID))
        await self._ask(request, self._turns.run(operation, owner, caller))
        audit.info(done, link=owner.link_id, address=request.remote)
        return answer_json({"success": True})

    async def _look(self, request: web.Request, owner: Owner) -> OwnerState:
        state: OwnerState = await self._ask(request, self._turns.look(show_to_owner, owner))
        self._lines.welcome(request)
        return state

    async def _ask(self, request: web.Request, reply: Awaitable[R]) -> R:
        """Return an operation's reply; a closed link counts as a wrong secret."""
        try:
            return await reply
        except LinkClosed:
            self._refuse(request)

    def _identify(self, request: web.Request) -> Owner:
        """Return the device and its link. Errors: ForeignOrigin, LinkClosed, TooManyAttempts."""
        self._require_own(request)
        link_id = request.query.get("link", "")
        name = f"{PREFIX}{link_id}"
        secret = request.cookies.get(f"{SECURE}{name}") or request.cookies.get(name)
        if not secret or not _LINK_ID.fullmatch(link_id):
            self._refuse(request)
        return Owner(link_id, digest(secret))

    def _require_own(self, request: web.Request) -> None:
        """Refuse what another page sent. Errors: Forbidden, ForeignOrigin, TooManyRequests."""
        self._access.require_near(request.remote or "")
        require_direct(self._access, self._origins, request)
        if not self._origins.is_own(request):
            raise ForeignOrigin
        self._lines.meter.admit(name_address(request.remote or ""))

    async def _read(self, request: web.Request, kind: type[P]) -> P:
        if request.content_type != "application/json":
            raise Unreadable("It is sent as application/json.")
        with self._lines.patience(request):
            return decode(kind, read_object(await request.read()))

    def _refuse(self, request: web.Request) -> NoReturn:
        """Refuse an unknown or ended link, always alike. Errors: LinkClosed, TooManyAttempts."""
        self._access.note_guess(request.remote or "", "wrong_login_link")
        raise LinkClosed

    async def _let_go(self, app: web.Application) -> None:
        """Answer those who wait: Master stops."""
        self._links.ring_all()


def _list_devices(request: web.Request) -> frozenset[str]:
    """Return the hashes of the device's cookies: it may be bound to links by several."""
    known = [
        value
        for name, value in request.cookies.items()
        if name.removeprefix(SECURE).startswith(PREFIX)
    ]
    return frozenset(digest(value) for value in known[:50])


def _name_state(state: OwnerState) -> str:
    """Return a short name of a state's content, the same for the same content."""
    content = {name: value for name, value in state.items() if name != "now_ms"}
    return hashlib.sha256(orjson.dumps(content)).hexdigest()[:16]
