"""HTTP request types, one per operation (`/api/v1`; docs/protocol.md, "HTTP")."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator
from pydantic.json_schema import SkipJsonSchema

from master.model import (
    AccountStatus,
    Direction,
    LoginStatus,
    NotificationType,
    Priority,
    SessionStatus,
    WorkerStatus,
)
from master.protocol.admin import CancelLogin, StartLogin
from master.protocol.wire import HttpPayload, Id, Name, PathId, Platform, Seconds
from master.secret import Secret

PAGE_LIMIT = 500

ROW_AS_READ = frozenset({"epoch", "updated_at"})
"""Fields of a row that a client sends back; they tell when it read the row."""


class Nothing(HttpPayload):
    """The route has no parameters."""


class ById(HttpPayload):
    """One object, named by its id in the path."""

    id: PathId


class Page(HttpPayload):
    """A page of a list."""

    limit: Annotated[int, Field(ge=1, le=PAGE_LIMIT)] = 50
    offset: Annotated[int, Field(ge=0, le=2**53)] = 0

    def list_filters(self) -> dict[str, Any]:
        """Return the list's filters, by column: all fields but `limit` and `offset`.

        None stands for any value.
        """
        return {
            name: getattr(self, name)
            for name in self.list_fields()
            if name not in Page.model_fields
        }


class AccountsQuery(Page):
    """Which accounts to list."""

    limit: Annotated[int, Field(ge=1, le=PAGE_LIMIT)] = PAGE_LIMIT
    platform: Platform | None = None
    status: AccountStatus | None = None
    login_status: LoginStatus | None = None
    assigned_worker_id: Id | None = None


class WorkersQuery(Page):
    """Which workers to list."""

    limit: Annotated[int, Field(ge=1, le=PAGE_LIMIT)] = PAGE_LIMIT
    status: WorkerStatus | None = None


class LoginsQuery(Page):
    """Which login sessions to list, the newest first."""

    status: SessionStatus | None = None
    account_id: Id | None = None
    worker_id: Id | None = None


class CommentsQuery(Page):
    """Which comments to list, the newest first."""

    limit: Annotated[int, Field(ge=1, le=PAGE_LIMIT)] = 20
    account_id: Id | None = None
    is_read: bool | None = None
    since: Seconds | None = None


class DirectMessagesQuery(CommentsQuery):
    """Which direct messages to list, the newest first."""

    direction: Direction | None = None


class NotificationsQuery(Page):
    """Which notifications to list, the newest first."""

    type: NotificationType | None = None
    account_id: Id | None = None
    is_sent: bool | None = None
    priority: Priority | None = None


Before = Annotated[int | None, Field(ge=1, le=2**53)]
"""The `before` of the page before: only older events are listed."""


class TimelineQuery(ById):
    """Which events of the history to list, the newest first."""

    limit: Annotated[int, Field(ge=1, le=PAGE_LIMIT)] = 50
    before: Before = None


class AuditQuery(HttpPayload):
    """Which events of people to list, the newest first.

    `by` is a token's name, `action` a kind of event, `target` the id of any object.
    """

    limit: Annotated[int, Field(ge=1, le=PAGE_LIMIT)] = 50
    before: Before = None
    by: Name | None = None
    action: Name | None = None
    target: Id | None = None


class LogsQuery(ById):
    """How many lines of a log to return."""

    lines: Annotated[int, Field(ge=1, le=5_000)] = 200


Epoch = Annotated[int, Field(ge=0, le=2**53)]
ReadAt = Annotated[
    int | None, BeforeValidator(lambda value: value if isinstance(value, int) else None)
]
"""Unix seconds as in Master's answers; a time in another form, as web pages send it, is ignored."""
MonitorInterval = Annotated[int, Field(ge=1, le=86_400)]


class NewAccount(HttpPayload):
    """An account to watch; `monitor_interval` is in seconds.

    A given `assigned_worker_id` pins the account to that worker.
    """

    platform: Platform
    account_name: Name
    account_id: Id | None = None
    monitor_interval: MonitorInterval = 20
    status: AccountStatus = AccountStatus.ACTIVE
    assigned_worker_id: Id | None = None


