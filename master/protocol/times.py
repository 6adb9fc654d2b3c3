"""Times as peers write them: seconds, milliseconds, finer units, ISO 8601, and objects."""

from __future__ import annotations

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
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(WORDS) from None


def _read_object(parts: dict[str, Any]) -> Any:
    """Return the number in an object of a 64-bit library or of a database's timestamp."""
    if isinstance(low := parts.get("low"), int) and isinstance(high := parts.get("high"), int):
        return (high << 32) + (low & 0xFFFFFFFF)
    for name in ("seconds", "_seconds", "$date", "value"):
        if name in parts:
            return parts[name]
    raise ValueError(WORDS)
