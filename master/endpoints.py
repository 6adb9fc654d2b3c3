"""The HTTP table: every method and path under `/api/v1`, and the operation that answers it.

Rows without an operation are answered by the web edge itself: they need a child process, a network or an image.
"""

from __future__ import annotations

from dataclasses import dataclass

from master.operations import accounts, logins, messages, notifications, processes, proxies, reports, workers
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


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path. An operation that `writes` gets a turn of the writer, any other only a look.

    `plural` names the rows of a list in the answer, `singular` the one thing of any other answer.
    """

    method: str
    path: str
    operation: Operation | None
    summary: str
    plural: str = ""
    singular: str = ""
    query: type[Query] = NoQuery
    body: type[Body] | None = None
    body_optional: bool = False
    writes: bool = False
    status: int = 200


def _change(method: str, path: str, operation: Operation, summary: str, singular: str, body: type[Body]) -> Endpoint:
    return Endpoint(method, path, operation, summary, singular=singular, body=body, writes=True)


def _remove(path: str, operation: Operation, summary: str, singular: str) -> Endpoint:
    return Endpoint("DELETE", path, operation, summary, singular=singular, writes=True)


ENDPOINTS: tuple[Endpoint, ...] = (
    # accounts
    Endpoint(
        "GET",
        "/accounts",
        accounts.list_accounts,
        "List accounts, the oldest first.",
        plural="accounts",
        query=AccountsQuery,
    ),
    Endpoint(
        "POST",
        "/accounts",
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
        reports.show_accounts_status,
        "List accounts, each with its `runtime_stats` and its `worker`.",
        plural="accounts",
        query=AccountsQuery,
    ),
    Endpoint("GET", "/accounts/{id}", accounts.show_account, "Show one account.", singular="account"),
    _change("PUT", "/accounts/{id}", accounts.change_account, "Change an account.", "account", AccountChange),
    _change("PATCH", "/accounts/{id}", accounts.change_account, "Change an account.", "account", AccountChange),
    _remove("/accounts/{id}", accounts.remove_account, "Remove an account with all that belongs to it.", "account"),
    Endpoint(
        "POST",
        "/accounts/{id}/login",
        logins.start_login_over_http,
        "Start a QR login, as the administrators' event does.",
        singular="login_session",
        body=NewLogin,
        body_optional=True,
        writes=True,
    ),
    # workers
    Endpoint("GET", "/workers", workers.list_workers, "List workers by id.", plural="workers", query=WorkersQuery),
    Endpoint("GET", "/workers/{id}", workers.show_worker, "Show one worker with its accounts.", singular="worker"),
    Endpoint(
        "POST", "/workers/{id}/lifecycle/start", None, "Start the worker's process.", singular="process", writes=True
    ),
    Endpoint(
        "POST", "/workers/{id}/lifecycle/stop", None, "Stop the worker's process.", singular="process", writes=True
    ),
    Endpoint(
        "POST",
        "/workers/{id}/lifecycle/restart",
        None,
        "Stop the worker's process if it runs, and start it.",
        singular="process",
        writes=True,
    ),
    Endpoint("GET", "/workers/{id}/lifecycle/status", None, "Show the worker's process.", singular="process"),
    Endpoint(
        "GET",
        "/workers/{id}/lifecycle/logs",
        None,
        "Show the end of the worker's output.",
        singular="logs",
        query=LogsQuery,
    ),
    # worker configurations
    Endpoint(
        "GET",
        "/worker-configs",
        processes.list_configs,
        "List how workers are run, by worker id.",
        plural="worker_configs",
        query=Page,
    ),
    Endpoint(
        "POST",
        "/worker-configs",
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
        processes.show_config,
        "Show how one worker is run; of its environment only the names.",
        singular="worker_config",
    ),
    _change(
        "PUT",
        "/worker-configs/{id}",
        processes.change_config,
        "Change how a worker is run, from its next start on.",
        "worker_config",
        WorkerConfigChange,
    ),
    _change(
        "PATCH",
        "/worker-configs/{id}",
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
    Endpoint("GET", "/proxies", proxies.list_proxies, "List proxies by name.", plural="proxies", query=Page),
    Endpoint(
        "POST",
        "/proxies",
        proxies.add_proxy,
        "Add a proxy.",
        singular="proxy",
        body=NewProxy,
        writes=True,
        status=201,
    ),
    Endpoint("GET", "/proxies/{id}", proxies.show_proxy, "Show a proxy, without its password.", singular="proxy"),
    _change("PUT", "/proxies/{id}", proxies.change_proxy, "Change a proxy.", "proxy", ProxyChange),
    _change("PATCH", "/proxies/{id}", proxies.change_proxy, "Change a proxy.", "proxy", ProxyChange),
    _remove("/proxies/{id}", proxies.remove_proxy, "Remove a proxy that no configuration uses.", "proxy"),
    Endpoint(
        "POST",
        "/proxies/{id}/test",
        None,
        "Try whether the proxy leads to a target of your own.",
        singular="result",
        body=ProxyTrial,
    ),
    # login sessions
    Endpoint(
        "GET",
        "/login-sessions",
        logins.list_logins,
        "List login sessions, the newest first.",
        plural="login_sessions",
        query=LoginsQuery,
    ),
    Endpoint("GET", "/login-sessions/{id}", logins.show_login, "Show one login session.", singular="login_session"),
    Endpoint("GET", "/login-sessions/{id}/qr.png", None, "The code of an open login as an image."),
    Endpoint(
        "POST",
        "/login-sessions/{id}/cancel",
        logins.cancel_login_over_http,
        "End an open login.",
        singular="login_session",
        writes=True,
    ),
    # messages
    Endpoint(
        "GET",
        "/comments",
        messages.list_comments,
        "List comments, the last detected first.",
        plural="comments",
        query=CommentsQuery,
    ),
    Endpoint(
        "GET",
        "/direct-messages",
        messages.list_direct_messages,
        "List direct messages, the last detected first.",
        plural="direct_messages",
        query=DirectMessagesQuery,
    ),
    Endpoint(
        "POST",
        "/messages/{kind}/{id}/read",
        messages.mark_read,
        "Note that a message was read; `kind` is comments or direct-messages.",
        singular="message",
        writes=True,
    ),
    Endpoint(
        "GET",
        "/notifications",
        notifications.list_notifications,
        "List notifications, the newest first.",
        plural="notifications",
        query=NotificationsQuery,
    ),
    # reports
    Endpoint("GET", "/statistics", reports.show_statistics, "Counts of everything, by state.", singular="statistics"),
    Endpoint("GET", "/status", None, "Version, uptime and counts.", singular="status"),
)
