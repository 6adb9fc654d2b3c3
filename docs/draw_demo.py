"""Draw docs/demo.svg: one frame of the demo's live view, from a real run (`nox -s picture`)."""

from __future__ import annotations

import asyncio
import io
import re
from pathlib import Path

from rich.console import CONSOLE_SVG_FORMAT, Console, RenderableType

from simulator.actors.transport import open_http_session
from simulator.display.view import FRAME_S, View
from simulator.scenario import Scenario, change_scenario
from simulator.trials.demo import Demo, Options, find_master

RUN_S = 60
COLUMNS = 92
PICTURE = Path(__file__).parent / "demo.svg"
SHOWN_URL = "http://127.0.0.1:3000"
"""What the demo says without PORT in the environment, whichever port the run has."""


async def draw_last_frame() -> RenderableType:
    """Run the demo for a minute, as Ctrl-C would end it, and return its last frame before that."""
    scenario, stop = change_scenario(Scenario(), {"workers": 50}), asyncio.Event()
    options = Options(quiet=True)
    async with open_http_session() as session, find_master(scenario, options, session) as master:
        demo = Demo(scenario, options, session, master.url)
        view = View(Console(), scenario, demo.tally, demo.ledger, SHOWN_URL)
        run = asyncio.create_task(demo.play(stop))
        frame: RenderableType = ""
        while not run.done() and demo.tally.elapsed() < RUN_S:
            await asyncio.wait({run}, timeout=FRAME_S)
            frame = view.draw()
        stop.set()
        await run
    return frame


def draw_picture(frame: RenderableType, path: Path) -> None:
    """Write the frame as SVG, in the reader's own monospaced font: a picture fetches nothing."""
    console = Console(
        record=True,
        width=COLUMNS,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
    )
    console.print(frame)
    plain = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.S)
    path.write_text(
        console.export_svg(title="nox -s demo", code_format=plain, unique_id="demo"),
        encoding="utf-8",
    )


if __name__ == "__main__":
    draw_picture(asyncio.run(draw_last_frame()), PICTURE)
