"""Login sessions as HTTP and administrators read them."""

from __future__ import annotations

from typing import cast

from master.decisions.login import require_open
from master.errors import LoginClosed, Missing, UnknownSession
from master.model import JsonObject, Login, Scope, SessionStatus
from master.protocol.admin import LoginList, render_login
from master.protocol.answers import ListedLogin, Listing, ShownLogin
from master.protocol.http import ById
from master.protocol.lists import LoginsQuery
from master.protocol.wire import Empty
from master.store import logins as login_rows
from master.turn import Turn

LIST_LIMIT = 200


async def request_logins(event: Empty, turn: Turn) -> JsonObject:
    """List the newest login sessions; open ones include their code, so that a page can reload.

    A caller that may not operate gets no code.
    """
    found = await login_rows.list_logins(turn.connection, LoginsQuery(limit=LIST_LIMIT))
    logins = found.records
    scanning = [login.id for login in logins if login.status is SessionStatus.SCANNING]
    may_see = turn.caller.scope >= Scope.OPERATE and scanning
    codes = await login_rows.read_codes(turn.connection, scanning) if may_see else {}
    reply = LoginList(
        [cast(ListedLogin, {**render_login(login), **codes.get(login.id, {})}) for login in logins],
        turn.milliseconds,
        turn.rev,
    )
    turn.answer(reply)
    return reply.render()


async def list_logins(event: LoginsQuery, turn: Turn) -> Listing[ShownLogin]:
    """List login sessions, the newest first."""
    return (await login_rows.list_logins(turn.connection, event)).render(render_login)


async def show_login(event: ById, turn: Turn) -> ShownLogin:
    """Return one login session; its code is at `qr.png`."""
    return render_login(await _find_stored(turn, event.id))


async def show_qr_code(event: ById, turn: Turn) -> JsonObject:
    """Return the QR code of an open login."""
    login = await _find_stored(turn, event.id)
    try:
        require_open(login, turn.now)
    except LoginClosed:
        raise Missing("This login has ended; its code is gone.") from None
    code = (await login_rows.read_codes(turn.connection, [login.id])).get(login.id)
    if code is None or code["qr_code_data"] is None:
        raise Missing("The worker has sent no code yet.")
    return code


async def _find_stored(turn: Turn, session_id: str) -> Login:
    login = await login_rows.find_login(turn.connection, session_id)
    if login is None:
        raise UnknownSession
    return login
