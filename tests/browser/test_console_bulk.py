"""What people do to many accounts at once, and to a worker with a plan, in a real browser."""

from __future__ import annotations

from typing import Any

import pytest

from master.operations.accounts import add_account as add_row
from master.protocol.http import NewAccount
from tests.browser.conftest import Farm, Looker
from tests.browser.test_console import COOKIES, GUARDED, add_account, show_code
from tests.browser.test_console_system import ASK
from tests.waiting import until

expect = pytest.importorskip("playwright.async_api").expect
expect.set_options(timeout=25_000)

pytestmark = pytest.mark.browser

PATIENT = {"HEARTBEAT_TIMEOUT_S": "600"}
"""Scripted workers send no heartbeats, and the machine may be slow."""


@pytest.fixture
def given() -> dict[str, str]:
    return PATIENT


async def add_many(farm: Farm, number: int) -> list[str]:
    return [await add_account(farm, f"Shop {one:03}") for one in range(number)]


def read(farm: Farm, account_id: str) -> Any:
    return farm.master.memory.farm.accounts.get(account_id)


async def test_a_range_is_selected_and_each_bulk_action_is_done(farm: Farm, looker: Looker):
    await farm.worker("worker-1", capabilities=["douyin"])
    await add_many(farm, 6)
    page = await looker.open("accounts")
    bar = page.get_by_role("group", name="What to do with the selected accounts")
    boxes = page.locator("tbody input[type=checkbox]")
    await expect(boxes).to_have_count(6)
    ids = [str(await boxes.nth(one).get_attribute("value")) for one in range(6)]
    await boxes.nth(1).click()
    await boxes.nth(4).click(modifiers=["Shift"])
    await expect(bar).to_contain_text("4 selected")
    await bar.get_by_role("button", name="Pause").click()
    chosen, others = ids[1:5], [ids[0], ids[5]]
    await until(lambda: all(read(farm, one).status == "paused" for one in chosen))
    assert {read(farm, one).status for one in others} == {"active"}
    await expect(page.get_by_text("Pause: 4 of 4 accounts done.")).to_be_visible()
    await bar.get_by_role("button", name="Activate").click()
    await until(lambda: all(read(farm, one).status == "active" for one in chosen))
    await bar.get_by_role("button", name="Pin …").click()
    await page.get_by_role("dialog").get_by_role("button", name="Save").click()
    await until(lambda: all(read(farm, one).pinned_worker_id == "worker-1" for one in chosen))
    assert {read(farm, one).pinned_worker_id for one in others} == {None}
    await bar.get_by_role("button", name="Unpin").click()
    await until(lambda: all(read(farm, one).pinned_worker_id is None for one in chosen))
    await bar.get_by_role("button", name="Set the interval …").click()
    await page.get_by_label("Seconds between checks").fill("77")
    await page.keyboard.press("Enter")
    await until(lambda: all(read(farm, one).monitor_interval == 77 for one in chosen))
    assert {read(farm, one).monitor_interval for one in others} == {20}
    await boxes.nth(3).click(modifiers=["Shift"])
    await expect(bar).to_contain_text("2 selected")  # the range from 4 to 3 is off again


async def test_all_that_match_are_selected_and_nothing_that_is_not_shown(
    farm: Farm, looker: Looker
):
    ids = await add_many(farm, 210)
    page = await looker.open("accounts?q=shop 00")
    await page.get_by_label("Select all 10 that match").click()
    bar = page.get_by_role("group", name="What to do with the selected accounts")
    await expect(bar).to_contain_text("10 selected")
    await page.get_by_label("Text").fill("shop 000")
    await expect(bar).to_contain_text("1 selected")
    await bar.get_by_role("button", name="Pause").click()
    await until(lambda: read(farm, ids[0]).status == "paused")
    assert read(farm, ids[1]).status == "active"
    await page.get_by_label("Text").fill("")
    await page.get_by_label("Select all 210 that match").click()
    await bar.get_by_role("button", name="Delete …").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("and 200 more")
    await dialog.get_by_label("Type the number").fill("21")
    await expect(dialog.get_by_role("button", name="Delete")).to_be_disabled()
    await dialog.get_by_label("Type the number").fill("210")
    await dialog.get_by_role("button", name="Delete").click()
    await expect(page.get_by_text("There is no account yet.")).to_be_visible()
    assert list(farm.master.memory.farm.accounts.all()) == []


async def test_what_was_refused_is_told_for_each_account_until_it_is_read(
    farm: Farm, looker: Looker
):
    await farm.worker("worker-1", capabilities=["douyin"])
    await farm.worker("worker-2", capabilities=["other"])
    await add_many(farm, 2)
    for name in ("Cafe", "Hotel"):
        await farm.run(add_row, NewAccount(platform="other", account_name=name))
    page = await looker.open("accounts")
    await page.get_by_label("Select all 4 that match").click()
    await page.get_by_role("button", name="Pin …").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Worker").select_option("worker-2")
    await dialog.get_by_role("button", name="Save").click()
    alert = page.get_by_role("alert").filter(has_text="accounts done")
    await expect(alert).to_contain_text("2 of 4 accounts done. 2 were refused")
    await expect(alert.get_by_role("row")).to_have_count(3)
    await expect(alert).to_contain_text("The worker does not take this platform.")
    await expect(alert).to_contain_text("worker_unfit")
    await page.get_by_role("link", name="Workers").click()
    await expect(page.get_by_role("heading", name="Workers")).to_be_visible()
    await page.get_by_role("navigation").get_by_role("link", name="Accounts").click()
    await expect(alert).to_contain_text("2 were refused")
    await alert.get_by_role("button", name="Dismiss").click()
    await expect(page.get_by_text("2 were refused")).to_have_count(0)


