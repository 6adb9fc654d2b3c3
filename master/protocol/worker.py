"""The /worker namespace, direct dialect (the source document's): what arrives and what Master sends."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)

from master.errors import Refusal
from master.model import Account, Direction, JsonObject, MessageKind
from master.protocol.budgets import (
    COOKIES_BYTES,
    FINGERPRINT_BYTES,
    METADATA_BYTES,
    USER_INFO_BYTES,
    cut_text,
    drop_large,
    drop_text,
    thin_out,
)
from master.protocol.wire import (
    MAX_ITEMS,
    MAX_TEXT,
    MAX_TITLE,
    READING,
    Count,
    Fact,
    Id,
    ImageData,
    Json,
    Outbound,
    Payload,
    Platform,
    Port,
    Seconds,
    ShortText,
    bound_json,
    decode,
)
from master.secret import Secret

ASSIGN_LIMIT = 100
"""Accounts per `master:task:assign` event (protocol.md section 1)."""


def _drop_repeats(value: Any) -> Any:
    return (
        list(dict.fromkeys(value))
        if isinstance(value, list) and all(isinstance(v, str) for v in value)
        else value
    )


SHORT = 1_000
MAX_IMAGE = 2_000_000
MAX_URL = 4_096

CutShort = Annotated[ShortText, cut_text(SHORT)]
KnownId = Annotated[ShortText | None, drop_text(SHORT)]
LongText = Annotated[str, cut_text(MAX_TEXT)]
Title = Annotated[str, cut_text(MAX_TITLE)]
Url = Annotated[str | None, drop_text(MAX_URL)]


class Register(Fact):
    """A worker introduces itself; again on the same socket means reload."""

    worker_id: Id = Field(validation_alias=AliasChoices("workerId", "worker_id"))
    capabilities: Annotated[
        list[Platform],
        BeforeValidator(_drop_repeats),
        Field(max_length=64),
        AfterValidator(_drop_repeats),
    ]
    max_accounts: Annotated[int, Field(ge=0, le=10_000)] = Field(
        default=10, validation_alias=AliasChoices("maxAccounts", "max_accounts")
    )
    host: Annotated[str, Field(min_length=1, max_length=255), cut_text(255)] = "unknown"
    port: Port = 0
    version: CutShort | None = None
    metadata: Annotated[Json, thin_out(METADATA_BYTES)] = Field(default_factory=dict)


def _forgive(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    """Return None for what cannot be read: an odd figure is no reason to lose a sign of life."""
    try:
        return read(value)
    except ValidationError:
        return None


Forgiven = WrapValidator(_forgive)


class Stats(Payload):
    """How a worker feels: memory in MB, processor in percent. What cannot be read counts as unknown."""

    active_accounts: Annotated[Count | None, Forgiven] = Field(
        default=None, validation_alias="activeAccounts"
    )
    memory_usage: Annotated[Annotated[float, Field(ge=0, le=1e9)] | None, Forgiven] = Field(
        default=None, validation_alias="memoryUsage"
    )
    cpu_usage: Annotated[Annotated[float, Field(ge=0, le=1e6)] | None, Forgiven] = Field(
        default=None, validation_alias="cpuUsage"
    )


STATS = ("activeAccounts", "memoryUsage", "cpuUsage")
LONGEST_FIGURE = 64


def find_worker_id(sent: dict[str, Any]) -> Any:
    """Return which worker an event says it is of, under either of the names."""
    name = sent.get("workerId")
    return sent.get("worker_id") if name is None else name


def keep_figures(value: Any) -> dict[str, Any] | None:
    """Return the figures of a heartbeat that may be shown one day; they are read when somebody asks for them."""
    if not isinstance(value, dict):
        return None
    figures = {}
    for name in STATS:
        figure = value.get(name)
        if type(figure) is float or (
            isinstance(figure, (int, str)) and len(str(figure)) <= LONGEST_FIGURE
        ):
            figures[name] = figure
    return figures


def read_stats(figures: Mapping[str, Any]) -> JsonObject:
    """Return how a worker feels, as far as it can be read."""
    return Stats.model_validate(figures).model_dump() if figures else {}


class Heartbeat(Payload):
    """A worker's sign of life; its own timestamp is information, Master's clock decides."""

    worker_id: Id = Field(validation_alias=AliasChoices("workerId", "worker_id"))
    stats: Annotated[
        dict[str, Any] | None,
        BeforeValidator(keep_figures),
        WithJsonSchema(Stats.model_json_schema()),
    ] = None
    timestamp: Annotated[
        Any, BeforeValidator(lambda _: None), WithJsonSchema({"type": "number"})
    ] = None


class Goodbye(Fact):
    """A worker leaves cleanly; its accounts move at once."""

    worker_id: Id = Field(validation_alias=AliasChoices("workerId", "worker_id"))
    reason: CutShort | None = None


class LoginQrCode(Fact):
    """A QR code is ready to be scanned; a further one replaces the code shown."""

    largest: ClassVar[int] = 3 * 1024 * 1024

    session_id: Id
    qr_code_data: ImageData
    account_id: Id | None = None
    qr_code_url: Url = None
    expires_at: Seconds | None = None


class LoginReport(Fact):
    """What became of a login; further keys are the worker's own words and are relayed without secrets."""

    largest: ClassVar[int] = 7 * 1024 * 1024
    model_config = ConfigDict(frozen=True, extra="allow", **READING)

    session_id: Id
    status: Annotated[str, Field(min_length=1, max_length=64)]
    account_id: Id | None = None
    epoch: Annotated[int, Field(ge=0, le=2**53)] | None = None
    cookies: Annotated[
        Secret[Annotated[list[Json], Field(max_length=MAX_ITEMS)]] | None,
        thin_out(COOKIES_BYTES, MAX_ITEMS),
    ] = None
    user_info: Annotated[Json | None, thin_out(USER_INFO_BYTES)] = None
    fingerprint: Annotated[Secret[Json] | None, drop_large(FINGERPRINT_BYTES)] = None
    cookies_valid_until: Seconds | None = None
    error_message: CutShort | None = None
    error_type: Annotated[str, cut_text(64)] | None = None
    qr_code_data: Annotated[ImageData | None, drop_text(MAX_IMAGE)] = None
    qr_code_url: Url = None
    expires_at: Seconds | None = None

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        """Show only what names the login: a worker's own words may be secrets under any name."""
        return iter([("session_id", self.session_id), ("status", self.status)])

    @model_validator(mode="before")
    @classmethod
    def _refuse_unkeepable(cls, data: Any) -> Any:
        return bound_json(data) if isinstance(data, dict) else data


