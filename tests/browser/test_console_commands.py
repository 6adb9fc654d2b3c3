"""The box of commands and the keys, in a real browser: what is found, and what a command does."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Farm, Looker
from tests.browser.test_console import GUARDED, HOSTILE, READER, add_account, show_code
from tests.browser.test_console_bulk import PATIENT
from tests.browser.test_console_system import ASK
from tests.waiting import until

expect = pytest.importorskip("playwright.async_api").expect
expect.set_options(timeout=25_000)

pytestmark = pytest.mark.browser

CHORD = """
(key) => { for (const one of ["g", key]) document.getElementById("main").dispatchEvent(
  new KeyboardEvent("keydown", {key: one, bubbles: true})); }
"""
"""Both keys at once: a chord has a time limit, which a busy machine may miss."""


@pytest.fixture
def given() -> dict[str, str]:
    return PATIENT


async def test_the_box_finds_accounts_workers_and_pages_by_keys_alone(farm: Farm, looker: Looker):
    await farm.worker("worker-3", capabilities=["douyin"])
    for name in ("Shop one", "Shop two", HOSTILE):
        await add_account(farm, name)
    page = await looker.open("overview")
    await expect(page.locator(".top .badge.ok")).to_be_visible()
    box, options = page.get_by_role("combobox", name="Find, or type"), page.get_by_role("option")
    await page.locator("main").press("/")
    await expect(box).to_be_focused()
    await page.keyboard.type("sHOp")
    await expect(options).to_have_count(3)
    await expect(options.first).to_contain_text("2 accounts with “sHOp”")
    await expect(box).to_have_attribute("aria-activedescendant", "found-0")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    await expect(page.locator("[aria-selected=true]")).to_have_id("found-2")
    name = (await page.locator("[aria-selected=true] bdi").first.text_content()) or ""
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name=name)).to_be_visible()
    await expect(box).to_have_value("")
    await page.locator("main").press("/")
    await page.keyboard.type("not here")
    await expect(page.get_by_text("Nothing is like this.")).to_be_visible()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Escape")
    await expect(box).to_have_value("")
    await expect(box).to_have_attribute("aria-expanded", "false")
    for typed, heading in (("onerror", HOSTILE), ("worker-3", "worker-3"), ("proxi", "Proxies")):
        await box.fill(typed)
        await options.first.click()
        await expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    assert await page.evaluate("window.pwned") is None


async def test_commands_do_what_they_say_and_ask_before_they_destroy(farm: Farm, looker: Looker):
    worker = await farm.worker("worker-3", capabilities=["douyin"])
    await farm.worker("worker-30", capabilities=["other"])
    account_id = await add_account(farm, "Shop")
    memory = farm.master.memory.farm
    page = await looker.open("overview")
    await expect(page.locator(".top .badge.ok")).to_be_visible()
    box = page.get_by_role("combobox", name="Find, or type")

    async def command(text: str) -> None:
        await box.fill(text)
        await expect(page.get_by_role("option").first).to_be_visible()
        await page.keyboard.press("Enter")

    await command("drain worker-3")
    dialog = page.get_by_role("dialog", name="Take worker-3 out of service?")
    await expect(dialog).to_contain_text("1 cannot move")
    worker_row = await page.evaluate(ASK, ["GET", "workers/worker-3", None])
    assert worker_row["data"]["draining"] is None
    await page.keyboard.press("Escape")
    await command("pause shop")
    await until(lambda: memory.accounts.get(account_id).status == "paused")
    await command("resume shop")
    await until(lambda: memory.accounts.get(account_id).status == "active")
    await command(account_id)
    await expect(page.get_by_role("heading", name="Shop", exact=True)).to_be_visible()
    await command("delete shop")
    await expect(page.get_by_role("dialog", name="Delete Shop?")).to_be_visible()
    await page.keyboard.press("Escape")
    await command("log in shop")
    event = await worker.hear("master:login:start")
    await show_code(worker, event["session_id"])
    await expect(page.get_by_alt_text("QR code")).to_be_visible()
    assert memory.accounts.get(account_id) is not None


async def test_each_page_has_a_chord_and_the_list_of_keys_names_it(farm: Farm, looker: Looker):
    page = await looker.open("overview")
    await expect(page.locator(".top .badge.ok")).to_be_visible()
    chords = {"p": "Proxies", "c": "Processes", "e": "Events", "u": "Audit", "s": "System",
              "n": "Notifications", "o": "Overview"}  # fmt: skip
    await page.locator("main").press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    for key, name in chords.items():
        assert f"g {key}{name}" in ((await dialog.text_content()) or "")
    await page.keyboard.press("Escape")
    for key, name in chords.items():
        await page.evaluate(CHORD, key)
        await expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()


class TestGuarded:
    @pytest.fixture
    def given(self) -> dict[str, str]:
        return {**GUARDED, **PATIENT}

    async def test_a_reader_is_offered_no_command(self, farm: Farm, looker: Looker):
        await farm.worker("worker-3", capabilities=["douyin"])
        await add_account(farm, "Shop")
        page = await looker.open("overview")
        await page.get_by_label("Token", exact=True).fill(READER)
        await page.keyboard.press("Enter")
        await expect(page.locator(".top .badge.ok")).to_be_visible()
        box = page.get_by_role("combobox", name="Find, or type")
        for typed in ("drain worker-3", "pause shop", "audit", "system", "login shop"):
            await box.fill(typed)
            await expect(page.get_by_text("Nothing is like this.")).to_be_visible()
        await box.fill("shop")
        await expect(page.get_by_role("option")).to_have_count(1)
