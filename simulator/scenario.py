"""A run's configuration: counts, rates and habits, from flags or a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

NO_FLAGS: Mapping[str, str] = MappingProxyType({})
"""Refusals call settings by their names, as in a file."""

SCENARIOS = Path(__file__).resolve().parent.parent / "fixtures" / "scenarios"


class ScenarioTrouble(Exception):
    """The scenario or the command line cannot be run as written."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run's settings. Rates and probabilities are 0 to 1 unless named otherwise; `_s`: seconds.

    `retry_wait_s` is the longest first wait before a retry, and the longest that it grows to;
    `reports_at_once` is how many reports one worker sends before the first of them is acknowledged;
    `admin_look_s` is how often an administrator looks for accounts to log in;
    `mishap_rate_per_min` is how often a demo's platform or a browser does what the field does.
    """

    workers: int = 50
    admins: int = 2
    clients: int = 2
    accounts: int | None = None
    duration_s: float | None = None
    seed: int = 1
    platforms: tuple[str, ...] = ("douyin", "xiaohongshu")
    max_accounts: int = 10
    monitor_interval_s: int = 5
    rate_per_s: float = 30.0
    comment_share: float = 0.7
    repeat_rate: float = 0.04
    login_failure_rate: float = 0.08
    never_scan_rate: float = 0.03
    sms_rate: float = 0.1
    cancel_rate: float = 0.02
    supersede_rate: float = 0.02
    logins_at_once: int = 80
    admin_look_s: float = 0.5
    relogin_rate_per_min: float = 0.0
    scan_delay_s: tuple[float, float] = (0.5, 5.0)
    login_poll_s: float = 2.0
    login_ttl_s: int | None = None
    crash_rate_per_min: float = 0.1
    crash_return_s: tuple[float, float] = (2.0, 8.0)
    client_drop_rate_per_min: float = 1.0
    ramp_s: float = 3.0
    retry_wait_s: tuple[float, float] = (0.5, 15.0)
    reports_at_once: int = 1
    mishap_rate_per_min: float = 6.0

    @property
    def account_count(self) -> int:
        """Return the number of accounts to create: `accounts`, else four per worker."""
        return self.workers * 4 if self.accounts is None else self.accounts


ALLOWED: dict[str, tuple[float, float]] = {
    "workers": (0, 5_000),
    "admins": (1, 100),
    "clients": (0, 1_000),
    "accounts": (0, 50_000),
    "duration_s": (1, 31_536_000),
    "max_accounts": (0, 10_000),
    "monitor_interval_s": (1, 86_400),
    "rate_per_s": (0, 100_000),
    "logins_at_once": (1, 10_000),
    "login_poll_s": (0.1, 60),
    "admin_look_s": (0.1, 60),
    "login_ttl_s": (1, 86_400),
    "relogin_rate_per_min": (0, 60),
    "reports_at_once": (1, 64),
    "crash_rate_per_min": (0, 60),
    "client_drop_rate_per_min": (0, 60),
    "mishap_rate_per_min": (0, 600),
    "ramp_s": (0, 600),
    **dict.fromkeys(
        (
            "comment_share",
            "repeat_rate",
            "login_failure_rate",
            "never_scan_rate",
            "sms_rate",
            "cancel_rate",
            "supersede_rate",
        ),
        (0, 1),
    ),
}
"""The least and the greatest value of each setting."""

PAIRS = frozenset({"scan_delay_s", "crash_return_s", "retry_wait_s"})
WHOLE = frozenset(
    {
        "workers",
        "admins",
        "clients",
        "accounts",
        "seed",
        "max_accounts",
        "monitor_interval_s",
        "logins_at_once",
        "login_ttl_s",
        "reports_at_once",
    }
)


def change_scenario(
    scenario: Scenario, changes: Mapping[str, Any], flags: Mapping[str, str] = NO_FLAGS
) -> Scenario:
    """Return the scenario with `changes`. Errors: ScenarioTrouble with the setting and its bounds.

    `flags` maps a setting to its flag on the command line, where the two names differ.
    """
    known = {field.name for field in fields(Scenario)}
    cleaned = {}
    for name, value in changes.items():
        if name not in known:
            raise ScenarioTrouble(
                f"there is no setting {name!r}; known are {', '.join(sorted(known))}"
            )
        cleaned[name] = _check_value(name, value, flags.get(name, name))
    return replace(scenario, **cleaned)


def _check_value(name: str, value: Any, called: str) -> Any:
    if name == "platforms":
        if (
            not isinstance(value, (list, tuple))
            or not value
            or not all(isinstance(part, str) for part in value)
        ):
            raise ScenarioTrouble(f"{called} is {value!r}; allowed is a list of names")
        return tuple(value)
    if name in PAIRS:
        if not _is_span(value):
            raise ScenarioTrouble(f"{called} is {value!r}; allowed is [least, most] in seconds")
        return (float(value[0]), float(value[1]))
    if not _is_number(value):
        raise ScenarioTrouble(f"{called} is {value!r}; allowed is a number")
    low, high = ALLOWED.get(name, (float("-inf"), float("inf")))
    if not low <= value <= high:
        raise ScenarioTrouble(f"{called} is {value:,}; allowed is {low:,} to {high:,}")
    if name in WHOLE and not isinstance(value, int):
        raise ScenarioTrouble(f"{called} is {value:,}; allowed is a whole number")
    return value


def _is_span(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple))
        and len(value) == 2
        and all(_is_number(part) for part in value)
        and 0 <= value[0] <= value[1]
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def load_scenario(wanted: str) -> Scenario:
    """Load a scenario from a TOML file or by name (fixtures/scenarios). Errors: ScenarioTrouble."""
    path = Path(wanted)
    if path.suffix != ".toml":
        path = SCENARIOS / f"{wanted}.toml"
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ScenarioTrouble(
            f"there is no scenario {wanted!r}; known are {', '.join(name_scenarios())}"
        ) from None
    except (OSError, ValueError) as fault:
        raise ScenarioTrouble(f"{path}: {fault}") from None
    try:
        return change_scenario(Scenario(), written)
    except ScenarioTrouble as trouble:
        raise ScenarioTrouble(f"{path}: {trouble}") from None


def name_scenarios() -> list[str]:
    """Return the names of the scenarios in the project."""
    return sorted(path.stem for path in SCENARIOS.glob("*.toml"))