class AccountChange(ById):
    """Changes to an account; absent fields keep their values.

    `assigned_worker_id: null` lets Master choose the worker again. `pinned_worker_id` pins the
    account to a worker; null unpins it, and it stays with its present worker. `epoch` and
    `updated_at` are those of the row as the client read it: if the account has changed hands since,
    an `assigned_worker_id` that would change the pin is refused.
    """

    read_only: ClassVar[frozenset[str]] = frozenset(
        {
            "id", "login_status", "user_info", "last_login_time", "cookies_valid_until",
            "has_credentials", "platform_user_id", "created_at", "runtime_stats", "worker",
            "state", "placement",
        }
    )  # fmt: skip
    platform: Platform | None = None
    account_name: Name | None = None
    account_id: Id | None = None
    monitor_interval: MonitorInterval | None = None
    status: AccountStatus | None = None
    assigned_worker_id: Id | None = None
    pinned_worker_id: Id | None = None
    epoch: Epoch | None = None
    updated_at: ReadAt = None

    @model_validator(mode="after")
    def _refuse_null(self) -> AccountChange:
        for name in self.model_fields_set - {
            "account_id",
            "assigned_worker_id",
            "pinned_worker_id",
            *ROW_AS_READ,
        }:
            if getattr(self, name) is None:
                raise ValueError(f"{name} may not be null")
        return self


class NewLogin(StartLogin, HttpPayload):
    """Start a QR login of the account that the path names."""

    account_id: PathId


class LoginById(CancelLogin, HttpPayload):
    """End the login that the path names."""

    session_id: PathId


class MessageById(ById):
    """The message that the path names; `kind` is comments or direct-messages."""

    kind: Annotated[SkipJsonSchema[str], Field(alias="{kind}")]


ProxyProtocol = Literal["http", "https", "socks5"]


def split_address(address: str) -> tuple[str, int]:
    """Return host (an IPv6 address without its brackets) and port of host:port."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _bound_port(address: str) -> str:
    if not 1 <= split_address(address)[1] <= 65_535:
        raise ValueError("a port is a number from 1 to 65535")
    return address


ProxyServer = Annotated[
    str,
    StringConstraints(
        pattern=r"^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):\d{1,5}$",
        max_length=300,
        strip_whitespace=True,
    ),
    AfterValidator(_bound_port),
]


class NewProxy(HttpPayload):
    """A proxy; `server` is host:port."""

    name: Name
    server: ProxyServer
    protocol: ProxyProtocol = "http"
    username: Annotated[str, Field(max_length=256)] | None = None
    password: Secret[Annotated[str, Field(max_length=1_024)]] | None = None
    status: Literal["active", "inactive"] = "active"


class ProxyChange(ById):
    """Changes to a proxy; absent fields keep their values."""

    read_only: ClassVar[frozenset[str]] = frozenset(
        {"id", "has_password", "password_unreadable", "created_at", "updated_at"}
    )
    name: Name = ""
    server: ProxyServer = ""
    protocol: ProxyProtocol = "http"
    username: Annotated[str, Field(max_length=256)] | None = None
    password: Secret[Annotated[str, Field(max_length=1_024)]] | None = None
    status: Literal["active", "inactive"] = "active"


class ProxyTrial(ById):
    """A trial of a proxy; `target` is host:port of a server of your own."""

    target: ProxyServer
    timeout_s: Annotated[float, Field(gt=0, le=30)] = 5


EnvName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)]
ArgText = Annotated[str, Field(max_length=4_096), StringConstraints(pattern=r"^[^\x00]*$")]


class ConfigFields(HttpPayload):
    """How to run one worker as a child process; without `command`, a simulated worker runs."""

    command: Annotated[ArgText, Field(min_length=1)] | None = None
    args: Annotated[list[ArgText], Field(max_length=128)] = Field(default=[])
    env: Annotated[dict[EnvName, ArgText], Field(max_length=128)] = Field(default={}, repr=False)
    proxy_id: Id | None = None
    max_accounts: Annotated[int, Field(ge=0, le=10_000)] | None = None
    auto_start: bool = False
    auto_restart: bool = False


class NewWorkerConfig(ConfigFields):
    """How to run the worker `worker_id`."""

    worker_id: Id


class WorkerConfigChange(ConfigFields, ById):
    """Changes to a worker's configuration; absent fields keep their values."""

    read_only: ClassVar[frozenset[str]] = frozenset({"id", "worker_id", "created_at", "updated_at"})
