"""Times as peers write them: seconds, milliseconds, finer units, ISO 8601, and objects."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

WORDS = "a time is a number of seconds or milliseconds since 1970, or a text in ISO 8601"

UNITS = ((10**10, 1), (10**13, 10**3), (10**16, 10**6), (10**19, 10**9))
"""Most of a number in each unit (exclusive), and how many of the unit are a second.

Seconds reach the year 2286; a number of milliseconds below the first bound would be of April 1970.
"""


def read_seconds(value: Any) -> Any:
    """Return whole seconds since 1970, negative for earlier times. Errors: ValueError."""
    if type(value) is int and 0 <= value <= UNITS[0][0]:
        return value  # the usual form: every message has two
    if isinstance(value, dict):
        value = _read_object(value)
    if isinstance(value, str):
        value = _read_text(value.strip())
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(WORDS)
    for most, per_second in UNITS:
        if abs(value) <= most:  # NaN is in no unit
            return int(value // per_second) if isinstance(value, int) else int(value / per_second)
    raise ValueError(WORDS)


def _read_text(text: str) -> float:
    try:
        return int(text) if text.lstrip("-").isdecimal() else float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(_write_iso(text))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(WORDS) from None


MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

DATE = re.compile(
    r"(?:[a-z]{3,9},? )?(?:([a-z]{3})[a-z]* (\d\d?),?|(\d\d?) ([a-z]{3})[a-z]*) (\d{4})"
    r"(?: (\d\d:\d\d(?::\d\d)?) ?(?:gmt|utc|z)?([+-]\d\d:?\d\d)?)?(?: \([^)]*\))?"
)
"""A date in words: of JavaScript (`Tue Nov 18 2025 12:00:00 GMT+0800 (...)`) or of e-mail."""

LONGEST = 100


def _write_iso(text: str) -> str:
    """Return a date in ISO 8601 from one in words or with slashes, the year first."""
    if len(text) > LONGEST:
        raise ValueError(WORDS)
    if not (found := DATE.fullmatch(text.lower())):
        return text.replace("/", "-")
    month, day, other_day, other_month, year, time, zone = found.groups()
    number = MONTHS.index(month or other_month) + 1
    return f"{year}-{number:02}-{int(day or other_day):02}T{time or '00:00'}{zone or '+00:00'}"


def _read_object(parts: dict[str, Any]) -> Any:
    """Return the number in an object of a 64-bit library or of a database's timestamp."""
    if isinstance(low := parts.get("low"), int) and isinstance(high := parts.get("high"), int):
        return (high << 32) + (low & 0xFFFFFFFF)
    for name in ("seconds", "_seconds", "$date", "value"):
        if name in parts:
            return parts[name]
    raise ValueError(WORDS)
