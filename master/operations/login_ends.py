"""Ends logins, by success, failure or time, and updates their accounts accordingly."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import structlog

from master.decisions.account_state import count_past_warnings, set_login_status
from master.decisions.assignment import may_take
from master.decisions.login import (
    choose_cookies_end,
    find_platform_user_id,
    login_status_after_failure,
    login_status_before,
)
from master.errors import LoginClosed
from master.farm import is_open
from master.model import Account, JsonObject, Login, LoginStatus, SessionStatus
from master.operations.assignments import (
    assign_account,
    hand_out,
    place_what_waits,
    revoke_accounts,
)
from master.operations.link_steps import follow_end
from master.protocol.admin import LoginFailed, LoginSucceeded, QrCodeExpired
from master.protocol.budgets import measure
from master.protocol.shown import render_profile
from master.protocol.words import CancelReason, LoginErrorType, RevokeReason
from master.protocol.worker import LoginCancel, LoginReport
from master.record import change
from master.secret import Secret
from master.store.accounts import judge_account_secrets
from master.store.sealing import Secrets
from master.turn import ADMINS, Turn, worker_address

log = structlog.get_logger(__name__)

BY_US = frozenset(LoginErrorType) - {LoginErrorType.FAILED}
"""Reasons of Master; any other `error_type` is the worker's own."""
NO_SECRETS = Secrets({}, {})


def succeed(turn: Turn, login: Login, account: Account, event: LoginReport) -> None:
    """Store the reported credentials and profile, and make the worker the account's owner."""
    worker_id = login.worker_id
    assert worker_id is not None
    changed, kept = _apply_success(turn, account, event)
    turn.after_commit(lambda: turn.sessions.note_success([worker_id], turn.monotonic))
    ended = _end(turn, login, SessionStatus.SUCCESS, logged_in_at=turn.at)
    follow_end(turn, ended, SessionStatus.SUCCESS)
    if kept:
        turn.draft.keep("accounts", account.id, kept)
    turn.draft.accounts.put(changed)
    after = _move_to_login_worker(turn, changed, worker_id)
    if after.assigned_worker_id is not None:
        hand_out(turn, {after.assigned_worker_id: [after]})
    turn.tell(
        ADMINS,
        LoginSucceeded(
            session_id=login.id,
            account_id=account.id,
            worker_id=login.worker_id,
            user_info=render_profile(changed.user_info),
            logged_in_at=turn.at,
            rev=turn.rev,
        ),
    )
    place_what_waits(turn)
    log.info(
        "login_succeeded",
        session=login.id,
        account=account.id,
        worker=login.worker_id,
        epoch=after.epoch,
    )


Kept = dict[str, Secret[Any] | None]
"""Sealed column -> the value stored there from now on."""


def _apply_success(turn: Turn, account: Account, event: LoginReport) -> tuple[Account, Kept]:
    """Return the account after a successful login, and the values of the login to seal."""
    broken = _read_secrets(turn, [account])[account.id].broken
    opens = bool(event.cookies) or not broken
    kept: Kept = {}
    status = LoginStatus.LOGGED_IN if opens else LoginStatus.CREDENTIALS_UNREADABLE
    changed = change(
        account,
        login_status=status,
        last_login_time=turn.at,
        updated_at=turn.at,
        state_since=turn.at,
        state_reason="login_success",
        state_detail=None,
    )
    if event.cookies:
        kept["credentials"] = event.cookies.map(
            lambda cookies: {"cookies": cookies} | _render_origins(event)
        )
        changed = change(changed, has_credentials=True)
        for column in sorted({"fingerprint", "profile"} & broken.keys()):
            kept[column] = None  # a new login clears what cannot be decrypted
            changed = change(changed, **{f"has_{column}": False})
    if opens:  # a login without new cookies proves that the stored ones are valid
        end = choose_cookies_end(event.cookies_valid_until, turn.now)
        told = count_past_warnings(end, turn.now)
        changed = change(changed, cookies_valid_until=end, cookies_told=told)
    if event.user_info is not None:
        changed = _apply_profile(changed, event.user_info, kept)
    if event.fingerprint is not None:
        kept["fingerprint"] = event.fingerprint
        changed = change(changed, has_fingerprint=True)
    brought = sum(measure(secret.reveal()) for secret in kept.values() if secret is not None)
    return change(
        changed, stored_bytes=brought + (0 if event.cookies else account.stored_bytes)
    ), kept


def _render_origins(event: LoginReport) -> JsonObject:
    return {"origins": event.origins.reveal()} if event.origins else {}


def _apply_profile(account: Account, profile: JsonObject, kept: Kept) -> Account:
    """Return the account with the part of a profile that people may see.

    The whole profile is sealed if it has more.
    """
    user_id = find_platform_user_id(profile) or account.platform_user_id
    shown = render_profile(profile)
    more = shown != profile
    if more or account.has_profile or "profile" in kept:
        kept["profile"] = Secret(profile) if more else None
    return change(account, user_info=shown, platform_user_id=user_id, has_profile=more)


def _move_to_login_worker(turn: Turn, account: Account, worker_id: str) -> Account:
    """Make the worker that logged the account in its owner if it may be; return the account then.

    The account keeps its owner if it is not active, if it is pinned elsewhere, or if the worker
    that logged it in has filled up meanwhile, is gone or no longer supports the platform.
    """
    if account.assigned_worker_id == worker_id:
        return account
    worker = turn.draft.workers.get(worker_id)
    assert worker is not None, "a login's worker is known"
    if not account.is_served or not may_take(worker, account):
        return account
    before = account.assigned_worker_id
    if before is not None:
        [account] = revoke_accounts(turn, [account], before, RevokeReason.LOGGED_IN_ELSEWHERE)
    return assign_account(turn, account, worker_id)