class CommentItem(Fact):
    """One detected comment."""

    platform_comment_id: Id = Field(validation_alias=AliasChoices("platform_comment_id", "id"))
    content: LongText | None = None
    author_name: CutShort | None = None
    author_id: KnownId = None
    post_id: KnownId = None
    post_title: Title | None = None
    detected_at: Seconds | None = None
    created_at: Seconds | None = None


class DirectMessageItem(Fact):
    """One detected direct message."""

    platform_message_id: Id = Field(validation_alias=AliasChoices("platform_message_id", "id"))
    content: LongText | None = None
    sender_name: CutShort | None = None
    sender_id: KnownId = None
    direction: Direction = Direction.INBOUND
    detected_at: Seconds | None = None
    created_at: Seconds | None = None


class MessagesDetected(Payload):
    """Messages that a worker saw; each item is judged alone, so that one bad item loses no other."""

    largest: ClassVar[int] = 7 * 1024 * 1024
    type: MessageKind
    account_id: Id
    messages: Annotated[list[Any], Field(min_length=1, max_length=MAX_ITEMS)]
    """Raw, or read as its kind, or the refusal of it."""

    def unpack(self) -> Iterator[None]:
        """Read each item as its kind; nothing else of it is kept."""
        for index, item in enumerate(self.messages):
            self.messages[index] = read_item(self.type, item)
            if index % PORTION == PORTION - 1:
                yield


PORTION = 250
"""Items that are read in one stretch."""


def read_item(kind: MessageKind, item: Any) -> CommentItem | DirectMessageItem | Refusal:
    """Return an item of a report, or the refusal of it; one that has been read is itself."""
    if isinstance(item, (CommentItem, DirectMessageItem, Refusal)):
        return item
    try:
        return decode(ITEMS[kind], item)
    except Refusal as refusal:
        return refusal


