"""The results of a bench: medians over its rounds, ratios, tables, JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from loadtest.bench.plan import Scale
from loadtest.bench.sides import NODE, OURS

BUSY = 0.9
"""A generator that computes for more than this share of the time is the bottleneck."""

FIGURES: dict[str, tuple[str, str]] = {
    "registrations": ("registrations in process", "per s"),
    "accounts": ("accounts given in process", "per s"),
    "arrive": ("connect + register", "per s"),
    "idle": ("memory per idle worker", "KiB"),
    "connect": ("connect alone", "per s"),
    "register": ("register, accounts waiting", "per s"),
    "heartbeat": ("acknowledged heartbeats", "per s"),
    "report": ("stored message events", "per s"),
    "messages": ("stored messages", "per s"),
}
"""Name -> its title in the table, and its unit. For memory less is better, else more."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One side's figure in one round; `us` are processor microseconds per operation."""

    value: float
    us: float | None = None
    busy: float = 0.0


@dataclass(frozen=True, slots=True)
class ScaleRow:
    """One row of the table of scale; bytes per account are beyond those of an empty Master."""

    scale: Scale
    start_s: float
    rss_bytes: int
    rss_per_account: float
    objects_per_account: float
    placed_s: float
    place_block_ms: float
    place_cpu_ms: float
    moved: int
    replaced_s: float
    replace_block_ms: float
    replace_cpu_ms: float


@dataclass(slots=True)
class Findings:
    """All results of a bench so far."""

    samples: dict[str, dict[str, list[Sample]]] = field(default_factory=dict)
    scales: list[ScaleRow] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    machine: dict[str, str | int | None] = field(default_factory=dict)
    tell: Callable[[str], None] = lambda _: None
    """Receives a line of progress for each figure."""

    def add(self, name: str, side: str, sample: Sample) -> None:
        """Add one round's figure of one side."""
        title, unit = FIGURES[name]
        self.tell(f"  {title}, {side}: {show_number(sample.value)} {unit}")
        self.samples.setdefault(name, {}).setdefault(side, []).append(sample)

    def of(self, name: str, side: str) -> list[Sample]:
        """Return a side's figures, one per round."""
        return self.samples.get(name, {}).get(side, [])


def find_median(values: Iterable[float | None]) -> float | None:
    """Return the median of the values that are not None; None if there is none."""
    known = [value for value in values if value is not None]
    return median(known) if known else None


def find_ratio(ours: Sequence[Sample], node: Sequence[Sample]) -> tuple[float, float, float] | None:
    """Return ours divided by Node's: of the medians, and the least and greatest in a round."""
    rounds = [mine.value / its.value for mine, its in zip(ours, node, strict=False) if its.value]
    middle = median(sample.value for sample in node) if node else 0
    if not rounds or not middle:
        return None
    return median(sample.value for sample in ours) / middle, min(rounds), max(rounds)


def align(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Return rows as columns of plain text; all but the first `left` are flush right."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if at < left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def show_number(value: float | None) -> str:
    """Return a number with its significant digits; a dash for None."""
    if value is None:
        return "-"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 1 else 2
    return f"{value:,.{digits}f}"


def show_figures(findings: Findings) -> str:
    """Return the table that compares the sides."""
    head = ("figure", "unit", "ours", "Node", "ratio", "(rounds)")
    rows = [(*head, "ours us/op", "Node us/op", "us ratio")]
    for name, (title, unit) in FIGURES.items():
        ours, node = findings.of(name, OURS), findings.of(name, NODE)
        if not ours and not node:
            continue
        ratio = find_ratio(ours, node)
        us, node_us = (find_median(sample.us for sample in side) for side in (ours, node))
        rows.append(
            (
                title,
                unit,
                show_number(find_median(sample.value for sample in ours)),
                show_number(find_median(sample.value for sample in node)),
                f"{ratio[0]:.2f}" if ratio else "-",
                f"{ratio[1]:.2f}-{ratio[2]:.2f}" if ratio else "-",
                show_number(us),
                show_number(node_us),
                f"{us / node_us:.2f}" if us and node_us else "-",
            )
        )
    return align(rows, left=2) if len(rows) > 1 else ""


def show_scales(rows: Sequence[ScaleRow]) -> str:
    """Return the table of scale."""
    if not rows:
        return ""
    head = (
        "accounts",
        "workers",
        "start s",
        "RSS MiB",
        "RSS B/acc",
        "objects B/acc",
        "placed s",
        "acc/s",
        "block ms (cpu)",
        "moved",
        "moved s",
        "acc/s",
        "block ms (cpu)",
    )
    lines = [
        (
            str(row.scale.accounts),
            str(row.scale.workers),
            f"{row.start_s:.2f}",
            f"{row.rss_bytes / 2**20:.0f}",
            f"{row.rss_per_account:.0f}",
            f"{row.objects_per_account:.0f}",
            f"{row.placed_s:.2f}",
            show_number(row.scale.accounts / row.placed_s),
            f"{row.place_block_ms:.0f} ({row.place_cpu_ms:.0f})",
            str(row.moved),
            f"{row.replaced_s:.2f}",
            show_number(row.moved / row.replaced_s),
            f"{row.replace_block_ms:.0f} ({row.replace_cpu_ms:.0f})",
        )
        for row in rows
    ]
    return align([head, *lines], left=0)


def show_machine(machine: Mapping[str, str | int | None]) -> str:
    """Return the line with machine and versions."""
    return "; ".join(f"{name} {value}" for name, value in machine.items() if value is not None)


def find_limited(findings: Findings) -> list[str]:
    """Return a text for each figure that the generator has limited."""
    found = []
    for name, sides in findings.samples.items():
        for side, samples in sides.items():
            busy = median(sample.busy for sample in samples)
            if busy > BUSY:
                title = f"{FIGURES[name][0]}, {side}"
                found.append(f"{title}: the generator was busy {busy:.0%} of the time")
    return found


def to_json(findings: Findings) -> dict[str, Any]:
    """Return everything as one JSON object."""
    figures = {}
    for name, sides in findings.samples.items():
        title, unit = FIGURES[name]
        figure: dict[str, Any] = {"title": title, "unit": unit}
        for side, samples in sides.items():
            figure[side] = find_median(sample.value for sample in samples)
            figure[f"{side}_us"] = find_median(sample.us for sample in samples)
            figure[f"{side}_rounds"] = [asdict(sample) for sample in samples]
        ratio = find_ratio(findings.of(name, OURS), findings.of(name, NODE))
        if ratio is not None:
            figure["ratio"], figure["ratio_least"], figure["ratio_greatest"] = ratio
        figures[name] = figure
    return {
        "machine": findings.machine,
        "figures": figures,
        "scale": [asdict(row) for row in findings.scales],
        "faults": findings.faults,
    }
