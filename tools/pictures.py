"""`python -m tools.pictures`: pictures of each page of the console, with a simulated farm.

It needs Playwright (the dependency group `browser`) and a Chromium: `--chromium`, $CHROMIUM, or
`chromium` on the PATH. `nox -s pictures` runs it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from simulator.actors.transport import open_http_session
from simulator.scenario import Scenario, change_scenario
from simulator.trials.demo import Demo, Options, find_master

ROOT = Path(__file__).parents[1]
PAGES = ("overview", "inbox", "logins", "accounts", "workers", "notifications", "proxies",
         "processes", "events", "audit", "system", "sessions")  # fmt: skip
ROWS = {
    "account": ("accounts", "accounts"),
    "worker": ("workers", "workers"),
    "login": ("login-sessions", "logins"),
}
"""Pages of one row: the list that has it, and its path."""
LANGUAGES = {"en": "en-GB", "zh": "zh-CN"}
WIDTHS = {"": 1180, "-phone": 390}
HEIGHT = 760
ENOUGH, MESSAGES = "comments?limit=1", 40
"""Elements that must be there before the first picture."""
PATIENCE_S = 120
LOOK_S = 0.5
LOADING = re.compile("Loading|加载中")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def read_arguments(words: Sequence[str]) -> argparse.Namespace:
    """Return what the command line says; end with the usage if no Chromium is found."""
    parser = argparse.ArgumentParser(prog="python -m tools.pictures", description=__doc__)
    parser.add_argument("--into", type=Path, default=ROOT / "build" / "pictures", metavar="FOLDER")
    parser.add_argument(
        "--chromium", default=os.environ.get("CHROMIUM") or shutil.which("chromium")
    )
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--docs", action="store_true", help="also replace docs/console.png")
    given = parser.parse_args(words)
    if given.chromium is None:
        parser.error("no Chromium was found; name one with --chromium or $CHROMIUM")
    return given


@asynccontextmanager
async def run_farm(seed: int) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """Run a Master with a simulated farm; yield its address once there is something to see."""
    scenario = change_scenario(Scenario(), {"workers": 8, "seed": seed, "accounts": 30})
    options, stop = Options(quiet=True), asyncio.Event()
    async with open_http_session() as session, find_master(scenario, options, session) as master:
        run = asyncio.create_task(Demo(scenario, options, session, master.url).play(stop))
        try:
            async with asyncio.timeout(PATIENCE_S):
                while (await ask(session, master.url, ENOUGH))["total"] < MESSAGES:
                    await asyncio.wait({run}, timeout=LOOK_S)
            yield session, master.url
        finally:
            stop.set()
            await run


async def ask(session: aiohttp.ClientSession, url: str, path: str) -> dict[str, Any]:
    """Return the answer of Master's HTTP API."""
    async with session.get(f"{url}/api/v1/{path}") as answer:
        return dict(await answer.json())


async def list_paths(session: aiohttp.ClientSession, url: str) -> dict[str, str]:
    """Return the pages' names and paths: the lists, and one row of each kind."""
    paths = {name: name for name in PAGES}
    for name, (path, page) in ROWS.items():
        rows = (await ask(session, url, f"{path}?limit=1"))["data"]
        if rows:
            paths[name] = f"{page}/{rows[0]['id']}"
    return paths


async def draw(browser: Any, url: str, paths: dict[str, str], into: Path) -> int:
    """Write a picture of each path in each language and width; return how many."""
    number = 0
    for language, locale in LANGUAGES.items():
        for suffix, width in WIDTHS.items():
            looks = {"viewport": {"width": width, "height": HEIGHT}, "reduced_motion": "reduce"}
            context = await browser.new_context(locale=locale, color_scheme="light", **looks)
            page = await context.new_page()
            await page.goto(f"{url}/console/")
            await page.wait_for_selector(".top .badge.ok")
            for name, path in paths.items():
                await page.evaluate("(path) => { location.hash = `#/${path}`; }", path)
                await page.locator("main h1").first.wait_for()
                await page.locator("main .soft", has_text=LOADING).first.wait_for(state="hidden")
                await page.screenshot(path=into / f"{name}.{language}{suffix}.png")
                number += 1
            await context.close()
    return number


async def take_pictures(given: argparse.Namespace) -> None:
    """Run the farm, and write the pictures."""
    from playwright.async_api import async_playwright

    given.into.mkdir(parents=True, exist_ok=True)
    async with run_farm(given.seed) as (session, url), async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=given.chromium, args=FLAGS)
        number = await draw(browser, url, await list_paths(session, url), given.into)
    if given.docs:
        shutil.copy(given.into / "overview.en.png", ROOT / "docs" / "console.png")
    print(f"{number} pictures are in {given.into}")


if __name__ == "__main__":
    asyncio.run(take_pictures(read_arguments(sys.argv[1:])))
