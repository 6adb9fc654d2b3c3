"""The HTTP API's query strings and bodies (`/api/v1`, protocol.md section 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from master.model import AccountStatus, Direction, LoginStatus, NotificationType, Priority, SessionStatus, WorkerStatus
from master.protocol.wire import Body, Id, Name, Platform, Query, Seconds
from master.secret import Secret

PAGE_LIMIT = 500

READ_ONLY_ACCOUNT_FIELDS = frozenset(
    {
        "id", "login_status", "user_info", "last_login_time", "cookies_valid_until", "has_credentials",
        "platform_user_id", "created_at", "runtime_stats", "worker",
    }
)  # fmt: skip
"""What an answer shows and a later PUT may send back unchanged: ignored, not refused."""
ROW_AS_READ = frozenset({"epoch", "updated_at"})
"""What tells when a row was read that is sent back."""


Q = TypeVar("Q")
B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class Request(Generic[Q, B]):
    """One HTTP request as an operation sees it: decoded, with the names of its path."""

    query: Q
    body: B
    path: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of shown rows, and how many there are in all."""

    rows: Sequence[dict[str, Any]]
    total: int


class Page(Query):
    """A part of a list."""

    limit: Annotated[int, Field(ge=1, le=PAGE_LIMIT)] = 50
    offset: Annotated[int, Field(ge=0, le=2**53)] = 0


class NoQuery(Query):
    """This route takes no query parameter."""


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


class LogsQuery(Query):
    """How much of a log to show."""

    lines: Annotated[int, Field(ge=1, le=5_000)] = 200


Epoch = Annotated[int, Field(ge=0, le=2**53)]
ReadAt = Annotated[int | None, BeforeValidator(lambda value: value if isinstance(value, int) else None)]
"""Unix seconds as answers show them; whatever else pages make of a row's times counts for nothing."""
MonitorInterval = Annotated[int, Field(ge=1, le=86_400)]


READ_ONLY_PROXY_FIELDS = frozenset({"id", "has_password", "password_unreadable", "created_at", "updated_at"})
READ_ONLY_CONFIG_FIELDS = frozenset({"id", "worker_id", "created_at", "updated_at"})


def _drop(names: frozenset[str], data: Any) -> Any:
    """Return a body without the fields that answers show and nobody can change."""
    return {key: value for key, value in data.items() if key not in names} if isinstance(data, dict) else data


class NewAccount(Body):
    """An account to watch. `monitor_interval` is seconds. A given `assigned_worker_id` pins it to that worker."""

    platform: Platform
    account_name: Name
    account_id: Id | None = None
    monitor_interval: MonitorInterval = 20
    status: AccountStatus = AccountStatus.ACTIVE
    assigned_worker_id: Id | None = None


class AccountChange(Body):
    """What to change of an account; absent fields stay. `assigned_worker_id: null` lets Master choose again.

    `pinned_worker_id` says to which worker it is pinned, null to none; where it is now, it stays. `epoch` and
    `updated_at` are those of the row as it was read: if the account has changed hands since, an `assigned_worker_id`
    that would change where it is pinned is refused.
    """

    platform: Platform | None = None
    account_name: Name | None = None
    account_id: Id | None = None
    monitor_interval: MonitorInterval | None = None
    status: AccountStatus | None = None
    assigned_worker_id: Id | None = None
    pinned_worker_id: Id | None = None
    epoch: Epoch | None = None
    updated_at: ReadAt = None

    @model_validator(mode="before")
    @classmethod
    def _ignore_read_only(cls, data: Any) -> Any:
        return _drop(READ_ONLY_ACCOUNT_FIELDS, data)

    @model_validator(mode="after")
    def _refuse_null(self) -> AccountChange:
        for name in self.model_fields_set - {"account_id", "assigned_worker_id", "pinned_worker_id", *ROW_AS_READ}:
            if getattr(self, name) is None:
                raise ValueError(f"{name} may not be null")
        return self


class NewLogin(Body):
    """Start a QR login; without `worker_id` Master chooses the worker."""

    worker_id: Id | None = None
    session_id: Annotated[str, Field(max_length=4_096)] | None = None


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
    StringConstraints(pattern=r"^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):\d{1,5}$", max_length=300, strip_whitespace=True),
    AfterValidator(_bound_port),
]


class NewProxy(Body):
    """A way out to the network; `server` is host:port."""

    name: Name
    server: ProxyServer
    protocol: ProxyProtocol = "http"
    username: Annotated[str, Field(max_length=256)] | None = None
    password: Secret[Annotated[str, Field(max_length=1_024)]] | None = None
    status: Literal["active", "inactive"] = "active"


class ProxyChange(Body):
    """What to change of a proxy; absent fields stay."""

    name: Name = ""
    server: ProxyServer = ""
    protocol: ProxyProtocol = "http"
    username: Annotated[str, Field(max_length=256)] | None = None
    password: Secret[Annotated[str, Field(max_length=1_024)]] | None = None
    status: Literal["active", "inactive"] = "active"

    @model_validator(mode="before")
    @classmethod
    def _ignore_read_only(cls, data: Any) -> Any:
        return _drop(READ_ONLY_PROXY_FIELDS, data)


class ProxyTrial(Body):
    """Where the proxy should lead to; host:port of a server of your own."""

    target: ProxyServer
    timeout_s: Annotated[float, Field(gt=0, le=30)] = 5


EnvName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)]
ArgText = Annotated[str, Field(max_length=4_096), StringConstraints(pattern=r"^[^\x00]*$")]


class ConfigFields(Body):
    """How to run one worker as a child process; without `command` one simulated worker is run."""

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


class WorkerConfigChange(ConfigFields):
    """What to change of a worker's configuration; absent fields stay."""

    @model_validator(mode="before")
    @classmethod
    def _ignore_read_only(cls, data: Any) -> Any:
        return _drop(READ_ONLY_CONFIG_FIELDS, data)
