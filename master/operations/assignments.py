"""Accounts change hands here and nowhere else: the row, the worker's load, what memory knows and who is told."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import structlog

from master.decisions.assignment import place_accounts
from master.decisions.schedule import portion
from master.model import Account, JsonObject, LoginStatus, Proxy, Worker
from master.protocol.admin import show_account, show_worker
from master.protocol.worker import ASSIGN_LIMIT, show_account_to_worker
from master.secret import SealBroken
from master.store import accounts as account_rows
from master.store import logins as login_rows
from master.store import workers as worker_rows
from master.store.proxies import find_proxies_of_workers, find_proxy_of_worker
from master.turn import ADMINS, Turn, worker_address

log = structlog.get_logger(__name__)


async def give_account(turn: Turn, account: Account, worker_id: str) -> Account | None:
    """Assign an account nobody holds; return it as it is now, or None if it changed hands meanwhile."""
    if not await account_rows.assign(turn.connection, account, worker_id, turn.at):
        return None
    given = replace(account, assigned_worker_id=worker_id, epoch=account.epoch + 1, updated_at=turn.at)
    turn.after_commit(lambda: turn.presence.give(given.id, worker_id, given.epoch))
    announce_account(turn, given)
    log.info("account_assigned", account=given.id, worker=worker_id, epoch=given.epoch)
    return given


async def take_accounts(
    turn: Turn, accounts: Sequence[Account], worker_id: str, reason: str, *, reachable: bool = True, gone: bool = False
) -> list[Account]:
    """Revoke accounts of one worker; return them as they are now. An unreachable worker is told when it returns.

    One that is not `gone` (silent for longer than it may act, or leaving by its own word) may act on them until it has
    heard of it, and no longer than until its own stop before the timeout. That counts from this turn, so that memory
    answers none of its heartbeats until this is stored.
    """
    if accounts and not gone:
        turn.presence.doubted.add(worker_id)
    taken = []
    for account in accounts:
        if await account_rows.release(turn.connection, account, turn.at):
            taken.append(replace(account, assigned_worker_id=None, updated_at=turn.at))
    if not taken:
        return []
    if not gone:
        now, until = turn.monotonic, turn.monotonic + turn.settings.heartbeat_timeout_s
        turn.presence.part([account.id for account in taken], worker_id, now=now, until=until)
    for some in portion([account.id for account in taken], ASSIGN_LIMIT):
        turn.tell(worker_address(worker_id), "master:task:revoke", {"accountIds": list(some), "reason": reason})

    def forget() -> None:
        seat = turn.presence.seats.get(worker_id)
        told = reachable and seat is not None and seat.sid is not None
        for account in taken:
            turn.presence.take(account.id, worker_id, told=told)

    turn.after_commit(forget)
    await worker_rows.recount_loads(turn.connection, {worker_id})
    for account in taken:
        announce_account(turn, account)
        log.info("account_revoked", account=account.id, worker=worker_id, epoch=account.epoch, reason=reason)
    return taken


async def place_waiting(turn: Turn, *, account_id: str | None = None) -> set[str]:
    """Place every account that waits (or just the one named) and fits; return the workers that got some."""
    if not await account_rows.find_waiting(turn.connection, account_id=account_id, limit=1):
        return set()
    workers = await find_open_workers(turn)
    if not any(worker.room > 0 for worker in workers):
        return set()  # however many wait: none of them need be read
    waiting = await account_rows.find_waiting(turn.connection, account_id=account_id)
    given: dict[str, list[Account]] = {}
    for account, worker_id in place_accounts(waiting, workers, await _find_kept(turn, waiting)):
        placed = await give_account(turn, account, worker_id)
        if placed is not None:
            given.setdefault(worker_id, []).append(placed)
    await hand_out(turn, given)
    await worker_rows.recount_loads(turn.connection, set(given))
    if kept_place(account for accounts in given.values() for account in accounts):
        return set(given) | await place_waiting(turn)
    return set(given)


async def _find_kept(turn: Turn, waiting: Iterable[Account]) -> dict[str, str | None]:
    """Return, per account that is pinned and being logged in, the worker that keeps a place for its login."""
    kept: dict[str, str | None] = {}
    for account in waiting:
        if account.pinned_worker_id is not None and account.login_status is LoginStatus.LOGGING_IN:
            login = await login_rows.find_open_login(turn.connection, account.id)
            kept[account.id] = login.worker_id if login is not None else None
    return kept


def kept_place(given: Iterable[Account]) -> bool:
    """Tell whether one of these new assignments may have had a place kept for its login: that one is free now."""
    return any(account.login_status is LoginStatus.LOGGING_IN for account in given)


async def find_open_workers(turn: Turn) -> list[Worker]:
    """Return the connected workers, by id, with what `count_reserved` adds."""
    return await count_reserved(turn, await worker_rows.find_connected_workers(turn.connection))


async def count_reserved(turn: Turn, workers: Sequence[Worker]) -> list[Worker]:
    """Return workers with a place counted as taken for each login of an account not theirs yet.

    A login that succeeds makes its worker the owner: the place must not be given away while the person scans.
    """
    reserved = await login_rows.count_reserved(turn.connection)
    return [
        replace(worker, assigned_accounts=worker.assigned_accounts + reserved[worker.id])
        if worker.id in reserved
        else worker
        for worker in workers
    ]


async def hand_out(turn: Turn, portions: Mapping[str, Sequence[Account]]) -> None:
    """Tell workers, by their ids, to watch these accounts now, at most 100 per event."""
    proxies = await find_proxies_of_workers(turn.connection, portions)
    for worker_id, accounts in portions.items():
        shown = await _show_to_worker(turn, worker_id, accounts, proxies.get(worker_id))
        for some in portion(shown, ASSIGN_LIMIT):
            turn.tell(worker_address(worker_id), "master:task:assign", {"accounts": list(some)})
    moments = dict.fromkeys((account.id for accounts in portions.values() for account in accounts), turn.monotonic)
    turn.after_commit(lambda: turn.presence.handed_out.update(moments))


async def show_to_worker(turn: Turn, worker_id: str, accounts: Sequence[Account]) -> list[JsonObject]:
    """Return accounts with their secrets and the worker's proxy, as only their worker may see them."""
    proxy = await find_proxy_of_worker(turn.connection, worker_id) if accounts else None
    return await _show_to_worker(turn, worker_id, accounts, proxy)


