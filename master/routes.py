"""The table of socket events and sweeps, one row each: event -> payload type -> operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from master.memory import Memory
from master.model import Scope
from master.operations import (
    account_states,
    assignments,
    audit,
    drains,
    login_links,
    login_views,
    logins,
    maintenance,
    messages,
    notifications,
    placement,
    processes,
    rebalance,
    reports,
    retention,
    schedules,
    sickness,
    silence,
    workers,
)
from master.protocol import admin, client, detected, replies, worker
from master.protocol.account_states import AccountStatusReport
from master.protocol.answers import ShownLogin
from master.protocol.processes import FollowLog
from master.protocol.wire import Empty, Outbound, Payload
from master.settings import Settings
from master.turn import Bulk, Caller, Operation

Live = Callable[[Any, Caller, Memory, float, float], Any]
"""Answers from memory: (payload as sent, caller, memory, now, monotonic) -> reply, or None."""

Refused = Callable[[dict[str, Any]], Outbound]
"""Makes the refusal event from its error object."""


def _refuse_registration(error: dict[str, Any]) -> Outbound:
    return worker.Registered(success=False, error=error)


def _refuse_administrator(error: dict[str, Any]) -> Outbound:
    return admin.AdminError(error=error["code"], message=error["message"])


def _refuse_token(error: dict[str, Any]) -> Outbound:
    return admin.AuthFailed(error=error["message"])


def _refuse_device(error: dict[str, Any]) -> Outbound:
    return client.DeviceRefused(error=error["message"])


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the table. `scope` is the caller's minimum; READ is every authenticated caller.

    `reply` describes the acknowledgement of success, for docs/protocol.md and the tests.
    `live` answers first, if present. `writes` selects a turn; otherwise it is a look, which may go
    `Onward` to a turn. `refused` makes the event that is sent for a refusal besides the
    acknowledgement. `admission` limits the calls per second. `speaks_for` marks an event whose
    payload names a worker, for which the caller's token must be valid. `authenticates` marks an
    event that authenticates the caller. One that is not `audited` changes nothing.
    The docstring of the answering function (`live`, the operation, or else the payload) begins with
    the event's description in docs/protocol.md.
    """

    event: str
    payload: type[Payload]
    operation: Operation | Bulk | None
    scope: Scope
    reply: type | None = field(default=None, kw_only=True)
    writes: bool = field(default=True, kw_only=True)
    live: Live | None = field(default=None, kw_only=True)
    refused: Refused | None = field(default=None, kw_only=True)
    admission: bool = field(default=False, kw_only=True)
    speaks_for: bool = field(default=False, kw_only=True)
    authenticates: bool = field(default=False, kw_only=True)
    audited: bool = field(default=True, kw_only=True)

    @property
    def is_command(self) -> bool:
        """Tell whether the audit records who asked for it."""
        return self.audited and self.scope >= Scope.OPERATE


def _table(*routes: Route, refused: Refused | None = None) -> Mapping[str, Route]:
    """Return routes by event; `refused` applies to routes without their own."""
    return {route.event: replace(route, refused=route.refused or refused) for route in routes}


NONE, READ, OPERATE = Scope.NONE, Scope.READ, Scope.OPERATE

# fmt: off
FROM_WORKER = _table(
    Route("worker:register", worker.Register, workers.register_worker, READ,
          refused=_refuse_registration, admission=True, speaks_for=True,
          reply=worker.Registered),
    Route("worker:heartbeat", worker.Heartbeat, workers.return_worker, READ,
          live=workers.hear_heartbeat, speaks_for=True,
          reply=replies.HeartbeatReply),
    Route("worker:login:qrcode", worker.LoginQrCode, logins.relay_qr_code, READ,
          reply=replies.QrCodeReply),
    Route("worker:login:status", worker.LoginReport, logins.apply_report, READ,
          reply=replies.LoginReportReply),
    Route("worker:message:detected", detected.MessagesDetected, messages.keep_detected, READ,
          reply=replies.MessagesReply),
    Route("worker:account:status", AccountStatusReport, account_states.apply_account_status, READ,
          reply=replies.AccountStatusReply),
    Route("worker:goodbye", worker.Goodbye, workers.say_goodbye, READ, speaks_for=True,
          reply=replies.GoodbyeReply),
)

