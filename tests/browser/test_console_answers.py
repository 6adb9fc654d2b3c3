"""The console answers why: explanations, timelines, drains, and marks of other people."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Farm, Looker
from tests.browser.test_console import add_account, detect

expect = pytest.importorskip("playwright.async_api").expect

pytestmark = pytest.mark.browser


async def test_an_account_without_a_worker_says_why_and_what_would_help(farm: Farm, looker: Looker):
    await farm.worker(capabilities=["xiaohongshu"])
    account_id = await add_account(farm, "Lost")
    page = await looker.open(f"accounts/{account_id}")
    why = page.locator("section", has=page.get_by_role("heading", name="Why it is where it is"))
    await expect(why).to_contain_text("No worker has it: no worker takes this platform")
    await expect(why).to_contain_text("Start a worker that takes douyin.")
    await expect(why.get_by_role("row", name="worker-1")).to_contain_text(
        "does not take this platform"
    )
    await farm.worker("worker-2", capabilities=["douyin"])
    await expect(why).to_contain_text("worker-2 has it, but its login is of no use: not logged in")
    happened = page.get_by_role("region", name="What happened")
    await expect(happened.get_by_role("row").nth(1)).to_contain_text("assigned")
    await expect(happened).to_contain_text("account added")


async def test_a_worker_is_taken_out_of_service_and_put_back(farm: Farm, looker: Looker):
    await farm.worker()
    pinned = await add_account(farm, "Stays")
    page = await looker.open(f"accounts/{pinned}")
    await page.get_by_label("Pin to a worker").select_option("worker-1")
    await expect(page.get_by_text("pinned to worker-1")).to_be_visible()
    await page.goto(f"{farm.url}/console/#/workers/worker-1")
    await page.get_by_role("button", name="Take out of service").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("Its 1 accounts move to other workers")
    await dialog.get_by_label("Reason").fill("a new disk")
    await dialog.get_by_role("button", name="Take out of service").click()
    await expect(page.get_by_text("Out of service: 1 accounts left")).to_be_visible()
    row = farm.master.memory.farm.workers.get("worker-1")
    assert row is not None
    assert row.drain_reason == "a new disk"
    await page.get_by_role("button", name="Put back into service").click()
    await expect(page.get_by_role("button", name="Take out of service")).to_be_visible()
    happened = page.get_by_role("region", name="What happened")
    await expect(happened).to_contain_text("in service again")
    assert farm.master.memory.farm.workers.get("worker-1").drain_since is None


async def test_what_another_person_reads_is_read_here_as_well(farm: Farm, looker: Looker):
    worker = await farm.worker()
    account_id = await add_account(farm)
    await detect(worker, account_id, "one", "two")
    here, there = await looker.open("inbox"), await looker.open("inbox")
    await expect(here.locator(".message.unread")).to_have_count(2)
    await expect(there.locator(".message.unread")).to_have_count(2)
    await there.locator(".message.unread").first.get_by_role("button").click()
    await expect(there.locator(".message.unread")).to_have_count(1)
    await expect(here.locator(".message.unread")).to_have_count(1)
