"""Administrators add, change, pause, pin and remove accounts."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from master.errors import (
    AlreadyExists,
    Invalid,
    StaleEpoch,
    UnknownAccount,
    WorkerDraining,
    WorkerFull,
    WorkerUnfit,
)
from master.farm import share
from master.model import Account, LoginStatus, WorkerStatus
from master.operations.assignments import (
    count_reserved,
    hand_out,
    place_what_waits,
    revoke_accounts,
)
from master.operations.link_steps import drop_links_of
from master.operations.login_ends import close_open_login
from master.operations.placement import Placements
from master.protocol.admin import render_account
from master.protocol.answers import Listing, ShownAccount
from master.protocol.http import AccountChange, ById, NewAccount
from master.protocol.lists import AccountsQuery
from master.protocol.words import CancelReason, RevokeReason
from master.record import change
from master.store import accounts as account_rows
from master.store.pages import Found
from master.turn import Turn

log = structlog.get_logger(__name__)


async def list_accounts(event: AccountsQuery, turn: Turn) -> Listing[ShownAccount]:
    """List accounts, the oldest first."""
    placements = Placements(turn.draft)
    found, unread = await find_accounts(event, turn)
    return found.render(lambda one: render_account(one, placements.judge(one), unread(one.id)))


async def find_accounts(
    event: AccountsQuery, turn: Turn
) -> tuple[Found[Account], Callable[[str], int]]:
    """Return a page of accounts, and how many messages are unread of an account.

    Where the list depends on these numbers, they are those that it was made of.
    """
    if not event.counts_unread:
        return await account_rows.list_accounts(turn.connection, event), turn.draft.count_unread
    unread = turn.draft.memory.farm.messages.list_unread()
    return await account_rows.list_accounts(turn.connection, event, unread), unread.__getitem__


def render(turn: Turn, account: Account) -> ShownAccount:
    """Return an account as people may read it, with its placement."""
    placement = Placements(turn.draft).judge(account)
    return render_account(account, placement, turn.draft.count_unread(account.id))


def show_account(event: ById, turn: Turn) -> ShownAccount:
    """Return one account."""
    return render(turn, _find(turn, event.id))


def add_account(event: NewAccount, turn: Turn) -> ShownAccount:
    """Add an account, and assign it at once if a worker fits."""
    account = enter_account(event, turn)
    _inherit_handovers(turn, account)
    place_what_waits(turn, only=account.id)
    log.info("account_added", account=account.id, platform=account.platform)
    return render(turn, _find(turn, account.id))


def enter_account(event: NewAccount, turn: Turn) -> Account:
    """Put a new account into the draft, without a worker; nothing beside the draft changes.

    Errors: AlreadyExists, Invalid, WorkerUnfit, WorkerDraining, WorkerFull.
    """
    account = Account(
        id=turn.new_id(),
        platform=share(event.platform) or event.platform,
        account_name=event.account_name,
        account_id=event.account_id,
        has_credentials=False,
        has_fingerprint=False,
        user_info=None,
        status=event.status,
        login_status=LoginStatus.NOT_LOGGED_IN,
        monitor_interval=event.monitor_interval,
        last_login_time=None,
        cookies_valid_until=None,
        assigned_worker_id=None,
        pinned_worker_id=event.assigned_worker_id,
        platform_user_id=None,
        epoch=0,
        created_at=turn.at,
        updated_at=turn.at,
        state_since=turn.at,
        state_reason="added",
        proxy_id=event.proxy_id,
        tags=tuple(event.tags),
        note=event.note,
    )
    _require_unique(turn, account)
    _require_proxy(turn, account)
    if account.pinned_worker_id is not None:
        _require_fit(turn, account, account.pinned_worker_id)
    turn.draft.accounts.put(account)
    return account


def change_account(event: AccountChange, turn: Turn) -> ShownAccount:
    """Change an account; an outdated row cannot pin by `assigned_worker_id` (`stale_epoch`).

    A row is outdated if the account has changed owners since it was read.
    """
    account = _find(turn, event.id)
    event.require_unchanged(render(turn, account))
    wanted = change(_read_wishes(account, event), updated_at=turn.at)
    if wanted.status is not account.status:
        wanted = change(wanted, state_since=turn.at, state_reason="changed", state_detail=None)
    _require_unique(turn, wanted)
    if wanted.proxy_id != account.proxy_id:
        _require_proxy(turn, wanted)
    if wanted.pinned_worker_id not in (None, account.pinned_worker_id):
        by = (
            "assigned_worker_id"
            if wanted.pinned_worker_id == event.assigned_worker_id
            else "pinned_worker_id"
        )
        _require_fit(turn, wanted, wanted.pinned_worker_id or "", by)
    turn.draft.accounts.put(wanted)
    _inherit_handovers(turn, wanted)
    holder = account.assigned_worker_id
    if holder is None:
        place_what_waits(turn, only=account.id)
    elif (reason := _find_reason_to_revoke(turn, wanted, holder)) is not None:
        revoke_accounts(turn, [wanted], holder, reason)
        place_what_waits(turn)  # another account may wait for the freed slot
    else:
        hand_out(turn, {holder: [wanted]})
    return render(turn, _find(turn, account.id))


def remove_account(event: ById, turn: Turn) -> ShownAccount:
    """Remove an account with all that belongs to it; its worker is told to stop.

    The account is gone at once; many messages of it go in portions, one per turn.
    """
    account = _find(turn, event.id)
    close_open_login(turn, account, "The account was removed.", CancelReason.ACCOUNT_DELETED)
    drop_links_of(turn, account)
    account = _find(turn, account.id)
    if account.assigned_worker_id is not None:
        [account] = revoke_accounts(
            turn, [account], account.assigned_worker_id, RevokeReason.ACCOUNT_DELETED
        )
    if account.account_id is not None:
        turn.deadlines.pass_handovers(account.id, _name_on_platform(account))
    for login in [one for one in turn.draft.logins.all() if one.account_id == account.id]:
        # includes logins that ended in this batch: their rows are removed with the account
        turn.draft.logins.remove(login.id)
    turn.draft.accounts.remove(account.id)
    turn.draft.removed_at = turn.at
    place_what_waits(turn)  # another account may wait for the freed slot
    turn.go_on(remove_hidden)
    log.info("account_removed", account=account.id)
    return render(turn, account)


async def remove_hidden(event: None, turn: Turn) -> None:
    """Remove a portion of the messages and notifications of accounts that were removed."""
    if await account_rows.remove_some(turn.connection):
        turn.go_on(remove_hidden)


def _name_on_platform(account: Account) -> str:
    """Return the key of a removed account in memory; no row's id has this form."""
    return f"{account.platform} {account.account_id}"


