"""HTTP request types, one per operation (`/api/v1`; docs/protocol.md, "HTTP")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator
from pydantic.json_schema import SkipJsonSchema

from master.errors import Invalid
from master.model import AccountStatus, MessageKind
from master.protocol.admin import CancelLogin, StartLogin
from master.protocol.answers import ShownAccount, ShownConfig, ShownProxy
from master.protocol.lists import MOST_TAGS, PAGE_LIMIT, Tag
from master.protocol.wire import HttpPayload, Id, Name, PathId, Platform, Seconds, matching
from master.secret import Secret

AS_READ = "{as_read}"
"""The key of the fields that a body only sends back; no body can contain it."""
ROW_AS_READ = frozenset({"epoch", "updated_at"})
"""Fields of a row that a client sends back; they tell when it read the row."""


class Nothing(HttpPayload):
    """The route has no parameters."""


class ById(HttpPayload):
    """One object, named by its id in the path."""

    id: PathId


class Change(ById):
    """Changes to a row; absent fields keep their values.

    A page sends back the row that it read: fields that cannot be changed are accepted with the
    values that they have. Another value is a wish that cannot be fulfilled, and is refused by name,
    except in an older row: there it is only what the page read.
    """

    shown: ClassVar[type]
    """The type of the row in answers."""
    figures: ClassVar[frozenset[str]] = frozenset()
    """Fields that answers add to the row; they change by themselves and may be sent back."""
    own: ClassVar[frozenset[str]] = frozenset({"id"})
    """Names of the row itself, the same in every age of it."""
    as_read: Annotated[SkipJsonSchema[dict[str, Any]], Field(alias=AS_READ)] = Field(default={})
    """The body's fields of the row, as sent: those that cannot be changed, and ROW_AS_READ."""

    @classmethod
    def list_read_only(cls) -> frozenset[str]:
        """Return the fields of a row that cannot be changed."""
        return frozenset(cls.shown.__annotations__) - cls.list_fields().keys() - cls.figures

    def require_unchanged(self, row: Mapping[str, Any]) -> None:
        """Refuse another value of a field that cannot be changed. Errors: Invalid."""
        is_old = any(self.as_read.get(name, row.get(name)) != row.get(name) for name in ROW_AS_READ)
        names = self.own if is_old else self.list_read_only()
        wrong = sorted(
            name for name in names & self.as_read.keys() if self.as_read[name] != row.get(name)
        )
        if wrong:
            known = ", ".join(self.list_fields())
            message = f"cannot be changed, and differs from the row; what can be is: {known}"
            raise Invalid(details=[{"field": name, "message": message} for name in wrong])


Before = Annotated[int | None, Field(ge=1, le=2**53)]
"""The `before` of the page before: only older events are listed."""


class TimelineQuery(ById):
    """Asks for events of the history, the newest first."""

    limit: Annotated[int, Field(ge=1, le=PAGE_LIMIT)] = 50
    before: Before = None


class AuditQuery(HttpPayload):
    """Asks for events of people, the newest first.

    `by` is a token's name, `action` a kind of event, `target` the id of any object.
    """

    limit: Annotated[int, Field(ge=1, le=PAGE_LIMIT)] = 50
    before: Before = None
    by: Name | None = None
    action: Name | None = None
    target: Id | None = None


class CodeById(ById):
    """The code of the login that the path names.

    `seq` changes nothing: a page counts it up so that its browser fetches a newer code.
    """

    seq: Annotated[int, Field(ge=0, le=2**53)] | None = None


class TextToDraw(HttpPayload):
    """A text to draw as a QR code, such as the address of a login link."""

    text: Annotated[str, Field(min_length=1, max_length=1_000, repr=False)]


class LogsQuery(ById):
    """How many lines of a log to return."""

    lines: Annotated[int, Field(ge=1, le=5_000)] = 200


MOST_WISHES = Field(max_length=500)
Epoch = Annotated[int, Field(ge=0, le=2**53)]
ReadAt = Annotated[
    int | None, BeforeValidator(lambda value: value if isinstance(value, int) else None)
]
"""Unix seconds as in Master's answers; a time in another form, as web pages send it, is ignored."""
MonitorInterval = Annotated[int, Field(ge=1, le=86_400)]
Tags = Annotated[
    list[Tag], Field(max_length=MOST_TAGS), AfterValidator(lambda tags: list(dict.fromkeys(tags)))
]
"""Words of people's own, by which they find accounts."""
Note = Annotated[str, StringConstraints(max_length=2_000)]
"""A text of people's own about an account."""


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
    proxy_id: Id | None = None
    tags: Tags = Field(default=[])
    note: Note | None = None


