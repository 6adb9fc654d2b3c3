"""How a login ends: success, failure, time; and what that means for the account."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import structlog

from master.decisions.assignment import may_take
from master.decisions.login import (
    choose_cookies_end,
    find_platform_user_id,
    login_status_after_failure,
    login_status_before,
)
from master.errors import LoginClosed, StaleEpoch
from master.model import Account, AccountStatus, JsonObject, Login, LoginStatus, SessionStatus
from master.operations.assignments import (
    announce_account,
    give_account,
    hand_out,
    place_waiting,
    settle_loads,
    take_accounts,
)
from master.protocol.admin import remove_secrets
from master.protocol.worker import LoginReport
from master.store import accounts as account_rows
from master.store import logins as login_rows
from master.store import workers as worker_rows
from master.turn import ADMINS, Turn, worker_address

log = structlog.get_logger(__name__)

BY_US = ("superseded", "cancelled", "worker_lost", "account_deleted")


async def succeed(turn: Turn, login: Login, account: Account, event: LoginReport) -> None:
    """Store what the worker brought and make it the account's owner."""
    assert login.worker_id is not None
    opens = bool(event.cookies) or account.can_be_handed_out()
    status = LoginStatus.LOGGED_IN if opens else LoginStatus.CREDENTIALS_UNREADABLE
    values: dict[str, Any] = {"login_status": status.value, "last_login_time": turn.at}
    if event.cookies:
        values["credentials"] = event.cookies.map(lambda cookies: {"cookies": cookies})
    if opens:  # whoever gets in without new cookies has shown that the stored ones hold
        values["cookies_valid_until"] = choose_cookies_end(event.cookies_valid_until, turn.now)
    if event.user_info is not None:
        values["user_info"] = event.user_info
        user_id = find_platform_user_id(event.user_info)
        if user_id is not None:
            values["platform_user_id"] = user_id
    if event.fingerprint is not None:
        values["fingerprint"] = event.fingerprint
    elif event.cookies and account.fingerprint is not None and not account.fingerprint.can_be_read():
        values["fingerprint"] = None  # a new login repairs, and what nobody can open helps nobody
    await _end(turn, login, SessionStatus.SUCCESS, {"logged_in_at": turn.at})
    if not await account_rows.change_account(turn.connection, account.id, values, turn.at, epoch=account.epoch):
        raise StaleEpoch
    owner = await _move_to_login_worker(turn, account, login.worker_id)
    after = await account_rows.find_account(turn.connection, account.id)
    assert after is not None
    if owner is not None:
        await hand_out(turn, {owner: [after]})
    turn.tell(
        ADMINS,
        "login:success",
        {
            "session_id": login.id,
            "account_id": account.id,
            "worker_id": login.worker_id,
            "user_info": remove_secrets(event.user_info if event.user_info is not None else account.user_info),
            "logged_in_at": turn.at,
        },
    )
    announce_account(turn, after)
    await give_back_place(turn, login)
    log.info("login_succeeded", session=login.id, account=account.id, worker=login.worker_id, epoch=after.epoch)


async def _move_to_login_worker(turn: Turn, account: Account, worker_id: str) -> str | None:
    """Make the worker that logged the account in its owner where it may be; return who owns it now.

    An account stays where it is if it is not to be watched, is pinned elsewhere, or if the worker that logged it in has
    filled up meanwhile, is gone, or does not serve its platform any more.
    """
    if account.assigned_worker_id == worker_id:
        return worker_id
    worker = await worker_rows.find_worker(turn.connection, worker_id)
    assert worker is not None
    if account.status is not AccountStatus.ACTIVE or not may_take(worker, account):
        return account.assigned_worker_id
    before = account.assigned_worker_id
    if before is not None:
        taken = await take_accounts(turn, [account], before, "logged_in_elsewhere")
        if not taken:
            return before
        account = taken[0]
    await give_account(turn, account, worker_id)
    await worker_rows.recount_loads(turn.connection, {worker_id})
    placed = await place_waiting(turn) if before else set()
    await settle_loads(turn, {worker_id} | placed | ({before} if before else set()))
    return worker_id


async def fail(turn: Turn, login: Login, message: str, error_type: str) -> Login:
    """End a login without success and give back the place that it kept."""
    ended = await close_failed(turn, login, message, error_type)
    await give_back_place(turn, login)
    return ended


