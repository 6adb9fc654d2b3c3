"""What the page shows equals what Master has, after the network was cut and mended, by seeds."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.browser.conftest import Farm, Looker
from tests.browser.test_console import COOKIES
from tests.browser.test_console_bulk import PATIENT
from tests.conftest import Peer
from tests.waiting import PATIENCE_S, until
from tests.web.test_console_files import WORDS

if TYPE_CHECKING:
    from playwright.async_api import Page

expect = pytest.importorskip("playwright.async_api").expect
expect.set_options(timeout=60_000)

pytestmark = pytest.mark.browser

STEPS = 14
"""Changes between one cut, mend or restart and the next."""
ROWS = """
(cells) => [...document.querySelectorAll("main tbody tr")].map((row) => ({
  ids: [...row.querySelectorAll("a")].map((one) => decodeURIComponent(one.hash)),
  cells: [...row.children].map((one) => one.textContent.trim().replace(/\\s+/g, " ")),
}))
"""
MESSAGES = """
() => [...document.querySelectorAll(".message")].map((one) =>
  [one.querySelector("p").textContent, one.classList.contains("unread")])
"""
FRAME = "() => new Promise(requestAnimationFrame)"


@pytest.fixture
def given() -> dict[str, str]:
    return PATIENT


class Story:
    """What people and workers do to a farm, chosen by a seed."""

    def __init__(self, farm: Farm, http: aiohttp.ClientSession, seed: int) -> None:
        self.farm = farm
        self.http = http
        self.chance = random.Random(seed)
        self.workers: dict[str, Peer] = {}
        self.number = 0

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        url = f"{self.farm.url}/api/v1/{path}"
        async with self.http.request(method, url, json=body) as answer:
            return await answer.json()

    async def rows(self, path: str) -> list[Any]:
        return list((await self.call("GET", f"{path}limit=500"))["data"])

    async def join(self, worker_id: str = "") -> None:
        worker_id = worker_id or f"worker-{self.chance.randrange(1, 5)}"
        if worker_id not in self.workers:
            self.workers[worker_id] = await self.farm.worker(
                worker_id, capabilities=["douyin"], maxAccounts=self.chance.randrange(2, 9)
            )

    async def leave(self) -> None:
        if self.workers:
            worker_id = self.chance.choice(sorted(self.workers))
            await self.workers.pop(worker_id).close()

    async def add(self) -> None:
        self.number += 1
        body = {"platform": "douyin", "account_name": f"Shop {self.number}"}
        assert (await self.call("POST", "accounts", body))["success"]

    async def pick(self) -> Any:
        rows = await self.rows("accounts?")
        return self.chance.choice(rows) if rows else None

    async def change(self) -> None:
        row = await self.pick()
        if row:
            body = {"status": self.chance.choice(["active", "paused", "inactive"])}
            await self.call("PATCH", f"accounts/{row['id']}", body)

    async def detect(self) -> None:
        row = await self.pick()
        worker = self.workers.get(row["assigned_worker_id"]) if row else None
        if worker:
            self.number += 1
            kind = self.chance.choice(["comment", "direct_message"])
            name = "platform_comment_id" if kind == "comment" else "platform_message_id"
            text = f"text {self.number}."
            event = {"type": kind, "account_id": row["id"],
                     "messages": [{name: text, "content": text}]}  # fmt: skip
            for _ in range(self.chance.randrange(1, 3)):  # a worker may tell one twice
                await worker.ask("worker:message:detected", event)

    async def read(self) -> None:
        kind = self.chance.choice(["comments", "direct-messages"])
        rows = await self.rows(f"{kind}?")
        if rows:
            mark = self.chance.choice(["read", "unread"])
            await self.call("POST", f"messages/{kind}/{self.chance.choice(rows)['id']}/{mark}")

    async def log_in(self) -> None:
        row = await self.pick()
        if row:
            await self.call("POST", f"accounts/{row['id']}/login", {})

    async def go_on(self) -> None:
        """Let the worker of an open login go one step on."""
        rows = [*await self.rows("login-sessions?status=pending&"),
                *await self.rows("login-sessions?status=scanning&")]  # fmt: skip
        if not rows:
            return
        row = self.chance.choice(rows)
        worker, session = self.workers.get(row["worker_id"]), {"session_id": row["id"]}
        if worker is None:
            return
        step = self.chance.choice(["code", "scanned", "success", "failed"])
        if step == "code":
            await worker.ask("worker:login:qrcode", {**session, "qr_code_data": "https://x.test"})
            return
        more: dict[str, Any] = {}
        if step == "success":
            more = {"cookies": COOKIES, "user_info": {"uid": row["account_id"]}}
        await worker.ask("worker:login:status", {**session, "status": step, **more})

    async def live(self, steps: int) -> None:
        acts: list[Callable[[], Awaitable[None]]] = [
            self.join, self.add, self.change, self.detect, self.detect, self.read, self.log_in,
            self.go_on, self.go_on, self.leave,
        ]  # fmt: skip
        for _ in range(steps):
            await self.chance.choice(acts)()

    async def forget(self) -> None:
        """Delete an account: only while the page does not listen, because nothing tells it."""
        row = await self.pick()
        if row:
            assert (await self.call("DELETE", f"accounts/{row['id']}"))["success"]

    async def restart(self) -> None:
        known = sorted(self.workers)
        self.workers = {}
        await self.farm.restart()
        for worker_id in known:
            await self.join(worker_id)


def word(kind: str, name: str | None) -> str:
    """Return the page's word of a state, without its mark."""
    return WORDS[f"{kind}.{name}"][0] if name else ""


