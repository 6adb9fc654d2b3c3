"""Allow-lists of free-form fields: people receive the fields named here and no others.

Workers and people invent these fields, so an unlisted one may be a cookie under another name. A
value passes if it is a number, a boolean, a text that is not too long, or a list of these. An
object passes only under a name that is meant for nested fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from master.model import JsonObject, Scope
from master.protocol.budgets import leave_out_largest

SHOWN_BYTES = 4 * 1024
"""Budget of a filtered profile, machine or report, without its code.

It goes to many readers, some of them slow.
"""

MOST_TEXT = 2_000
MOST_CODE = 2_000_000
DEEPEST = 4
MOST_MEMBERS = 20

PROFILE = frozenset(
    {
        "id", "uid", "sec_uid", "user_id", "userId", "platform_user_id", "douyin_id", "short_id",
        "unique_id", "red_id", "nickname", "name", "display_name", "username", "account_name",
        "avatar", "avatar_url", "avatarUrl", "homepage", "profile_url", "signature", "bio",
        "description", "gender", "birthday", "country", "province", "city", "region", "location",
        "ip_location", "verified", "is_verified", "verify_info", "level", "followers",
        "followers_count", "follower_count", "following", "following_count", "fans", "fans_count",
        "likes", "likes_count", "total_favorited", "works", "works_count", "aweme_count",
        "notes_count", "posts", "video_count",
    }
)  # fmt: skip
"""Fields of a profile (`user_info`) that everybody on the platform can see."""

MACHINE = frozenset(
    {
        "os", "os_version", "platform", "platform_version", "release", "arch", "kernel", "hostname",
        "pid", "cpus", "cpu_count", "cpu_model", "memory", "memory_mb", "total_memory", "disk_mb",
        "runtime", "node", "node_version", "nodeVersion", "python", "python_version", "browser",
        "browser_version", "chrome_version", "engine", "image_tag", "build", "commit", "branch",
        "started_at", "uptime", "region", "zone", "datacenter", "rack", "site", "cluster",
        "environment", "group", "role", "owner", "team", "label", "labels", "tags", "timezone",
        "locale", "language", "screen", "resolution", "headless", "simulated", "description",
    }
)  # fmt: skip
"""Fields of a worker's `metadata` about where and how it runs."""

WORDS = frozenset(
    {
        "session_id", "account_id", "worker_id", "status", "step", "steps", "stage", "message",
        "progress", "percent", "reason", "error", "error_message", "error_type", "error_code",
        "epoch", "expires_at", "cookies_valid_until", "attempt", "attempts", "attempts_left",
        "retry_after", "remaining", "countdown", "input_type", "required", "scanned", "confirmed",
        "platform", "detail", "details", "timestamp",
    }
)  # fmt: skip
"""Fields of a worker's login report about the login's progress."""

CODES = frozenset(
    {
        "qr_code_data", "qr_code_url", "qr_url", "qrcode", "qr_code", "qrcode_data", "qrcode_url",
        "login_url", "image", "screenshot",
    }
)  # fmt: skip
"""Usual names of a login's code; only callers with scope `operate` receive these fields."""

FIGURE_TEXTS = frozenset(
    {
        "state", "status", "phase", "mode", "step", "stage", "queue", "version", "platform",
        "errors", "errorCount", "error_count", "errorsTotal", "errors_total", "failures", "failed",
        "errorType", "error_type", "errorCode", "error_code", "lastErrorType", "last_error_type",
        "lastErrorCode", "last_error_code", "lastErrorAt", "last_error_at",
        "successes", "successCount", "success_count", "succeeded", "looks", "lastSuccess",
        "last_success", "lastSuccessAt", "last_success_at", "lastSuccessTime", "last_success_time",
        "lastLook", "last_look", "lastLookAt", "last_look_at", "startedAt", "started_at", "uptime",
        "browser", "browser_version", "node_version", "python_version",
    }
)  # fmt: skip
"""Fields of a heartbeat's `stats` that may contain a text; others contain numbers only."""

CONTAINERS = frozenset({"detail", "details", "progress", "labels", "screen"})
"""Names of fields that may contain nested fields; each nested name must be listed too."""


def render_profile(user_info: Mapping[str, Any] | None) -> JsonObject | None:
    """Return the part of `user_info` that people may read; no other part is stored unsealed."""
    return None if user_info is None else leave_out_largest(_pick(user_info, PROFILE), SHOWN_BYTES)


def render_machine(metadata: Mapping[str, Any]) -> JsonObject:
    """Return the part of a worker's `metadata` that people may read."""
    return leave_out_largest(_pick(metadata, MACHINE), SHOWN_BYTES)


def render_figures(figures: Mapping[str, Any]) -> JsonObject:
    """Return the part of a worker's own figures that people may read: numbers, listed texts."""
    shown = {
        name: value
        for name, value in figures.items()
        if not isinstance(value, str) or name in FIGURE_TEXTS
    }
    return leave_out_largest(shown, SHOWN_BYTES)


def render_words(report: Mapping[str, Any], *, codes: bool) -> JsonObject:
    """Return the part of a login report that people may read; with `codes`, its codes as well."""
    shown = leave_out_largest(_pick(report, WORDS), SHOWN_BYTES)
    if codes:
        shown |= {
            name: value
            for name, value in report.items()
            if name in CODES and isinstance(value, str) and len(value) <= MOST_CODE
        }
    return shown


def render_arguments(args: Sequence[str], scope: Scope) -> list[str]:
    """Return a command's arguments.

    Below scope `admin` only names of options are included: a value may be a secret.
    """
    return list(args) if scope >= Scope.ADMIN else [_name_option(one) for one in args]


HIDDEN = "(hidden)"


def _name_option(argument: str) -> str:
    name, equals, _ = argument.partition("=")
    if not name.startswith("--"):
        return HIDDEN
    return f"{name}={HIDDEN}" if equals else name


def _pick(words: Mapping[str, Any], names: frozenset[str], depth: int = 1) -> JsonObject:
    shown: JsonObject = {}
    for name, value in words.items():
        if name not in names:
            continue
        if isinstance(value, dict):
            if name in CONTAINERS and depth < DEEPEST:
                shown[name] = _pick(value, names, depth + 1)
        elif _is_short(value) or (
            isinstance(value, list) and all(map(_is_short, value[:MOST_MEMBERS]))
        ):
            shown[name] = value[:MOST_MEMBERS] if isinstance(value, list) else value
    return shown


def _is_short(value: Any) -> bool:
    return isinstance(value, (bool, int, float)) or (
        isinstance(value, str) and len(value) <= MOST_TEXT
    )
