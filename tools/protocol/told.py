"""The events that Master sends."""

from __future__ import annotations

from collections.abc import Mapping

from master.protocol import (
    admin,
    client,
    drains,
    inbox,
    login_links,
    processes,
    system,
    worker,
)
from master.protocol.wire import Outbound

TOLD: Mapping[str, Mapping[str, type[Outbound]]] = {
    namespace: {kind.event: kind for kind in kinds}
    for namespace, kinds in {
        "worker": (
            worker.Registered,
            worker.TaskAssign,
            worker.TaskRevoke,
            worker.LoginStart,
            worker.LoginCancel,
            worker.UserInputTyped,
        ),
        "admin": (
            admin.AuthSuccess,
            admin.AuthFailed,
            admin.LoginStarted,
            admin.UserInputRelayed,
            admin.LoginList,
            admin.StatusResponse,
            admin.AdminError,
            admin.QrCodeReady,
            admin.LoginSucceeded,
            admin.LoginFailed,
            admin.QrCodeExpired,
            admin.LoginStatusUpdate,
            admin.NewNotification,
            admin.NotificationConfirmed,
            inbox.MessagesRead,
            admin.WorkerChanged,
            admin.AccountChanged,
            login_links.LinkChanged,
            drains.DrainChanged,
            drains.MaintenanceChanged,
            processes.ProcessChanged,
            processes.ProcessLog,
            processes.ProcessLogBehind,
            system.ConditionChanged,
            client.SyncHint,
        ),
        "client": (
            client.DeviceRegistered,
            client.DeviceRefused,
            client.SyncHint,
            client.SyncResponse,
            admin.NewNotification,
        ),
    }.items()
}
"""Namespace -> the events that Master sends there, by name."""
