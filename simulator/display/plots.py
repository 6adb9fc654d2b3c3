"""A run as one self-contained page with plots: it needs no server and no network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.io import to_html
from plotly.subplots import make_subplots

from simulator.display.samples import Sample, Samples

WORKER_COLOURS = {
    "connected": "#2a9d6f",
    "connecting": "#e9c46a",
    "away": "#adb5bd",
    "crashed": "#d1495b",
    "gone": "#6c757d",
}
ACCOUNT_COLOURS = {
    "logged_in": "#2a9d6f",
    "logging_in": "#e9c46a",
    "login_failed": "#d1495b",
    "not_logged_in": "#adb5bd",
}
INK, ACCENT, SECOND = "#343a40", "#2f6fb0", "#b0662f"
ROWS = (
    "Workers by state",
    "Accounts by login, and assigned",
    "Messages",
    "Acknowledgements, ms",
    "What went wrong (shaded: no Master answered)",
)
HEIGHTS_PX = (220, 220, 170, 190)
PER_KIND_PX, LEAST_PX, GAP_PX, LEGEND_PX = 19, 60, 88, 28
MARGIN_PX = {"l": 140, "r": 16, "t": 84, "b": 56}
MARKS = 5_000
BUTTONS = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #212529; margin: 0 auto; max-width: 1200px;
  padding: 1.5rem; }}
h1 {{ font-size: 1.35rem; margin: 0 0 .5rem; }}
ul {{ margin: 0 0 1rem; padding: 0; list-style: none; }}
li.bad {{ color: #b02a37; font-weight: 600; }}
</style></head><body>
<h1>{title}</h1>
<ul>{lines}</ul>
{plots}
</body></html>
"""


def write_page(
    path: Path, title: str, lines: Sequence[str], samples: Samples, *, bad: Sequence[str] = ()
) -> None:
    """Write a page about a run: `lines` sum it up, `bad` lists its violations."""
    items = [f"<li>{escape(line)}</li>" for line in lines] + [
        f'<li class="bad">{escape(line)}</li>' for line in bad
    ]
    plots = to_html(draw(samples), full_html=False, include_plotlyjs=True, config=BUTTONS)
    path.write_text(
        PAGE.format(title=escape(title), lines="".join(items), plots=plots), encoding="utf-8"
    )


def draw(samples: Samples) -> go.Figure:
    """Return the plots of a run, over one time axis."""
    kept = samples.kept
    unit, seconds = _choose_unit(kept[-1].at if kept else 1.0)
    at = [sample.at / seconds for sample in kept]
    shown = samples.marks[:MARKS]
    kinds = [what for what, _ in Counter(what for _, what in shown).most_common()]
    heights = (*HEIGHTS_PX, max(LEAST_PX, PER_KIND_PX * len(kinds)))
    inside = sum(heights) + GAP_PX * (len(heights) - 1)
    figure = make_subplots(
        rows=len(ROWS),
        cols=1,
        shared_xaxes=True,
        vertical_spacing=GAP_PX / inside,
        row_heights=list(heights),
    )
    _stack(figure, 1, at, [sample.workers for sample in kept], WORKER_COLOURS, "workers")
    _stack(figure, 2, at, [sample.accounts for sample in kept], ACCOUNT_COLOURS, "accounts")
    _line(figure, 2, at, [sample.assigned for sample in kept], "assigned", INK, dash="dot")
    _line(figure, 3, at, [sample.messages_per_s for sample in kept], "stored per second", ACCENT)
    _line(figure, 3, at, [sample.waiting for sample in kept], "reports waiting", SECOND)
    _line(figure, 4, at, [sample.p50_ms for sample in kept], "p50", ACCENT)
    _line(figure, 4, at, [sample.p99_ms for sample in kept], "p99", SECOND)
    _mark(figure, 5, [(moment / seconds, what) for moment, what in shown], kinds)
    _shade(figure, at, kept)
    figure.update_yaxes(rangemode="tozero", automargin=False)
    figure.update_yaxes(type="log", rangemode="normal", dtick=1, row=4, col=1)
    figure.update_xaxes(range=[0, at[-1] if at else 1.0])
    figure.update_xaxes(title_text=f"time, {unit}", row=len(ROWS), col=1)
    _name_rows(figure)
    figure.update_layout(
        height=inside + MARGIN_PX["t"] + MARGIN_PX["b"],
        template="plotly_white",
        hovermode="x unified",
        margin=MARGIN_PX,
        font={"family": "system-ui, sans-serif"},
    )
    return figure


