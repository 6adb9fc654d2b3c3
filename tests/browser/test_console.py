"""What people do in the console, in a real browser, with a real Master and real workers."""

from __future__ import annotations

import os
import re

import pytest

from master.signins import make_link
from tests.browser.conftest import Farm, Looker
from tests.waiting import until

expect = pytest.importorskip("playwright.async_api").expect
expect.set_options(timeout=25_000)

pytestmark = pytest.mark.browser

ROOT, READER, WORKER = "administrator-secret-token", "reader-secret-token", "any-worker-secret"
GUARDED = {
    "ADMIN_TOKENS": f"anna:{ROOT},ben:{READER}:read",
    "WORKER_TOKENS": f"*:{WORKER}",
    "TOKEN_OF_WORKERS": WORKER,
}
HOSTILE = "<img src=x onerror='window.pwned=1'>"
PROFILE = {"nickname": "小店", "uid": "7001"}
COOKIES = [{"name": "sessionid", "value": "v", "domain": ".douyin.com"}]


async def add_account(farm: Farm, name: str = "Shop") -> str:
    from master.operations.accounts import add_account
    from master.protocol.http import NewAccount

    row = await farm.run(add_account, NewAccount(platform="douyin", account_name=name))
    return str(row["id"])


async def report(worker, session_id: str, status: str, **words) -> None:
    answer = await worker.ask(
        "worker:login:status", {"session_id": session_id, "status": status, **words}
    )
    assert answer["success"], answer


async def show_code(worker, session_id: str) -> None:
    event = {"session_id": session_id, "qr_code_data": f"https://scan.example/{session_id}"}
    answer = await worker.ask("worker:login:qrcode", event)
    assert answer["success"], answer


async def detect(worker, account_id: str, *texts: str, author: str = "Mia") -> None:
    items = [
        {"platform_comment_id": text, "content": text, "author_name": author} for text in texts
    ]
    event = {"type": "comment", "account_id": account_id, "messages": items}
    answer = await worker.ask("worker:message:detected", event)
    assert answer["inserted"] == len(texts), answer


class TestGuarded:
    @pytest.fixture
    def given(self) -> dict[str, str]:
        return GUARDED

    async def test_a_person_signs_in_with_a_token_and_out_again(self, looker: Looker):
        page = await looker.open("accounts")
        await page.get_by_label("Token", exact=True).fill("a-wrong-token-of-nobody")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert").get_by_text("unauthorized")).to_be_visible()
        await page.get_by_label("Token", exact=True).fill(ROOT)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("heading", name="Accounts")).to_be_visible()
        assert "secret" not in await page.evaluate("JSON.stringify(localStorage) + document.cookie")
        await page.reload()
        await expect(page.locator(".top .badge")).to_contain_text("live")
        await page.get_by_role("link", name="Sessions").click()
        await expect(page.get_by_text("this one")).to_be_visible()
        await page.get_by_role("button", name="anna", exact=True).click()
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_label("Token", exact=True)).to_be_visible()
        await expect(page.get_by_role("heading", name="this one")).to_have_count(0)

    async def test_a_link_signs_in_once_and_leaves_the_address(self, farm: Farm, looker: Looker):
        now = farm.master.clock.now()
        secret = make_link(farm.master.settings.db_path, "anna", now, os.urandom)
        page = await looker.open()
        await page.goto(f"{farm.url}/console/?again#signin={secret}")
        await expect(page.locator(".top .badge")).to_contain_text("live")
        assert "signin" not in page.url
        other = await looker.open()
        await other.goto(f"{farm.url}/console/?again#signin={secret}")
        await expect(other.get_by_text("used already")).to_be_visible()

    async def test_who_may_only_look_has_no_buttons_that_change(self, farm: Farm, looker: Looker):
        worker = await farm.worker()
        account_id = await add_account(farm)
        await detect(worker, account_id, "hello")
        page = await looker.open("accounts")
        await page.get_by_label("Token", exact=True).fill(READER)
        await page.keyboard.press("Enter")
        of_one = f"accounts/{account_id}"
        for place in ("overview", "inbox", "accounts", of_one, "workers/worker-1"):
            await page.goto(f"{farm.url}/console/#/{place}")
            await expect(page.locator("main h1")).to_be_visible()
            changes = re.compile("Log in|Add|Pause|Delete|Mark as read|Restart|Stop|Start")
            await expect(page.locator("main button").filter(has_text=changes)).to_have_count(0)

    async def test_an_ended_session_hides_nothing_but_asks_again(self, farm: Farm, looker: Looker):
        page = await looker.open("accounts")
        await page.get_by_label("Token", exact=True).fill(ROOT)
        await page.keyboard.press("Enter")
        await expect(page.locator(".top .badge")).to_contain_text("live")
        (session,) = farm.master.access.signins.list()
        farm.master.access.signins.end(session.id)
        await page.get_by_label("Token", exact=True).fill(ROOT)
        await page.keyboard.press("Enter")
        await expect(page.locator(".top .badge")).to_contain_text("live")


