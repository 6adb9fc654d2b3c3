"""The messages of the last hour on the Overview, in a real browser."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.conftest import Farm, Looker
from tests.browser.test_console import add_account, detect
from tests.browser.test_console_axe import CUT, RUN

expect = pytest.importorskip("playwright.async_api").expect
expect.set_options(timeout=25_000)

pytestmark = pytest.mark.browser


@pytest.fixture
def given() -> dict[str, str]:
    return {"HEARTBEAT_TIMEOUT_S": "600"}


def is_reading(url: str) -> bool:
    return url.endswith("/statistics/minutes")


async def test_each_message_is_drawn_once_as_it_comes(farm: Farm, looker: Looker):
    worker = await farm.worker()
    account = await add_account(farm)
    await detect(worker, account, "one", "two")
    page = await looker.open("overview")
    chart = page.get_by_role("img", name="Messages per minute")
    await expect(page.get_by_text("2 in all, at most")).to_be_visible()
    await expect(chart.locator("rect.unknown")).to_have_count(1)
    before = sum(map(is_reading, looker.requests))
    await detect(worker, account, "three")
    event: dict[str, Any] = {"type": "comment", "account_id": account}
    again = [{"platform_comment_id": "one", "content": "one", "author_name": "Mia"}]
    edited = [{"platform_comment_id": "two", "content": "changed", "author_name": "Mia"}]
    for items in (again, edited):
        answer = await worker.ask("worker:message:detected", {**event, "messages": items})
        assert (answer["inserted"], answer["duplicates"]) == (0, 1)
    await detect(worker, account, "four")
    await expect(page.get_by_text("4 in all, at most")).to_be_visible()
    # counted from what is told: read again only because a minute began meanwhile
    assert sum(map(is_reading, looker.requests)) <= before + 1
    await page.get_by_text("As a table").click()
    table = page.get_by_role("region", name="Messages per minute")
    await expect(table.get_by_role("row")).to_have_count(61)
    numbers = await table.locator("tbody td").all_inner_texts()
    assert sum(int(one) for one in numbers if one != "unknown") == 4
    assert numbers[-1] == "unknown"


async def test_a_minute_later_it_is_read_once_with_what_no_event_tells(farm: Farm, looker: Looker):
    worker = await farm.worker()
    account = await add_account(farm)
    page = await looker.make_page(language="en", theme="light", width=1280)
    await page.clock.install()
    await page.goto(f"{farm.url}/console/#/overview")
    await expect(page.get_by_text("No message in this hour.")).to_be_visible()
    answer = {"platform_message_id": "d1", "content": "ours", "sender_name": "Shop"}
    event = {"type": "direct_message", "account_id": account}
    items = [{**answer, "direction": "outbound"}]
    told = await worker.ask("worker:message:detected", {**event, "messages": items})
    assert told["inserted"] == 1
    before = sum(map(is_reading, looker.requests))
    await page.clock.run_for(60_000)
    await expect(page.get_by_text("1 in all, at most 1 in a minute")).to_be_visible()
    assert sum(map(is_reading, looker.requests)) - before in (1, 2)  # a minute may just begin


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
async def test_the_chart_and_its_table_are_accessible(
    farm: Farm, looker: Looker, axe: str, language: str, theme: str, width: int
):
    worker = await farm.worker()
    await detect(worker, await add_account(farm), "one", "two")
    page = await looker.open("overview", language=language, theme=theme, width=width)
    await page.locator(".minutes summary").click()
    await expect(page.locator(".minutes tbody tr")).to_have_count(60)
    await page.evaluate(axe)
    wide = await page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert ([*await page.evaluate(RUN), *await page.evaluate(CUT)], wide) == ([], False)
