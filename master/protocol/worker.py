"""The /worker namespace, direct dialect (the source document's): events from and to workers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, NotRequired

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from typing_extensions import TypedDict

from master.errors import Refusal
from master.model import Account, AccountStatus, LoginStatus
from master.protocol.budgets import (
    COOKIES_BYTES,
    FINGERPRINT_BYTES,
    METADATA_BYTES,
    USER_INFO_BYTES,
    clamp,
    cut_text,
    drop_large,
    drop_text,
    thin_out,
)
from master.protocol.decoding import decode, find_names, note_mended
from master.protocol.facts import (
    CODE_NAMES,
    LINK_NAMES,
    MAX_IMAGE,
    MOST_PLATFORMS,
    AnyCookies,
    AnyObject,
    AnyPlatforms,
    AnyProfile,
    AnyText,
    gather_code,
    leave_out_unkeepable,
    spread_state,
)
from master.protocol.stats import Stats, keep_figures
from master.protocol.wire import (
    MAX_ITEMS,
    READING,
    SHORT,
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
)
from master.protocol.words import CancelReason, RevokeReason
from master.secret import Secret

ASSIGN_LIMIT = 100
"""Most accounts in one `master:task:assign` event."""


def _drop_repeats(value: Any) -> Any:
    return (
        list(dict.fromkeys(value))
        if isinstance(value, list) and all(isinstance(v, str) for v in value)
        else value
    )


MAX_URL = 4_096

CutShort = Annotated[ShortText, cut_text(SHORT), AnyText]
Url = Annotated[str | None, drop_text(MAX_URL)]


class Register(Fact):
    """A worker registers; a repeated registration on the same socket means reload."""

    identity: ClassVar[frozenset[str]] = frozenset({"worker_id", "capabilities"})

    worker_id: Id = Field(validation_alias=AliasChoices("workerId", "worker_id"))
    capabilities: Annotated[
        list[Platform],
        AnyPlatforms,
        Field(max_length=MOST_PLATFORMS),
        AfterValidator(_drop_repeats),
    ]
    max_accounts: Annotated[int, Field(ge=0, le=10_000), clamp(0, 10_000)] = Field(
        default=10, validation_alias=AliasChoices("maxAccounts", "max_accounts")
    )
    host: Annotated[str, Field(min_length=1, max_length=255), cut_text(255)] = "unknown"
    port: Port = 0
    version: CutShort | None = None
    metadata: Annotated[Json, thin_out(METADATA_BYTES), AnyObject] = Field(default_factory=dict)


def find_worker_id(sent: dict[str, Any]) -> Any:
    """Return the worker id that an event contains, under either spelling of the field."""
    name = sent.get("workerId")
    return sent.get("worker_id") if name is None else name


def read_heartbeat(sent: Any, worker_id: str) -> tuple[Any, list[dict[str, Any]]] | None:
    """Return the stats of a heartbeat that names this worker, however it is written, and its notes.

    Else return None.
    """
    if isinstance(sent, dict) and find_worker_id(sent) == worker_id:
        return sent.get("stats"), note_mended(sent)  # the usual form
    try:
        beat = decode(Heartbeat, sent)
    except Refusal:
        return None
    return (beat.stats, beat.notes) if beat.worker_id == worker_id else None


class Heartbeat(Fact):
    """A worker's heartbeat; its `timestamp` is ignored, because Master's clock decides."""

    identity: ClassVar[frozenset[str]] = frozenset({"worker_id"})

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
    """A worker shuts down cleanly; its accounts move at once."""

    identity: ClassVar[frozenset[str]] = frozenset({"worker_id"})

    worker_id: Id = Field(validation_alias=AliasChoices("workerId", "worker_id"))
    reason: CutShort | None = None


class LoginQrCode(Fact):
    """A QR code is ready to be scanned; it replaces an earlier code.

    `qr_code_data` is an image (a data URL, Base64 or SVG) or the text to encode; a report with a
    link alone has the link there.
    """

    identity: ClassVar[frozenset[str]] = frozenset({"session_id", "qr_code_data", "account_id"})
    largest: ClassVar[int] = 3 * 1024 * 1024

    session_id: Id
    qr_code_data: ImageData
    account_id: Id | None = None
    qr_code_url: Url = None
    expires_at: Seconds | None = None

    @classmethod
    def prepare(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Return a report whose code is where pages look for it."""
        return gather_code(data)


