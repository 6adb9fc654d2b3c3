"""Rows as Master answers them, and a log's levels in colour."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Farm, Looker
from tests.browser.test_console import add_account, detect, show_code
from tests.browser.test_console_axe import RUN
from tests.browser.test_console_system import start_echo

api = pytest.importorskip("playwright.async_api")
expect = api.expect
expect.set_options(timeout=25_000)

pytestmark = pytest.mark.browser

RAW = "As Master answers it"
FETCH = "(path) => fetch(`../api/v1/${path}`).then((one) => one.json())"
NICK = "\u202egpj.<img src=x onerror=window.pwned=1>"


async def read(page: Any) -> Any:
    """Return what the tab shows, as the JSON that it is."""
    return json.loads(await page.get_by_role("region", name=RAW).text_content())


@pytest.mark.parametrize("kind", ["accounts", "workers", "login-sessions"])
async def test_a_row_is_shown_as_master_answers_it_and_copied(
    farm: Farm, looker: Looker, kind: str
):
    worker = await farm.worker(capabilities=["douyin"])
    account_id = await add_account(farm, NICK)
    admin = await farm.connect("admin")
    login = await admin.ask("master:login:start", {"account_id": account_id})
    await show_code(worker, login["session_id"])
    ids = {"accounts": account_id, "workers": "worker-1", "login-sessions": login["session_id"]}
    place = f"{kind.removesuffix('-sessions').replace('login', 'logins')}/{ids[kind]}"
    page = await looker.open(place)
    await page.get_by_role("link", name="Raw", exact=True).click()
    await page.wait_for_url("**?tab=raw")
    await expect(page.get_by_role("region", name=RAW)).to_be_visible()
    answer = await page.evaluate(FETCH, f"{kind}/{ids[kind]}")
    assert await read(page) == answer["data"]
    assert "\u202e" not in await page.get_by_role("region", name=RAW).text_content()
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.get_by_role("button", name="Copy the JSON").click()
    await expect(page.get_by_text("Copied.")).to_be_visible()
    assert json.loads(await page.evaluate("navigator.clipboard.readText()")) == answer["data"]
    assert "scan.example" not in await page.content()
    await page.get_by_role("link", name="Details", exact=True).click()
    await expect(page.get_by_role("region", name=RAW)).to_have_count(0)
    assert "tab=" not in page.url
    assert await page.evaluate("window.pwned") is None


async def test_a_row_is_live(farm: Farm, looker: Looker):
    worker = await farm.worker(capabilities=["douyin"])
    account_id = await add_account(farm)
    page = await looker.open(f"accounts/{account_id}?tab=raw")
    raw = page.get_by_role("region", name=RAW)
    await expect(raw).to_contain_text('"unread": 0')
    await detect(worker, account_id, "one", "two")
    status = {"account_id": account_id, "login_status": "logged_out", "reason": "kicked"}
    await worker.ask("worker:account:status", status)
    await expect(raw).to_contain_text('"unread": 2')
    await expect(raw).to_contain_text('"login_status": "logged_out"')


async def test_a_workers_page_has_the_figures_of_its_heartbeat(farm: Farm, looker: Looker):
    worker = await farm.worker()
    stats = {"memoryUsage": 256, "cpuUsage": 12}
    await worker.ask("worker:heartbeat", {"workerId": "worker-1", "stats": stats})
    page = await looker.open("workers/worker-1")
    await expect(page.get_by_text("256 MB")).to_be_visible()
    await expect(page.get_by_text("12 %")).to_be_visible()
    await page.goto(f"{farm.url}/console/#/workers/worker-1?tab=raw")
    await expect(page.get_by_role("region", name=RAW)).to_contain_text('"memory_usage": 256')


LINES = {
    "2026-11-29 12:00:00 [info     ] worker_started": "info",
    "\x1b[2m2026-11-29\x1b[0m [\x1b[31m\x1b[1merror    \x1b[0m] failed": "error",
    "2026-11-29T12:00:00Z [warning  ] slow": "warn",
    "INFO:root:began": "info",
    "2026-11-29 12:00:00,123 - browser - ERROR - page crashed": "error",
    "WARN  low memory": "warn",
    "[DEBUG] tick": "debug",
    "time=12:00 level=error msg=gone": "error",
    '{"level": "warning", "event": "INFO is no level here"}': "warn",
    '{"level": 30, "msg": "as pino writes it"}': "info",
    '{"levelname": "CRITICAL", "message": "x"}': "error",
    '{"event": "without a level", "more": {"level": "error"}}': "",
    "an ordinary line about an error and some info": "",
    "Traceback (most recent call last):": "",
    "{cut json with level": "",
    f"{'far ' * 40}ERROR": "",
    "INFORMATION is no level": "",
    "<img src=x onerror=window.pwned=1> FATAL": "error",
}
"""Lines of a log, and the level that each is shown with."""

SHOWN = """
(log) => [...log.querySelectorAll("span")].flatMap((one) =>
  one.textContent.split("\\n").slice(0, -1).map((line) => [line, one.className]))
"""


async def test_a_logs_lines_have_their_levels_colour_and_stay_text(
    farm: Farm, looker: Looker, tmp_path: Path, axe: str
):
    pipe = await start_echo(farm, tmp_path)
    with await asyncio.to_thread(pipe.open, "w") as end:
        print("\n".join([*LINES, "the last line"]), file=end, flush=True)
        for language, theme in (("en", "light"), ("zh", "dark"), ("en", "dark"), ("zh", "light")):
            page = await looker.open("workers/echo-1", language=language, theme=theme)
            log = page.locator("pre.log")
            await expect(log).to_contain_text("the last line")
            shown = {
                line.replace("\\x1b", "\x1b"): level for line, level in await log.evaluate(SHOWN)
            }
            assert shown == {**LINES, "the last line": ""}
            assert "\x1b" not in await log.text_content()
            colours = await log.evaluate(
                "(log) => ['debug', 'info', 'warn', 'error'].map((one) =>"
                " getComputedStyle(log.querySelector(`.${one}`)).color)"
            )
            assert len(set(colours)) == 4
            await page.evaluate(axe)
            assert await page.evaluate(RUN) == []
            assert await page.evaluate("window.pwned") is None
        await page.get_by_role("searchbox").last.fill("error")
        await expect(log).not_to_contain_text("the last line")
        assert set(dict(await log.evaluate(SHOWN)).values()) == {"error", ""}
