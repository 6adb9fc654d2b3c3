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
    explain,
    inbox,
    login_links,
    login_views,
    logins,
    maintenance,
    names,
    notifications,
    plans,
    processes,
    proxies,
    reports,
    timelines,
    views,
    workers,
)
from master.protocol import account_actions, account_imports, http, lists
from master.protocol import drains as drain_payloads
from master.protocol import login_links as link_payloads
from master.protocol import processes as process_payloads
from master.protocol import views as view_payloads
from master.web.account_actions import AccountActions
from master.web.account_imports import AccountImports
from master.web.endpoint import ROOT, Endpoint, Noun
from master.web.health import Health
from master.web.lifecycle import Lifecycle
from master.web.proxy_trial import ProxyTrials
from master.web.qr_codes import QrCodes
from master.web.system import System

__all__ = ["ENDPOINTS", "ROOT", "Endpoint"]

READ, OPERATE, ADMIN = Scope.READ, Scope.OPERATE, Scope.ADMIN

ACCOUNT = Noun("account", "accounts")
ACTED = Noun("acted")
IMPORTED = Noun("imported")
WORKER = Noun("worker")
PROCESS = Noun("process")
LOGS = Noun("logs")
LOG_PART = Noun("log_part", has_rows=False)
CONFIG = Noun("worker_config")
PROXY = Noun("proxy")
RESULT = Noun("result")
LOGIN = Noun("login_session")
LINK = Noun("login_link")
CODE = Noun("qr_code")
MESSAGE = Noun("message")
MARKED = Noun("marked")
COMMENT = Noun("comment")
DIRECT_MESSAGE = Noun("direct_message")
NOTIFICATION = Noun("notification")
STATISTICS = Noun("statistics")
MINUTES = Noun("minutes", has_rows=False)
STATUS = Noun("status")
EXPLANATION = Noun("explanation")
PLAN = Noun("plan")
TIMELINE = Noun("timeline")
AUDIT = Noun("audit")
MAINTENANCE = Noun("maintenance", has_rows=False)
CONDITION = Noun("condition", has_rows=False)
SYSTEM = Noun("system", has_rows=False)
SETTINGS = Noun("settings", has_rows=False)
VIEW = Noun("view")

