"""Durations counted in buckets of growing width: a fixed size for runs of any length."""

from __future__ import annotations

import math

SMALLEST_S = 0.0001
GROWTH = 1.05
BUCKETS = 290


class Histogram:
    """Percentiles from 0.1 ms to two minutes, exact to five percent."""

    def __init__(self) -> None:
        self._buckets = [0] * BUCKETS
        self.count = 0
        self.max_s = 0.0

    def add(self, duration_s: float) -> None:
        """Count one duration."""
        index = (
            0 if duration_s <= SMALLEST_S else math.ceil(math.log(duration_s / SMALLEST_S, GROWTH))
        )
        self._buckets[min(index, BUCKETS - 1)] += 1
        self.count += 1
        self.max_s = max(self.max_s, duration_s)

    def find_percentile(self, percent: float) -> float | None:
        """Return the seconds below which `percent` of the durations lie; None without durations."""
        if not self.count:
            return None
        wanted = math.ceil(self.count * percent / 100)
        seen = 0
        for index, number in enumerate(self._buckets):
            seen += number
            if seen >= wanted:
                return min(SMALLEST_S * GROWTH**index, self.max_s)
        return self.max_s

    def show_ms(self) -> dict[str, float | None]:
        """Return p50, p95, p99 and max in milliseconds."""
        figures = {f"p{percent}": self.find_percentile(percent) for percent in (50, 95, 99)}
        figures["max"] = self.max_s if self.count else None
        return {
            name: None if value is None else round(value * 1000, 2)
            for name, value in figures.items()
        }
