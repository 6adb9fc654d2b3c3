"""QR logins between administrators and workers (protocol.md section 4)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import structlog

from master.decisions.assignment import choose_login_worker
from master.decisions.login import (
    REPORTED,
    LoginEvent,
    LoginLimits,
    extend_deadline,
    follow,
    is_open,
    is_sane_session_id,
    require_open,
)
from master.errors import (
    Invalid,
    LoginClosed,
    Missing,
    NotRegistered,
    NotYours,
    ProxyUnreadable,
    StaleEpoch,
    UnknownAccount,
    UnknownSession,
    UnknownWorker,
    WorkerNotConnected,
)
from master.model import Account, JsonObject, Login, LoginStatus, Scope, SessionStatus, Worker, WorkerStatus
from master.operations.assignments import count_reserved, find_open_workers
from master.operations.login_ends import (
    change_open,
    close_open_login,
    expire,
    fail,
    give_back_place,
    note_deadline,
    set_login_status,
    stop_worker,
    succeed,
)
from master.protocol.admin import CancelLogin, StartLogin, remove_codes, remove_secrets
from master.protocol.admin import show_login as show_row
from master.protocol.http import Listing, LoginsQuery, NewLogin, NoQuery, Request
from master.protocol.wire import Empty
from master.protocol.worker import LoginQrCode, LoginReport, UserInput
from master.secret import SealBroken
from master.store import accounts as account_rows
from master.store import logins as login_rows
from master.store import workers as worker_rows
from master.store.proxies import find_proxy_of_worker
from master.turn import ADMINS, OPERATORS, READERS, Turn, worker_address

log = structlog.get_logger(__name__)

LIST_LIMIT = 200


async def start_login(event: StartLogin, turn: Turn) -> JsonObject:
    """Start a QR login on a worker; an open login of the same account is superseded."""
    account = await account_rows.find_account(turn.connection, event.account_id)
    if account is None:
        raise UnknownAccount
    superseded = await close_open_login(turn, account, "A newer login of this account was started.", "superseded")
    chosen = await _choose_worker(turn, account, event.worker_id)
    proxy = await _open_proxy(turn, chosen.id)
    session_id = event.session_id if is_sane_session_id(event.session_id) else None
    if session_id is None or await login_rows.find_login(turn.connection, session_id) is not None:
        session_id = turn.new_id()
    login = Login(
        id=session_id,
        account_id=account.id,
        worker_id=chosen.id,
        status=SessionStatus.PENDING,
        login_method="qrcode",
        qr_code_data=None,
        qr_code_url=None,
        error_message=None,
        expires_at=turn.at + int(turn.settings.login_ttl_s),
        logged_in_at=None,
        created_at=turn.at,
    )
    await login_rows.add_login(turn.connection, login)
    await set_login_status(turn, account, LoginStatus.LOGGING_IN)
    turn.after_commit(lambda: note_deadline(turn, login.id, login.expires_at))
    _tell_start(turn, login, account, proxy)
    if superseded is not None:
        await give_back_place(turn, superseded)  # only now: the new login needs a place before what waits gets one
    reply: JsonObject = {"account_id": account.id, "worker_id": chosen.id, "session_id": login.id, "status": "sent"}
    reply |= {"expires_at": login.expires_at, "timestamp": int(turn.now * 1000)}
    if turn.caller.kind == "admin":
        turn.answer("admin:login:start:ack", reply)
    log.info("login_started", session=login.id, account=account.id, worker=chosen.id)
    return reply


def _tell_start(turn: Turn, login: Login, account: Account, proxy: JsonObject | None) -> None:
    assert login.worker_id is not None
    turn.tell(
        worker_address(login.worker_id),
        "master:login:start",
        {
            "account_id": account.id,
            "session_id": login.id,
            "platform": account.platform,
            "proxy": proxy,
        },
    )


async def tell_pending_logins(turn: Turn, worker_id: str) -> None:
    """Tell a worker that comes back on another socket of the logins that it has not begun yet, as it was told before.

    It may never have heard of them: a socket can be dead for a while before anybody notices.
    """
    seat = turn.presence.seat_of_socket(turn.caller.sid)
    if seat is not None and seat.worker_id == worker_id:
        return
    logins = await login_rows.find_open_logins(turn.connection, worker_id=worker_id)
    pending = [login for login in logins if login.status is SessionStatus.PENDING and is_open(login, turn.now)]
    if not pending:
        return
    try:
        proxy = await _open_proxy(turn, worker_id)
    except ProxyUnreadable:  # no reason to turn the worker away: these logins go on to their deadlines
        log.error("proxy_password_unreadable", worker=worker_id, logins=len(pending))
        return
    for login in pending:
        account = await account_rows.find_account(turn.connection, login.account_id)
        assert account is not None, "a login's account cannot be removed before it"
        _tell_start(turn, login, account, proxy)


async def _choose_worker(turn: Turn, account: Account, wanted_id: str | None) -> Worker:
    """Return the worker that is to log an account in; all are looked at only where neither is named nor owns it."""
    named = wanted_id or account.assigned_worker_id
    row = await worker_rows.find_worker(turn.connection, named) if named is not None else None
    found = _judge_live(turn, row) if row is not None else None
    if wanted_id is not None:
        if found is None:
            raise UnknownWorker
        return choose_login_worker(account, (await count_reserved(turn, [found]))[0], [])
    if found is not None and found.status is WorkerStatus.CONNECTED:
        return choose_login_worker(account, None, [found])
    return choose_login_worker(account, None, [_judge_live(turn, worker) for worker in await find_open_workers(turn)])


def _judge_live(turn: Turn, worker: Worker) -> Worker:
    """Return a worker as disconnected if it has no live socket: its row says so only once its disconnect is noted."""
    if worker.status is WorkerStatus.CONNECTED and not turn.presence.has_socket(worker.id):
        return replace(worker, status=WorkerStatus.DISCONNECTED)
    return worker


async def _open_proxy(turn: Turn, worker_id: str) -> JsonObject | None:
    """Return the proxy that a login must take. Errors: ProxyUnreadable; a login by another way looks like a theft."""
    proxy = await find_proxy_of_worker(turn.connection, worker_id)
    try:
        return proxy.to_worker() if proxy is not None else None
    except SealBroken:
        raise ProxyUnreadable from None


async def cancel_login(event: CancelLogin, turn: Turn) -> JsonObject:
    """End an open login because a person said so."""
    login = await _find(turn, event.session_id)
    require_open(login, turn.now)
    ended = await fail(turn, login, "The login was cancelled.", "cancelled")
    stop_worker(turn, login, "cancelled")
    return show_row(ended)


async def relay_input(event: UserInput, turn: Turn) -> JsonObject:
    """Pass what a person typed to the login's worker; it is neither stored nor logged."""
    login = await _find(turn, event.session_id)
    require_open(login, turn.now)
    worker = await worker_rows.find_worker(turn.connection, login.worker_id or "")
    if worker is None or _judge_live(turn, worker).status is not WorkerStatus.CONNECTED:
        raise WorkerNotConnected
    turn.tell(
        worker_address(worker.id),
        "master:login:user_input",
        {"session_id": login.id, "input_type": event.input_type, "value": event.value},
    )
    reply = {"session_id": login.id, "timestamp": int(turn.now * 1000)}
    turn.answer("admin:login:user_input:ack", reply)
    return reply