async def test_an_account_is_added_and_logged_in_with_a_text_messages_code(
    farm: Farm, looker: Looker
):
    page = await looker.open("overview")
    await expect(page.get_by_text("No token is set")).to_be_visible()
    await expect(page.get_by_text("Connect a worker")).to_be_visible()
    worker = await farm.worker(capabilities=["douyin"])
    await page.get_by_role("link", name="Add an account").click()
    await page.get_by_label("Name", exact=True).fill(HOSTILE)
    await page.get_by_role("dialog").get_by_role("button", name="Save").click()
    await expect(page.get_by_role("heading", name=HOSTILE)).to_be_visible()
    await expect(page.get_by_role("link", name="worker-1").first).to_be_visible()
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_text("Waiting for worker-1 to send a code")).to_be_visible()
    session_id = (await worker.hear("master:login:start"))["session_id"]
    await show_code(worker, session_id)
    code = page.get_by_alt_text("QR code")
    await expect(code).to_be_visible()
    assert await code.evaluate("async (image) => (await image.decode(), image.naturalWidth)") > 100
    await report(worker, session_id, "scanned")
    await expect(page.get_by_text("Scanned. Confirm on the phone.")).to_be_visible()
    await expect(code).to_have_count(0)
    await report(worker, session_id, "sms_input_required", step="sms", message="code sent to 138")
    await page.get_by_role("textbox", name="Code of the text message").fill("246810")
    await page.keyboard.press("Enter")
    typed = await worker.hear("master:login:user_input")
    assert (typed["input_type"], typed["value"]) == ("sms_code", "246810")
    await report(worker, session_id, "success", cookies=COOKIES, user_info=PROFILE)
    await expect(page.get_by_text("Logged in as 小店.")).to_be_visible()
    await page.get_by_role("link", name="Back to the account").click()
    await expect(page.get_by_text("Logged in as 小店")).to_be_visible()
    assert await page.evaluate("window.pwned") is None


async def test_another_person_is_told_and_not_kept(farm: Farm, looker: Looker):
    worker = await farm.worker()
    account_id = await add_account(farm)
    page = await looker.open(f"accounts/{account_id}")
    for number, uid in enumerate(("7001", "7002"), 1):
        await page.get_by_role("button", name="Log in", exact=True).click()
        session_id = (await worker.hear("master:login:start", number))["session_id"]
        await show_code(worker, session_id)
        await expect(page.get_by_alt_text("QR code")).to_be_visible()
        profile = {"nickname": f"person {uid}", "uid": uid}
        await worker.ask(
            "worker:login:status",
            {"session_id": session_id, "status": "success", "cookies": COOKIES,
             "user_info": profile},
        )  # fmt: skip
        if number == 1:
            await page.get_by_role("link", name="Back to the account").click()
    await expect(page.get_by_role("heading", name="Another person has logged in")).to_be_visible()
    await page.get_by_role("button", name="Start again and take whoever logs in").click()
    assert (await worker.hear("master:login:start", 3))["account_id"] == account_id


async def test_a_code_is_replaced_by_a_newer_one_and_removed_at_the_end(farm: Farm, looker: Looker):
    worker = await farm.worker()
    account_id = await add_account(farm)
    page, other = await looker.open(f"accounts/{account_id}"), await looker.open("logins")
    await page.get_by_role("button", name="Log in", exact=True).click()
    session_id = (await worker.hear("master:login:start"))["session_id"]
    await show_code(worker, session_id)
    image = page.get_by_alt_text("QR code")
    before = await image.get_attribute("src")
    await show_code(worker, session_id)
    await expect(image).not_to_have_attribute("src", before or "")
    await other.get_by_role("link", name="Open: Shop").click()
    await expect(other.get_by_alt_text("QR code")).to_be_visible()
    await page.get_by_role("button", name="Cancel this login").click()
    for one in (page, other):
        await expect(one.get_by_text("It failed: The login was cancelled.")).to_be_visible()
        await expect(one.get_by_alt_text("QR code")).to_have_count(0)


async def test_a_message_is_read_by_a_key_and_new_ones_wait_behind_a_bar(
    farm: Farm, looker: Looker
):
    worker = await farm.worker()
    account_id = await add_account(farm)
    await detect(worker, account_id, HOSTILE, author=HOSTILE)
    page = await looker.open("inbox")
    await expect(page.locator(".message.unread")).to_have_count(1)
    await detect(worker, account_id, "a second one")
    await expect(page.locator(".message")).to_have_count(1)
    await page.get_by_role("button", name="1 new").click()
    await expect(page.locator(".message")).to_have_count(2)
    await page.locator("main").press("e")
    await expect(page.locator(".message.unread")).to_have_count(1)
    await page.get_by_role("checkbox", name="unread only").check()
    await expect(page.locator(".message")).to_have_count(1)
    await page.get_by_role("button", name="Mark as read").click()
    await page.reload()
    await expect(page.get_by_text("Nothing unread.")).to_be_visible()
    assert await page.evaluate("window.pwned") is None