class LoginReport(Fact):
    """A login's progress or result; further keys are the worker's own, relayed without secrets.

    An unknown `status` is refused as `unknown_status` with the known ones, and a `success` without
    cookies as `no_cookies` if the account has none stored. `cookies` may be a browser's state; its
    `origins` (local storage) are kept as part of the credentials.
    """

    identity: ClassVar[frozenset[str]] = frozenset({"session_id", "account_id", "status"})
    largest: ClassVar[int] = 7 * 1024 * 1024
    model_config = ConfigDict(frozen=True, extra="allow", **READING)

    session_id: Id
    status: Annotated[str, Field(min_length=1, max_length=64)]
    account_id: Id | None = None
    epoch: Annotated[int, Field(ge=0, le=2**53)] | None = None
    cookies: Annotated[
        Secret[Annotated[list[Json], Field(max_length=MAX_ITEMS)]] | None,
        thin_out(COOKIES_BYTES, MAX_ITEMS),
        AnyCookies,
    ] = None
    origins: Annotated[
        Secret[Annotated[list[Json], Field(max_length=MAX_ITEMS)]] | None,
        thin_out(COOKIES_BYTES, MAX_ITEMS),
    ] = None
    user_info: Annotated[Json | None, thin_out(USER_INFO_BYTES), AnyProfile] = None
    fingerprint: Annotated[Secret[Json] | None, drop_large(FINGERPRINT_BYTES), AnyObject] = None
    cookies_valid_until: Seconds | None = None
    error_message: CutShort | None = None
    error_type: Annotated[str, cut_text(64)] | None = None
    qr_code_data: Annotated[ImageData | None, drop_text(MAX_IMAGE)] = None
    qr_code_url: Url = None
    expires_at: Seconds | None = None

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        """Render only the login's id and status: any other key may contain a secret."""
        return iter([("session_id", self.session_id), ("status", self.status)])

    @classmethod
    def prepare(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Return a report in which a browser's state is cookies and origins."""
        return spread_state(data)

    @model_validator(mode="before")
    @classmethod
    def _leave_out_unkeepable(cls, data: Any, info: ValidationInfo) -> Any:
        return leave_out_unkeepable(data, find_names(cls), info)


def find_code(report: LoginReport) -> LoginQrCode | None:
    """Return the code that a login's report contains, under whatever name; None without one."""
    names = (*CODE_NAMES, *LINK_NAMES)
    sent = {name: one for name in names if (one := getattr(report, name, None)) is not None}
    found = gather_code({"session_id": report.session_id, **sent})
    return decode(LoginQrCode, found) if "qr_code_data" in found else None


class UserInput(Payload):
    """A person's input for a login (an SMS code, say); it is relayed, never stored or logged."""

    session_id: Id
    input_type: Annotated[str, Field(min_length=1, max_length=64)]
    value: Annotated[str, Field(max_length=4_096)] = Field(repr=False)


@dataclass(frozen=True, slots=True)
class ProxyForWorker:
    """The proxy that a worker's browsers must use."""

    server: str
    protocol: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)


class AccountForWorker(TypedDict):
    """An account as its worker receives it, with all that watching it needs."""

    id: str
    platform: str
    account_name: str
    account_id: str | None
    platform_user_id: str | None
    monitor_interval: int
    status: AccountStatus
    login_status: LoginStatus
    credentials: dict[str, Any]
    fingerprint: dict[str, Any] | None
    user_info: dict[str, Any] | None
    cookies_valid_until: int | None
    proxy: ProxyForWorker | None
    epoch: int
    start_after_ms: NotRequired[int]


@dataclass(frozen=True, slots=True)
class UserInputTyped(Outbound):
    """A person's input for a login (an SMS code, say)."""

    event: ClassVar[str] = "master:login:user_input"
    session_id: str
    input_type: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Registered(Outbound):
    """The answer to a registration; a refusal has `success` false and `error`.

    `accounts` has as many of the worker's `accountsTotal` accounts as a worker reads soon; the
    others follow by `master:task:assign`. `notes` lists the registration's fields that were cut.
    """

    event: ClassVar[str] = "worker:registered"
    may_lack: ClassVar[frozenset[str]] = frozenset(
        {
            "workerId", "heartbeatInterval", "heartbeatTimeout", "accounts", "accountsTotal",
            "timestamp", "notes", "error",
        }
    )  # fmt: skip
    success: bool
    workerId: str | None = None  # noqa: N815 - the source document's spelling
    heartbeatInterval: float | None = None  # noqa: N815
    heartbeatTimeout: float | None = None  # noqa: N815
    accounts: list[AccountForWorker] | None = field(default=None, repr=False)
    accountsTotal: int | None = None  # noqa: N815
    timestamp: int | None = None
    notes: list[dict[str, Any]] | None = None
    error: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class TaskAssign(Outbound):
    """Accounts to watch, at most 100 per event.

    `start_after_ms` in an account: a worker that did not own the account in this epoch waits that
    long, because another worker may still act on it.
    """

    event: ClassVar[str] = "master:task:assign"
    accounts: list[AccountForWorker] = field(repr=False)

    @property
    def is_void(self) -> bool:
        """Tell whether all of these accounts have changed hands meanwhile."""
        return not self.accounts


@dataclass(frozen=True, slots=True)
class TaskRevoke(Outbound):
    """Accounts that the worker must not act on any more."""

    event: ClassVar[str] = "master:task:revoke"
    accountIds: list[str]  # noqa: N815 - the source document's spelling
    reason: RevokeReason


@dataclass(frozen=True, slots=True)
class LoginStart(Outbound):
    """Open a browser and fetch a QR code; sent again if the worker returns before it has one."""

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
    reason: CancelReason


def render_account_to_worker(
    account: Account, secrets: Mapping[str, Any], proxy: ProxyForWorker | None, wait_s: float
) -> AccountForWorker:
    """Return an account with all that its worker needs; it has secrets and goes to its owner alone.

    `secrets` are its credentials, fingerprint and profile in wire form, if it has any. With a
    `wait_s` above 0, the result has `start_after_ms`, because another worker may still act on the
    account: a worker that did not own it in this epoch waits that long.
    """
    shown: AccountForWorker = {
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