async def take_qr_code(event: LoginQrCode, turn: Turn) -> JsonObject:
    """Show a worker's QR code to administrators; each one starts the five minutes again, up to the hard end."""
    login = await _find_own(turn, event.session_id, event.account_id)
    status = follow(login.status, LoginEvent.QRCODE)
    limits = LoginLimits(int(turn.settings.login_ttl_s), int(turn.settings.login_max_s))
    expires_at = extend_deadline(login, turn.now, limits)
    await change_open(
        turn,
        login,
        {
            "status": status.value,
            "qr_code_data": event.qr_code_data,
            "qr_code_url": event.qr_code_url,
            "expires_at": expires_at,
        },
    )
    turn.after_commit(lambda: note_deadline(turn, login.id, expires_at))
    shown: JsonObject = {
        "session_id": login.id,
        "account_id": login.account_id,
        "worker_id": login.worker_id,
        "qr_code_data": event.qr_code_data,
        "expires_at": expires_at,
    }
    if event.qr_code_url is not None:
        shown["qr_code_url"] = event.qr_code_url
    turn.tell(OPERATORS, "login:qrcode:ready", shown)  # whoever has the code can log in
    return {"session_id": login.id, "status": status.value, "expires_at": expires_at}


async def take_report(event: LoginReport, turn: Turn) -> JsonObject:
    """Follow what a worker reports of a login that it was given; its own words are relayed without secrets."""
    login = await _find_own(turn, event.session_id, event.account_id)
    account = await account_rows.find_account(turn.connection, login.account_id)
    assert account is not None, "a login's account cannot be removed before it"
    if event.epoch is not None and event.epoch < account.epoch:
        raise StaleEpoch
    happened = REPORTED.get(event.status.lower())
    if happened is LoginEvent.QRCODE and event.qr_code_data is not None:
        await take_qr_code(
            LoginQrCode(session_id=login.id, qr_code_data=event.qr_code_data, qr_code_url=event.qr_code_url),
            turn,
        )
    elif happened in (LoginEvent.QRCODE, LoginEvent.PROGRESS):
        await change_open(turn, login, {"status": follow(login.status, LoginEvent.PROGRESS).value})
    _relay(turn, login, event)
    if happened is LoginEvent.SUCCESS:
        await succeed(turn, login, account, event)
    elif happened is LoginEvent.FAILED:
        message = event.error_message or "The login failed."
        await fail(turn, login, message, event.error_type or "failed")
    elif happened is LoginEvent.TIME:
        await expire(turn, login)
    after = await _find(turn, login.id)
    return {"session_id": login.id, "status": after.status.value}