ROWS = (
    ACCOUNT.route("GET", "/accounts", READ, accounts.list_accounts, lists.AccountsQuery),
    ACCOUNT.route("POST", "/accounts", OPERATE, accounts.add_account, http.NewAccount),
    ACCOUNT.route(
        "GET", "/accounts/status/all", READ, reports.show_accounts_status, lists.AccountsQuery
    ),
    ACTED.edge(
        "POST",
        "/accounts/actions",
        OPERATE,
        AccountActions.run,
        account_actions.ActOnAccounts,
        for_caller=True,
    ),
    IMPORTED.edge(
        "POST",
        "/accounts/import",
        OPERATE,
        AccountImports.run_import,
        account_imports.ImportAccounts,
        for_caller=True,
    ),
    ACCOUNT.route("GET", "/accounts/{id}", READ, accounts.show_account, http.ById),
    ACCOUNT.route(
        "PUT PATCH", "/accounts/{id}", OPERATE, accounts.change_account, http.AccountChange
    ),
    EXPLANATION.route("GET", "/accounts/{id}/explain", READ, explain.explain_account, http.ById),
    ACCOUNT.route("DELETE", "/accounts/{id}", ADMIN, accounts.remove_account, http.ById),
    TIMELINE.route(
        "GET", "/accounts/{id}/timeline", READ, timelines.show_account_timeline, http.TimelineQuery
    ),
    LOGIN.route(
        "POST",
        "/accounts/{id}/login",
        OPERATE,
        logins.start_login,
        http.NewLogin,
        body_optional=True,
    ),
    LINK.route(
        "POST",
        "/accounts/{id}/login-links",
        OPERATE,
        login_links.make_link,
        link_payloads.NewLoginLink,
        body_optional=True,
    ),
    LINK.route(
        "GET",
        "/accounts/{id}/login-links",
        OPERATE,
        login_links.list_links,
        link_payloads.LoginLinksQuery,
    ),
    LINK.route(
        "DELETE",
        "/accounts/{id}/login-links/{link}",
        OPERATE,
        login_links.revoke_link,
        link_payloads.LoginLinkById,
    ),
    PLAN.route("POST", "/placement/plan", READ, plans.plan_placement, http.PlanWishes, asks=True),
    WORKER.route("GET", "/workers", READ, workers.list_workers, lists.WorkersQuery),
    WORKER.route("GET", "/workers/{id}", READ, workers.show_worker, http.ById),
    EXPLANATION.route("GET", "/workers/{id}/explain", READ, explain.explain_worker, http.ById),
    WORKER.route("DELETE", "/workers/{id}", ADMIN, names.remove_worker, http.ById),
    TIMELINE.route(
        "GET", "/workers/{id}/timeline", READ, timelines.show_worker_timeline, http.TimelineQuery
    ),
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
    LOG_PART.edge(
        "GET",
        "/workers/{id}/lifecycle/output",
        OPERATE,
        Lifecycle.show_log_part,
        process_payloads.LogPartQuery,
    ),
    PROCESS.edge("GET", "/processes", READ, Lifecycle.list_processes, lists.Page),
    CONFIG.route("GET", "/worker-configs", OPERATE, processes.list_configs, lists.Page),
    CONFIG.route("POST", "/worker-configs", ADMIN, processes.add_config, http.NewWorkerConfig),
    CONFIG.route("GET", "/worker-configs/{id}", OPERATE, processes.show_config, http.ById),
    CONFIG.route(
        "PUT PATCH", "/worker-configs/{id}", ADMIN, processes.change_config, http.WorkerConfigChange
    ),
    CONFIG.route("DELETE", "/worker-configs/{id}", ADMIN, processes.remove_config, http.ById),
    PROXY.route("GET", "/proxies", READ, proxies.list_proxies, lists.Page),
    PROXY.route("POST", "/proxies", ADMIN, proxies.add_proxy, http.NewProxy),
    PROXY.route("GET", "/proxies/{id}", READ, proxies.show_proxy, http.ById),
    PROXY.route("PUT PATCH", "/proxies/{id}", ADMIN, proxies.change_proxy, http.ProxyChange),
    PROXY.route("DELETE", "/proxies/{id}", ADMIN, proxies.remove_proxy, http.ById),
    RESULT.edge("POST", "/proxies/{id}/test", ADMIN, ProxyTrials.run, http.ProxyTrial),
    LOGIN.route("GET", "/login-sessions", READ, login_views.list_logins, lists.LoginsQuery),
    LOGIN.route("GET", "/login-sessions/{id}", READ, login_views.show_login, http.ById),
    LOGIN.edge("GET", "/login-sessions/{id}/qr.png", OPERATE, QrCodes.show, http.CodeById),
    CODE.edge("POST", "/qr.png", OPERATE, QrCodes.draw, http.TextToDraw, asks=True),
    LOGIN.route(
        "POST", "/login-sessions/{id}/cancel", OPERATE, logins.cancel_login, http.LoginById
    ),
    COMMENT.route("GET", "/comments", READ, inbox.list_comments, lists.CommentsQuery),
    DIRECT_MESSAGE.route(
        "GET", "/direct-messages", READ, inbox.list_direct_messages, lists.DirectMessagesQuery
    ),
    MESSAGE.route(
        "POST",
        "/messages/{kind}/{id}/read",
        OPERATE,
        inbox.mark_read,
        http.MessageById,
        audited=False,
    ),
    MESSAGE.route(
        "POST",
        "/messages/{kind}/{id}/unread",
        OPERATE,
        inbox.mark_unread,
        http.MessageById,
        audited=False,
    ),
    MARKED.route(
        "POST",
        "/messages/read",
        OPERATE,
        inbox.mark_messages_read,
        http.MarkMessages,
        audited=False,
    ),
    MARKED.route(
        "POST",
        "/messages/unread",
        OPERATE,
        inbox.mark_messages_unread,
        http.MarkMessages,
        audited=False,
    ),
    NOTIFICATION.route(
        "GET", "/notifications", READ, notifications.list_notifications, lists.NotificationsQuery
    ),
    AUDIT.route("GET", "/audit", ADMIN, timelines.show_audit, http.AuditQuery),
    STATISTICS.route(
        "GET", "/statistics", READ, reports.show_statistics, http.Nothing, shared=True
    ),
    MINUTES.route("GET", "/statistics/minutes", READ, reports.show_minutes, http.Nothing),
    MAINTENANCE.route("GET", "/maintenance", READ, maintenance.show_maintenance, http.Nothing),
    MAINTENANCE.route(
        "POST",
        "/maintenance",
        OPERATE,
        maintenance.begin_maintenance,
        drain_payloads.BeginMaintenance,
    ),
    MAINTENANCE.route("DELETE", "/maintenance", OPERATE, maintenance.end_maintenance, http.Nothing),
    CONDITION.edge("GET", "/condition", READ, System.show_condition, http.Nothing),
    SYSTEM.edge("GET", "/system", OPERATE, System.show, http.Nothing),
    SETTINGS.edge("GET", "/settings", ADMIN, System.show_settings, http.Nothing),
    VIEW.route("GET", "/console/views", READ, views.list_views, view_payloads.ViewsQuery),
    VIEW.route("POST", "/console/views", READ, views.save_view, view_payloads.NewView),
    VIEW.route(
        "PUT PATCH", "/console/views/{id}", READ, views.change_view, view_payloads.ViewChange
    ),
    VIEW.route("DELETE", "/console/views/{id}", READ, views.remove_view, http.ById),
    STATUS.edge("GET", "/status", READ, Health.show_status, http.Nothing),
)

ENDPOINTS: tuple[Endpoint, ...] = tuple(chain(*ROWS))
"""One endpoint per method of each row."""