FROM_ADMIN = _table(
    Route("master:login:start", admin.StartLogin, logins.start_login, OPERATE,
          reply=admin.LoginStarted),
    Route("master:login:user_input", worker.UserInput, logins.relay_input, OPERATE,
          reply=admin.UserInputRelayed),
    Route("master:login:cancel", admin.CancelLogin, logins.cancel_login, OPERATE,
          reply=ShownLogin),
    Route("admin:request:login-sessions", Empty, login_views.request_logins, READ, writes=False,
          reply=admin.LoginList),
    Route("admin:login_sessions:list", Empty, login_views.request_logins, READ, writes=False,
          reply=admin.LoginList),
    Route("admin:status:request", Empty, reports.request_status, READ, writes=False,
          reply=admin.StatusResponse),
    Route("admin:follow", FollowLog, processes.follow_log, OPERATE, writes=False, audited=False,
          reply=replies.FollowReply),
    Route("admin:auth", admin.Auth, None, NONE, authenticates=True, refused=_refuse_token,
          reply=admin.AuthSuccess),
    refused=_refuse_administrator,
)

FROM_CLIENT = _table(
    Route("client:register", client.RegisterDevice, notifications.look_up_device, READ,
          writes=False, refused=_refuse_device,
          reply=client.DeviceRegistered),
    Route("client:heartbeat", client.DeviceHeartbeat, None, READ, live=notifications.hear_device,
          reply=replies.DeviceHeartbeatReply),
    Route("client:notification:ack", client.ConfirmNotification,
          notifications.confirm_notification, READ,
          reply=admin.NotificationConfirmed),
    Route("client:sync:request", client.SyncRequest, notifications.sync_device, READ, writes=False,
          reply=client.SyncResponse),
)
# fmt: on

NAMESPACES: Mapping[str, Mapping[str, Route]] = {
    "worker": FROM_WORKER,
    "admin": FROM_ADMIN,
    "client": FROM_CLIENT,
}

LARGEST_EVENT = max(
    route.payload.largest for routes in NAMESPACES.values() for route in routes.values()
)
"""Characters of the largest packet that a peer may send, which is a worker's."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """A periodic check; `is_due` checks memory, so an idle sweep never queries the database.

    An interval of 0 s disables it.
    """

    name: str
    operation: Operation
    interval_s: Callable[[Settings], float]
    is_due: Callable[[Memory, Settings, float, float], bool]


def _always(memory: Memory, settings: Settings, now: float, monotonic: float) -> bool:
    return True


def _somebody_is_silent(memory: Memory, settings: Settings, now: float, monotonic: float) -> bool:
    return silence.is_somebody_due(memory, monotonic, settings.heartbeat_timeout_s)


def _a_login_is_overdue(memory: Memory, settings: Settings, now: float, monotonic: float) -> bool:
    return bool(memory.deadlines.find_overdue(now, monotonic))


def _heartbeats_wait(memory: Memory, settings: Settings, now: float, monotonic: float) -> bool:
    return bool(memory.sessions.unwritten)


def _somebody_can_be_told(memory: Memory, settings: Settings, now: float, monotonic: float) -> bool:
    return bool(memory.sessions.untold) and bool(assignments.find_ready(memory.sessions))


def _something_was_delivered(
    memory: Memory, settings: Settings, now: float, monotonic: float
) -> bool:
    return bool(memory.sessions.delivered)


SWEEPS = (
    Sweep("liveness", silence.evict_silent, lambda s: 0.5, _somebody_is_silent),
    Sweep("logins", logins.expire_logins, lambda s: 0.5, _a_login_is_overdue),
    Sweep("login_links", login_links.expire_links, lambda s: 0.5, login_links.is_link_over),
    Sweep(
        "heartbeats", workers.write_heartbeats, lambda s: workers.FLUSH_INTERVAL_S, _heartbeats_wait
    ),
    Sweep("cookies", account_states.warn_of_cookies, lambda s: 1, account_states.is_warning_due),
    Sweep("unplaced", placement.tell_unplaced, lambda s: 5, placement.is_somebody_unplaced),
    Sweep(
        "health",
        sickness.tell_findings,
        lambda s: sickness.INTERVAL_S if s.sick_after_intervals else 0,
        sickness.look_around,
    ),
    Sweep("delivered", notifications.mark_sent, lambda s: 0.5, _something_was_delivered),
    Sweep("untold", assignments.tell_all_more, lambda s: 1, _somebody_can_be_told),
    Sweep("audit", audit.audit_workers, lambda s: s.heartbeat_check_s, _always),
    Sweep("drains", drains.go_on_draining, lambda s: 1, drains.is_somebody_draining),
    Sweep(
        "maintenance",
        maintenance.finish_maintenance,
        lambda s: 1,
        maintenance.is_maintenance_over,
    ),
    Sweep("rebalance", rebalance.rebalance, lambda s: s.rebalance_interval_s, _always),
    Sweep("schedule", schedules.hand_out_due, lambda s: s.schedule_interval_s, _always),
    Sweep("log", retention.fold_log, lambda s: retention.FOLD_INTERVAL_S, _always),
    Sweep("retention", retention.remove_old_rows, lambda s: 3_600, _always),
)
