"""Bars, boxes and dialogs for everybody: in both languages, both colours and both widths."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import Farm, Looker
from tests.browser.test_console import add_account
from tests.browser.test_console_axe import CUT, LOOKS, RUN
from tests.browser.test_console_bulk import PATIENT

if TYPE_CHECKING:
    from playwright.async_api import Page

expect = pytest.importorskip("playwright.async_api").expect
expect.set_options(timeout=25_000)

pytestmark = pytest.mark.browser


@pytest.fixture
def given() -> dict[str, str]:
    return PATIENT


WORDS = {
    "pin": "Pin …|固定…",
    "interval": "Set the interval …|设置间隔…",
    "delete": "Delete …|删除…",
    "save": "Save|保存",
    "drain": "Take out of service|排空",
    "login": "Log in one after another|依次登录",
}


async def walk(page: Page, language: str, look: Callable[[str], Awaitable[None]]) -> None:
    """Open one after another; `look` looks at what is open."""

    def button(name: str) -> str:
        return WORDS[name].split("|")[language == "zh"]

    async def press(name: str) -> None:
        await page.get_by_role("button", name=button(name), exact=True).click()

    async def leave() -> None:
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)

    await page.locator("label.field.check input").click()
    await expect(page.get_by_role("button", name=button("pin"))).to_be_visible()
    await look("bar")
    for name in ("pin", "interval", "delete"):
        await press(name)
        await expect(page.get_by_role("dialog")).to_be_visible()
        await look(name)
        if name != "pin":
            await leave()
            continue
        await page.get_by_role("dialog").get_by_role("combobox").select_option("worker-2")
        await press("save")
        await expect(page.get_by_role("alert").get_by_role("table")).to_be_visible()
        await look("what was refused")
    await press("login")
    await expect(page.locator("main .card.bad, main .card [role=status]").first).to_be_visible()
    await look("one after another")
    await page.evaluate("location.hash = '#/workers/worker-1'")
    await press("drain")
    await expect(page.get_by_role("dialog").locator("ul").first).to_be_visible()
    await look("plan")
    await leave()
    await page.locator("main").press("?")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await look("keys")
    await leave()
    await page.get_by_role("combobox").fill("worker")
    await expect(page.get_by_role("option").first).to_be_visible()
    await look("box")
    await page.get_by_role("combobox").fill("nothing like this")
    await expect(page.locator(".nothing")).to_be_visible()
    await look("empty box")


async def test_dialogs_over_a_page_are_accessible(farm: Farm, looker: Looker, axe: str):
    await farm.worker("worker-1", capabilities=["douyin"])
    await farm.worker("worker-2", capabilities=["other"])
    for name in ("Shop", "A shop with a very long name that has to be broken somewhere"):
        await add_account(farm, name)
    found: dict[str, list[str]] = {}
    for language, theme, width in LOOKS:
        page = await looker.open("accounts", language=language, theme=theme, width=width)
        await expect(page.locator(".top .badge.ok")).to_be_visible()
        await page.evaluate(axe)

        async def look(name: str, page: Page = page, key: str = f"{language} {theme} {width}"):
            wide = await page.evaluate("document.documentElement.scrollWidth > innerWidth")
            trouble = [*await page.evaluate(RUN), *await page.evaluate(CUT), *(["wide"] * wide)]
            if trouble:
                found[f"{name} {key}"] = trouble

        await walk(page, language, look)
        await page.context.close()
    assert found == {}
