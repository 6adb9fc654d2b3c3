"""The HTTP table: every method and path under `/api/v1`, and the operation that answers it.

Rows without an operation are answered by the web edge itself: they need a child process, a network or an image.
"""

from __future__ import annotations

from dataclasses import dataclass

from master.model import Scope
from master.operations import accounts, logins, messages, names, notifications, processes, proxies, reports, workers
from master.protocol.http import (
    AccountChange,
    AccountsQuery,
    CommentsQuery,
    DirectMessagesQuery,
    LoginsQuery,
    LogsQuery,
    NewAccount,
    NewLogin,
    NewProxy,
    NewWorkerConfig,
    NoQuery,
    NotificationsQuery,
    Page,
    ProxyChange,
    ProxyTrial,
    WorkerConfigChange,
    WorkersQuery,
)
from master.protocol.wire import Body, Query
from master.turn import Operation

ROOT = "/api/v1"
READ, OPERATE, ADMIN = Scope.READ, Scope.OPERATE, Scope.ADMIN


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path. An operation that `writes` gets a turn of the writer, any other only a look.

    What is `shared` counts everything, whoever asks: those who ask within a second get the same reply.

    `scope` is what the caller must have. `plural` names the rows of a list in the answer, `singular` the one thing of
    any other answer.
    """

    method: str
    path: str
    scope: Scope
    operation: Operation | None
    summary: str
    plural: str = ""
    singular: str = ""
    query: type[Query] = NoQuery
    body: type[Body] | None = None
    body_optional: bool = False
    writes: bool = False
    shared: bool = False
    status: int = 200


def _change(
    method: str, path: str, scope: Scope, operation: Operation, summary: str, singular: str, body: type[Body]
) -> Endpoint:
    return Endpoint(method, path, scope, operation, summary, singular=singular, body=body, writes=True)


def _remove(path: str, operation: Operation, summary: str, singular: str) -> Endpoint:
    return Endpoint("DELETE", path, ADMIN, operation, summary, singular=singular, writes=True)


CHANGE_ACCOUNT = (
    "Change an account. A row whose `epoch` (and `updated_at`) is from before it changed hands pins it nowhere by "
    "its `assigned_worker_id`: refused as `stale_epoch`, read it again."
)

ENDPOINTS: tuple[Endpoint, ...] = (
    # accounts
    Endpoint(
        "GET",
        "/accounts",
        READ,
        accounts.list_accounts,
        "List accounts, the oldest first.",
        plural="accounts",
        query=AccountsQuery,
    ),
    Endpoint(
        "POST",
        "/accounts",
        OPERATE,
        accounts.add_account,
        "Add an account; a worker that fits gets it at once.",
        singular="account",
        body=NewAccount,
        writes=True,
        status=201,
    ),
    Endpoint(
        "GET",
        "/accounts/status/all",
        READ,
        reports.show_accounts_status,
        "List accounts, each with its `runtime_stats` and its `worker`.",
        plural="accounts",
        query=AccountsQuery,
    ),
    Endpoint("GET", "/accounts/{id}", READ, accounts.show_account, "Show one account.", singular="account"),
    _change("PUT", "/accounts/{id}", OPERATE, accounts.change_account, CHANGE_ACCOUNT, "account", AccountChange),
    _change("PATCH", "/accounts/{id}", OPERATE, accounts.change_account, CHANGE_ACCOUNT, "account", AccountChange),
    _remove("/accounts/{id}", accounts.remove_account, "Remove an account with all that belongs to it.", "account"),
    Endpoint(
        "POST",
        "/accounts/{id}/login",
        OPERATE,
        logins.start_login_over_http,
        "Start a QR login, as the administrators' event does.",
        singular="login_session",
        body=NewLogin,
        body_optional=True,
        writes=True,
    ),
    # workers
    Endpoint(
        "GET", "/workers", READ, workers.list_workers, "List workers by id.", plural="workers", query=WorkersQuery
    ),
    Endpoint(
        "GET",
        "/workers/{id}",
        READ,
        workers.show_worker,
        "Show one worker with its accounts, the first 500.",
        singular="worker",
    ),
    _remove("/workers/{id}", names.remove_worker, "Forget a worker that is offline and without accounts.", "worker"),
    Endpoint(
        "POST",
        "/workers/{id}/lifecycle/start",
        OPERATE,
        None,
        "Start the worker's process.",
        singular="process",
        writes=True,
    ),
    Endpoint(
        "POST",
        "/workers/{id}/lifecycle/stop",
        OPERATE,
        None,
        "Stop the worker's process.",
        singular="process",
        writes=True,
    ),
    Endpoint(
        "POST",
        "/workers/{id}/lifecycle/restart",
        OPERATE,
        None,
        "Stop the worker's process if it runs, and start it.",
        singular="process",
        writes=True,
    ),
    Endpoint("GET", "/workers/{id}/lifecycle/status", READ, None, "Show the worker's process.", singular="process"),
    Endpoint(
        "GET",
        "/workers/{id}/lifecycle/logs",
        OPERATE,
        None,
        "Show the end of the worker's output.",
        singular="logs",
        query=LogsQuery,
    ),
    # worker configurations
    Endpoint(
        "GET",
        "/worker-configs",
        OPERATE,
        processes.list_configs,
        "List how workers are run, by worker id.",
        plural="worker_configs",
        query=Page,
    ),
    Endpoint(
        "POST",
        "/worker-configs",
        ADMIN,
        processes.add_config,
        "Say how a worker is run.",
        singular="worker_config",
        body=NewWorkerConfig,
        writes=True,
        status=201,
    ),
    Endpoint(
        "GET",
        "/worker-configs/{id}",
        OPERATE,
        processes.show_config,
        "Show how one worker is run; of its environment only the names.",
        singular="worker_config",
    ),
    _change(
        "PUT",
        "/worker-configs/{id}",
        ADMIN,
        processes.change_config,
        "Change how a worker is run, from its next start on.",
        "worker_config",
        WorkerConfigChange,
    ),
    _change(
        "PATCH",
        "/worker-configs/{id}",
        ADMIN,
        processes.change_config,
        "Change how a worker is run, from its next start on.",
        "worker_config",
        WorkerConfigChange,
    ),
    _remove(
        "/worker-configs/{id}",
        processes.remove_config,
        "Forget how a worker is run; a running process is not stopped.",
        "worker_config",
    ),
    # proxies
    Endpoint("GET", "/proxies", READ, proxies.list_proxies, "List proxies by name.", plural="proxies", query=Page),
    Endpoint(
        "POST",
        "/proxies",
        ADMIN,
        proxies.add_proxy,
        "Add a proxy.",
        singular="proxy",
        body=NewProxy,
        writes=True,
        status=201,
    ),
    Endpoint("GET", "/proxies/{id}", READ, proxies.show_proxy, "Show a proxy, without its password.", singular="proxy"),
    _change("PUT", "/proxies/{id}", ADMIN, proxies.change_proxy, "Change a proxy.", "proxy", ProxyChange),
    _change("PATCH", "/proxies/{id}", ADMIN, proxies.change_proxy, "Change a proxy.", "proxy", ProxyChange),
    _remove("/proxies/{id}", proxies.remove_proxy, "Remove a proxy that no configuration uses.", "proxy"),
    Endpoint(
        "POST",
        "/proxies/{id}/test",
        ADMIN,
        None,
        "Try whether the proxy leads to a target of your own.",
        singular="result",
        body=ProxyTrial,
    ),
    # login sessions
    Endpoint(
        "GET",
        "/login-sessions",
        READ,
        logins.list_logins,
        "List login sessions, the newest first.",
        plural="login_sessions",
        query=LoginsQuery,
    ),
    Endpoint(
        "GET", "/login-sessions/{id}", READ, logins.show_login, "Show one login session.", singular="login_session"
    ),
    Endpoint("GET", "/login-sessions/{id}/qr.png", OPERATE, None, "The code of an open login as an image."),
    Endpoint(
        "POST",
        "/login-sessions/{id}/cancel",
        OPERATE,
        logins.cancel_login_over_http,
        "End an open login.",
        singular="login_session",
        writes=True,
    ),
    # messages
    Endpoint(
        "GET",
        "/comments",
        READ,
        messages.list_comments,
        "List comments, the last detected first.",
        plural="comments",
        query=CommentsQuery,
    ),
    Endpoint(
        "GET",
        "/direct-messages",
        READ,
        messages.list_direct_messages,
        "List direct messages, the last detected first.",
        plural="direct_messages",
        query=DirectMessagesQuery,
    ),
    Endpoint(
        "POST",
        "/messages/{kind}/{id}/read",
        OPERATE,
        messages.mark_read,
        "Note that a message was read; `kind` is comments or direct-messages.",
        singular="message",
        writes=True,
    ),
    Endpoint(
        "GET",
        "/notifications",
        READ,
        notifications.list_notifications,
        "List notifications, the newest first.",
        plural="notifications",
        query=NotificationsQuery,
    ),
    # reports
    Endpoint(
        "GET",
        "/statistics",
        READ,
        reports.show_statistics,
        "Counts of everything, by state; at most a second old.",
        singular="statistics",
        shared=True,
    ),
    Endpoint("GET", "/status", READ, None, "Version, uptime and counts, at most a second old.", singular="status"),
)
