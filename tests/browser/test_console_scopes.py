"""The pages about Master for every scope and everybody: what is offered, refused, reachable."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Farm, Looker
from tests.browser.test_console import GUARDED, HOSTILE
from tests.browser.test_console_axe import CUT, RUN
from tests.browser.test_console_system import ASK, XSS, add_proxy, start_echo

expect = pytest.importorskip("playwright.async_api").expect
expect.set_options(timeout=25_000)

pytestmark = pytest.mark.browser

OPERATOR = "operator-secret-token"

REQUESTS = [
    ("read", "GET", "worker-configs", None), ("read", "GET", "system", None),
    ("read", "GET", "workers/echo-1/lifecycle/output", None),
    ("read", "POST", "workers/echo-1/lifecycle/stop", None),
    ("read", "POST", "maintenance", {"deadline_s": 60}), ("read", "DELETE", "maintenance", None),
    ("operate", "GET", "settings", None), ("operate", "GET", "audit", None),
    ("operate", "POST", "proxies", {"name": "p", "server": "h:1"}),
    ("operate", "PATCH", "proxies/{proxy}", {"name": "q"}),
    ("operate", "DELETE", "proxies/{proxy}", None),
    ("operate", "POST", "proxies/{proxy}/test", {"target": "h:1"}),
    ("operate", "POST", "worker-configs", {"worker_id": "w"}),
    ("operate", "PATCH", "worker-configs/echo-1", {"auto_start": True}),
    ("operate", "DELETE", "worker-configs/echo-1", None),
]  # fmt: skip


class TestScopes:
    @pytest.fixture
    def given(self) -> dict[str, str]:
        tokens = f"{GUARDED['ADMIN_TOKENS']},otto:{OPERATOR}:operate"
        return {**GUARDED, "ADMIN_TOKENS": tokens}

    @pytest.mark.parametrize(
        ("scope", "token"), [("read", "reader-secret-token"), ("operate", OPERATOR)]
    )
    async def test_what_the_scope_forbids_is_refused_and_not_offered(
        self, farm: Farm, looker: Looker, tmp_path: Path, scope: str, token: str
    ):
        await start_echo(farm, tmp_path)
        proxy = await add_proxy(farm, "p-1", password="hush-hush")
        page = await looker.open("proxies")
        await page.get_by_label("Token", exact=True).fill(token)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("rowheader", name="p-1")).to_be_visible()
        await expect(page.locator("main tbody button")).to_have_count(0)
        await expect(page.get_by_role("button", name="Add a proxy")).to_have_count(0)
        for needed, method, path, body in REQUESTS:
            if needed == "operate" or scope == "read":
                answer = await page.evaluate(ASK, [method, path.format(proxy=proxy), body])
                assert answer["error"]["code"] == "forbidden", (method, path)
        rail = page.get_by_role("navigation")
        hidden = ["Audit", *(["Processes", "System"] if scope == "read" else [])]
        for name in hidden:
            await expect(rail.get_by_role("link", name=name)).to_have_count(0)
            await page.evaluate("(place) => { location.hash = `#/${place}`; }", name.lower())
            await expect(page.get_by_text("This page needs a token of the scope")).to_be_visible()
        if scope == "operate":
            await page.evaluate("location.hash = '#/processes'")
            row = page.get_by_role("row", name="echo-1")
            await expect(row.get_by_role("button", name="Stop: echo-1")).to_be_visible()
            await expect(row.get_by_role("button", name="Edit: echo-1")).to_have_count(0)
            await expect(row.get_by_label("start with Master: echo-1")).to_be_disabled()
            await expect(page.get_by_role("button", name="Add a process")).to_have_count(0)
            await page.evaluate("location.hash = '#/system'")
            await expect(page.get_by_role("heading", name="Health")).to_be_visible()
            await expect(page.get_by_role("heading", name="Settings", exact=True)).to_have_count(0)
        await page.evaluate("location.hash = '#/workers/echo-1'")
        await expect(page.get_by_role("heading", name="Process", exact=True)).to_be_visible()
        is_shown = 1 if scope == "operate" else 0
        await expect(page.get_by_role("region", name="Log")).to_have_count(is_shown)
        await expect(page.get_by_role("button", name="Stop: echo-1")).to_have_count(is_shown)


async def test_dialogs_and_a_followed_log_are_accessible(
    farm: Farm, looker: Looker, axe: str, tmp_path: Path
):
    pipe = await start_echo(farm, tmp_path)
    await add_proxy(farm, "p-1", password="hush-hush")
    openers = {
        "proxies": ["Add a proxy|添加代理", "Edit: p-1|编辑: p-1", "Delete: p-1|删除: p-1"],
        "processes": [
            "Add a process|添加进程",
            "Edit: echo-1|编辑: echo-1",
            "Stop: echo-1|停止: echo-1",
        ],
    }
    found: dict[str, Any] = {}
    with await asyncio.to_thread(pipe.open, "w") as end:
        print("\n".join(XSS * 30), file=end, flush=True)
        for language, theme, width in (("en", "light", 1280), ("zh", "dark", 390)):
            page = await looker.open("proxies", language=language, theme=theme, width=width)
            await expect(page.locator(".top .badge.ok")).to_be_visible()
            await page.evaluate(axe)
            for place, names in openers.items():
                await page.evaluate("(place) => { location.hash = `#/${place}`; }", place)
                for pair in names:
                    name = pair.split("|")[language == "zh"]
                    await page.get_by_role("button", name=name).click()
                    await expect(page.get_by_role("dialog")).to_be_visible()
                    trouble = [*await page.evaluate(RUN), *await page.evaluate(CUT)]
                    if trouble:
                        found[f"{name} {theme} {width}"] = trouble
                    await page.keyboard.press("Escape")
                    await expect(page.get_by_role("dialog")).to_have_count(0)
            await page.evaluate("location.hash = '#/workers/echo-1'")
            await expect(page.locator("pre.log")).to_contain_text(HOSTILE)
            trouble = [*await page.evaluate(RUN), *await page.evaluate(CUT)]
            if trouble:
                found[f"log {theme} {width}"] = trouble
            await page.context.close()
    assert found == {}
