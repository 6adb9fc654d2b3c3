"""HTTP answer types, one per noun, for the type checker and docs/protocol.md.

Nothing is checked at run time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, NotRequired, TypeVar

from typing_extensions import TypedDict

from master.model import (
    AccountStatus,
    Direction,
    LoginStatus,
    NotificationType,
    Priority,
    SessionStatus,
    WorkerStatus,
)
from master.protocol.proxies import ProxyUsers, ShownLastTrial

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Listing(Generic[T_co]):
    """A page of rows, and the total number of rows.

    `has_more` tells whether rows follow; None: the total tells it. With `total_is_more` the list
    has more rows than the total says. `cursors` are the positions behind each row, `end` is the
    position behind the rows that were looked at, if further ones were not.
    """

    rows: Sequence[T_co]
    total: int
    has_more: bool | None = None
    total_is_more: bool = False
    cursors: Sequence[str] = ()
    end: str | None = None


class Placement(TypedDict):
    """Where an account is: `placed`, `waiting` for a worker, or `not_wanted` by its status.

    A waiting one has the reason (Accounts) and since when it waits (Unix seconds).
    """

    state: str
    reason: str | None
    since: int | None


class ShownState(TypedDict):
    """Since when and why `status` and `login_status` are as they are; null: never told.

    `detail` is the worker's. A login under way changes nothing here.
    """

    since: int | None
    reason: str | None
    detail: str | None


class ShownAccount(TypedDict):
    """An account, without its secrets."""

    id: str
    platform: str
    account_name: str
    account_id: str | None
    platform_user_id: str | None
    user_info: dict[str, Any] | None
    status: AccountStatus
    login_status: LoginStatus
    monitor_interval: int
    last_login_time: int | None
    cookies_valid_until: int | None
    has_credentials: bool
    assigned_worker_id: str | None
    pinned_worker_id: str | None
    epoch: int
    created_at: int
    updated_at: int
    state: ShownState
    placement: Placement
    proxy_id: str | None
    tags: list[str]
    note: str | None
    unread: int


class ShownStay(TypedDict):
    """An account that cannot leave its worker; `rule` is why, as a reason to wait or `pinned`."""

    account_id: str
    rule: str


class ShownDrain(TypedDict):
    """How far a worker is taken out of service; `state` is `draining` or `done`.

    `unplaceable` has the first 100 of the accounts that no other worker can take now.
    """

    state: str
    since: int
    by: str | None
    deadline_at: int
    reason: str | None
    left: int
    moved: int
    waiting_login: int
    unplaceable: list[ShownStay]


class ShownMaintenance(TypedDict):
    """Whether the farm is under maintenance, and until when."""

    active: bool
    since: int | None
    deadline_at: int | None
    reason: str | None
    by: str | None


class ShownWorker(TypedDict):
    """A worker; `last_heartbeat` is when it was last heard."""

    id: str
    host: str
    port: int
    status: WorkerStatus
    capabilities: list[str]
    max_accounts: int
    assigned_accounts: int
    last_heartbeat: int | None
    started_at: int
    version: str | None
    metadata: dict[str, Any]
    created_at: int
    updated_at: int
    draining: ShownDrain | None


class ShownLiveWorker(ShownWorker):
    """A worker, `stats` of its last heartbeat, and `health` with `state`, `reason` and `since`.

    The state is ok, quiet or failing; the reason is errors or no_success. Reason and since (Unix
    seconds) are null if it is ok.
    """

    stats: dict[str, Any]
    health: dict[str, Any]


class ShownWorkerWithAccounts(ShownLiveWorker):
    """A worker, with the first of its accounts and the figures of its last heartbeat."""

    accounts: list[ShownAccount]


class ShownAccountStatus(ShownAccount):
    """An account, with its worker and the statistics of its messages."""

    worker: ShownLiveWorker | None
    runtime_stats: dict[str, int | None]


class ShownLogin(TypedDict):
    """A login session, without its QR code. `id` and `session_id` are the same."""

    id: str
    session_id: str
    account_id: str
    worker_id: str | None
    status: SessionStatus
    login_method: str
    has_qr_code: bool
    error_message: str | None
    expires_at: int
    logged_in_at: int | None
    created_at: int


class ListedLogin(ShownLogin):
    """A login session; while it is `scanning`, its code too, for a caller with scope `operate`."""

    qr_code_data: NotRequired[str | None]
    qr_code_url: NotRequired[str | None]


class ShownProxy(TypedDict):
    """A proxy, without its password."""

    id: str
    name: str
    server: str
    protocol: str
    username: str | None
    has_password: bool
    password_unreadable: bool
    status: str
    created_at: int
    updated_at: int
    used_by: ProxyUsers
    last_trial: ShownLastTrial | None


class ShownConfig(TypedDict):
    """A worker's process: `env` has names only. `id` and `worker_id` are the same."""

    id: str
    worker_id: str
    command: str | None
    args: list[str]
    env: list[str]
    proxy_id: str | None
    max_accounts: int | None
    auto_start: bool
    auto_restart: bool
    verified: bool
    created_at: int
    updated_at: int


