"""A real browser for the tests of pages, and a console in it whose every complaint is a failure."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from master.app import Master
from master.settings import load_settings
from tests.conftest import Bench, Peer, registration
from tests.node import install

if TYPE_CHECKING:  # only the session `browser` installs it
    from playwright.async_api import Browser, BrowserContext, Page

HERE = Path(__file__).parent
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update"]  # fmt: skip
WATCH = """
document.addEventListener("securitypolicyviolation", (event) => {
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`);
});
"""
EXPECTED = ("Failed to load resource", "WebSocket connection to")
"""How a browser reports an answer of 401, or a Master that is away: what the tests provoke."""


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a browser and the script that measures pages."""
    return install(HERE, tmp_path_factory.mktemp("browser"))


def run_script(browser: Path, *command: str) -> str:
    """Run a script of that folder and return its output.

    The browser's package unpacks it into TMPDIR, and takes a file of that name for a whole browser,
    although another process of the tests may still be writing it: each process has its own.
    """
    done = subprocess.run(
        ["node", *command],
        cwd=browser, env={**os.environ, "TMPDIR": str(browser)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def axe(browser: Path) -> str:
    """The source of axe-core, which finds what keeps people out."""
    return (browser / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def chromium(browser: Path) -> str:
    """The path of a Chromium: $CHROMIUM, the system's, or the one from npm."""
    for found in (os.environ.get("CHROMIUM"), shutil.which("chromium")):
        if found:
            return found
    return run_script(browser, "chromium.mjs").strip().splitlines()[-1]


@pytest.fixture
async def engine(chromium: str) -> AsyncIterator[Browser]:
    api = pytest.importorskip("playwright.async_api")
    async with api.async_playwright() as playwright:
        try:
            engine = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        except api.Error as fault:
            if "shared libraries" not in str(fault):
                raise
            pytest.skip(f"no browser runs here: {str(fault)[:200]}")
        yield engine
        await engine.close()


class Looker:
    """People's browsers: each page's complaints and foreign requests are kept."""

    def __init__(self, engine: Browser, base: Callable[[], str]) -> None:
        self._engine = engine
        self._base = base
        self._contexts: list[BrowserContext] = []
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.also = "data:"
        """Another address of Master, through a proxy."""

    async def open(
        self, place: str = "", *, language: str = "en", theme: str = "light", width: int = 1280
    ) -> Page:
        """Open the console at a place in a new browser profile."""
        page = await self.make_page(language=language, theme=theme, width=width)
        await page.goto(f"{self._base()}/console/#/{place}")
        return page

    async def open_phone(self, address: str, *, language: str = "en", theme: str = "light") -> Page:
        """Open an address on a phone of its own."""
        page = await self.make_page(
            language=language, theme=theme, width=390, is_mobile=True, has_touch=True
        )
        await page.goto(address)
        return page

    async def make_page(self, *, language: str, theme: str, width: int, **more: Any) -> Page:
        """Return a blank page in a new browser profile."""
        context = await self._engine.new_context(
            viewport={"width": width, "height": 900},
            locale="zh-CN" if language == "zh" else "en-GB",
            color_scheme="dark" if theme == "dark" else "light",
            reduced_motion="reduce",
            **more,
        )
        self._contexts.append(context)
        context.set_default_timeout(60_000)
        await context.add_init_script(WATCH)
        page = await context.new_page()
        page.on("console", self._note_line)
        page.on("pageerror", lambda fault: self.complaints.append(str(fault)))
        page.on("request", lambda request: self.requests.append(request.url))
        return page

    def _note_line(self, line: Any) -> None:
        if line.type in ("error", "warning") and not line.text.startswith(EXPECTED):
            self.complaints.append(line.text)

    async def close(self) -> None:
        for context in self._contexts:
            await context.close()
        foreign = {
            url for url in self.requests if not url.startswith((self._base(), self.also, "data:"))
        }
        assert self.complaints == []
        assert foreign == set()


class Farm(Bench):
    """A Master in this process with the real clock, and what a test does to it."""

    settings: dict[str, str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.master.port}"

    async def restart(self) -> None:
        """Start Master again on the same file and port."""
        port = self.master.port
        await self.master.close()
        self.master = Master(load_settings({**self.settings, "PORT": str(port)}, None))
        await self.master.start()

    async def worker(self, worker_id: str = "worker-1", **changes: Any) -> Peer:
        token = self.settings.get("TOKEN_OF_WORKERS")
        peer = await self.connect("worker", token)
        answer = await peer.ask("worker:register", registration(worker_id, **changes))
        assert answer["success"], answer
        return peer


@pytest.fixture
def given() -> dict[str, str]:
    """Settings that differ from the defaults."""
    return {}


@pytest.fixture
async def farm(tmp_path: Path, given: dict[str, str]) -> AsyncIterator[Farm]:
    paths = {"DB_PATH": str(tmp_path / "master.db"), "LOG_DIR": str(tmp_path / "logs")}
    settings = {"PORT": "0", **paths, **given}
    master = Master(load_settings(settings, None))
    await master.start()
    farm = Farm(master, None)  # type: ignore[arg-type] # the clock is the real one
    farm.settings = settings
    yield farm
    for peer in farm.peers:
        await peer.close()
    await farm.master.close()


@pytest.fixture
async def looker(engine: Browser, farm: Farm) -> AsyncIterator[Looker]:
    looker = Looker(engine, lambda: farm.url)
    yield looker
    await looker.close()
