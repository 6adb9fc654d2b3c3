"""The pages about Master and what it runs: proxies, processes, logs, events, audit, system."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from master.protocol.processes import ProcessLog, ProcessLogBehind
from master.turn import Address, Parcel
from tests.browser.conftest import Farm, Looker
from tests.browser.test_console import HOSTILE, add_account, detect, report, show_code
from tests.waiting import until

api = pytest.importorskip("playwright.async_api")
expect = api.expect
expect.set_options(timeout=25_000)

pytestmark = pytest.mark.browser

ECHO = "import sys\nfor line in open(sys.argv[1]): print(line.rstrip(), flush=True)"
SCAN = "simulated_scan"
ASK = """
([method, path, body]) => fetch(`../api/v1/${path}`, {method, body: body && JSON.stringify(body),
  headers: body ? {"Content-Type": "application/json"} : {}}).then((one) => one.json())
"""
XSS = [
    HOSTILE,
    "<script>window.pwned=1</script>",
    "\x1b]8;;javascript:window.pwned=1\x07link\x1b]8;;\x07",
    "\u202egpj.exe",
    "&lt;b&gt; {{7*7}} ${window.pwned=1}",
]


async def start_echo(farm: Farm, folder: Path, worker_id: str = "echo-1") -> Path:
    """Run a process that copies a pipe to its output; return the pipe."""
    from master.operations.processes import add_config, find_config
    from master.protocol.http import ById, NewWorkerConfig

    pipe = folder / f"{worker_id}.pipe"
    os.mkfifo(pipe)
    config = NewWorkerConfig(
        worker_id=worker_id,
        command=sys.executable,
        args=["-c", ECHO, str(pipe)],
        env={"A_SECRET": "hush-hush"},
    )
    await farm.run(add_config, config)
    await farm.master.supervisor.start(await farm.run(find_config, ById(id=worker_id)))
    return pipe


async def add_proxy(farm: Farm, name: str, **fields: Any) -> str:
    from master.operations.proxies import add_proxy
    from master.protocol.http import NewProxy

    row = await farm.run(add_proxy, NewProxy(name=name, server="127.0.0.1:9", **fields))
    return str(row["id"])


async def use_proxy(farm: Farm, account_id: str, proxy_id: str | None) -> None:
    from master.operations.accounts import change_account
    from master.protocol.http import AccountChange

    change = AccountChange.model_validate({"{id}": account_id, "proxy_id": proxy_id})
    await farm.run(change_account, change)


async def test_a_proxy_is_added_tested_and_removed_and_its_password_is_never_shown(
    farm: Farm, looker: Looker
):
    page = await looker.open("proxies")
    await page.get_by_role("button", name="Add a proxy").click()
    await page.get_by_label("Name").fill(HOSTILE)
    await page.get_by_label("Server").fill("127.0.0.1:1")
    await page.get_by_label("Password").fill("hush-hush")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("rowheader", name=HOSTILE)).to_be_visible()
    await page.get_by_role("button", name="Test: ").click()
    await page.get_by_label("Target, as host:port").fill("127.0.0.1:2")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("not reached")).to_be_visible()
    await page.get_by_role("button", name="Edit: ").click()
    assert await page.get_by_label("New password").input_value() == ""
    await page.get_by_label("Server").fill("127.0.0.1:3")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("http://127.0.0.1:3")).to_be_visible()
    await expect(page.get_by_role("cell", name="set", exact=True)).to_be_visible()
    (proxy,) = farm.master.memory.farm.proxies.all()
    assert proxy.has_password
    account_id = await add_account(farm)
    await use_proxy(farm, account_id, proxy.id)
    await page.get_by_role("button", name="Delete: ").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    in_use = page.get_by_role("dialog").get_by_role("link", name="Shop")
    await expect(in_use).to_be_visible()
    await page.get_by_role("button", name="Close").click()
    await use_proxy(farm, account_id, None)
    await page.get_by_role("button", name="Delete: ").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(page.get_by_text("There is no proxy.")).to_be_visible()
    assert "hush" not in await page.content()
    assert await page.evaluate("window.pwned") is None


async def test_a_process_is_added_changed_and_stopped(farm: Farm, looker: Looker):
    page = await looker.open("processes")
    await page.get_by_role("button", name="Add a process").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Worker", exact=True).fill("w-1")
    await dialog.get_by_label("Program").fill("/bin/sleep")
    await dialog.get_by_label("Arguments").fill("3600")
    await expect(dialog.locator(".argv code")).to_have_text(["/bin/sleep", "3600"])
    await dialog.get_by_label("Environment").fill("nonsense")
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog.get_by_text("This line is no NAME=value: nonsense")).to_be_visible()
    await dialog.get_by_label("Environment").fill("A_SECRET=hush-hush")
    await dialog.get_by_role("button", name="Save").click()
    row = page.get_by_role("row", name="w-1")
    await expect(row.get_by_text("A_SECRET")).to_be_visible()
    assert "hush" not in await page.content()
    await row.get_by_role("button", name="Start: w-1").click()
    await expect(row.get_by_text("running")).to_be_visible()
    await expect(row.get_by_text("changed since")).to_have_count(0)
    # a change within the same second as the start could not be told from none
    began = farm.master.supervisor.status("w-1").started_at
    await until(lambda: int(farm.master.clock.now()) > began)
    await row.get_by_label("start with Master: w-1").click()
    await expect(row.get_by_text("changed since its start")).to_be_visible()
    await row.get_by_role("button", name="Stop: w-1").click()
    await page.get_by_role("dialog").get_by_role("button", name="Stop").click()
    await expect(row.get_by_text("stopped")).to_be_visible()
    await row.get_by_role("button", name="Delete: w-1").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(page.get_by_text("Master runs no worker process.")).to_be_visible()


async def test_a_log_is_followed_paused_searched_and_downloaded(
    farm: Farm, looker: Looker, tmp_path: Path
):
    pipe = await start_echo(farm, tmp_path)
    page = await looker.open("workers/echo-1")
    log = page.get_by_role("region", name="Log")
    with await asyncio.to_thread(pipe.open, "w") as end:
        print("\n".join(["begin", *XSS]), file=end, flush=True)
        await expect(log).to_contain_text("begin")
        for line in (HOSTILE, "\\x1b]8;;javascript", "\\x202egpj.exe", "{{7*7}}"):
            await expect(log).to_contain_text(line)
        await page.get_by_role("button", name="Pause").click()
        print("while paused", file=end, flush=True)
        await expect(page.get_by_text("Paused; 1 new")).to_be_visible()
        await expect(log).not_to_contain_text("while paused")
        await page.get_by_role("button", name="Follow").click()
        await expect(log).to_contain_text("while paused")
        await page.get_by_label("Only lines with").fill("BEGIN")
        await expect(log).to_have_text("begin\n")
        await page.get_by_label("Only lines with").fill("")
        await page.get_by_label("wrap lines").click()
        await expect(log).to_have_class("log nowrap")
        async with page.expect_download() as download:
            await page.get_by_role("button", name="Download").click()
        saved = await (await download.value).path()
        content = await asyncio.to_thread(Path(saved).read_text, encoding="utf-8")
        assert "while paused" in content
        assert await page.evaluate("window.pwned") is None
        # after a broken connection nothing is missing and nothing is there twice
        await page.context.set_offline(True)
        await expect(page.locator(".top .badge")).not_to_contain_text("live", timeout=60_000)
        print("while away", file=end, flush=True)
        await page.context.set_offline(False)
        await expect(log).to_contain_text("while away", timeout=60_000)
        print("and back", file=end, flush=True)
        await expect(log).to_contain_text("and back")
        text = await log.text_content()
        assert [text.count(one) for one in ("begin", "while away", "and back")] == [1, 1, 1]


async def test_a_flood_is_marked_and_bounded(farm: Farm, looker: Looker, tmp_path: Path):
    pipe = await start_echo(farm, tmp_path)
    page = await looker.open("workers/echo-1")
    log = page.get_by_role("region", name="Log")
    with await asyncio.to_thread(pipe.open, "w") as end:
        print("begin", file=end, flush=True)
        await expect(log).to_contain_text("begin")
        place = (await farm.master.supervisor.read_log("echo-1", None, 1)).after
        event = ProcessLog("echo-1", ["behind the gap"], place, place, 412)
        (sid,) = farm.master.memory.sessions.followers
        await farm.master.rooms.publish([Parcel(Address("admin_socket", sid), event)])
        await expect(log.locator(".gap")).to_have_text("— 412 lines were skipped —\n")
        await expect(log).to_contain_text("behind the gap")
        # a page that reads too slowly gets a hint, and reads the rest over HTTP
        hint = Parcel(Address("admin_socket", sid), ProcessLogBehind("echo-1"))
        await farm.master.rooms.publish([hint])
        text = "\n".join(f"line {number}" for number in range(30_000))
        await asyncio.to_thread(print, text, file=end, flush=True)
        await expect(log).to_contain_text("line 29999", timeout=60_000)
    kept = await log.evaluate("(one) => one.textContent.split('\\n').length")
    assert kept <= 5_200


async def test_events_are_shown_as_they_come_without_codes(farm: Farm, looker: Looker):
    worker = await farm.worker(capabilities=["douyin"])
    page = await looker.open("events")
    await expect(page.locator(".top .badge")).to_contain_text("live")
    account_id = await add_account(farm, HOSTILE)
    admin = await farm.connect("admin")
    answer = await admin.ask("master:login:start", {"account_id": account_id})
    await show_code(worker, answer["session_id"])
    code = page.locator(".event", has_text="login:qrcode:ready")
    await expect(code).to_be_visible()
    await code.locator("summary").click()
    await expect(code).to_contain_text(answer["session_id"])
    await expect(code).not_to_contain_text("qr_code_data")
    assert "scan.example" not in await page.content()
    await page.get_by_role("button", name="Pause").click()
    await detect(worker, account_id, "while paused")
    await expect(page.get_by_text("Paused; ")).to_be_visible()
    await expect(page.locator(".event", has_text="notification:new")).to_have_count(0)
    await page.get_by_role("button", name="Go on").click()
    await expect(page.locator(".event", has_text="notification:new").first).to_be_visible()
    await page.get_by_label("Kind").select_option("login:qrcode:ready")
    await expect(page.locator(".event")).to_have_count(1)
    assert "kind=login%3Aqrcode%3Aready" in page.url
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.get_by_role("button", name="Copy 1 as JSON").click()
    copied = json.loads(await page.evaluate("navigator.clipboard.readText()"))
    assert copied["event"] == "login:qrcode:ready"
    assert copied["payload"]["session_id"] == answer["session_id"]


async def test_the_audit_has_its_filters_in_the_address_and_reads_on(farm: Farm, looker: Looker):
    ids = [await add_account(farm, f"Shop {number}") for number in range(60)]
    page = await looker.open("accounts")
    await expect(page.locator(".top .badge")).to_contain_text("live")
    for account_id in ids:
        answer = await page.evaluate(ASK, ["PATCH", f"accounts/{account_id}", {"status": "paused"}])
        assert answer["success"]
    await page.evaluate("location.hash = '#/audit'")
    rows = page.locator("tbody tr")
    await expect(rows).to_have_count(50)
    await page.get_by_role("button", name="Load more").click()
    await expect(rows).to_have_count(60)
    await expect(page.get_by_role("button", name="Load more")).to_have_count(0)
    await page.get_by_label("Id of the target").fill(ids[7])
    await page.keyboard.press("Enter")
    await expect(rows).to_have_count(1)
    assert f"target={ids[7]}" in page.url
    await page.reload()
    await expect(rows).to_have_count(1)
    await rows.get_by_role("link", name="Shop 7").click()
    await expect(page.get_by_role("heading", name="Shop 7")).to_be_visible()


async def test_the_system_shows_itself_and_begins_and_ends_a_maintenance(
    farm: Farm, looker: Looker
):
    page = await looker.open("system")
    await expect(page.get_by_text("none for 7 days")).to_be_visible()
    await expect(page.get_by_role("row", name="HEARTBEAT_TIMEOUT_S Silence")).to_be_visible()
    await page.get_by_text("Versions and licences").click()
    await expect(page.get_by_role("link", name="Apache-2.0")).to_be_visible()
    await page.get_by_label("Reason").fill(HOSTILE)
    await page.get_by_role("button", name="Begin a maintenance").click()
    banner = page.get_by_role("region", name="About this Master")
    await expect(banner.get_by_text(HOSTILE)).to_be_visible()
    other = await looker.open("overview")
    await other.get_by_role("button", name="End the maintenance").click()
    await expect(banner.get_by_text(HOSTILE)).to_have_count(0)
    async with page.context.expect_page() as opened:
        await page.get_by_role("link", name="metrics").click()
    await expect((await opened.value).get_by_text("master_write_queue_items").first).to_be_visible()


async def test_everybody_sees_that_the_disk_fails_and_that_master_stops(farm: Farm, looker: Looker):
    page = await looker.open("overview")
    await expect(page.locator(".top .badge")).to_contain_text("live")
    farm.master.database.trouble = "disk full"
    await expect(page.get_by_text("Nothing can be stored since")).to_be_visible()
    farm.master.database.trouble = None
    await expect(page.get_by_text("Nothing can be stored since")).to_have_count(0)
    farm.master.vitals.stopping = True
    await expect(page.get_by_text("Master is stopping.")).to_be_visible()


class TestDemo:
    @pytest.fixture
    def given(self) -> dict[str, str]:
        return {"DEMO": "1", "DEMO_LABEL": "seed 7"}

    async def test_a_visitor_says_that_the_code_was_scanned(self, farm: Farm, looker: Looker):
        worker = await farm.worker(capabilities=["douyin"])
        account_id = await add_account(farm)
        page = await looker.open(f"accounts/{account_id}")
        await expect(page.get_by_text("Simulation: these accounts")).to_contain_text("seed 7")
        icon = await page.locator("link[rel=icon]").get_attribute("href")
        assert icon is not None
        assert icon.endswith("icon-demo.svg")
        assert await page.evaluate("document.documentElement.hasAttribute('data-demo')")
        await page.get_by_role("button", name="Log in").click()
        event = await worker.hear("master:login:start")
        await show_code(worker, event["session_id"])
        await page.get_by_role("button", name="I scanned it").click()
        typed = await worker.hear("master:login:user_input")
        assert (typed["session_id"], typed["input_type"]) == (event["session_id"], SCAN)
        await report(worker, event["session_id"], "scanned")
        await expect(page.get_by_text("Scanned. Confirm on the phone.")).to_be_visible()


async def test_a_real_farm_offers_no_simulated_scan(farm: Farm, looker: Looker):
    worker = await farm.worker(capabilities=["douyin"])
    account_id = await add_account(farm)
    page = await looker.open(f"accounts/{account_id}")
    await page.get_by_role("button", name="Log in").click()
    event = await worker.hear("master:login:start")
    await show_code(worker, event["session_id"])
    await expect(page.get_by_alt_text("QR code")).to_be_visible()
    await expect(page.get_by_role("button", name="I scanned it")).to_have_count(0)
    icon = await page.locator("link[rel=icon]").get_attribute("href")
    assert icon is not None
    assert icon.endswith("/icon.svg")