async def close_failed(turn: Turn, login: Login, message: str, error_type: str) -> Login:
    """End a login without success; only the worker's own word makes the account `login_failed`.

    Its place is free then, but nobody is given it yet: whoever has a use for it comes before what waits.
    """
    ended = await _end(turn, login, SessionStatus.FAILED, {"error_message": message})
    account = await account_rows.find_account(turn.connection, login.account_id)
    assert account is not None
    by_us = error_type in BY_US
    await set_login_status(
        turn, account, login_status_before(account) if by_us else login_status_after_failure(account)
    )
    turn.tell(
        ADMINS,
        "login:failed",
        {
            "session_id": login.id,
            "account_id": login.account_id,
            "worker_id": login.worker_id,
            "error_message": message,
            "error_type": error_type,
        },
    )
    log.info("login_failed", session=login.id, account=login.account_id, worker=login.worker_id, reason=error_type)
    return ended


async def expire(turn: Turn, login: Login) -> None:
    """End a login whose time is up; the account goes back to what it was."""
    await _end(turn, login, SessionStatus.EXPIRED, {"error_message": "The login's time was up."})
    account = await account_rows.find_account(turn.connection, login.account_id)
    assert account is not None
    await set_login_status(turn, account, login_status_before(account))
    turn.tell(
        ADMINS,
        "login:qrcode:expired",
        {"session_id": login.id, "account_id": login.account_id, "worker_id": login.worker_id},
    )
    await give_back_place(turn, login)
    log.info("login_expired", session=login.id, account=login.account_id, worker=login.worker_id)


def note_deadline(turn: Turn, login_id: str, expires_at: int) -> None:
    """Note in memory when an open login ends; only from an effect, after the commit."""
    most_s = turn.settings.login_max_s
    turn.presence.note_deadline(login_id, expires_at, now=turn.now, monotonic=turn.monotonic, most_s=most_s)


async def _end(turn: Turn, login: Login, status: SessionStatus, values: JsonObject) -> Login:
    """Close a session for good; a code is worth a login and does not outlive it."""
    await change_open(turn, login, {"status": status.value, "qr_code_data": None, "qr_code_url": None, **values})

    def forget() -> None:
        turn.presence.forget_deadline(login.id)
        turn.presence.login_outcomes[status.value] += 1

    turn.after_commit(forget)
    return replace(login, status=status, qr_code_data=None, qr_code_url=None, **values)


async def give_back_place(turn: Turn, login: Login) -> None:
    """Place what waits, if this login has ended and kept a place on its worker for an account not the worker's."""
    account = await account_rows.find_account(turn.connection, login.account_id)
    if account is None or login.worker_id not in (None, account.assigned_worker_id):
        await settle_loads(turn, await place_waiting(turn))


async def fail_logins_of(turn: Turn, worker_id: str) -> None:
    """End the open logins of a worker that is lost."""
    for login in await login_rows.find_open_logins(turn.connection, worker_id=worker_id):
        await fail(turn, login, "The worker was lost.", "worker_lost")


async def close_open_login(turn: Turn, account: Account, message: str, why: str) -> Login | None:
    """End the account's open login, if there is one, and return it; the place that it kept is still to be given back.

    `why` is one of BY_US, which people and the worker are told.
    """
    login = await login_rows.find_open_login(turn.connection, account.id)
    if login is not None:
        await close_failed(turn, login, message, why)
        stop_worker(turn, login, why)
    return login


async def change_open(turn: Turn, login: Login, values: JsonObject) -> None:
    """Set columns of an open session. Errors: LoginClosed if it has ended meanwhile."""
    if not await login_rows.change_open_login(turn.connection, login.id, values):
        raise LoginClosed


async def set_login_status(turn: Turn, account: Account, status: LoginStatus) -> None:
    """Set what is known of an account's login and show it to administrators."""
    await account_rows.change_account(turn.connection, account.id, {"login_status": status.value}, turn.at)
    announce_account(turn, replace(account, login_status=status, updated_at=turn.at))


def stop_worker(turn: Turn, login: Login, reason: str) -> None:
    """Tell the login's worker to stop working on it."""
    if login.worker_id is not None:
        turn.tell(
            worker_address(login.worker_id),
            "master:login:cancel",
            {"session_id": login.id, "account_id": login.account_id, "reason": reason},
        )
