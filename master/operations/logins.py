"""QR logins between administrators and workers; decisions/login.py has their states."""

from __future__ import annotations

from typing import cast

import structlog

from master.decisions.assignment import choose_login_worker
from master.decisions.login import (
    LoginEvent,
    LoginLimits,
    extend_deadline,
    follow,
    is_open,
    is_sane_session_id,
    read_status,
    require_open,
)
from master.errors import (
    Invalid,
    NoCookies,
    NotRegistered,
    NotYours,
    ProxyUnreadable,
    StaleEpoch,
    UnknownAccount,
    UnknownSession,
    UnknownWorker,
    WorkerNotConnected,
)
from master.farm import is_open as is_unended
from master.model import (
    Account,
    JsonObject,
    Login,
    LoginStatus,
    SessionStatus,
    Worker,
    WorkerStatus,
)
from master.operations.assignments import count_reserved, place_what_waits
from master.operations.identity import find_mismatch
from master.operations.link_steps import follow_code, follow_report
from master.operations.login_ends import (
    close_open_login,
    expire,
    fail,
    stop_worker,
    succeed,
)
from master.operations.login_steps import note_step
from master.operations.proxies import open_login_proxy
from master.protocol.admin import (
    CancelLogin,
    LoginStarted,
    LoginStatusUpdate,
    QrCodeReady,
    StartLogin,
    UserInputRelayed,
    render_login,
)
from master.protocol.answers import ShownLogin, StartedLogin
from master.protocol.shown import render_profile, render_words
from master.protocol.words import CancelReason, LoginErrorType
from master.protocol.worker import (
    LoginQrCode,
    LoginReport,
    LoginStart,
    ProxyForWorker,
    UserInput,
    UserInputTyped,
    find_code,
)
from master.record import change
from master.store import logins as login_rows
from master.turn import ADMINS, OPERATORS, READERS, Turn, worker_address

log = structlog.get_logger(__name__)

PAST_END = {
    "field": "cookies_valid_until",
    "message": "not in the future: stored as in seven days",
}
"""The note about a login whose cookies would have ended before it."""


def start_login(event: StartLogin, turn: Turn) -> StartedLogin:
    """Start a QR login on a worker; an open login of the same account is superseded."""
    account = turn.draft.accounts.get(event.account_id)
    if account is None:
        raise UnknownAccount
    close_open_login(
        turn, account, "A newer login of this account was started.", CancelReason.SUPERSEDED
    )
    chosen = _choose_worker(turn, account, event.worker_id)
    proxy = open_login_proxy(turn, account, chosen.id)
    login = Login(
        id=_choose_session_id(turn, event.session_id),
        account_id=account.id,
        worker_id=chosen.id,
        status=SessionStatus.PENDING,
        login_method="qrcode",
        has_qr_code=False,
        error_message=None,
        expires_at=turn.at + int(turn.settings.login_ttl_s),
        logged_in_at=None,
        created_at=turn.at,
        accept_identity=event.accept_identity,
        status_before=_find_account(turn, account.id).login_status,
    )
    turn.draft.logins.put(login)
    _begin(turn, login)
    _tell_start(turn, login, account, proxy)
    place_what_waits(turn)  # last: the new login needs its reservation before others get the slot
    reply = LoginStarted(
        account.id, chosen.id, login.id, "sent", login.expires_at, turn.milliseconds
    )
    if turn.caller.kind == "admin":
        turn.answer(reply)
    log.info("login_started", session=login.id, account=account.id, worker=chosen.id)
    return cast(StartedLogin, reply.render())


def _begin(turn: Turn, login: Login) -> None:
    """Note that a login of the account is open; since and why it was in its state remain."""
    account = _find_account(turn, login.account_id)
    begun = change(account, login_status=LoginStatus.LOGGING_IN, updated_at=turn.at)
    turn.draft.accounts.put(begun)


def _choose_session_id(turn: Turn, wanted: str | None) -> str:
    """Return the administrator's session id if it is well-formed and new, else a generated one."""
    if wanted is not None and is_sane_session_id(wanted):
        known = turn.draft.logins.get(wanted) or turn.fetch(login_rows.find_login, wanted)
        if known is None:
            return wanted
    return turn.new_id()


def _tell_start(turn: Turn, login: Login, account: Account, proxy: ProxyForWorker | None) -> None:
    assert login.worker_id is not None
    turn.tell(
        worker_address(login.worker_id), LoginStart(account.id, login.id, account.platform, proxy)
    )