async def differ_in_accounts(story: Story, page: Page) -> Any:
    wanted = {}
    for row in await story.rows("accounts?"):
        place = row["placement"]
        where = {"placed": row["assigned_worker_id"], "not_wanted": WORDS["place.not_wanted"][0]}
        wanted[f"#/accounts/{row['id']}"] = [
            row["account_name"], row["platform"], word("accountIs", row["status"]),
            word("loginIs", row["login_status"]),
            where.get(place["state"]) or word("reason", place["reason"]), str(row["unread"]),
        ]  # fmt: skip
    shown = [(row["ids"][0], row["cells"][1:7]) for row in await page.evaluate(ROWS)]
    for _, cells in shown:
        cells[2:4] = [cell.lstrip("✓▲✕…○") for cell in cells[2:4]]
    return compare(dict(shown), wanted, len(shown))


async def differ_in_workers(story: Story, page: Page) -> Any:
    wanted = {
        f"#/workers/{row['id']}": [
            word("workerIs", row["status"]),
            f"{row['assigned_accounts']}/{row['max_accounts']}",
        ]
        for row in await story.rows("workers?")
    }
    shown = [(row["ids"][0], row["cells"][1:3]) for row in await page.evaluate(ROWS)]
    for _, cells in shown:
        cells[0] = cells[0].lstrip("✓▲✕…○")
    return compare(dict(shown), wanted, len(shown))


async def differ_in_logins(story: Story, page: Page) -> Any:
    rows = [*await story.rows("login-sessions?status=pending&"),
            *await story.rows("login-sessions?status=scanning&")]  # fmt: skip
    wanted = {f"#/logins/{row['id']}": row["account_id"] for row in rows}
    open_rows = [row for row in await page.evaluate(ROWS) if row["cells"][-1] == "Open"]
    shown = {row["ids"][-1]: row["ids"][0].rpartition("/")[2] for row in open_rows}
    return compare(shown, wanted, len(open_rows))


async def differ_in_messages(story: Story, page: Page, kind: str) -> Any:
    fresh = page.locator("button.fresh")
    if await fresh.count():
        await fresh.click()
    wanted = {row["content"]: not row["is_read"] for row in await story.rows(f"{kind}?")}
    shown = await page.evaluate(MESSAGES)
    return compare(dict(shown), wanted, len(shown))


