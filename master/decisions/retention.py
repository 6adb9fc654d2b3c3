"""How long rows are kept."""

from __future__ import annotations

DAY_S = 86_400


def find_cutoff(now: float, days: int) -> int:
    """Return the Unix second before which a row is old. A row exactly `days` old is still kept (source document)."""
    return int(now) - days * DAY_S
