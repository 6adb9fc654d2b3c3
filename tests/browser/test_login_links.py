"""A login link from the operator's console to the owner's phone and back, in real browsers."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientSession, web

from tests.browser.conftest import Farm, Looker
from tests.browser.test_console import (
    COOKIES,
    GUARDED,
    HOSTILE,
    PROFILE,
    ROOT,
    add_account,
    report,
    show_code,
)
from tests.browser.test_console_axe import CUT, RUN
from tests.conftest import Peer
from tests.waiting import until

if TYPE_CHECKING:
    from playwright.async_api import Page

expect = pytest.importorskip("playwright.async_api").expect
expect.set_options(timeout=25_000)

pytestmark = pytest.mark.browser


@pytest.fixture
def given() -> dict[str, str]:
    return {**GUARDED, "FARM_NAME": "Farm of the shop"}


WIDTH = "async (image) => (await image.decode(), image.naturalWidth)"


async def make(farm: Farm, account_id: str, **wanted: Any) -> str:
    """Make a link as a program does; return its whole address."""
    path = f"{farm.url}/api/v1/accounts/{account_id}/login-links"
    headers = {"Authorization": f"Bearer {ROOT}"}
    async with ClientSession() as http, http.post(path, json=wanted, headers=headers) as answer:
        made = (await answer.json())["data"]
    return f"{farm.url}/{made['url']}"


async def sign_in(page: Page) -> None:
    await page.get_by_label("Token", exact=True).fill(ROOT)
    await page.keyboard.press("Enter")
    await expect(page.locator(".top .badge")).to_contain_text("live")


async def begin(worker: Peer, phone: Page, count: int = 1) -> str:
    """Go on to a login's code on the phone; return the session's id."""
    await phone.get_by_role("button", name="Continue on this device").tap()
    await phone.get_by_role("button", name="Start").tap()
    await expect(phone.get_by_role("heading", name="Waiting for the code")).to_be_visible()
    session_id = str((await worker.hear("master:login:start", count))["session_id"])
    await show_code(worker, session_id)
    await expect(phone.get_by_alt_text("QR code for the login")).to_be_visible()
    return session_id


async def make_in_console(console: Page) -> str:
    """Make a link in the console as an operator; return its address, which was shown once."""
    await console.get_by_role("button", name="Make a login link").click()
    dialog = console.get_by_role("dialog")
    await dialog.get_by_label("Valid for").select_option("15 minutes")
    await dialog.get_by_label("Note for the owner").fill(HOSTILE)
    await dialog.get_by_role("button", name="Make a login link").click()
    picture = console.get_by_alt_text("The link as a QR code")
    await expect(picture).to_be_visible()
    assert await picture.evaluate(WIDTH) > 100
    address = await dialog.locator("code").inner_text()
    await dialog.get_by_role("button", name="Close").click()
    assert address.partition("#")[2] not in await console.content()
    return address


async def test_an_operator_asks_the_owner_and_sees_each_step(farm: Farm, looker: Looker):
    worker = await farm.worker()
    account_id = await add_account(farm, "Noodle shop")
    console = await looker.open(f"accounts/{account_id}")
    await sign_in(console)
    address = await make_in_console(console)
    assert address.startswith(f"{farm.url}/l/#")
    card = console.locator("section.card", has_text="Login link")
    await expect(card).to_contain_text("sent, not opened yet")
    phone = await looker.open_phone(address)
    await expect(phone.get_by_text("Go on only if you expect this.")).to_be_visible()
    assert phone.url == f"{farm.url}/l/"
    await expect(card).to_contain_text("sent, not opened yet")
    await phone.get_by_role("button", name="Continue on this device").tap()
    for text in ("Farm of the shop", "anna", "No***op", HOSTILE):
        await expect(phone.get_by_text(text)).to_be_visible()
    await expect(card).to_contain_text("Chrome")
    assert not worker.all("master:login:start")
    await phone.get_by_role("button", name="Start").tap()
    session_id = (await worker.hear("master:login:start"))["session_id"]
    await expect(card).to_contain_text("login started")
    await show_code(worker, session_id)
    await report(worker, session_id, "scanned")
    await expect(card).to_contain_text("scanned")
    await report(worker, session_id, "success", cookies=COOKIES, user_info=PROFILE)
    await expect(card).to_contain_text("logged in")
    await expect(console.get_by_role("region", name="What happened")).to_contain_text(
        "the account's owner"
    )
    await console.get_by_role("button", name="Ask the owner again").click()
    await expect(console.get_by_label("Must be 7001")).to_be_checked()
    assert await phone.evaluate("window.pwned") is None
    assert await console.evaluate("window.pwned") is None


async def test_an_owner_logs_in_with_a_text_messages_code(farm: Farm, looker: Looker):
    worker = await farm.worker()
    address = await make(farm, await add_account(farm))
    phone = await looker.open_phone(address)
    session_id = await begin(worker, phone)
    code = phone.get_by_alt_text("QR code for the login")
    assert await code.evaluate(WIDTH) > 100
    await expect(phone.get_by_role("link", name="Save picture")).to_be_visible()
    before = await code.get_attribute("src")
    await show_code(worker, session_id)
    await expect(code).not_to_have_attribute("src", before or "")
    await report(worker, session_id, "scanned")
    await expect(phone.get_by_role("heading", name="Scanned.")).to_be_visible()
    await expect(code).to_have_count(0)
    await report(worker, session_id, "sms_input_required", step="sms", message="code sent to 138")
    await phone.reload()
    await expect(phone.get_by_text("code sent to 138")).to_be_visible()
    await phone.get_by_label("Code of the text message").fill("246810")
    await phone.get_by_role("button", name="Send").tap()
    typed = await worker.hear("master:login:user_input")
    assert (typed["input_type"], typed["value"]) == ("sms_code", "246810")
    await report(worker, session_id, "success", cookies=COOKIES, user_info=PROFILE)
    await expect(phone.get_by_role("heading", name="Done.")).to_be_visible()
    await phone.reload()
    await expect(phone.get_by_role("heading", name="Done.")).to_be_visible()
    assert await phone.evaluate("document.cookie") == ""
    storage = "JSON.stringify([localStorage, sessionStorage, history.state])"
    assert address.partition("#")[2] not in await phone.evaluate(storage)


async def test_a_second_device_is_refused_and_a_revoked_link_ends_at_once(
    farm: Farm, looker: Looker
):
    worker = await farm.worker()
    account_id = await add_account(farm)
    address = await make(farm, account_id)
    console = await looker.open(f"accounts/{account_id}")
    await sign_in(console)
    phone, other = await looker.open_phone(address), await looker.open_phone(address)
    await begin(worker, phone)
    await other.get_by_role("button", name="Continue on this device").tap()
    await expect(other.get_by_text("opened on another device")).to_be_visible()
    card = console.locator("section.card", has_text="Login link")
    await expect(card).to_contain_text("Refused on another device: 1")
    await card.get_by_role("button", name="Revoke").click()
    await expect(phone.get_by_role("heading", name="withdrawn")).to_be_visible()
    await expect(phone.get_by_alt_text("QR code for the login")).to_have_count(0)
    await expect(card).to_contain_text("revoked")
    await worker.hear("master:login:cancel")
    late = await looker.open_phone(address)
    await late.get_by_role("button", name="Continue on this device").tap()
    await expect(late.get_by_text("not valid, or has ended")).to_be_visible()


async def test_another_person_is_told_and_the_owner_starts_again(farm: Farm, looker: Looker):
    worker = await farm.worker()
    account_id = await add_account(farm)
    phone = await looker.open_phone(await make(farm, account_id, require_uid="7001"))
    session_id = await begin(worker, phone)
    wrong = {"status": "success", "cookies": COOKIES, "user_info": {"uid": "7002"}}
    await worker.ask("worker:login:status", {"session_id": session_id, **wrong})
    await expect(phone.get_by_text("scanned with another account")).to_be_visible()
    await phone.get_by_role("button", name="New code (2 left)").tap()
    again = (await worker.hear("master:login:start", 2))["session_id"]
    await report(worker, again, "success", cookies=COOKIES, user_info=PROFILE)
    await expect(phone.get_by_role("heading", name="Done.")).to_be_visible()


async def test_one_phone_has_links_of_two_accounts_and_goes_on_after_a_restart(
    farm: Farm, looker: Looker
):
    worker = await farm.worker()
    first, second = await add_account(farm, "First shop"), await add_account(farm, "Second shop")
    phone = await looker.open_phone(await make(farm, first))
    await phone.get_by_role("button", name="Continue on this device").tap()
    await expect(phone.get_by_text("Fi***op")).to_be_visible()
    tab = await phone.context.new_page()
    await tab.goto(await make(farm, second))
    await tab.get_by_role("button", name="Continue on this device").tap()
    await expect(tab.get_by_text("Se***op")).to_be_visible()
    await farm.restart()
    worker = await farm.worker()
    await phone.get_by_role("button", name="Start").tap()
    started = await worker.hear("master:login:start")
    assert started["account_id"] == first
    await show_code(worker, started["session_id"])
    await expect(phone.get_by_alt_text("QR code for the login")).to_be_visible()
    await expect(tab.get_by_role("button", name="Start")).to_be_visible()


async def test_the_page_works_behind_a_prefix_that_a_proxy_takes_off(
    farm: Farm, looker: Looker, aiohttp_proxy: Any
):
    worker = await farm.worker()
    account_id = await add_account(farm)
    address = (await make(farm, account_id)).replace(farm.url, f"{aiohttp_proxy}/farm")
    looker.also = aiohttp_proxy
    phone = await looker.open_phone(address)
    session_id = await begin(worker, phone)
    (cookie,) = await phone.context.cookies()
    assert (cookie["path"], cookie["httpOnly"], cookie["sameSite"]) == ("/farm/l", True, "Strict")
    await report(worker, session_id, "success", cookies=COOKIES, user_info=PROFILE)
    await expect(phone.get_by_role("heading", name="Done.")).to_be_visible()


@pytest.fixture
async def aiohttp_proxy(farm: Farm) -> Any:
    """A proxy that takes `/farm` off, as people put one before Master."""

    async def pass_on(request: web.Request) -> web.Response:
        url = f"{farm.url}{request.path_qs.removeprefix('/farm')}"
        body = await request.read()
        async with (
            ClientSession(auto_decompress=False) as http,
            http.request(request.method, url, data=body, headers={**request.headers}) as answer,
        ):
            kept = {k: v for k, v in answer.headers.items() if k != "Transfer-Encoding"}
            content = await answer.read()
            return web.Response(body=content, status=answer.status, headers=kept)

    app = web.Application()
    app.router.add_route("*", "/farm/{rest:.*}", pass_on)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


LOOKS = list(itertools.product(("en", "zh"), ("light", "dark")))
WIDE = "document.documentElement.scrollWidth > innerWidth"


@pytest.mark.parametrize(("language", "theme"), LOOKS)
async def test_the_page_is_accessible(
    farm: Farm, looker: Looker, axe: str, language: str, theme: str
):
    worker = await farm.worker()
    account_id = await add_account(farm, "A shop with a rather long name")
    address = await make(farm, account_id, note="for the new phone, as we said on Monday")
    phone = await looker.open_phone(address, language=language, theme=theme)
    found: dict[str, list[str]] = {}

    async def look(name: str) -> None:
        await phone.evaluate(axe)
        trouble = [*await phone.evaluate(RUN), *await phone.evaluate(CUT)]
        if trouble or await phone.evaluate(WIDE):
            found[name] = trouble or ["wide"]

    button = phone.locator("button.main")
    await look("intro")
    await button.tap()
    await expect(phone.locator("dl")).to_be_visible()
    await look("opened")
    await button.tap()
    session_id = (await worker.hear("master:login:start"))["session_id"]
    await expect(phone.locator(".time")).to_be_visible()
    await look("asking")
    await show_code(worker, session_id)
    await expect(phone.locator("img")).to_be_visible()
    await look("code")
    await report(worker, session_id, "sms_required", input_type="sms_code", message="sent to 138")
    await expect(phone.locator("input")).to_be_focused()
    await look("question")
    await worker.ask("worker:login:status", {"session_id": session_id, "status": "failed"})
    await expect(button).to_be_visible()
    await look("failed")
    await phone.goto(f"{farm.url}/l/")
    await expect(phone.locator("h1")).not_to_be_empty()
    await look("closed")
    assert found == {}


async def test_the_console_with_a_link_is_accessible(farm: Farm, looker: Looker, axe: str):
    account_id = await add_account(farm)
    found: dict[str, list[str]] = {}
    for language, theme in LOOKS:
        page = await looker.open(
            f"accounts/{account_id}", language=language, theme=theme, width=390
        )
        await page.locator("dialog input").fill(ROOT)
        await page.keyboard.press("Enter")
        card = page.locator(
            "section.card", has_text="扫码链接" if language == "zh" else "Login link"
        )
        await card.locator("button").first.click()
        await page.evaluate(axe)
        trouble = list(await page.evaluate(RUN))
        await page.locator("dialog button.main").click()
        await expect(page.locator("dialog .qr img")).to_be_visible()
        trouble += await page.evaluate(RUN)
        await page.locator("dialog button.main").click()
        await expect(card.locator("button.danger")).to_be_visible()
        trouble += [*await page.evaluate(RUN), *await page.evaluate(CUT)]
        if trouble or await page.evaluate(WIDE):
            found[f"{language} {theme}"] = trouble or ["wide"]
    assert found == {}


async def test_a_phone_that_was_away_catches_up(farm: Farm, looker: Looker):
    worker = await farm.worker()
    account_id = await add_account(farm)
    phone = await looker.open_phone(await make(farm, account_id))
    session_id = await begin(worker, phone)
    await phone.context.set_offline(True)
    await expect(phone.get_by_text("No connection.")).to_be_visible()
    await report(worker, session_id, "success", cookies=COOKIES, user_info=PROFILE)
    await phone.context.set_offline(False)
    await expect(phone.get_by_role("heading", name="Done.")).to_be_visible()


async def test_an_idle_phone_has_one_request_that_waits(farm: Farm, looker: Looker):
    await farm.worker()
    account_id = await add_account(farm)
    phone = await looker.open_phone(await make(farm, account_id))
    await phone.get_by_role("button", name="Continue on this device").tap()
    await expect(phone.get_by_role("button", name="Start")).to_be_visible()
    (link,) = farm.master.memory.farm.links.all()
    await until(lambda: farm.master.memory.links.count_waiting(link.id) == 1)
    sizes = await phone.evaluate(
        "performance.getEntriesByType('resource').map((one) => one.encodedBodySize)"
    )
    assert sum(sizes) <= 15_000
