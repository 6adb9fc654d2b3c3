"""Unread messages in the list of accounts, and views that a person saves, in a real browser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from master.operations.views import save_view
from master.protocol.views import NewView
from tests.browser.conftest import Farm, Looker
from tests.browser.test_console import GUARDED, HOSTILE, READER, ROOT, add_account, detect
from tests.browser.test_console_axe import CUT, RUN
from tests.browser.test_console_bulk import PATIENT
from tests.browser.test_console_system import ASK

if TYPE_CHECKING:
    from playwright.async_api import Page

expect = pytest.importorskip("playwright.async_api").expect
expect.set_options(timeout=25_000)

pytestmark = pytest.mark.browser

LISTS = {
    "accounts?status=paused": "Accounts",
    "workers?status=offline": "Workers",
    "inbox?unread=1": "Inbox",
    "notifications?priority=urgent": "Notifications",
    "logins": "Logins",
    "events?kind=message%3Aread": "Events",
    "audit?by=anna": "Audit",
}

LOOKS = [
    ("en", "light", 1280), ("zh", "dark", 390), ("zh", "light", 1280), ("en", "dark", 390),
]  # fmt: skip


@pytest.fixture
def given() -> dict[str, str]:
    return PATIENT


async def save(page: Page, name: str) -> None:
    await page.get_by_role("button", name="Save this view").click()
    await page.get_by_role("dialog").get_by_label("Name").fill(name)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog")).to_have_count(0)


def find_view(page: Page, name: str) -> Any:
    return page.get_by_role("navigation").get_by_role("link", name=name, exact=True)


async def test_accounts_are_filtered_and_sorted_by_unread_messages_as_they_come(
    farm: Farm, looker: Looker
):
    worker = await farm.worker(capabilities=["douyin"])
    some, most, none = [await add_account(farm, name) for name in ("Some", "Most", "None")]
    await detect(worker, some, "one")
    await detect(worker, most, "two", "three")
    page = await looker.open("accounts")
    table = page.locator("main tbody")
    names = table.get_by_role("rowheader")
    await expect(table.get_by_role("row")).to_have_count(3)
    await page.get_by_label("Order").select_option("most unread first")
    await expect(page).to_have_url(re.compile(r"#/accounts\?sort=-unread$"))
    await expect(names).to_have_text(["Most", "Some", "None"])
    await page.get_by_label("with unread messages").check()
    await expect(page).to_have_url(re.compile(r"#/accounts\?sort=-unread&unread=1$"))
    await expect(table.get_by_role("row")).to_have_count(2)
    await detect(worker, none, "four", "five", "six")  # the page hears of them
    await expect(table.get_by_role("row")).to_have_count(3)
    await expect(names).to_have_text(["None", "Most", "Some"])
    answer = await page.evaluate(ASK, ["POST", "messages/read", {"account_id": most}])
    assert answer["success"]
    await expect(table.get_by_role("row")).to_have_count(2)
    await page.reload()
    await expect(table.get_by_role("row")).to_have_count(2)
    await expect(names).to_have_text(["None", "Some"])
    await table.get_by_role("link", name="None: 3 unread").click()
    await expect(page.get_by_role("heading", name="Inbox")).to_be_visible()
    await expect(page).to_have_url(re.compile(rf"#/inbox\?account={none}&unread=1$"))
    await expect(page.locator(".message.unread")).to_have_count(3)


async def test_an_inbox_without_unread_comments_leads_to_direct_messages(
    farm: Farm, looker: Looker
):
    worker = await farm.worker(capabilities=["douyin"])
    account_id = await add_account(farm)
    talk = {"platform_message_id": "m", "content": "Hello?", "sender_name": "Wu"}
    event = {"type": "direct_message", "account_id": account_id, "messages": [talk]}
    assert (await worker.ask("worker:message:detected", event))["inserted"] == 1
    page = await looker.open("accounts")
    await page.get_by_role("link", name="Shop: 1 unread").click()
    await page.get_by_role("link", name="Look at direct messages").click()
    await expect(page.get_by_text("Hello?")).to_be_visible()


async def test_a_view_is_saved_opened_elsewhere_renamed_and_deleted(farm: Farm, looker: Looker):
    await add_account(farm, "Shop")
    page = await looker.open("accounts?status=paused&q=小+shop&add=1")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.keyboard.press("Escape")
    await save(page, "Paused shops")
    await expect(page.get_by_text("The view “Paused shops” is saved.")).to_be_visible()
    await expect(page.get_by_role("button", name="Rename: Paused shops")).to_be_focused()
    view = find_view(page, "Paused shops")
    await expect(view).to_have_attribute("aria-current", "true")
    assert await view.get_attribute("href") == "#/accounts?q=%E5%B0%8F+shop&status=paused"
    there = await looker.open("overview")  # another browser
    await find_view(there, "Paused shops").click()
    await expect(there.get_by_label("Text")).to_have_value("小 shop")
    await expect(there.get_by_role("combobox", name="Status")).to_have_value("paused")
    await there.get_by_role("button", name="Rename: Paused shops").click()
    dialog = there.get_by_role("dialog", name="Rename Paused shops")
    await dialog.get_by_label("Name").fill("Resting")
    await there.keyboard.press("Enter")
    await expect(find_view(there, "Resting")).to_be_visible()
    await expect(find_view(there, "Paused shops")).to_have_count(0)
    await there.get_by_role("combobox", name="Status").select_option("active")
    await there.get_by_role("button", name="Save this view").click()
    await there.get_by_role("dialog").get_by_label("Name").fill("Resting")
    await expect(there.get_by_text("You have a view of this name. It is replaced.")).to_be_visible()
    await there.keyboard.press("Enter")
    await expect(find_view(there, "Resting")).to_have_attribute("href", re.compile("status=active"))
    await page.reload()
    await expect(find_view(page, "Resting")).to_have_count(1)
    await find_view(page, "Resting").click()
    await page.get_by_role("button", name="Delete: Resting").click()
    dialog = page.get_by_role("dialog", name="Delete the view Resting?")
    await dialog.get_by_role("button", name="Delete").click()
    await expect(find_view(page, "Resting")).to_have_count(0)
    await expect(page.get_by_role("button", name="Save this view")).to_be_focused()
    assert (await page.evaluate(ASK, ["GET", "console/views", None]))["data"] == []


async def test_each_list_can_be_saved_and_is_found_in_the_box_by_keys_alone(
    farm: Farm, looker: Looker
):
    page = await looker.open("overview")
    await expect(page.locator(".top .badge.ok")).to_be_visible()
    for place, name in LISTS.items():
        await page.evaluate("(place) => { location.hash = `#/${place}`; }", place)
        await expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
        button = page.get_by_role("button", name="Save this view")
        await button.focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("dialog").get_by_label("Name")).to_be_focused()
        await page.keyboard.type(f"my {name.lower()}")
        await page.keyboard.press("Enter")
        await expect(find_view(page, f"my {name.lower()}")).to_be_visible()
    rail = page.get_by_role("navigation")
    await expect(rail.get_by_role("list", name="Saved views: Audit")).to_contain_text("my audit")
    box = page.get_by_role("combobox", name="Find, or type")
    for place, name in LISTS.items():
        await page.evaluate("location.hash = '#/overview'")
        await expect(page.get_by_role("heading", name="Overview")).to_be_visible()
        await page.locator("main").press("/")
        await page.keyboard.type(f"MY {name}")
        await expect(page.get_by_role("option")).to_have_text(f"my {name.lower()}{name} · view")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
        assert page.url.endswith(f"#/{place}")
        await expect(box).to_have_value("")


async def test_a_name_is_text_and_a_refusal_is_told(farm: Farm, looker: Looker):
    for number in range(99):
        await farm.run(save_view, NewView(name=f"View {number}", url=f"#/audit?by=a{number}"))
    page = await looker.open("accounts?q=x")
    await save(page, HOSTILE)
    await expect(find_view(page, HOSTILE)).to_be_visible()
    await expect(page.get_by_text("and 89 more, in the box on top")).to_be_visible()
    await page.get_by_label("Text").fill("y")
    await page.get_by_role("button", name="Save this view").click()
    await page.get_by_role("dialog").get_by_label("Name").fill("One more")
    await page.keyboard.press("Enter")
    alert = page.get_by_role("alert").filter(has_text="too_many_views")
    await expect(alert).to_contain_text("You have 100 saved views")
    await page.keyboard.press("Escape")
    await expect(find_view(page, "One more")).to_have_count(0)
    assert await page.evaluate("window.pwned") is None


async def test_views_and_their_dialogs_are_accessible(farm: Farm, looker: Looker, axe: str):
    await add_account(farm, "Shop")
    names = ("Unread", "A view with a name that is as long as a name of a view can be, 60", "未读")
    for number, name in enumerate(names):
        await farm.run(save_view, NewView(name=name[:60], url=f"#/accounts?q=a{number}"))
    found: dict[str, Any] = {}
    for language, theme, width in LOOKS:
        page = await looker.open("accounts", language=language, theme=theme, width=width)
        await expect(page.locator(".top .badge.ok")).to_be_visible()
        await page.evaluate(axe)
        for place, button in (
            ("accounts?q=new", "Save this view|保存此视图"),
            ("accounts?q=a0", "Rename: Unread|重命名: Unread"),
            ("accounts?q=a1", ""),
            ("accounts?q=a0", "Delete: Unread|删除: Unread"),
        ):
            await page.evaluate("(place) => { location.hash = `#/${place}`; }", place)
            if button:
                name = button.split("|")[language == "zh"]
                await page.get_by_role("button", name=name).click()
                await expect(page.get_by_role("dialog")).to_be_visible()
            wide = await page.evaluate("document.documentElement.scrollWidth > innerWidth")
            trouble = [*await page.evaluate(RUN), *await page.evaluate(CUT), *(["wide"] * wide)]
            if trouble:
                found[f"{place} {button} {language} {theme} {width}"] = trouble
            await page.keyboard.press("Escape")
            await expect(page.get_by_role("dialog")).to_have_count(0)
        await page.context.close()
    assert found == {}


class TestGuarded:
    @pytest.fixture
    def given(self) -> dict[str, str]:
        return {**GUARDED, **PATIENT}

    async def test_a_reader_has_views_and_sees_none_of_another(self, farm: Farm, looker: Looker):
        page = await looker.open("accounts?q=x")
        await page.get_by_label("Token", exact=True).fill(READER)
        await page.keyboard.press("Enter")
        await save(page, "Of ben")
        await expect(find_view(page, "Of ben")).to_be_visible()
        await page.get_by_role("button", name="ben", exact=True).click()
        await page.get_by_role("button", name="Sign out").click()
        await expect(find_view(page, "Of ben")).to_have_count(0)
        await page.get_by_label("Token", exact=True).fill(ROOT)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="anna", exact=True)).to_be_visible()
        await expect(page.get_by_role("button", name="Save this view")).to_be_visible()
        await expect(find_view(page, "Of ben")).to_have_count(0)
