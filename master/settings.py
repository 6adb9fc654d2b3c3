"""Every setting of Master, from the environment and `.env`, with readable fault messages.

A new setting is one field of Settings; the documentation and the fault messages use its description
and limits.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from master.described import NOTHING, SettingDoc, describe_allowed, render_default
from master.environment import SettingsFault, read_values
from master.keys import Key, parse_keys
from master.model import Token
from master.secret import Secret
from master.tokens import parse_tokens

ORIGIN = r"^(\*|[a-z][a-z0-9+.-]*://[^/?#\s]+)$"
ORIGINS_ALLOWED = "origins such as https://admin.example.org, separated by commas, or * for all"
KEYS_ALLOWED = "keys as id:base64 of 32 bytes, separated by commas"
SECRET_SETTINGS = ("master_keys", "worker_tokens", "admin_tokens", "client_tokens")
"""Settings whose values are never printed and never passed to worker processes."""

SHOWN_CHARACTERS = 100
MOST_NETWORKS = 1_000


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _split(value: Any) -> Any:
    return (
        tuple(part.strip() for part in value.split(",") if part.strip())
        if isinstance(value, str)
        else value
    )


def _split_networks(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(
        ip_network(part, strict=False) for part in _split(value) if part.lower() != NOTHING
    )


def _require_keys(keys: Secret[str]) -> Secret[str]:
    parse_keys(keys.reveal())
    return keys


def _require_some_else(
    networks: tuple[IPv4Network | IPv6Network, ...],
) -> tuple[IPv4Network | IPv6Network, ...]:
    """Refuse a network of all addresses: then any client could write its own address."""
    if any(network.prefixlen == 0 for network in networks):
        raise ValueError("a network has every address")
    return networks


Seconds = Annotated[float, Field(gt=0, le=86_400)]
Days = Annotated[int, Field(ge=1, le=36_500)]
Origin = Annotated[str, Field(pattern=ORIGIN, max_length=255)]
WorkerTokens = Annotated[tuple[Token, ...], BeforeValidator(partial(parse_tokens, "worker"))]
AdminTokens = Annotated[tuple[Token, ...], BeforeValidator(partial(parse_tokens, "admin"))]
ClientTokens = Annotated[tuple[Token, ...], BeforeValidator(partial(parse_tokens, "client"))]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_split_networks)]


class Settings(BaseModel):
    """All settings. Names ending in `_s` are seconds, in `_days` days, in `_bytes` bytes."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    port: int = Field(
        3000, ge=0, le=65_535, description="TCP port to listen on; 0 selects any free port."
    )
    host: str = Field(
        "127.0.0.1",
        max_length=255,
        description="Address to listen on; 0.0.0.0 is every IPv4 address.",
    )
    db_path: Path = Field(
        Path("./data/master.db"), description="The database file; its folder is created."
    )
    master_keys: Annotated[Secret[str], AfterValidator(_require_keys)] | None = Field(
        None,
        description="Keys that seal credentials and proxy passwords; the first one seals new "
        "values. Without them a key file beside the database is used.",
        json_schema_extra={"allowed": KEYS_ALLOWED},
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = (
        Field("info", description="The lowest level that is logged.")
    )
    app_env: Annotated[Literal["development", "production", "test"], BeforeValidator(_lower)] = (
        Field(
            "development",
            validation_alias=AliasChoices("app_env", "node_env"),
            description="The environment; NODE_ENV means the same, APP_ENV wins. In development "
            "the console output is for people, elsewhere it is JSON.",
        )
    )
    log_dir: Path = Field(
        Path("./logs"), description="Folder of master.log and of the workers' logs; it is created."
    )
    list_keys: Annotated[Literal["data", "both"], BeforeValidator(_lower)] = Field(
        "both",
        description="`data`: rows of lists are only in `data`. `both`: those of /accounts are also "
        "in `accounts`, which pages in use read.",
    )
    allowed_origins: Annotated[tuple[Origin, ...], BeforeValidator(_split)] = Field(
        ("http://localhost:3001", "http://localhost:3000"),
        min_length=1,  # Socket.IO reads an empty list as "do not check"
        max_length=100,
        description="Web origins whose pages may use Socket.IO and HTTP from a browser, beside the "
        "pages that Master itself serves.",
        json_schema_extra={"allowed": ORIGINS_ALLOWED},
    )
    farm_name: str = Field(
        "Master",
        min_length=1,
        max_length=60,
        description="The name of this farm, as the owners of accounts read it on login links.",
    )
    demo: bool = Field(
        False,
        description="The farm is a simulation: the console says so on every page. `python -m "
        "simulator` sets it.",
        json_schema_extra={"allowed": "0 or 1"},
    )
    demo_label: Annotated[str, Field(max_length=100)] | None = Field(
        None,
        description="A text about the simulation for the console's banner, such as its seed.",
        json_schema_extra={"allowed": "a text of at most 100 characters"},
    )
    worker_tokens: WorkerTokens = Field(
        (),
        repr=False,
        description="Tokens of workers, each for one worker id, or * for every id without its own.",
        json_schema_extra={"allowed": "id:secret, separated by commas"},
    )
    admin_tokens: AdminTokens = Field(
        (),
        repr=False,
        description="Tokens of administrators and of the HTTP API; the default scope is admin.",
        json_schema_extra={
            "allowed": "name:secret or name:secret:scope with read, operate or admin, "
            "separated by commas",
        },
    )
    client_tokens: ClientTokens = Field(
        (),
        repr=False,
        description="Tokens of people's devices; one naming accounts receives only their events.",
        json_schema_extra={
            "allowed": "name:secret or name:secret:account,account, separated by commas",
        },
    )
    trusted_workers: Networks = Field(
        (),
        max_length=MOST_NETWORKS,
        description="Addresses and networks from which workers need no token.",
        json_schema_extra={
            "allowed": "addresses and networks such as 10.0.0.7,10.1.0.0/16, separated by commas"
        },
    )
    trusted_proxies: Annotated[Networks, AfterValidator(_require_some_else)] = Field(
        (),
        max_length=MOST_NETWORKS,
        description="Proxies in front of Master. Their X-Forwarded-For or Forwarded is believed: "
        "limits, logs and TRUSTED_WORKERS then apply to the client's address.",
        json_schema_extra={
            "allowed": "addresses and networks such as 10.0.0.7,10.1.0.0/16, separated by commas, "
            "but not every address"
        },
    )
    http_requests_per_s: float = Field(
        200,
        ge=0,
        le=1e6,
        description="HTTP requests per second of one token, and of all callers without a token "
        "behind one address, with a burst of four times that; further ones are refused. "
        "0 is no limit.",
    )
    heartbeat_interval_s: Seconds = Field(
        10, description="How often workers are asked to send a heartbeat."
    )
    heartbeat_timeout_s: Seconds = Field(
        30,
        description="Silence after which a worker goes offline; longer than HEARTBEAT_INTERVAL_S.",
    )
    heartbeat_check_s: Seconds = Field(
        15, description="How often the workers table is audited for silent workers."
    )
    rebalance_interval_s: float = Field(
        0,
        ge=0,
        le=86_400,
        description="How often one account of each worker may move to a worker with at least two "
        "fewer. 0 is never.",
    )
    schedule_interval_s: Seconds = Field(30, description="How often due accounts are handed out.")
    sick_after_intervals: int = Field(
        30,
        ge=0,
        le=1_000_000,
        description="How many intervals of its slowest account a worker may be without a success, "
        "at least 10 minutes, until it is reported. 0 is never.",
    )
    login_ttl_s: float = Field(
        300, ge=1, le=86_400, description="How long a QR code may wait for its scan."
    )
    login_max_s: float = Field(
        600,
        ge=1,
        le=86_400,
        description="How long a login may stay open in total; at least LOGIN_TTL_S.",
    )
    retention_login_sessions_days: Days = Field(7, description="How long login sessions are kept.")
    retention_notifications_days: Days = Field(30, description="How long notifications are kept.")
    retention_events_days: Days = Field(90, description="How long timelines are kept.")
    retention_audit_days: Days = Field(365, description="How long the audit of people is kept.")
    late_reports_days: Days = Field(
        7,
        description="How long an account's messages are accepted from a worker that has lost it.",
    )
    retention_workers_days: Days = Field(
        1,
        description="How long an offline worker without accounts, pins and configuration is kept.",
    )
    restart_grace_s: float = Field(
        30,
        ge=0,
        le=86_400,
        description="After a start no known worker goes offline before HEARTBEAT_TIMEOUT_S plus "
        "this.",
    )
    worker_stop_limit_s: Seconds = Field(
        10, description="A worker process that ignores SIGTERM for this long gets SIGKILL."
    )
    max_body_bytes: int = Field(
        16 * 1024 * 1024,
        ge=10 * 1024 * 1024,
        le=1024**3,
        description="The largest HTTP body accepted; docs/protocol.md has the limit of each event.",
    )
    socket_events_per_s: float = Field(
        500,
        ge=0,
        le=1e6,
        description="Events per second accepted from one socket, with a burst of four times that; "
        "a faster socket is read more slowly. 0 is no limit.",
    )
    registration_rate: float = Field(
        500,
        ge=0,
        le=1e6,
        description="Worker registrations per second; further ones must retry. 0 is no limit.",
    )
    outbound_queue_bytes: int = Field(
        1024 * 1024,
        ge=0,
        le=1024**3,
        description="Bytes that may be queued for one connection. Past a quarter of it, many new "
        "notifications become one client:sync, and the connection is closed if nothing is read "
        "for 10 s; past 16 times it, at once. 0 is no limit.",
    )
    worker_names_per_token: int = Field(
        5_000,
        ge=0,
        le=1_000_000,
        description="How many worker ids may be known beside those that a token or a configuration "
        "names; past it a new one is refused. 0 is no limit.",
    )
    device_names_per_token: int = Field(
        1_000,
        ge=0,
        le=1_000_000,
        description="How many device ids one device token may have; past it a new one is refused. "
        "0 is no limit.",
    )
    write_queue_items: int = Field(
        10_000,
        ge=0,
        le=10_000_000,
        description="How many writes may be queued per kind of caller: workers, administrators, "
        "devices, HTTP; further ones are refused as overloaded. 0 is no limit.",
    )

    _sources: dict[str, str] = PrivateAttr(default_factory=dict)

    def find_source(self, name: str) -> str:
        """Return where a setting's value comes from: `env`, `.env` or `default`."""
        names = ("app_env", "node_env") if name == "app_env" else (name,)
        return next((self._sources[one] for one in names if one in self._sources), "default")

    def read_keys(self) -> tuple[Key, ...] | None:
        """Return the keys of MASTER_KEYS, or None if a key file is used."""
        return parse_keys(self.master_keys.reveal()) if self.master_keys is not None else None

    @model_validator(mode="after")
    def _agree(self) -> Settings:
        faults = []
        if self.heartbeat_timeout_s <= self.heartbeat_interval_s:
            faults.append(
                f"HEARTBEAT_TIMEOUT_S={self.heartbeat_timeout_s:g} is not allowed: "
                "it must be longer than HEARTBEAT_INTERVAL_S, "
                f"which is {self.heartbeat_interval_s:g}."
            )
        if self.login_max_s < self.login_ttl_s:
            faults.append(
                f"LOGIN_MAX_S={self.login_max_s:g} is not allowed: "
                f"it must not be shorter than LOGIN_TTL_S, which is {self.login_ttl_s:g}."
            )
        tokens = [*self.worker_tokens, *self.admin_tokens, *self.client_tokens]
        if len({token.digest for token in tokens}) < len(tokens):
            faults.append(
                "WORKER_TOKENS, ADMIN_TOKENS and CLIENT_TOKENS are not allowed: "
                "two tokens have the same secret."
            )
        if faults:
            raise ValueError("\n".join(faults))
        return self


def load_settings(
    environ: Mapping[str, str] | None = None, env_file: Path | None = Path(".env")
) -> Settings:
    """Return the settings; the environment (the process's, if None) overrides `env_file`.

    Names are case-insensitive, empty values mean the default, unknown names are ignored. Errors:
    SettingsFault, which names each setting, its value and the allowed values.
    """
    values, sources = read_values(os.environ if environ is None else environ, env_file)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as fault:
        lines = dict.fromkeys(_explain(error, values) for error in fault.errors())
        raise SettingsFault("\n".join(lines)) from None
    settings._sources.update(sources)
    return settings


def describe_settings() -> list[SettingDoc]:
    """Return every setting with its default and its allowed values, in the order of the class."""
    return [
        SettingDoc(
            name.upper(),
            render_default(field.default),
            _describe_allowed(name),
            field.description or "",
        )
        for name, field in Settings.model_fields.items()
    ]


def _explain(error: Any, values: Mapping[str, str]) -> str:
    if not error["loc"]:
        return str(error["msg"]).removeprefix("Value error, ")
    name = str(error["loc"][0])
    if name in SECRET_SETTINGS:
        reason = str(error["msg"]).removeprefix("Value error, ")
        return f"{name.upper()} is not allowed ({reason}): it must be {_describe_allowed(name)}."
    value = values[name]
    shown = repr(value if len(value) <= SHOWN_CHARACTERS else f"{value[:SHOWN_CHARACTERS]}...")
    return f"{name.upper()}={shown} is not allowed: it must be {_describe_allowed(name)}."


def _describe_allowed(name: str) -> str:
    field = "app_env" if name == "node_env" else name
    return describe_allowed(Settings.model_json_schema(by_alias=False)["properties"][field])
