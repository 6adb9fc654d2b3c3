"""The console's sessions over HTTP: begin with a token or a link, look, list, end."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from aiohttp import web

from master.access import Access
from master.errors import ForeignOrigin, Invalid, Missing, Unreadable
from master.lines import Lines
from master.logs import AUDIT
from master.model import Grant, Scope
from master.protocol.console import ShownSession, ShownSignIn
from master.settings import Settings
from master.signins import LONGEST_S, Session, redeem_link
from master.web.access import GRANT, SESSION_PATH, name_cookie, read_session
from master.web.answers import answer_json
from master.web.console_files import load_files
from master.web.endpoint import ROOT
from master.web.health import Vitals
from master.web.origins import Origins
from master.web.reading import read_object

LONGEST_SECRET = 4_096
WAYS = ("token", "link")

audit = structlog.get_logger(AUDIT)


class Console:
    """Answers `/console/` and `/api/v1/console/...`."""

    def __init__(
        self, access: Access, origins: Origins, lines: Lines, settings: Settings, vitals: Vitals
    ) -> None:
        self._access = access
        self._origins = origins
        self._lines = lines
        self._settings = settings
        self._vitals = vitals

    def add_to(self, app: web.Application) -> None:
        """Add the routes to an application."""
        files = load_files()
        app.router.add_get("/console", files.redirect)
        app.router.add_get("/console/", files.show_page)
        app.router.add_get("/console/files/{version}/{name:.+}", files.show_file)
        app.router.add_get(SESSION_PATH, self.show)
        app.router.add_post(SESSION_PATH, self.sign_in)
        app.router.add_delete(SESSION_PATH, self.sign_out)
        app.router.add_get(f"{ROOT}/console/sessions", self.show_list)
        app.router.add_delete(f"{ROOT}/console/sessions/{{id}}", self.end)

    async def show(self, request: web.Request) -> web.Response:
        """Return who the caller is, and what the page must know before it shows anything."""
        session = read_session(self._access, self._origins, self._lines, request)
        return self._answer(request[GRANT], session)

    async def sign_in(self, request: web.Request) -> web.Response:
        """Exchange a token or a link for a session's cookie.

        Errors: ForeignOrigin, Unreadable, Invalid, Unauthorized, Forbidden, TooManyAttempts.
        """
        remote = request.remote or ""
        if "Origin" in request.headers and not self._origins.is_own(request):
            raise ForeignOrigin
        if request.content_type != "application/json":
            raise Unreadable("A sign-in is sent as application/json.")
        with self._lines.patience(request):
            sent = read_object(await request.read())
        if not self._access.guarded:
            return self._answer(self._access.identify("admin", None, remote), None)
        grant = await self._find_grant(sent, remote)
        secret, session = self._access.signins.open(
            grant, remote, request.headers.get("User-Agent", "")
        )
        self._lines.welcome(request)
        audit.info("signed_in", by=grant.name, address=remote, session=session.id)
        answer = self._answer(grant, session)
        secure = request.headers.get("Origin", "").lower().startswith("https://")
        answer.set_cookie(
            f"__Host-{name_cookie(request)}" if secure else name_cookie(request),
            secret,
            max_age=LONGEST_S,
            path="/",
            httponly=True,
            samesite="Strict",
            secure=secure,
        )
        return answer

    async def _find_grant(self, sent: dict[str, Any], remote: str) -> Grant:
        name, secret = next(iter(sent.items()), ("", None))
        if len(sent) != 1 or name not in WAYS or not isinstance(secret, str):
            raise Invalid("A sign-in has either `token` or `link`, as a text.")
        if len(secret) > LONGEST_SECRET:
            raise Invalid("The secret is too long.")
        if name == "token":
            return self._access.identify("admin", secret.strip(), remote)
        now = self._vitals.clock.now()
        owner = await asyncio.to_thread(redeem_link, self._settings.db_path, secret, now)
        grant = self._access.find_admin(owner) if owner is not None else None
        if grant is None:
            self._access.refuse_guess(remote)
        return grant

    async def sign_out(self, request: web.Request) -> web.Response:
        """End the caller's session, and close its sockets."""
        session = read_session(self._access, self._origins, self._lines, request)
        if session is not None:
            self._access.signins.end(session.id)
            audit.info("signed_out", by=session.grant.name, session=session.id)
        answer = answer_json({"success": True})
        for name in (name_cookie(request), f"__Host-{name_cookie(request)}"):
            answer.del_cookie(name, path="/", secure=name.startswith("__Host-"), httponly=True)
        return answer

    async def show_list(self, request: web.Request) -> web.Response:
        """Return the open sessions: all of them to an administrator, else those of the caller."""
        own = read_session(self._access, self._origins, self._lines, request)
        rows = [
            _render(session, is_own=session is own)
            for session in self._access.signins.list()
            if _may_see(request[GRANT], session)
        ]
        return answer_json({"success": True, "data": rows, "total": len(rows)})

    async def end(self, request: web.Request) -> web.Response:
        """End a session, and close its sockets. Errors: Missing."""
        for session in self._access.signins.list():
            if session.id == request.match_info["id"] and _may_see(request[GRANT], session):
                self._access.signins.end(session.id)
                audit.info("session_ended", by=request[GRANT].name, session=session.id)
                return answer_json({"success": True})
        raise Missing

    def _answer(self, grant: Grant, session: Session | None) -> web.Response:
        settings = self._settings
        content: ShownSignIn = {
            "name": grant.name,
            "scope": grant.scope.name.lower(),
            "guarded": self._access.guarded,
            "version": self._vitals.version,
            "started_at": self._vitals.started_at,
            "demo": settings.demo,
            "demo_label": settings.demo_label,
            "now_ms": int(self._vitals.clock.now() * 1000),
            "expires_at": session.expires_at if session is not None else None,
            "limits": {
                "login_ttl_s": settings.login_ttl_s,
                "login_max_s": settings.login_max_s,
                "heartbeat_timeout_s": settings.heartbeat_timeout_s,
            },
        }
        return answer_json({"success": True, "session": content, "data": content})


def _may_see(grant: Grant, session: Session) -> bool:
    return grant.scope is Scope.ADMIN or session.grant.name == grant.name


def _render(session: Session, *, is_own: bool) -> ShownSession:
    return {
        "id": session.id,
        "name": session.grant.name,
        "scope": session.grant.scope.name.lower(),
        "address": session.address,
        "agent": session.agent,
        "created_at": session.created_at,
        "seen_at": session.seen_at,
        "expires_at": session.expires_at,
        "sockets": len(session.sockets),
        "is_own": is_own,
    }
