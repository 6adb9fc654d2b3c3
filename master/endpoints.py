"""The HTTP table: every method and path under `/api/v1`, its payload and its operation.

The docstring of the answering function begins with the route's description in docs/protocol.md. A
payload field that is not in the path comes from the query (GET) or from the body.
"""

from __future__ import annotations

from itertools import chain

from master.model import Scope
from master.operations import (
    accounts,
    drains,
    login_views,
    logins,
    maintenance,
    messages,
    names,
    notifications,
    processes,
    proxies,
    reports,
    workers,
)
from master.protocol import drains as drain_payloads
from master.protocol import http
from master.web.endpoint import ROOT, Endpoint, Noun
from master.web.health import Health
from master.web.lifecycle import Lifecycle
from master.web.proxy_trial import ProxyTrials
from master.web.qr_codes import QrCodes

__all__ = ["ENDPOINTS", "ROOT", "Endpoint"]

READ, OPERATE, ADMIN = Scope.READ, Scope.OPERATE, Scope.ADMIN

ACCOUNT = Noun("account", "accounts")
WORKER = Noun("worker")
PROCESS = Noun("process")
LOGS = Noun("logs")
CONFIG = Noun("worker_config")
PROXY = Noun("proxy")
RESULT = Noun("result")
LOGIN = Noun("login_session")
MESSAGE = Noun("message")
COMMENT = Noun("comment")
DIRECT_MESSAGE = Noun("direct_message")
NOTIFICATION = Noun("notification")
STATISTICS = Noun("statistics")
STATUS = Noun("status")
MAINTENANCE = Noun("maintenance", has_rows=False)

ROWS = (
    ACCOUNT.route("GET", "/accounts", READ, accounts.list_accounts, http.AccountsQuery),
    ACCOUNT.route("POST", "/accounts", OPERATE, accounts.add_account, http.NewAccount),
    ACCOUNT.route(
        "GET", "/accounts/status/all", READ, reports.show_accounts_status, http.AccountsQuery
    ),
    ACCOUNT.route("GET", "/accounts/{id}", READ, accounts.show_account, http.ById),
    ACCOUNT.route(
        "PUT PATCH", "/accounts/{id}", OPERATE, accounts.change_account, http.AccountChange
    ),
    ACCOUNT.route("DELETE", "/accounts/{id}", ADMIN, accounts.remove_account, http.ById),
    LOGIN.route(
        "POST",
        "/accounts/{id}/login",
        OPERATE,
        logins.start_login,
        http.NewLogin,
        body_optional=True,
    ),
    WORKER.route("GET", "/workers", READ, workers.list_workers, http.WorkersQuery),
    WORKER.route("GET", "/workers/{id}", READ, workers.show_worker, http.ById),
    WORKER.route("DELETE", "/workers/{id}", ADMIN, names.remove_worker, http.ById),
    WORKER.route(
        "POST", "/workers/{id}/drain", OPERATE, drains.begin_drain, drain_payloads.DrainWorker
    ),
    WORKER.route("DELETE", "/workers/{id}/drain", OPERATE, drains.cancel_drain, http.ById),
    PROCESS.edge("POST", "/workers/{id}/lifecycle/start", OPERATE, Lifecycle.start, http.ById),
    PROCESS.edge("POST", "/workers/{id}/lifecycle/stop", OPERATE, Lifecycle.stop, http.ById),
    PROCESS.edge(
        "POST",
        "/workers/{id}/lifecycle/restart",
        OPERATE,
        Lifecycle.restart,
        drain_payloads.RestartWorker,
        body_optional=True,
    ),
    PROCESS.edge("GET", "/workers/{id}/lifecycle/status", READ, Lifecycle.show_status, http.ById),
    LOGS.edge("GET", "/workers/{id}/lifecycle/logs", OPERATE, Lifecycle.show_logs, http.LogsQuery),
    CONFIG.route("GET", "/worker-configs", OPERATE, processes.list_configs, http.Page),
    CONFIG.route("POST", "/worker-configs", ADMIN, processes.add_config, http.NewWorkerConfig),
    CONFIG.route("GET", "/worker-configs/{id}", OPERATE, processes.show_config, http.ById),
    CONFIG.route(
        "PUT PATCH", "/worker-configs/{id}", ADMIN, processes.change_config, http.WorkerConfigChange
    ),
    CONFIG.route("DELETE", "/worker-configs/{id}", ADMIN, processes.remove_config, http.ById),
    PROXY.route("GET", "/proxies", READ, proxies.list_proxies, http.Page),
    PROXY.route("POST", "/proxies", ADMIN, proxies.add_proxy, http.NewProxy),
    PROXY.route("GET", "/proxies/{id}", READ, proxies.show_proxy, http.ById),
    PROXY.route("PUT PATCH", "/proxies/{id}", ADMIN, proxies.change_proxy, http.ProxyChange),
    PROXY.route("DELETE", "/proxies/{id}", ADMIN, proxies.remove_proxy, http.ById),
    RESULT.edge("POST", "/proxies/{id}/test", ADMIN, ProxyTrials.run, http.ProxyTrial),
    LOGIN.route("GET", "/login-sessions", READ, login_views.list_logins, http.LoginsQuery),
    LOGIN.route("GET", "/login-sessions/{id}", READ, login_views.show_login, http.ById),
    LOGIN.edge("GET", "/login-sessions/{id}/qr.png", OPERATE, QrCodes.show, http.ById),
    LOGIN.route(
        "POST", "/login-sessions/{id}/cancel", OPERATE, logins.cancel_login, http.LoginById
    ),
    COMMENT.route("GET", "/comments", READ, messages.list_comments, http.CommentsQuery),
    DIRECT_MESSAGE.route(
        "GET", "/direct-messages", READ, messages.list_direct_messages, http.DirectMessagesQuery
    ),
    MESSAGE.route(
        "POST", "/messages/{kind}/{id}/read", OPERATE, messages.mark_read, http.MessageById
    ),
    NOTIFICATION.route(
        "GET", "/notifications", READ, notifications.list_notifications, http.NotificationsQuery
    ),
    STATISTICS.route(
        "GET", "/statistics", READ, reports.show_statistics, http.Nothing, shared=True
    ),
    MAINTENANCE.route("GET", "/maintenance", READ, maintenance.show_maintenance, http.Nothing),
    MAINTENANCE.route(
        "POST",
        "/maintenance",
        OPERATE,
        maintenance.begin_maintenance,
        drain_payloads.BeginMaintenance,
    ),
    MAINTENANCE.route("DELETE", "/maintenance", OPERATE, maintenance.end_maintenance, http.Nothing),
    STATUS.edge("GET", "/status", READ, Health.show_status, http.Nothing),
)

ENDPOINTS: tuple[Endpoint, ...] = tuple(chain(*ROWS))
"""One endpoint per method of each row."""