ITEMS: Mapping[MessageKind, type[CommentItem | DirectMessageItem]] = {
    MessageKind.COMMENT: CommentItem,
    MessageKind.DIRECT_MESSAGE: DirectMessageItem,
}


class UserInput(Payload):
    """What a person typed for a login (an SMS code, say); relayed, never stored or logged."""

    session_id: Id
    input_type: Annotated[str, Field(min_length=1, max_length=64)]
    value: Annotated[str, Field(max_length=4_096)] = Field(repr=False)


@dataclass(frozen=True, slots=True)
class UserInputTyped(Outbound):
    """What a person typed for a login (an SMS code, say)."""

    event: ClassVar[str] = "master:login:user_input"
    session_id: str
    input_type: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Registered(Outbound):
    """Master's answer to a registration; `success` is false with `error` where it was refused.

    `accounts` are at most so many as are soon read; of `accountsTotal` that the worker holds, the others follow by
    `master:task:assign`. `notes` say what was cut of what it said of itself.
    """

    event: ClassVar[str] = "worker:registered"
    may_lack: ClassVar[frozenset[str]] = frozenset(
        {
            "workerId", "heartbeatInterval", "heartbeatTimeout", "accounts", "accountsTotal", "timestamp", "notes",
            "error",
        }
    )  # fmt: skip
    success: bool
    workerId: str | None = None  # noqa: N815 - the source document's spelling
    heartbeatInterval: float | None = None  # noqa: N815
    heartbeatTimeout: float | None = None  # noqa: N815
    accounts: list[dict[str, Any]] | None = field(default=None, repr=False)
    accountsTotal: int | None = None  # noqa: N815
    timestamp: int | None = None
    notes: list[dict[str, Any]] | None = None
    error: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class TaskAssign(Outbound):
    """Accounts to watch, at most 100 per event.

    `start_after_ms` in an account: who did not hold it in this epoch waits so long, for another may still act on it.
    """

    event: ClassVar[str] = "master:task:assign"
    accounts: list[dict[str, Any]] = field(repr=False)

    @property
    def is_void(self) -> bool:
        """Tell whether all of these accounts have changed hands since."""
        return not self.accounts


@dataclass(frozen=True, slots=True)
class TaskRevoke(Outbound):
    """Accounts not to touch any more."""

    event: ClassVar[str] = "master:task:revoke"
    accountIds: list[str]  # noqa: N815 - the source document's spelling
    reason: str


@dataclass(frozen=True, slots=True)
class ProxyForWorker:
    """The way out to the network that a worker's browsers must take."""

    server: str
    protocol: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class LoginStart(Outbound):
    """Open a browser and fetch a QR code; told again to a worker that comes back before the login has shown one."""

    event: ClassVar[str] = "master:login:start"
    account_id: str
    session_id: str
    platform: str
    proxy: ProxyForWorker | None


@dataclass(frozen=True, slots=True)
class LoginCancel(Outbound):
    """Stop working on a login."""

    event: ClassVar[str] = "master:login:cancel"
    session_id: str
    account_id: str
    reason: Literal["superseded", "cancelled", "expired", "account_deleted"]


def show_account_to_worker(
    account: Account, secrets: Mapping[str, Any], proxy: ProxyForWorker | None, wait_s: float
) -> JsonObject:
    """Return an account with everything its worker needs; it holds secrets and goes to the owner alone.

    `secrets` are its credentials, fingerprint and profile as they are sent, where there are any. `start_after_ms` is
    there if another worker may still act on the account: whoever did not hold it in this epoch waits so long.
    """
    shown: JsonObject = {
        "id": account.id,
        "platform": account.platform,
        "account_name": account.account_name,
        "account_id": account.account_id,
        "platform_user_id": account.platform_user_id,
        "monitor_interval": account.monitor_interval,
        "status": account.status,
        "login_status": account.login_status,
        "credentials": {"cookies": []} if (kept := secrets.get("credentials")) is None else kept,
        "fingerprint": secrets.get("fingerprint"),
        "user_info": account.user_info if (profile := secrets.get("profile")) is None else profile,
        "cookies_valid_until": account.cookies_valid_until,
        "proxy": proxy,
        "epoch": account.epoch,
    }
    if wait_s > 0:
        shown["start_after_ms"] = math.ceil(wait_s * 1000)
    return shown