def _name_rows(figure: go.Figure) -> None:
    """Put each plot's legend above it and its title above that.

    Side by side they would meet on a small screen.
    """
    for row, title in enumerate(ROWS, 1):
        top = figure.layout[_name("yaxis", row)].domain[1]
        above = {"xref": "paper", "yref": "paper", "y": top, "yanchor": "bottom"}
        shift = LEGEND_PX if row < len(ROWS) else 2
        figure.add_annotation(
            text=f"<b>{title}</b>", x=0, xanchor="left", yshift=shift, showarrow=False, **above
        )
        figure.update_layout(
            {_name("legend", row): {**above, "x": 0, "xanchor": "left", "orientation": "h"}}
        )


def _name(thing: str, row: int) -> str:
    return thing if row == 1 else f"{thing}{row}"


def _choose_unit(longest_s: float) -> tuple[str, float]:
    if longest_s > 7_200:
        return "hours", 3_600.0
    return ("minutes", 60.0) if longest_s > 300 else ("seconds", 1.0)


def _stack(
    figure: go.Figure,
    row: int,
    at: list[float],
    counts: list[dict[str, int]],
    colours: dict[str, str],
    group: str,
) -> None:
    for state, colour in colours.items():
        if any(count.get(state) for count in counts):
            figure.add_scatter(
                x=at,
                y=[count.get(state, 0) for count in counts],
                name=state.replace("_", " "),
                stackgroup=group,
                mode="lines",
                line={"width": 0.5, "color": colour, "shape": "hv"},
                row=row,
                col=1,
                legend=_name("legend", row),
            )


def _line(
    figure: go.Figure,
    row: int,
    at: list[float],
    values: list[Any],
    name: str,
    colour: str,
    dash: str = "solid",
) -> None:
    figure.add_scatter(
        x=at,
        y=values,
        name=name,
        mode="lines",
        line={"color": colour, "dash": dash, "width": 1.5},
        row=row,
        col=1,
        legend=_name("legend", row),
    )


def _mark(
    figure: go.Figure, row: int, marks: list[tuple[float, str]], kinds: Sequence[str]
) -> None:
    """Draw one line of marks per kind of fault, the first of `kinds` on top."""
    figure.add_scatter(
        x=[at for at, _ in marks],
        y=[what.replace("_", " ") for _, what in marks],
        mode="markers",
        showlegend=False,
        marker={"symbol": "line-ns-open", "size": 9, "color": WORKER_COLOURS["crashed"]},
        name="",
        row=row,
        col=1,
    )
    named = [what.replace("_", " ") for what in kinds]
    figure.update_yaxes(
        type="category",
        categoryorder="array",
        categoryarray=named[::-1],
        tickmode="linear",
        dtick=1,
        row=row,
        col=1,
    )


def _shade(figure: go.Figure, at: list[float], kept: Sequence[Sample]) -> None:
    """Shade the times without an answer from Master."""
    began = None
    for moment, sample in zip(at, kept, strict=True):
        if not sample.master and began is None:
            began = moment
        elif sample.master and began is not None:
            figure.add_vrect(
                x0=began,
                x1=moment,
                fillcolor="#d1495b",
                opacity=0.15,
                line_width=0,
                row="all",
                col=1,
            )
            began = None
    if began is not None:
        figure.add_vrect(
            x0=began, x1=at[-1], fillcolor="#d1495b", opacity=0.15, line_width=0, row="all", col=1
        )
