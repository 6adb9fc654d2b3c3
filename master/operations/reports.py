"""What people ask about everything at once: counts by state, and what each account is doing."""

from __future__ import annotations

from typing import Any

from master.model import (
    AccountStatus,
    JsonObject,
    LoginStatus,
    MessageKind,
    NotificationType,
    SessionStatus,
    WorkerStatus,
)
from master.operations.workers import show_live
from master.protocol.admin import show_account
from master.protocol.http import AccountsQuery, Listing, Request
from master.protocol.wire import Empty
from master.store import accounts as account_rows
from master.store import logins as login_rows
from master.store import messages as message_rows
from master.store import notifications as notification_rows
from master.store import proxies as proxy_rows
from master.store import worker_configs as config_rows
from master.store import workers as worker_rows
from master.turn import Turn

NOTHING_DETECTED = {"comments": 0, "direct_messages": 0, "unread": 0, "last_detected_at": 0}


async def show_accounts_status(event: Request[AccountsQuery, None], turn: Turn) -> Listing:
    """List accounts, each with what its worker and its messages tell of it."""
    query = event.query
    filters = {
        "platform": query.platform,
        "status": query.status.value if query.status else None,
        "login_status": query.login_status.value if query.login_status else None,
        "assigned_worker_id": query.assigned_worker_id,
    }
    found, total = await account_rows.list_accounts(turn.connection, filters, limit=query.limit, offset=query.offset)
    messages = await message_rows.summarise_messages(turn.connection, [account.id for account in found])
    workers = {worker.id: worker for worker in await worker_rows.find_all_workers(turn.connection)}
    shown = []
    for account in found:
        worker = workers.get(account.assigned_worker_id or "")
        summary = messages.get(account.id, NOTHING_DETECTED)
        row = show_account(account)
        row["worker"] = show_live(turn, worker) if worker else None
        row["runtime_stats"] = {
            **summary,
            "last_detected_at": summary["last_detected_at"] or None,
            "last_heartbeat": row["worker"]["last_heartbeat"] if worker else None,
        }
        shown.append(row)
    return Listing(shown, total)


async def show_statistics(event: Any, turn: Turn) -> JsonObject:
    """Count everything by state, kind and type."""
    connection = turn.connection
    accounts = await account_rows.count_accounts(connection)
    logins = _fill(SessionStatus, await login_rows.count_logins(connection))
    notifications = _fill(NotificationType, await notification_rows.count_notifications(connection))
    return {
        "workers": await count_workers(event, turn),
        "accounts": {
            "total": sum(accounts["status"].values()),
            "by_status": _fill(AccountStatus, accounts["status"]),
            "by_login_status": _fill(LoginStatus, accounts["login_status"]),
            "by_platform": accounts["platform"],
        },
        "login_sessions": {"total": sum(logins.values()), "by_status": logins},
        "messages": {
            "comments": await message_rows.count_messages(connection, MessageKind.COMMENT),
            "direct_messages": await message_rows.count_messages(connection, MessageKind.DIRECT_MESSAGE),
        },
        "notifications": {"total": sum(notifications.values()), "by_type": notifications},
        "proxies": {"total": await proxy_rows.count_proxies(connection)},
        "worker_configs": {"total": await config_rows.count_configs(connection)},
    }


async def show_status(event: Any, turn: Turn) -> JsonObject:
    """Show the same counts as administrators get; the edge adds what it knows of the process."""
    return await count_everything(turn)


async def count_everything(turn: Turn) -> JsonObject:
    """Return the counts of `admin:status:response`: flat, one number per state."""
    accounts = await account_rows.count_accounts(turn.connection)
    logins = _fill(SessionStatus, await login_rows.count_logins(turn.connection))
    return {
        "workers": await count_workers(None, turn),
        "accounts": {
            "total": sum(accounts["status"].values()),
            **_fill(AccountStatus, accounts["status"]),
            **_fill(LoginStatus, accounts["login_status"]),
        },
        "loginSessions": {"total": sum(logins.values()), **logins},
        "platforms": accounts["platform"],
    }


async def count_workers(event: Any, turn: Turn) -> dict[str, int]:
    """Return how many workers there are, and how many of them are online (connected), disconnected and offline."""
    states = await worker_rows.count_workers(turn.connection)
    return {
        "total": sum(states.values()),
        "online": states.get(WorkerStatus.CONNECTED.value, 0),
        "disconnected": states.get(WorkerStatus.DISCONNECTED.value, 0),
        "offline": states.get(WorkerStatus.OFFLINE.value, 0),
    }


def _fill(states: Any, counts: dict[str, int]) -> dict[str, int]:
    """Return a count for every state, also for those that nothing is in."""
    return {state.value: counts.get(state.value, 0) for state in states}


async def count_login_states(event: Any, turn: Turn) -> dict[str, int]:
    """Count accounts by login status."""
    return (await account_rows.count_accounts(turn.connection))["login_status"]


async def request_status(event: Empty, turn: Turn) -> JsonObject:
    """Answer an administrator's question for counts of everything. `timestamp` is milliseconds."""
    reply = {**await count_everything(turn), "timestamp": int(turn.now * 1000)}
    turn.answer("admin:status:response", reply)
    return reply
