"""Every setting of Master, from the environment and `.env`, with a readable list of faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv import dotenv_values
from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator


class SettingsFault(Exception):
    """Some settings are wrong; the message has one readable line per fault."""


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _split(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Interval = Annotated[float, Field(gt=0, le=86_400)]


class Settings(BaseModel):
    """What can be set. Names ending in `_s` are seconds, in `_days` days, in `_bytes` bytes."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    port: int = Field(3000, ge=0, le=65_535, description="TCP port to listen on; 0 takes any free one.")
    host: str = Field("127.0.0.1", min_length=1, max_length=255, description="Address to listen on.")
    db_path: Path = Field(Path("./data/master.db"), description="The database file; its folder is made.")
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = Field(
        "info", description="What is worth a log line."
    )
    app_env: Annotated[Literal["development", "production", "test"], BeforeValidator(_lower)] = Field(
        "development",
        validation_alias=AliasChoices("app_env", "node_env"),
        description="Where it runs; NODE_ENV means the same. In production the console gets JSON.",
    )
    log_dir: Path = Field(Path("./logs"), description="Folder of master.log and of the workers' logs.")
    allowed_origins: Annotated[tuple[str, ...], BeforeValidator(_split)] = Field(
        ("http://localhost:3001", "http://localhost:3000"),
        description="Web origins that browsers may connect from, separated by commas.",
    )
    heartbeat_interval_s: Interval = Field(10, description="How often workers are asked to send a heartbeat.")
    heartbeat_timeout_s: Interval = Field(30, description="Silence longer than this makes a worker offline.")
    heartbeat_check_s: Interval = Field(15, description="How often the workers' table is audited for silence.")
    schedule_interval_s: Interval = Field(30, description="How often due accounts are handed out.")
    login_ttl_s: Interval = Field(300, description="How long a QR code may wait for its scan.")
    login_max_s: Interval = Field(600, description="How long a login may stay open in all.")
    retention_login_sessions_days: int = Field(7, ge=1, le=36_500, description="How long login sessions are kept.")
    retention_notifications_days: int = Field(30, ge=1, le=36_500, description="How long notifications are kept.")
    restart_grace_s: float = Field(
        30, ge=0, le=86_400, description="After a start nobody is lost before the timeout plus this."
    )
    worker_stop_limit_s: Interval = Field(10, description="A worker process that ignores SIGTERM so long is killed.")
    max_body_bytes: int = Field(
        16 * 1024 * 1024, ge=10 * 1024 * 1024, le=1024**3, description="The largest event or body accepted."
    )

    @model_validator(mode="after")
    def _agree(self) -> Settings:
        if self.heartbeat_timeout_s <= self.heartbeat_interval_s:
            raise ValueError("HEARTBEAT_TIMEOUT_S must be longer than HEARTBEAT_INTERVAL_S")
        if self.login_max_s < self.login_ttl_s:
            raise ValueError("LOGIN_MAX_S must not be shorter than LOGIN_TTL_S")
        return self


@dataclass(frozen=True, slots=True)
class SettingDoc:
    """One setting as documents show it."""

    name: str
    default: str
    allowed: str
    description: str


def load_settings(environ: Mapping[str, str], env_file: Path | None = Path(".env")) -> Settings:
    """Return the settings; the environment wins over `env_file`, empty values mean the default.

    Errors: SettingsFault, which names each setting, its value and what is allowed.
    """
    given: dict[str, str] = {}
    if env_file is not None and env_file.is_file():
        given |= {name.lower(): value for name, value in dotenv_values(env_file).items() if value}
    given |= {name.lower(): value for name, value in environ.items() if value.strip()}
    try:
        return Settings.model_validate(given)
    except ValidationError as fault:
        raise SettingsFault("\n".join(_explain(error, given) for error in fault.errors())) from None


def _explain(error: Any, given: Mapping[str, str]) -> str:
    if not error["loc"]:
        return str(error["msg"]).removeprefix("Value error, ") + "."
    name = str(error["loc"][0])
    return f"{name.upper()}={given.get(name, '')!r} is not allowed: {error['msg']} (allowed: {_allowed(name)})."


def _allowed(name: str) -> str:
    field = "app_env" if name == "node_env" else name
    schema = Settings.model_json_schema(by_alias=False)["properties"].get(field, {})
    if "enum" in schema:
        return ", ".join(schema["enum"])
    bounds = [
        f"{word} {schema[key]:g}"
        for key, word in (("minimum", "at least"), ("exclusiveMinimum", "more than"), ("maximum", "at most"))
        if key in schema
    ]
    kind = {"integer": "a whole number", "number": "a number", "array": "a list separated by commas"}
    return " ".join([kind.get(schema.get("type", ""), "a text"), *[", ".join(bounds)] * bool(bounds)])


def describe_settings() -> list[SettingDoc]:
    """Return every setting with its default and what is allowed, in the order of the class."""
    docs = []
    for name, field in Settings.model_fields.items():
        default = ",".join(field.default) if isinstance(field.default, tuple) else str(field.default)
        docs.append(SettingDoc(name.upper(), default, _allowed(name), field.description or ""))
    return docs