class ShownTold(TypedDict):
    """A message's text: its kind if it is JSON text, and its first form."""

    content_type: str | None
    edited_at: int | None
    earlier_content: str | None
    is_read: bool


class ShownComment(ShownTold):
    """A detected comment; `reported_by` is the worker that reported it first."""

    id: str
    account_id: str
    platform_comment_id: str
    content: str | None
    author_name: str | None
    author_id: str | None
    post_id: str | None
    post_title: str | None
    reported_by: str | None
    detected_at: int
    created_at: int


class ShownDirectMessage(ShownTold):
    """A detected direct message; `reported_by` is the worker that reported it first."""

    id: str
    account_id: str
    platform_message_id: str
    content: str | None
    sender_name: str | None
    sender_id: str | None
    direction: Direction | None
    reported_by: str | None
    detected_at: int
    created_at: int


class UnreadOf(TypedDict):
    """How many unread messages an account has."""

    account_id: str
    unread: int


class ShownMarks(TypedDict):
    """How many messages have changed, and how many unread ones each account has left.

    `missing` are messages that there are not. With `continues`, the account's further messages are
    marked after this answer.
    """

    changed: int
    unread: list[UnreadOf]
    missing: list[dict[str, str]]
    continues: bool


class ShownReach(TypedDict):
    """Whether a proxy reached its target."""

    reachable: bool
    latency_ms: float
    target: str


class ShownTrial(ShownReach, total=False):
    """Whether a proxy reached its target; if not, `error` gives the reason."""

    error: str


class ShownNotification(TypedDict):
    """A notification; `id` and `notification_id` are the same. `timestamp` is milliseconds."""

    id: str
    notification_id: str
    seq: int
    type: NotificationType
    account_id: str | None
    related_id: str | None
    title: str
    content: str
    data: dict[str, Any]
    priority: Priority
    created_at: int
    timestamp: int
    is_sent: bool
    sent_at: int | None


class StartedLogin(TypedDict):
    """A login that was sent to its worker. `timestamp` is milliseconds."""

    account_id: str
    worker_id: str
    session_id: str
    status: str
    expires_at: int
    timestamp: int


class ShownProcess(TypedDict):
    """A worker's process; a negative `exit_code` is the number of a signal.

    `config_updated_at` is the `updated_at` of the configuration that it was started by.
    """

    worker_id: str
    state: str
    pid: int | None
    started_at: int | None
    restarts: int
    exit_code: int | None
    log_path: str | None
    config_updated_at: int | None


class ShownRestart(ShownProcess, total=False):
    """A worker's process; `draining` if its accounts leave it first."""

    draining: ShownDrain | None


class ShownStatistics(TypedDict):
    """Counts of everything, by state, kind and type."""

    workers: dict[str, int]
    accounts: dict[str, Any]
    login_sessions: dict[str, Any]
    messages: dict[str, Any]
    notifications: dict[str, Any]
    proxies: dict[str, int]
    worker_configs: dict[str, int]


class ShownCounts(TypedDict):
    """Counts of everything: flat, one number per state."""

    workers: dict[str, int]
    accounts: dict[str, int]
    loginSessions: dict[str, int]
    platforms: dict[str, int]


class ShownFarm(ShownCounts):
    """Counts of everything, and the maintenance of the farm."""

    maintenance: ShownMaintenance


class ShownVitals(TypedDict):
    """Version, start and uptime of Master."""

    version: str
    started_at: int
    uptime_s: float


class ShownStatus(ShownVitals, ShownFarm):
    """Version, start and uptime of Master, counts of everything, and the farm's maintenance."""