async def test_a_page_says_since_when_it_is_not_live_and_catches_up_after_a_restart(
    farm: Farm, looker: Looker
):
    await farm.worker()
    first = await add_account(farm, "First")
    page = await looker.open("accounts")
    await expect(page.get_by_role("link", name="First")).to_be_visible()
    await page.context.set_offline(True)
    await page.evaluate("window.mark = 1")
    await farm.restart()
    await expect(page.get_by_text("Not connected since")).to_be_visible()
    await expect(page.get_by_role("link", name="First")).to_be_visible()
    await add_account(farm, "Second")
    from master.operations.accounts import remove_account
    from master.protocol.http import ById

    await farm.run(remove_account, ById.model_validate({"{id}": first}))
    await page.context.set_offline(False)
    await expect(page.get_by_role("link", name="Second")).to_be_visible()
    await expect(page.get_by_role("link", name="First")).to_have_count(0)
    await expect(page.get_by_text("Not connected since")).to_have_count(0)
    assert await page.evaluate("window.mark") == 1


async def test_an_error_stays_until_it_is_read_with_its_code_and_request(
    farm: Farm, looker: Looker
):
    account_id = await add_account(farm)
    page = await looker.open(f"accounts/{account_id}")
    await page.get_by_role("button", name="Log in", exact=True).click()
    trouble = page.get_by_role("alert")
    await expect(trouble).to_contain_text("no_worker")
    await expect(trouble).to_contain_text("request ")
    await page.get_by_role("link", name="Workers").click()
    await expect(trouble).to_contain_text("no_worker")
    await page.get_by_role("button", name="Dismiss").click()
    await expect(trouble).to_be_empty()


async def test_a_deletion_says_what_is_lost_and_asks_for_the_name(farm: Farm, looker: Looker):
    worker = await farm.worker()
    account_id = await add_account(farm)
    await detect(worker, account_id, "one", "two")
    page = await looker.open(f"accounts/{account_id}")
    await page.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("2 comments and 0 direct messages")
    await expect(dialog.get_by_role("button", name="Delete")).to_be_disabled()
    await dialog.get_by_label("Type its name").fill("Shop")
    await dialog.get_by_role("button", name="Delete").click()
    await expect(page.get_by_text("There is no account yet.")).to_be_visible()
    await until(lambda: farm.master.memory.farm.accounts.get(account_id) is None)


async def test_filters_are_in_the_address_and_keys_lead_everywhere(farm: Farm, looker: Looker):
    for name in ("Shop", "Hotel"):
        await add_account(farm, name)
    page = await looker.open("accounts?place=waiting&q=sho")
    await expect(page.get_by_role("link", name="Shop")).to_be_visible()
    await expect(page.get_by_role("link", name="Hotel")).to_have_count(0)
    await page.get_by_label("Text").fill("nothing like this")
    await expect(page.get_by_text("No account is like this.")).to_be_visible()
    assert "q=nothing" in page.url
    await page.locator("main").press("g")
    await page.keyboard.press("w")
    await expect(page.get_by_role("heading", name="Workers")).to_be_visible()
    await page.keyboard.press("/")
    await page.keyboard.type("hot")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Hotel")).to_be_visible()
    await page.evaluate("location.hash = '#/accounts'")
    await page.get_by_role("button", name="Settings").click()
    await page.get_by_label("Keyboard shortcuts").select_option("off")
    await page.get_by_label("Language").select_option("zh")
    await expect(page.get_by_role("heading", name="账号")).to_be_visible()
    await page.locator("main").press("g")
    await page.keyboard.press("w")
    assert "#/accounts" in page.url


async def test_no_text_becomes_markup(farm: Farm, looker: Looker):
    page = await looker.open("overview")
    await expect(page.locator(".top .badge")).to_contain_text("live")
    thrown = await page.evaluate(
        "(() => { try { document.body.innerHTML = '<b>x</b>'; }"
        " catch (fault) { return fault.name; } })()"
    )
    assert thrown == "TypeError"
    await until(lambda: any("policy: require-trusted-types" in one for one in looker.complaints))
    assert all("Trusted" in one or "trusted" in one for one in looker.complaints)
    looker.complaints.clear()


async def test_an_idle_page_asks_for_nothing(farm: Farm, looker: Looker):
    page = await looker.open("overview")
    await expect(page.locator(".top .badge")).to_contain_text("live")
    sizes = await page.evaluate(
        "performance.getEntriesByType('resource').map((one) => one.encodedBodySize)"
    )
    assert len(sizes) <= 62
    assert sum(sizes) <= 150_000
    await expect(page.get_by_role("img", name="Messages per minute")).to_be_visible()
    before = len(looker.requests)
    async with page.expect_event("console", lambda line: line.text == "3 s"):
        await page.evaluate("setTimeout(() => console.log('3 s'), 3000)")
    # the numbers of the last hour are read once a minute, which may begin just now
    others = [url for url in looker.requests[before:] if not url.endswith("/statistics/minutes")]
    assert others == []
    assert len(looker.requests) <= before + 1
