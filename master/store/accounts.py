"""Accounts' rows, and who holds them. Every change of hands is guarded in SQL by the epoch it was decided on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, case, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from master.model import Account, AccountStatus, LoginStatus, Worker
from master.store.rows import chunk_ids, count_by, find_by, find_page, find_rows
from master.store.schema import accounts
from master.store.sealing import find_broken, open_later, seal_values, vault_of
from master.vault import Vault

UNREADABLE = LoginStatus.CREDENTIALS_UNREADABLE.value


def _to_record(row: RowMapping, vault: Vault) -> Account:
    return Account(
        id=row["id"],
        platform=row["platform"],
        account_name=row["account_name"],
        account_id=row["account_id"],
        credentials=open_later(vault, row, "accounts", "credentials"),
        user_info=row["user_info"],
        fingerprint=open_later(vault, row, "accounts", "fingerprint"),
        status=AccountStatus(row["status"]),
        login_status=LoginStatus(row["login_status"]),
        monitor_interval=row["monitor_interval"],
        last_login_time=row["last_login_time"],
        cookies_valid_until=row["cookies_valid_until"],
        assigned_worker_id=row["assigned_worker_id"],
        pinned_worker_id=row["pinned_worker_id"],
        platform_user_id=row["platform_user_id"],
        epoch=row["epoch"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _to_records(connection: AsyncConnection, rows: Sequence[RowMapping]) -> list[Account]:
    vault = vault_of(connection)
    return [_to_record(row, vault) for row in rows]


async def find_account(connection: AsyncConnection, account_id: str) -> Account | None:
    """Return one account, or None."""
    row = await find_by(connection, accounts.c.id, account_id)
    return _to_record(row, vault_of(connection)) if row else None


async def find_accounts_of(connection: AsyncConnection, worker_id: str) -> list[Account]:
    """Return the accounts that this worker holds, by id."""
    query = select(accounts).where(accounts.c.assigned_worker_id == worker_id).order_by(accounts.c.id)
    return _to_records(connection, await find_rows(connection, query))


async def find_holders(connection: AsyncConnection) -> list[tuple[str, str, int]]:
    """Return (account id, worker id, epoch) of every assigned account."""
    query = select(accounts.c.id, accounts.c.assigned_worker_id, accounts.c.epoch).where(
        accounts.c.assigned_worker_id.is_not(None)
    )
    return [(row[0], row[1], row[2]) for row in await connection.execute(query)]


async def find_accounts_of_all(connection: AsyncConnection, worker_ids: Sequence[str]) -> list[Account]:
    """Return the accounts that any of these workers holds."""
    found: list[Account] = []
    for chunk in chunk_ids(worker_ids):
        query = select(accounts).where(accounts.c.assigned_worker_id.in_(chunk)).order_by(accounts.c.id)
        found += _to_records(connection, await find_rows(connection, query))
    return found


async def find_waiting(
    connection: AsyncConnection, *, account_id: str | None = None, limit: int | None = None
) -> list[Account]:
    """Return active accounts that nobody holds, the longest known first; only the one named if one is."""
    query = select(accounts).where(
        accounts.c.assigned_worker_id.is_(None), accounts.c.status == AccountStatus.ACTIVE.value
    )
    if account_id is not None:
        query = query.where(accounts.c.id == account_id)
    query = query.order_by(accounts.c.created_at, accounts.c.id).limit(limit)
    return _to_records(connection, await find_rows(connection, query))


async def find_waiting_for(connection: AsyncConnection, worker: Worker, *, limit: int) -> list[Account]:
    """Return at most `limit` active accounts that nobody holds and that this worker may take, the oldest first."""
    query = (
        select(accounts)
        .where(
            accounts.c.assigned_worker_id.is_(None),
            accounts.c.status == AccountStatus.ACTIVE.value,
            accounts.c.platform.in_(worker.capabilities),
            or_(accounts.c.pinned_worker_id.is_(None), accounts.c.pinned_worker_id == worker.id),
        )
        .order_by(accounts.c.created_at, accounts.c.id)
        .limit(limit)
    )
    return _to_records(connection, await find_rows(connection, query))


WATCHABLE = (
    select(accounts)
    .where(
        accounts.c.login_status == LoginStatus.LOGGED_IN.value,
        accounts.c.status == AccountStatus.ACTIVE.value,
        accounts.c.assigned_worker_id.is_not(None),
    )
    .order_by(accounts.c.id)
)


async def find_watchable(connection: AsyncConnection) -> list[Account]:
    """Return the accounts that the scheduler may hand out (the source document's query)."""
    return _to_records(connection, await find_rows(connection, WATCHABLE))


async def find_known(connection: AsyncConnection, account_ids: Sequence[str]) -> set[str]:
    """Return which of these account ids exist."""
    known: set[str] = set()
    for chunk in chunk_ids(account_ids):
        known.update((await connection.scalars(select(accounts.c.id).where(accounts.c.id.in_(chunk)))).all())
    return known


async def list_accounts(
    connection: AsyncConnection, filters: Mapping[str, str | None], *, limit: int, offset: int
) -> tuple[list[Account], int]:
    """Return a page of accounts, the newest last, and how many there are; `filters` are column = value."""
    conditions: list[ColumnElement[bool]] = [
        accounts.c[name] == value for name, value in filters.items() if value is not None
    ]
    order = [accounts.c.created_at, accounts.c.id]
    rows, total = await find_page(connection, accounts, conditions, order, limit, offset)
    return _to_records(connection, rows), total


async def add_account(connection: AsyncConnection, account: Account) -> None:
    """Insert a new account."""
    await connection.execute(
        insert(accounts).values(
            id=account.id,
            platform=account.platform,
            account_name=account.account_name,
            account_id=account.account_id,
            status=account.status.value,
            login_status=account.login_status.value,
            monitor_interval=account.monitor_interval,
            pinned_worker_id=account.pinned_worker_id,
            epoch=account.epoch,
            created_at=account.created_at,
            updated_at=account.updated_at,
        )
    )


async def find_twin(connection: AsyncConnection, platform: str, account_id: str) -> str | None:
    """Return the id of the account that has this id on this platform already, or None."""
    found = await connection.scalar(
        select(accounts.c.id).where(accounts.c.platform == platform, accounts.c.account_id == account_id)
    )
    return str(found) if found is not None else None


async def change_account(
    connection: AsyncConnection, account_id: str, values: Mapping[str, Any], now: int, *, epoch: int | None = None
) -> bool:
    """Set columns of one account; return False if it has changed hands since `epoch`, where one is given."""
    kept = seal_values(connection, "accounts", account_id, values)
    statement = update(accounts).where(accounts.c.id == account_id).values(**kept, updated_at=now)
    if epoch is not None:
        statement = statement.where(accounts.c.epoch == epoch)
    return (await connection.execute(statement)).rowcount == 1


async def assign(connection: AsyncConnection, account: Account, worker_id: str, now: int) -> bool:
    """Give the account to a worker and raise its epoch; return False if it changed hands since it was read."""
    result = await connection.execute(
        update(accounts)
        .where(
            accounts.c.id == account.id,
            accounts.c.epoch == account.epoch,
            accounts.c.assigned_worker_id.is_(account.assigned_worker_id)
            if account.assigned_worker_id is None
            else accounts.c.assigned_worker_id == account.assigned_worker_id,
        )
        .values(assigned_worker_id=worker_id, epoch=account.epoch + 1, updated_at=now)
    )
    return result.rowcount == 1


async def release(connection: AsyncConnection, account: Account, now: int) -> bool:
    """Take the account from its worker; return False if it changed hands since it was read."""
    result = await connection.execute(
        update(accounts)
        .where(
            accounts.c.id == account.id,
            accounts.c.epoch == account.epoch,
            accounts.c.assigned_worker_id == account.assigned_worker_id,
        )
        .values(assigned_worker_id=None, updated_at=now)
    )
    return result.rowcount == 1


async def remove_account(connection: AsyncConnection, account_id: str) -> None:
    """Remove an account's row; what refers to it must be gone."""
    await connection.execute(delete(accounts).where(accounts.c.id == account_id))


async def find_unreadable(connection: AsyncConnection) -> set[str]:
    """Return the accounts with a stored secret that does not open."""
    return {row_id async for row_id in find_broken(connection, accounts)}


async def mark_unreadable(connection: AsyncConnection, unreadable: set[str], now: int) -> None:
    """Let login statuses say whose secrets do not open, and no longer say it of those that open again.

    An account that is being logged in keeps its status: it will have new ones, or be looked at when that ends.
    """
    marked = set((await connection.scalars(select(accounts.c.id).where(accounts.c.login_status == UNREADABLE))).all())
    for chunk in chunk_ids(sorted(unreadable - marked)):
        may_change = accounts.c.login_status != LoginStatus.LOGGING_IN.value
        await connection.execute(
            update(accounts).where(accounts.c.id.in_(chunk), may_change).values(login_status=UNREADABLE, updated_at=now)
        )
    for chunk in chunk_ids(sorted(marked - unreadable)):
        stored = accounts.c.credentials.is_not(None)
        after = case((stored, LoginStatus.LOGGED_IN.value), else_=LoginStatus.NOT_LOGGED_IN.value)
        await connection.execute(
            update(accounts).where(accounts.c.id.in_(chunk)).values(login_status=after, updated_at=now)
        )


async def count_accounts(connection: AsyncConnection) -> dict[str, dict[str, int]]:
    """Return how many accounts there are by status, by login status and by platform."""
    return {
        "status": await count_by(connection, accounts.c.status),
        "login_status": await count_by(connection, accounts.c.login_status),
        "platform": await count_by(connection, accounts.c.platform),
    }