async def expire_logins(event: None, turn: Turn) -> int:
    """End every open login whose time is up and tell its worker to stop; return how many."""
    over = set(turn.presence.find_overdue(turn.now, turn.monotonic))
    overdue = [login for login in await login_rows.find_open_logins(turn.connection) if login.id in over]
    for login in overdue:
        await expire(turn, login)
        stop_worker(turn, login, "expired")
    return len(overdue)


async def request_logins(event: Empty, turn: Turn) -> JsonObject:
    """List the newest login sessions for an administrator; open ones with their code, so that a page can reload.

    Who may not operate gets no code.
    """
    may_see = turn.caller.scope >= Scope.OPERATE
    logins, _ = await login_rows.list_logins(turn.connection, {}, limit=LIST_LIMIT, offset=0)
    reply = {
        "sessions": [show_row(login, with_code=may_see and login.status is SessionStatus.SCANNING) for login in logins],
        "timestamp": int(turn.now * 1000),
    }
    turn.answer("admin:login_sessions:list:response", reply)
    return reply


async def list_logins(event: Request[LoginsQuery, None], turn: Turn) -> Listing:
    """List login sessions, the newest first."""
    query = event.query
    filters = {
        "status": query.status.value if query.status else None,
        "account_id": query.account_id,
        "worker_id": query.worker_id,
    }
    logins, total = await login_rows.list_logins(turn.connection, filters, limit=query.limit, offset=query.offset)
    return Listing([show_row(login) for login in logins], total)


async def show_login(event: Request[NoQuery, None], turn: Turn) -> JsonObject:
    """Show one login session; its code is at `qr.png`."""
    return show_row(await _find(turn, event.path["id"]))


async def show_qr_code(event: Request[NoQuery, None], turn: Turn) -> JsonObject:
    """Show the QR code of an open login."""
    login = await _find(turn, event.path["id"])
    try:
        require_open(login, turn.now)
    except LoginClosed:
        raise Missing("This login has ended; its code is gone.") from None
    if login.qr_code_data is None:
        raise Missing("The worker has sent no code yet.")
    return {"qr_code_data": login.qr_code_data, "qr_code_url": login.qr_code_url}


async def start_login_over_http(event: Request[NoQuery, NewLogin], turn: Turn) -> JsonObject:
    """Start a login as the administrators' event does."""
    return await start_login(
        StartLogin(account_id=event.path["id"], worker_id=event.body.worker_id, session_id=event.body.session_id),
        turn,
    )


async def cancel_login_over_http(event: Request[NoQuery, Any], turn: Turn) -> JsonObject:
    """End an open login as the administrators' event does."""
    return await cancel_login(CancelLogin(session_id=event.path["id"]), turn)


async def _find(turn: Turn, session_id: str) -> Login:
    login = await login_rows.find_login(turn.connection, session_id)
    if login is None:
        raise UnknownSession
    return login


async def _find_own(turn: Turn, session_id: str, account_id: str | None) -> Login:
    """Return an open login that the caller's worker was given. Reports of others count for nothing."""
    seat = turn.presence.seat_of_socket(turn.caller.sid)
    if seat is None:
        raise NotRegistered
    login = await _find(turn, session_id)
    if login.worker_id != seat.worker_id:
        raise NotYours("This login was given to another worker.")
    if account_id is not None and account_id != login.account_id:
        raise Invalid(details=[{"field": "account_id", "message": "is not the account of this login"}])
    require_open(login, turn.now)
    return login


def _relay(turn: Turn, login: Login, event: LoginReport) -> None:
    """Show administrators what the worker reported, without secrets."""
    shown = remove_secrets(event.show_words()) | {"account_id": login.account_id, "worker_id": login.worker_id}
    hidden = remove_codes(shown)
    if hidden == shown:
        turn.tell(ADMINS, "login:status:update", shown)
    else:
        turn.tell(OPERATORS, "login:status:update", shown)
        turn.tell(READERS, "login:status:update", hidden)
