"""The console for everybody: every page in both languages, both colours and both widths."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest

from tests.browser.conftest import Farm, Looker
from tests.browser.test_console import add_account, detect, report, show_code

expect = pytest.importorskip("playwright.async_api").expect

pytestmark = pytest.mark.browser

RUN = """
() => axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa",
  "best-practice"]}).then((found) =>
  found.violations.map((one) => `${one.id}: ${one.nodes[0].html}`))
"""
CUT = """
() => [...document.querySelectorAll("button, .button, .badge, h1")]
  .filter((one) => getComputedStyle(one).display !== "inline")
  .filter((one) => one.scrollWidth > one.clientWidth + 1)
  .map((one) => one.textContent)
"""
LOOKS = list(itertools.product(("en", "zh"), ("light", "dark"), (1280, 390)))


async def fill(farm: Farm) -> list[str]:
    """Give the farm something of each kind; return the places that show it."""
    worker = await farm.worker(capabilities=["douyin"])
    await farm.worker("worker-2", capabilities=["other"])
    shop, lost = await add_account(farm, "Shop"), await add_account(farm, "Lost")
    await detect(worker, shop, "A comment", "Another comment")
    admin = await farm.connect("admin")
    opened = []
    for account_id in (shop, lost):
        answer = await admin.ask("master:login:start", {"account_id": account_id})
        await show_code(worker, answer["session_id"])
        opened.append(answer["session_id"])
    await report(worker, opened[1], "sms_input_required", step="sms", message="138")
    await add_rows_of_equipment(farm)
    status = {"account_id": lost, "login_status": "logged_out", "reason": "kicked"}
    await worker.ask("worker:account:status", status)
    await farm.peers[1].close()
    return [
        "overview", "inbox", "logins", f"logins/{opened[0]}", f"logins/{opened[1]}", "accounts",
        "accounts?q=nothing", "accounts?add=1", "accounts?import=1", f"accounts/{shop}",
        "accounts/nobody", "workers", "workers/worker-1", f"accounts/{shop}?tab=raw",
        "workers/worker-1?tab=raw", f"logins/{opened[0]}?tab=raw", "notifications", "sessions",
        "no-such-page", "proxies", "processes", "events", "audit", "audit?by=nobody", "system",
        "workers/run-1",
    ]  # fmt: skip


async def add_rows_of_equipment(farm: Farm) -> None:
    """Add a proxy, a process configuration and a maintenance, whose banner is on every page."""
    from master.operations.maintenance import begin_maintenance
    from master.operations.processes import add_config
    from master.operations.proxies import add_proxy
    from master.protocol.drains import BeginMaintenance
    from master.protocol.http import NewProxy, NewWorkerConfig

    await farm.run(add_proxy, NewProxy(name="Proxy", server="127.0.0.1:9", password="hush"))
    config = NewWorkerConfig(worker_id="run-1", command="/bin/true", args=["-x", "two words"])
    await farm.run(add_config, config)
    await farm.run(begin_maintenance, BeginMaintenance(deadline_s=3_600, reason="moving house"))


LOADING = re.compile("Loading …|加载中…")


async def test_nothing_keeps_anybody_out(farm: Farm, looker: Looker, axe: str):
    places = await fill(farm)
    found: dict[str, Any] = {}
    for language, theme, width in LOOKS:
        page = await looker.open(language=language, theme=theme, width=width)
        await expect(page.locator(".top .badge.ok")).to_be_visible()
        await page.evaluate(axe)  # not by a script element, which the page's policy refuses
        for place in places:
            await page.evaluate("(place) => { location.hash = `#/${place}`; }", place)
            await expect(page.locator("main h1, main > p").first).to_be_visible()
            await expect(page.locator("main .soft", has_text=LOADING)).to_have_count(0)
            wide = await page.evaluate("document.documentElement.scrollWidth > innerWidth")
            trouble = [*await page.evaluate(RUN), *await page.evaluate(CUT)]
            if trouble or wide:
                found[f"{place} {language} {theme} {width}"] = [*trouble, *(["wide"] * wide)]
        await page.context.close()
    assert found == {}


class TestGuarded:
    @pytest.fixture
    def given(self) -> dict[str, str]:
        return {"ADMIN_TOKENS": "anna:administrator-secret-token"}

    @pytest.mark.parametrize("language", ["en", "zh"])
    async def test_the_sign_in_is_accessible(self, looker: Looker, axe: str, language: str):
        page = await looker.open(language=language, theme="dark", width=390)
        await expect(page.get_by_role("dialog")).to_be_visible()
        await page.evaluate(axe)
        assert await page.evaluate(RUN) == []