async def differ_in_notifications(story: Story, page: Page) -> Any:
    answer = await story.call("GET", "notifications?limit=100")
    wanted = [f"{row['title']} {row['content']}" for row in answer["data"]]
    shown = [row["cells"][-1] for row in await page.evaluate(ROWS)]
    return None if shown == wanted else (shown, wanted)


async def differ_in_unread(story: Story, page: Page) -> Any:
    totals = [
        (await story.call("GET", f"{kind}?is_read=false&limit=1"))["total"]
        for kind in ("comments", "direct-messages")
    ]
    texts = await page.locator("nav a[href='#/inbox'] .number").all_text_contents()
    shown = int(texts[0]) if texts else 0
    return None if shown == sum(totals) else (shown, totals)


def compare(shown: dict[str, Any], wanted: dict[str, Any], number: int) -> Any:
    """Return the rows that differ; nothing may be there twice."""
    if shown == wanted and number == len(wanted):
        return None
    keys = [key for key in shown | wanted if shown.get(key) != wanted.get(key)]
    return {key: (shown.get(key), wanted.get(key)) for key in keys} or (number, len(wanted))


async def settle(page: Page, differ: Callable[[], Awaitable[Any]], name: str) -> None:
    """Wait until the page shows what Master has; what is on its way arrives within PATIENCE_S."""
    found = None
    try:
        async with asyncio.timeout(PATIENCE_S):
            while (found := await differ()) is not None:
                await page.evaluate(FRAME)
    except TimeoutError:
        pytest.fail(f"{name}: shown and wanted differ: {found}")


async def check(story: Story, page: Page) -> None:
    """Look at each page, without loading the console anew."""
    places: dict[str, Callable[[], Awaitable[Any]]] = {
        "accounts": lambda: differ_in_accounts(story, page),
        "workers": lambda: differ_in_workers(story, page),
        "logins": lambda: differ_in_logins(story, page),
        "inbox": lambda: differ_in_messages(story, page, "comments"),
        "inbox?kind=direct-messages": lambda: differ_in_messages(story, page, "direct-messages"),
        "notifications": lambda: differ_in_notifications(story, page),
    }
    for place, differ in places.items():
        await page.evaluate("(place) => { location.hash = `#/${place}`; }", place)
        await settle(page, differ, place)
    await settle(page, lambda: differ_in_unread(story, page), "unread")


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
async def test_the_page_equals_the_database_after_cuts_and_a_restart(
    farm: Farm, looker: Looker, seed: int
):
    page = await looker.open("accounts")
    live = page.locator(".top .badge.ok")
    await expect(live).to_be_visible()
    await page.evaluate("window.mark = 1")
    async with aiohttp.ClientSession() as http:
        story = Story(farm, http, seed)
        await story.join()
        for _ in range(4):
            await story.add()
        await story.live(STEPS)
        await check(story, page)
        for restarts in (False, True):
            await page.context.set_offline(True)
            if restarts:
                await story.restart()
            await story.live(STEPS)
            await expect(live).to_have_count(0)
            await story.forget()
            await page.context.set_offline(False)
            await story.live(STEPS)  # while it catches up
            await expect(live).to_be_visible()
            await story.live(STEPS)
            await check(story, page)
    assert await page.evaluate("window.mark") == 1  # it was never loaded anew


async def test_nothing_is_missed_between_the_connection_and_its_first_event(
    farm: Farm, looker: Looker
):
    worker = await farm.worker("worker-1", capabilities=["douyin"])
    async with farm.master.database.write() as transaction:
        await transaction.connect()  # the writer waits: it has not greeted the page yet
        await worker.close()
        page = await looker.open("workers")
        await until(lambda: len(farm.master.memory.sessions.admins) == 1)
        await page.wait_for_load_state("networkidle")  # it has read all that it could
    row = page.get_by_role("row", name="worker-1")
    await expect(row).to_contain_text(word("workerIs", "disconnected"))