def fail(turn: Turn, login: Login, message: str, error_type: str) -> Login:
    """End a login without success and assign its slot to a waiting account."""
    [ended] = close_failed(turn, [login], message, error_type)
    place_what_waits(turn)
    return ended


def close_failed(turn: Turn, logins: Iterable[Login], message: str, error_type: str) -> list[Login]:
    """End logins without success; only the worker's own report makes an account `login_failed`.

    The reservations end, but their slots are not assigned here: the caller may need one before
    waiting accounts do.
    """
    logins = list(logins)
    secrets = _read_secrets(turn, [_account_of(turn, login) for login in logins])
    by_us = error_type in BY_US
    turn.draft.explain("login_sessions", (login.id for login in logins), error_type)
    closed = []
    for login in logins:
        closed.append(_end(turn, login, SessionStatus.FAILED, error_message=message))
        follow_end(turn, closed[-1], error_type)
        account = _account_of(turn, login)
        opens = not secrets[account.id].broken
        judge = login_status_before if by_us else login_status_after_failure
        status = judge(account, login.status_before, opens=opens)
        _set_login_status(turn, login, account, status, "login_failed")
        turn.tell(
            ADMINS,
            LoginFailed(login.id, login.account_id, login.worker_id, message, error_type, turn.rev),
        )
        log.info(
            "login_failed",
            session=login.id,
            account=login.account_id,
            worker=login.worker_id,
            reason=error_type,
        )
    return closed


def expire(turn: Turn, logins: Iterable[Login]) -> None:
    """End logins whose time is up; their accounts return to their former login status."""
    logins = list(logins)
    secrets = _read_secrets(turn, [_account_of(turn, login) for login in logins])
    for login in logins:
        ended = _end(turn, login, SessionStatus.EXPIRED, error_message="The login's time was up.")
        follow_end(turn, ended, SessionStatus.EXPIRED)
        account = _account_of(turn, login)
        opens = not secrets[account.id].broken
        status = login_status_before(account, login.status_before, opens=opens)
        _set_login_status(turn, login, account, status, "login_expired")
        turn.tell(ADMINS, QrCodeExpired(login.id, login.account_id, login.worker_id, turn.rev))
        log.info(
            "login_expired", session=login.id, account=login.account_id, worker=login.worker_id
        )
    place_what_waits(turn)


def _end(
    turn: Turn,
    login: Login,
    status: SessionStatus,
    *,
    error_message: str | None = None,
    logged_in_at: int | None = None,
) -> Login:
    """Close a session for good. Errors: LoginClosed.

    Its QR code is as valuable as a login and is deleted with it.
    """
    if not is_open(login):
        raise LoginClosed
    ended = change(
        login,
        status=status,
        has_qr_code=False,
        error_message=error_message,
        logged_in_at=logged_in_at,
    )
    turn.draft.logins.put(ended)
    if login.has_qr_code:
        turn.draft.keep("login_sessions", login.id, {"qr_code_data": None, "qr_code_url": None})
    return ended


def end_logins_of(turn: Turn, worker_ids: Iterable[str]) -> None:
    """End the open logins of lost workers."""
    logins = [
        login for worker_id in worker_ids for login in turn.draft.logins.find("worker", worker_id)
    ]
    if logins:
        logins.sort(key=lambda login: (login.created_at, login.id))
        close_failed(turn, logins, "The worker was lost.", LoginErrorType.WORKER_LOST)


def close_open_login(turn: Turn, account: Account, message: str, why: CancelReason) -> Login | None:
    """End the account's open login, if any, and return it; its slot is not assigned here.

    `why` is one of BY_US; administrators and the worker receive it.
    """
    login = turn.draft.logins.first("account", account.id)
    if login is not None:
        close_failed(turn, [login], message, why)
        stop_worker(turn, login, why)
    return login


def _set_login_status(
    turn: Turn, login: Login, account: Account, status: LoginStatus, reason: str
) -> None:
    before = login.status_before
    changed = set_login_status(account, status, before, turn.at, reason)
    turn.draft.accounts.put(changed)


def stop_worker(turn: Turn, login: Login, reason: CancelReason) -> None:
    """Tell the login's worker to stop working on it."""
    if login.worker_id is not None:
        turn.tell(worker_address(login.worker_id), LoginCancel(login.id, login.account_id, reason))


def _account_of(turn: Turn, login: Login) -> Account:
    account = turn.draft.accounts.get(login.account_id)
    assert account is not None, "a login's account cannot be removed before it"
    return account


def _read_secrets(turn: Turn, accounts: Iterable[Account]) -> dict[str, Secrets]:
    """Return which stored secrets of these accounts cannot be decrypted, by account id.

    This determines the login status from before a login.
    """
    found = {account.id: NO_SECRETS for account in accounts}
    stored = [account_id for account_id in found if _has_secrets(turn, account_id)]
    if stored:
        found.update(turn.fetch(judge_account_secrets, tuple(sorted(stored))))
    return found


def _has_secrets(turn: Turn, account_id: str) -> bool:
    if turn.draft.has_kept("accounts", account_id):
        return False  # secrets stored by this batch are new and can be decrypted
    account = turn.draft.accounts.get(account_id)
    return account is not None and (
        account.has_credentials or account.has_fingerprint or account.has_profile
    )