def tell_pending_logins(turn: Turn, worker_id: str) -> None:
    """Send a worker that is back on another socket the logins that it has not begun, once more.

    It may never have received them: a dead socket is noticed only after a while.
    """
    logins = turn.draft.logins.find("worker", worker_id)
    pending = [
        login
        for login in logins
        if login.status is SessionStatus.PENDING and is_open(login, turn.now)
    ]
    for login in pending:
        account = _find_account(turn, login.account_id)
        try:
            proxy = open_login_proxy(turn, account, worker_id)
        except ProxyUnreadable:  # the worker is readmitted; this login runs to its deadline
            log.error("proxy_password_unreadable", worker=worker_id, account=account.id)
            continue
        _tell_start(turn, login, account, proxy)


def _choose_worker(turn: Turn, account: Account, wanted_id: str | None) -> Worker:
    """Return the worker that is to log an account in.

    All workers are examined only if none is named and the owner is not connected.
    """
    workers = turn.draft.workers
    if wanted_id is not None:
        wanted = workers.get(wanted_id)
        if wanted is None:
            raise UnknownWorker
        return choose_login_worker(
            account, count_reserved(turn, [_judge_live(turn, wanted)])[0], []
        )
    owner = workers.get(account.assigned_worker_id or "")
    if owner is not None and _judge_live(turn, owner).status is WorkerStatus.CONNECTED:
        return owner
    candidates = count_reserved(turn, turn.draft.list_connected(account.platform))
    return choose_login_worker(account, None, [_judge_live(turn, worker) for worker in candidates])


def _judge_live(turn: Turn, worker: Worker) -> Worker:
    """Return the worker as disconnected if it has no live socket.

    Its row is changed only once its disconnect is recorded.
    """
    if worker.status is WorkerStatus.CONNECTED and turn.draft.socket_of(worker.id) is None:
        return change(worker, status=WorkerStatus.DISCONNECTED)
    return worker


def cancel_login(event: CancelLogin, turn: Turn) -> ShownLogin:
    """End an open login and tell its worker to stop."""
    login = _find(turn, event.session_id)
    require_open(login, turn.now)
    stop_worker(turn, login, CancelReason.CANCELLED)
    return render_login(fail(turn, login, "The login was cancelled.", LoginErrorType.CANCELLED))


def relay_input(event: UserInput, turn: Turn) -> JsonObject:
    """Relay a person's input to the login's worker; it is neither stored nor logged.

    Like a worker's sign of progress, it starts the login's time to live anew.
    """
    login = _find(turn, event.session_id)
    require_open(login, turn.now)
    worker = turn.draft.workers.get(login.worker_id or "")
    if worker is None or _judge_live(turn, worker).status is not WorkerStatus.CONNECTED:
        raise WorkerNotConnected
    turn.draft.logins.put(change(login, expires_at=_extend(turn, login)))
    turn.tell(worker_address(worker.id), UserInputTyped(login.id, event.input_type, event.value))
    reply = UserInputRelayed(login.id, turn.milliseconds)
    turn.answer(reply)
    return reply.render()


def _extend(turn: Turn, login: Login) -> int:
    """Return when a login ends that somebody works on now; the hard end stays."""
    limits = LoginLimits(int(turn.settings.login_ttl_s), int(turn.settings.login_max_s))
    return extend_deadline(login, turn.now, limits)


def relay_qr_code(event: LoginQrCode, turn: Turn) -> JsonObject:
    """Send a QR code to administrators; each restarts the five minutes, up to the hard end."""
    login = _find_own(turn, event.session_id, event.account_id)
    shown = change(
        login,
        status=follow(login.status, LoginEvent.QRCODE),
        has_qr_code=True,
        expires_at=_extend(turn, login),
    )
    turn.draft.logins.put(shown)
    turn.draft.explain("login_codes", [login.id], "shown")
    turn.draft.keep(
        "login_sessions",
        login.id,
        {"qr_code_data": event.qr_code_data, "qr_code_url": event.qr_code_url},
    )
    follow_code(turn, login)
    turn.tell(
        OPERATORS,  # the code alone is enough to log in
        QrCodeReady(
            session_id=login.id,
            account_id=login.account_id,
            worker_id=login.worker_id,
            qr_code_data=event.qr_code_data,
            qr_code_url=event.qr_code_url,
            expires_at=shown.expires_at,
            rev=turn.rev,
        ),
    )
    return {
        "session_id": login.id,
        "status": shown.status,
        "expires_at": shown.expires_at,
        **event.render_notes(),
    }