class AccountChange(Change):
    """Changes to an account; absent fields keep their values.

    `assigned_worker_id: null` lets Master choose the worker again. `pinned_worker_id` pins the
    account to a worker; null unpins it, and it stays with its present worker. `epoch` and
    `updated_at` are those of the row as the client read it: if the account has changed hands since,
    an `assigned_worker_id` that would change the pin is refused.
    """

    shown = ShownAccount
    figures: ClassVar[frozenset[str]] = frozenset(
        {"runtime_stats", "worker", "state", "placement", "unread"}
    )
    platform: Platform | None = None
    account_name: Name | None = None
    account_id: Id | None = None
    monitor_interval: MonitorInterval | None = None
    status: AccountStatus | None = None
    assigned_worker_id: Id | None = None
    pinned_worker_id: Id | None = None
    proxy_id: Id | None = None
    tags: Tags | None = None
    note: Note | None = None
    epoch: Epoch | None = None
    updated_at: ReadAt = None

    @model_validator(mode="after")
    def _refuse_null(self) -> AccountChange:
        for name in self.model_fields_set - {
            "account_id",
            "assigned_worker_id",
            "pinned_worker_id",
            "proxy_id",
            "note",
            *ROW_AS_READ,
        }:
            if getattr(self, name) is None:
                raise ValueError(f"{name} may not be null")
        return self


class PlanWishes(HttpPayload):
    """A plan: workers out of service or with another `max_accounts`, accounts pinned or unpinned.

    Nothing is changed.
    """

    drain: Annotated[list[Id], MOST_WISHES] = Field(default_factory=list)

    max_accounts: Annotated[dict[Id, Annotated[int, Field(ge=0, le=10_000)]], MOST_WISHES] = Field(
        default_factory=dict
    )
    pin: Annotated[dict[Id, Id | None], MOST_WISHES] = Field(default_factory=dict)


class NewLogin(StartLogin, HttpPayload):
    """Start a QR login of the account that the path names."""

    account_id: PathId


class LoginById(CancelLogin, HttpPayload):
    """End the login that the path names."""

    session_id: PathId


class MessageById(ById):
    """The message that the path names; `kind` is comments or direct-messages."""

    kind: Annotated[SkipJsonSchema[str], Field(alias="{kind}")]


class MessageName(HttpPayload):
    """One message."""

    kind: MessageKind
    id: Id


class MarkMessages(HttpPayload):
    """The messages to mark: those that `ids` names, or those of one account.

    Of an account, only those detected before the time `before`, and only those of one `kind`.
    """

    ids: Annotated[list[MessageName], Field(min_length=1, max_length=PAGE_LIMIT)] | None = None
    account_id: Id | None = None
    kind: MessageKind | None = None
    before: Seconds | None = None

    @model_validator(mode="after")
    def _require_one(self) -> MarkMessages:
        if (self.ids is None) is (self.account_id is None):
            raise ValueError("send either ids or account_id")
        if self.ids is not None and (self.kind or self.before is not None):
            raise ValueError("kind and before belong to account_id")
        return self


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
    matching(
        r"^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):\d{1,5}$",
        "an address is host:port, for example proxy.example.com:8080",
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


class ProxyChange(Change):
    """Changes to a proxy; absent fields keep their values."""

    shown = ShownProxy
    figures = frozenset({"used_by", "last_trial"})
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


EnvName = Annotated[
    str,
    matching(
        r"^[A-Za-z_][A-Za-z0-9_]*$",
        "a variable's name is letters a-z and A-Z, digits and _, and does not begin with a digit",
        max_length=128,
    ),
]
ArgText = Annotated[
    str, Field(max_length=4_096), matching(r"^[^\x00]*$", "a NUL character is not allowed here")
]


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


class WorkerConfigChange(ConfigFields, Change):
    """Changes to a worker's configuration; absent fields keep their values."""

    shown = ShownConfig
    own: ClassVar[frozenset[str]] = frozenset({"id", "worker_id"})