async def _show_to_worker(
    turn: Turn, worker_id: str, accounts: Sequence[Account], proxy: Proxy | None
) -> list[JsonObject]:
    proxy_shown = _show_proxy_to_worker(proxy)
    shown = []
    for account in accounts:
        wait_s = turn.presence.find_wait(account.id, worker_id, turn.monotonic)
        try:
            shown.append(show_account_to_worker(account, proxy_shown, wait_s))
        except SealBroken as fault:
            unreadable = await _note_unreadable(turn, account, fault)
            bare = replace(unreadable, credentials=None, fingerprint=None)
            shown.append(show_account_to_worker(bare, proxy_shown, wait_s))
    return shown


def _show_proxy_to_worker(proxy: Proxy | None) -> JsonObject | None:
    """Return a worker's proxy as it is shown to it; if its password does not open, without one.

    The proxy then refuses the worker. Without the proxy, accounts would be seen at an address that is not theirs.
    """
    if proxy is None:
        return None
    try:
        return proxy.to_worker()
    except SealBroken as fault:
        log.error("proxy_password_unreadable", proxy=proxy.id, reason=str(fault))
        return replace(proxy, password=None).to_worker()


async def _note_unreadable(turn: Turn, account: Account, fault: SealBroken) -> Account:
    """Note that what is stored of this account does not open; a login under way decides for itself what it becomes."""
    if account.login_status in (LoginStatus.CREDENTIALS_UNREADABLE, LoginStatus.LOGGING_IN):
        return account
    status = LoginStatus.CREDENTIALS_UNREADABLE
    await account_rows.change_account(turn.connection, account.id, {"login_status": status.value}, turn.at)
    noted = replace(account, login_status=status, updated_at=turn.at)
    announce_account(turn, noted)
    log.error("credentials_unreadable", account=account.id, reason=str(fault))
    return noted


async def settle_loads(turn: Turn, worker_ids: Collection[str]) -> None:
    """Recount these workers' loads and show their rows to administrators."""
    if not worker_ids:
        return
    await worker_rows.recount_loads(turn.connection, worker_ids)
    for worker_id in sorted(worker_ids):
        worker = await worker_rows.find_worker(turn.connection, worker_id)
        if worker is not None:
            turn.tell(ADMINS, "worker:status", show_worker(worker))


def announce_account(turn: Turn, account: Account) -> None:
    """Show an account's row to administrators, without its secrets."""
    turn.tell(ADMINS, "account:status", show_account(account))