def _inherit_handovers(turn: Turn, account: Account) -> None:
    """Let an account wait for former owners that may still act on a removed account.

    This applies if both have the same id on the same platform.
    """
    if account.account_id is not None:
        turn.deadlines.pass_handovers(_name_on_platform(account), account.id)


def _read_wishes(account: Account, event: AccountChange) -> Account:
    """Return the account with the requested changes.

    An `assigned_worker_id` or `pinned_worker_id` equal to the present one is no request: pages send
    whole rows back.
    Errors: StaleEpoch for an `assigned_worker_id` in an outdated row: it may have been chosen, or
    only read there. A `pinned_worker_id` other than the present one was chosen.
    """
    named = event.model_fields_set
    pinned = account.pinned_worker_id
    if "pinned_worker_id" in named and event.pinned_worker_id != pinned:
        pinned = event.pinned_worker_id
    elif "assigned_worker_id" in named:
        if event.assigned_worker_id is None:
            pinned = None
        elif event.assigned_worker_id != account.assigned_worker_id:
            pinned = event.assigned_worker_id
        if pinned != account.pinned_worker_id and _is_outdated(event, account):
            raise StaleEpoch(
                "The account has changed hands since this row was read; read it again."
            )
    return change(
        account,
        platform=event.platform or account.platform,
        account_name=event.account_name or account.account_name,
        account_id=event.account_id if "account_id" in named else account.account_id,
        monitor_interval=event.monitor_interval or account.monitor_interval,
        status=event.status or account.status,
        pinned_worker_id=pinned,
        proxy_id=event.proxy_id if "proxy_id" in named else account.proxy_id,
        tags=account.tags if event.tags is None else tuple(event.tags),
        note=event.note if "note" in named else account.note,
    )


def _is_outdated(event: AccountChange, account: Account) -> bool:
    """Tell whether a row that is sent back was read before the account last changed owners.

    A revoked account keeps its epoch until its next assignment; until then `updated_at` decides.
    """
    if event.epoch is None:
        return False
    waits_again = account.assigned_worker_id is None and account.epoch > 0
    read_at = (
        event.updated_at if waits_again and event.updated_at is not None else account.updated_at
    )
    return event.epoch < account.epoch or read_at < account.updated_at


def _find_reason_to_revoke(turn: Turn, wanted: Account, holder: str) -> RevokeReason | None:
    """Return why the present worker may not keep the changed account, or None if it may."""
    if not wanted.is_served:
        return RevokeReason.of_status(wanted.status)
    if wanted.pinned_worker_id not in (None, holder):
        return RevokeReason.PINNED_ELSEWHERE
    worker = turn.draft.workers.get(holder)
    if worker is None or not worker.supports(wanted.platform):
        return RevokeReason.PLATFORM_NOT_SUPPORTED
    return None


def _require_unique(turn: Turn, account: Account) -> None:
    """Refuse a second row for one social-media account: watched twice, it gets banned."""
    if account.account_id is not None:
        twin = turn.draft.accounts.first("name", (account.platform, account.account_id))
        if twin is not None and twin.id != account.id:
            raise AlreadyExists(
                "There is an account with this platform and account_id already.",
                details=[{"id": twin.id}],
            )


def _require_proxy(turn: Turn, account: Account) -> None:
    if account.proxy_id is not None and turn.draft.proxies.get(account.proxy_id) is None:
        raise Invalid(details=[{"field": "proxy_id", "message": "there is no such proxy"}])


def _require_fit(
    turn: Turn, account: Account, worker_id: str, field: str = "assigned_worker_id"
) -> None:
    """Refuse a pin to a worker that is unknown, unfit, full or out of service."""
    worker = turn.draft.workers.get(worker_id)
    if worker is None:
        raise Invalid(details=[{"field": field, "message": "there is no such worker"}])
    if not worker.supports(account.platform):
        raise WorkerUnfit
    if worker.drain_since is not None and account.assigned_worker_id != worker_id:
        raise WorkerDraining
    if worker.status is WorkerStatus.CONNECTED and account.assigned_worker_id != worker_id:
        login = turn.draft.logins.first("account", account.id)
        # the account may use the reservation of its own login
        kept = login is not None and login.worker_id == worker_id
        if count_reserved(turn, [worker])[0].room + kept <= 0:
            raise WorkerFull


def _find(turn: Turn, account_id: str) -> Account:
    account = turn.draft.accounts.get(account_id)
    if account is None:
        raise UnknownAccount
    return account