def apply_report(event: LoginReport, turn: Turn) -> JsonObject:
    """Apply a worker's report on its login; administrators receive its text without secrets.

    A sign of progress starts the login's time to live anew, up to the hard end.
    """
    login = _find_own(turn, event.session_id, event.account_id)
    account = _find_account(turn, login.account_id)
    if event.epoch is not None and event.epoch < account.epoch:
        raise StaleEpoch
    happened = read_status(event.status)
    if happened is LoginEvent.SUCCESS and not (event.cookies or account.has_credentials):
        raise NoCookies
    code = find_code(event) if happened is LoginEvent.QRCODE else None
    if code is not None:
        relay_qr_code(code, turn)
    elif happened in (LoginEvent.QRCODE, LoginEvent.PROGRESS):
        turn.draft.logins.put(
            change(
                login,
                status=follow(login.status, LoginEvent.PROGRESS),
                expires_at=_extend(turn, login),
            )
        )
        note_step(turn, login, event.status)
        follow_report(turn, login, event)
    _relay(turn, _find(turn, login.id), event)
    if happened is LoginEvent.SUCCESS and (mismatch := find_mismatch(turn, login, account, event)):
        stop_worker(turn, login, CancelReason.IDENTITY_MISMATCH)
        fail(turn, login, mismatch, LoginErrorType.IDENTITY_MISMATCH)
        return {
            "session_id": login.id,
            "status": SessionStatus.FAILED,
            "error_type": LoginErrorType.IDENTITY_MISMATCH,
            "message": mismatch,
            **event.render_notes(),
        }
    if happened is LoginEvent.SUCCESS:
        succeed(turn, login, account, event)
    elif happened is LoginEvent.FAILED:
        fail(
            turn,
            login,
            event.error_message or "The login failed.",
            event.error_type or LoginErrorType.FAILED,
        )
    elif happened is LoginEvent.TIME:
        expire(turn, [login])
    left = _find(turn, login.id)
    end = event.cookies_valid_until if happened is LoginEvent.SUCCESS else None
    return {
        "session_id": login.id,
        "status": left.status,
        "expires_at": left.expires_at,
        **event.render_notes(*([PAST_END] if end is not None and end <= turn.now else ())),
    }


def expire_logins(event: None, turn: Turn) -> int:
    """End every open login whose time is up and tell its worker to stop; return how many."""
    over = turn.deadlines.find_overdue(turn.now, turn.monotonic)
    overdue = [
        login
        for name in over
        if (login := turn.draft.logins.get(name)) is not None and is_unended(login)
    ]
    overdue.sort(key=lambda login: (login.created_at, login.id))
    for login in overdue:
        stop_worker(turn, login, CancelReason.EXPIRED)
    expire(turn, overdue)
    return len(overdue)


def _find(turn: Turn, session_id: str) -> Login:
    """Return a login; an ended one is read from the database. Errors: UnknownSession."""
    login: Login | None = turn.draft.logins.get(session_id) or turn.fetch(
        login_rows.find_login, session_id
    )
    if login is None:
        raise UnknownSession
    return login


def _find_account(turn: Turn, account_id: str) -> Account:
    account = turn.draft.accounts.get(account_id)
    assert account is not None, "a login's account cannot be removed before it"
    return account


def _find_own(turn: Turn, session_id: str, account_id: str | None) -> Login:
    """Return an open login that was assigned to the caller's worker; other workers are refused."""
    worker_id = turn.draft.speaker_of(turn.caller.sid)
    if worker_id is None:
        raise NotRegistered
    login = _find(turn, session_id)
    if login.worker_id != worker_id:
        raise NotYours("This login was given to another worker.")
    if account_id is not None and account_id != login.account_id:
        raise Invalid(
            details=[{"field": "account_id", "message": "is not the account of this login"}]
        )
    require_open(login, turn.now)
    return login


def _relay(turn: Turn, login: Login, event: LoginReport) -> None:
    """Send administrators a worker's report, limited to the words that people may see."""
    told = event.model_dump(
        mode="json", exclude={"cookies", "origins", "fingerprint", "user_info"}, exclude_none=True
    )
    words = {
        **told,
        "account_id": login.account_id,
        "worker_id": login.worker_id,
        "expires_at": login.expires_at,  # Master's, as in every event about a login
    }
    profile = {"user_info": render_profile(event.user_info)} if event.user_info is not None else {}
    hidden = render_words(words, codes=False) | profile
    shown = render_words(words, codes=True) | profile

    def update(words: JsonObject) -> LoginStatusUpdate:
        return LoginStatusUpdate(
            login.id, login.account_id, login.worker_id, event.status, words, turn.rev
        )

    if hidden == shown:
        turn.tell(ADMINS, update(shown))
    else:
        turn.tell(OPERATORS, update(shown))
        turn.tell(READERS, update(hidden))
