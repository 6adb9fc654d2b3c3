"""States of accounts: workers report them, time ends cookies, and people are told."""

from __future__ import annotations

import structlog

from master.decisions.account_state import (
    ACCOUNT_WORDS,
    ALL_TOLD,
    BY_WORKERS,
    LOGIN_WORDS,
    PRIORITIES,
    WARNED_BEFORE_S,
    enter_state,
    find_next_warning,
    is_outdated,
    read_word,
)
from master.decisions.login import choose_cookies_end
from master.decisions.notification import announce_account
from master.errors import NotRegistered, NotYours, StaleEpoch, UnknownAccount
from master.memory import Memory
from master.model import LOST, Account, AccountStatus, JsonObject, LoginStatus, Priority
from master.operations.assignments import place_what_waits, revoke_accounts
from master.operations.notifications import notify
from master.protocol.account_states import AccountStatusReport
from master.protocol.words import RevokeReason
from master.record import change
from master.settings import Settings
from master.turn import PORTION, Turn

log = structlog.get_logger(__name__)

OPEN_LOGIN = "a login is open: the account is in this state if that fails"


def apply_account_status(event: AccountStatusReport, turn: Turn) -> JsonObject:
    """A worker saw that an account that it holds is logged out, banned, or well again."""
    account = _find_held(event, turn)
    login = turn.draft.logins.first("account", account.id)
    known = account.login_status if login is None else login.status_before or account.login_status
    wanted = _read_states(event, account, known)
    notes = [*event.notes]
    if is_outdated(event.observed_at, account, turn.at):
        notes.append({"field": "observed_at", "message": "before the last login: nothing changes"})
        wanted = {}
    reason, changed = event.reason or "reported", account
    session = wanted.get("login_status")
    if session is not None and session is not known:
        if session is LoginStatus.LOGGED_IN:
            # the worker's word proves that the cookies are valid
            end = choose_cookies_end(account.cookies_valid_until, turn.now)
            changed = change(changed, cookies_valid_until=end, cookies_told=0)
        if login is not None:
            notes.append({"field": "login_status", "message": OPEN_LOGIN})
            turn.draft.logins.put(change(login, status_before=session))
            changed = change(
                changed,
                updated_at=turn.at,
                state_since=turn.at,
                state_reason=reason,
                state_detail=event.detail,
            )
    if login is not None:
        wanted.pop("login_status", None)
    if wanted:
        changed = enter_state(changed, turn.at, reason, event.detail, **wanted)
    if changed is not account:
        _apply(turn, account, changed)
    return {
        "account_id": account.id,
        "changed": (changed.status, changed.login_status) != (account.status, account.login_status),
        "status": changed.status,
        "login_status": changed.login_status,
        **({"notes": notes} if notes else {}),
    }


def _find_held(event: AccountStatusReport, turn: Turn) -> Account:
    """Return the reported account, which the reporting worker holds. Errors: Refusal."""
    account = turn.draft.accounts.get(event.account_id)
    if account is None:
        raise UnknownAccount
    reporter = turn.draft.speaker_of(turn.caller.sid)
    if reporter is None:
        raise NotRegistered
    if account.assigned_worker_id != reporter:
        raise NotYours("This worker does not hold this account; its report is refused.")
    if event.epoch is not None and event.epoch < account.epoch:
        raise StaleEpoch
    return account


def _read_states(
    event: AccountStatusReport, account: Account, known: LoginStatus
) -> dict[str, LoginStatus | AccountStatus]:
    """Return the states that a report wants. Errors: UnknownStatus.

    A worker ends no state that a person chose, and cannot log in an account without cookies.
    `known` is the account's login status, or that before a login under way.
    """
    wanted: dict[str, LoginStatus | AccountStatus] = {}
    if event.login_status is not None:
        login_status = read_word(LOGIN_WORDS, event.login_status, "login_status")
        if login_status in LOST or (known in LOST and account.has_credentials):
            wanted["login_status"] = login_status
    if event.account_status is not None:
        status = read_word(ACCOUNT_WORDS, event.account_status, "account_status")
        if status is not AccountStatus.ACTIVE or account.status in BY_WORKERS:
            wanted["status"] = status
    return wanted


def _apply(turn: Turn, before: Account, account: Account) -> None:
    """Store an account's new state, tell people, and revoke the account if it is not served."""
    turn.draft.accounts.put(account)
    news: list[AccountStatus | LoginStatus] = []
    if account.status is not before.status:
        news.append(account.status)
    if account.login_status is not before.login_status:
        news.append(account.login_status)
    for state in news:
        _tell(turn, account, PRIORITIES.get(state, Priority.LOW), state)
    log.info(
        "account_state",
        account=account.id,
        status=account.status,
        login_status=account.login_status,
        reason=account.state_reason,
    )
    holder = account.assigned_worker_id
    if holder is not None and not account.is_served:
        revoke_accounts(turn, [account], holder, RevokeReason.of_status(account.status))
        place_what_waits(turn)  # another account may wait for the freed slot


def _tell(
    turn: Turn, account: Account, priority: Priority, state: AccountStatus | LoginStatus | None
) -> None:
    seq = turn.draft.allocate_seqs(1)
    notify(
        turn,
        [announce_account(account, turn.new_id(), seq, turn.now, priority, state=state)],
    )


def is_warning_due(memory: Memory, settings: Settings, now: float, monotonic: float) -> bool:
    """Tell whether people must be told that an account's cookies end."""
    if memory.trust is not None and not memory.trust.is_trusted:
        return False
    return bool(memory.deadlines.warnings.find(now, 1))


def warn_of_cookies(event: None, turn: Turn) -> int:
    """Tell people a day and an hour before an account's cookies end, and when they have ended.

    The account is `expired` then. Nothing happens while the wall clock is distrusted.
    """
    due = turn.deadlines.warnings.find(turn.now, PORTION)
    told = 0
    for account_id in due:
        account = turn.draft.accounts.get(account_id)
        at = find_next_warning(account) if account is not None else None
        if account is None or at is None or at > turn.now:
            continue  # a newer entry waits for the present end
        left = (account.cookies_valid_until or 0) - turn.now
        stage = sum(left <= before for before in WARNED_BEFORE_S)
        warned = change(account, cookies_told=stage)
        if stage == ALL_TOLD:
            warned = enter_state(
                warned, turn.at, "cookies_expired", login_status=LoginStatus.EXPIRED
            )
        turn.draft.accounts.put(warned)
        state = warned.login_status if stage == ALL_TOLD else None
        _tell(turn, warned, Priority.HIGH if stage > 1 else Priority.NORMAL, state)
        log.info("cookies_end", account=account.id, stage=stage)
        told += 1
    if len(due) == PORTION:
        turn.go_on(warn_of_cookies)
    turn.after_commit(lambda: turn.deadlines.warnings.forget(due))
    return told