async def test_many_are_logged_in_three_at_a_time(farm: Farm, looker: Looker):
    worker = await farm.worker("worker-1", capabilities=["douyin"])
    await add_many(farm, 5)
    page = await looker.open("accounts")
    await page.get_by_label("Select all 5 that match").click()
    await page.get_by_role("button", name="Log in one after another").click()
    await expect(page.get_by_role("heading", name="Logins", exact=True)).to_be_visible()
    line = page.get_by_role("group", name="Logging in one after another")
    await expect(line).to_contain_text("0 of 5 have ended, 3 are open, 2 wait.")
    starts = [await worker.hear("master:login:start", number) for number in (1, 2, 3)]
    await page.get_by_role("link", name="Overview").click()  # it goes on without its page
    await show_code(worker, starts[0]["session_id"])
    event = {"session_id": starts[0]["session_id"], "status": "success", "cookies": COOKIES}
    await worker.ask("worker:login:status", {**event, "user_info": {"uid": "1"}})
    starts.append(await worker.hear("master:login:start", 4))
    await page.get_by_role("navigation").get_by_role("link", name="Logins").click()
    await expect(line).to_contain_text("1 of 5 have ended, 3 are open, 1 wait.")
    await worker.ask(
        "worker:login:status", {"session_id": starts[1]["session_id"], "status": "failed",
                                "error_message": "the phone said no"},
    )  # fmt: skip
    starts.append(await worker.hear("master:login:start", 5))
    assert len({one["account_id"] for one in starts}) == 5
    await expect(line).to_contain_text("2 of 5 have ended, 3 are open, 0 wait.")
    for start in starts[2:]:
        event = {"session_id": start["session_id"], "status": "success", "cookies": COOKIES}
        who = {"user_info": {"uid": start["session_id"]}}
        await worker.ask("worker:login:status", {**event, **who})
    ended = page.get_by_role("alert").filter(has_text="5 of 5 have ended")
    await expect(ended).to_contain_text("the phone said no")
    await ended.get_by_role("button", name="Dismiss").click()
    await expect(page.get_by_text("5 of 5 have ended")).to_have_count(0)


async def test_a_login_that_fails_while_the_page_is_away_is_told_as_well(
    farm: Farm, looker: Looker
):
    worker = await farm.worker("worker-1", capabilities=["douyin"])
    await add_many(farm, 2)
    page = await looker.open("accounts")
    await page.get_by_label("Select all 2 that match").click()
    await page.get_by_role("button", name="Log in one after another").click()
    line = page.get_by_role("group", name="Logging in one after another")
    await expect(line).to_contain_text("0 of 2 have ended, 2 are open, 0 wait.")
    starts = [await worker.hear("master:login:start", number) for number in (1, 2)]
    await expect(page.get_by_role("link", name="Open: ")).to_have_count(2)
    await page.context.set_offline(True)
    await expect(page.locator(".top .badge")).not_to_contain_text("live", timeout=60_000)
    for start in starts:
        event = {"session_id": start["session_id"], "status": "failed"}
        await worker.ask("worker:login:status", {**event, "error_message": "the phone said no"})
    await page.context.set_offline(False)
    ended = page.get_by_role("alert").filter(has_text="2 of 2 have ended")
    await expect(ended.get_by_role("row", name="the phone said no")).to_have_count(
        2, timeout=60_000
    )


async def test_a_drain_shows_its_plan_before_it_begins(farm: Farm, looker: Looker):
    await farm.worker("worker-1", capabilities=["douyin", "other"], maxAccounts=5)
    ids = await add_many(farm, 5)
    await farm.worker("worker-2", capabilities=["douyin"], maxAccounts=3)
    page = await looker.open("workers/worker-1")
    await page.get_by_role("button", name="Take out of service").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("3 of 5 accounts move:")
    await expect(dialog).to_contain_text("3 → worker-2")
    await expect(dialog).to_contain_text("2 cannot move")
    await expect(dialog).to_contain_text("all connected workers are full")
    row = await page.evaluate(ASK, ["GET", "workers/worker-1", None])
    assert row["data"]["draining"] is None
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await page.get_by_role("button", name="Take out of service").click()
    await dialog.get_by_label("Reason").fill("new disk")
    await dialog.get_by_role("button", name="Take out of service").click()
    await until(lambda: sum(read(farm, one).assigned_worker_id == "worker-2" for one in ids) == 3)
    await expect(page.get_by_text("2 accounts left, 3 have moved")).to_be_visible()
    await page.get_by_role("button", name="Put back into service").click()
    await expect(page.get_by_role("button", name="Take out of service")).to_be_visible()


class TestScopes:
    @pytest.fixture
    def given(self) -> dict[str, str]:
        tokens = f"{GUARDED['ADMIN_TOKENS']},otto:operator-secret-token:operate"
        return {**GUARDED, **PATIENT, "ADMIN_TOKENS": tokens}

    @pytest.mark.parametrize("token", ["reader-secret-token", "operator-secret-token"])
    async def test_bulk_actions_are_for_operators_and_deletion_for_administrators(
        self, farm: Farm, looker: Looker, token: str
    ):
        await add_many(farm, 2)
        page = await looker.open("accounts")
        await page.get_by_label("Token", exact=True).fill(token)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("link", name="Shop 001")).to_be_visible()
        if token.startswith("reader"):
            await expect(page.locator("main tbody input[type=checkbox]")).to_have_count(0)
            await expect(page.get_by_label("Select all")).to_have_count(0)
            return
        await page.get_by_label("Select: Shop 001").click()
        await expect(page.get_by_role("button", name="Unpin")).to_be_visible()
        await expect(page.get_by_role("button", name="Delete …")).to_have_count(0)
