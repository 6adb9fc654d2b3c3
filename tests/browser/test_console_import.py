"""Lists of accounts in a real browser: what is read and previewed, what comes of each line."""

from __future__ import annotations

from typing import Any

import pytest

from master.operations.accounts import add_account as add_row
from master.protocol.http import NewAccount
from master.web.console_files import load_files
from tests.browser.conftest import Farm, Looker
from tests.browser.test_console_axe import CUT, RUN
from tests.waiting import until

expect = pytest.importorskip("playwright.async_api").expect
expect.set_options(timeout=25_000)

pytestmark = pytest.mark.browser

LIST = "\ufeff平台,账号名称,平台账号ID,监控间隔（秒）\r\ndouyin,小店,7001,30\r\ndouyin,咖啡,,\r\n"
READ = """
async ([name, bytes]) => {
  const {decode, parse} = await import(name);
  const text = decode(new Uint8Array(bytes));
  if (text === null) return null;
  const {rows, unknown} = parse(text);
  return {rows: rows.map(({line, cells, isOpen}) => [line, cells, isOpen]), unknown};
}
"""
SHOP = {"platform": "douyin", "account_name": "小店", "account_id": "7001"}


@pytest.fixture
def given() -> dict[str, str]:
    return {"HEARTBEAT_TIMEOUT_S": "600"}


def names(farm: Farm) -> list[str]:
    return sorted(one.account_name for one in farm.master.memory.farm.accounts.all())


async def preview(page: Any, text: str) -> Any:
    """Paste a list; return the dialog with its preview."""
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Or paste the lines").fill(text)
    await dialog.get_by_role("button", name="Preview").click()
    await expect(dialog.get_by_role("region", name="The lines of the list")).to_be_visible()
    return dialog


async def test_lists_are_read_as_spreadsheets_save_them(farm: Farm, looker: Looker):
    page = await looker.open("accounts")
    module = f"{farm.url}/console/files/{load_files().version}/csv.js"

    async def read(text: str | bytes, encoding: str = "utf-8") -> Any:
        content = text if isinstance(text, bytes) else text.encode(encoding)
        return await page.evaluate(READ, [module, list(content)])

    whole = [[2, SHOP | {"monitor_interval": "30"}, False]]
    whole.append([3, {"platform": "douyin", "account_name": "咖啡"}, False])
    for encoding in ("utf-8", "utf-16"):
        assert (await read(LIST.lstrip("\ufeff"), encoding))["rows"] == whole
    assert (await read(LIST))["rows"] == whole
    assert (await read(LIST.lstrip("\ufeff"), "gb18030"))["rows"] == whole
    for separator in (";", "\t"):
        assert (await read(LIST.replace(",", separator)))["rows"] == whole
    rows = (await read("douyin,小店,7001\rdouyin , 小店, 7001 \n\n,,\ndouyin,小店,7001"))["rows"]
    assert rows == [[1, SHOP, False], [2, SHOP, False], [5, SHOP, False]]
    quoted = '"dou""yin"," a, b\r\nc ","x"\r\nnext,"open\nto the end'
    assert (await read(quoted))["rows"] == [
        [1, {"platform": 'dou"yin', "account_name": "a, b\r\nc", "account_id": "x"}, False],
        [3, {"platform": "next", "account_name": "open\nto the end"}, True],
    ]
    found = await read("UID;Account Name;Owner;Platform\n7001;小店;Li;douyin;more\n")
    assert found == {"rows": [[2, SHOP | {"column 5": "more"}, False]], "unknown": ["Owner"]}
    assert (await read("a,b,c,d,e"))["rows"][0][1]["column 5"] == "e"
    assert (await read(""))["rows"] == []
    assert await read(b"PK\x03\x04\x00\x00") is None
    assert await read(b"\xff\xff\xff") is None


async def test_a_list_is_previewed_and_its_good_lines_are_added_once(farm: Farm, looker: Looker):
    await farm.worker("worker-1", capabilities=["douyin"])
    there = NewAccount(platform="douyin", account_name="There", account_id="7000")
    await farm.run(add_row, there)
    page = await looker.open("accounts")
    await page.get_by_role("button", name="Import a list …").click()
    dialog = await preview(
        page,
        "platform,name,id,interval\ndouyin,There,7000\ndouyin,<b>Shop</b>,7001,30\n"
        'douyin,Other,7001\ndouyin,Bad,7002,soon\ndouyin,Cafe\n抖音,Wrong\n"douyin,Open',
    )
    await expect(dialog.get_by_role("status")).to_contain_text(
        "2 new · 2 there already · 3 refused"
    )
    rows = dialog.get_by_role("row")
    await expect(rows).to_have_count(8)
    for place, words in enumerate(
        [
            "there already This id is known:",
            "new",
            "there already the same account as in line 3",
            "refused",
            "new",
            "refused",
            "refused A quotation mark is never closed.",
        ]
    ):
        for word in words.split(" ", 1 if words.startswith("refused") else 2):
            await expect(rows.nth(place + 1)).to_contain_text(word)
    await expect(rows.nth(4)).to_contain_text("monitor_interval: Input should be a valid integer")
    await expect(rows.nth(6)).to_contain_text("platform: ")
    assert names(farm) == ["There"]
    await dialog.get_by_label("Only lines that are not added").click()
    await expect(rows).to_have_count(6)
    await dialog.get_by_label("Only lines that are not added").click()
    await dialog.get_by_role("button", name="Add 2 accounts").dblclick()
    await expect(dialog.get_by_role("status")).to_contain_text(
        "2 added · 2 there already · 3 refused"
    )
    assert names(farm) == ["<b>Shop</b>", "Cafe", "There"]
    await expect(dialog.get_by_role("link", name="<b>Shop</b>")).to_be_visible()
    await expect(dialog.get_by_role("button", name="Close")).to_be_focused()
    await dialog.get_by_role("button", name="Close").click()
    await expect(page.get_by_role("link", name="Cafe")).to_be_visible()


async def test_a_file_as_chinese_spreadsheets_save_it_is_imported(farm: Farm, looker: Looker):
    page = await looker.open("accounts?import=1", language="zh")
    dialog = page.get_by_role("dialog")

    async def choose(name: str, content: bytes) -> None:
        file = {"name": name, "mimeType": "text/csv", "buffer": content}
        await dialog.locator("input[type=file]").set_input_files(file)

    await choose("账号.xlsx", b"PK\x03\x04\x14\x00\x06\x00")
    await expect(dialog.get_by_role("alert")).to_contain_text("另存为 CSV")
    await choose("账号.csv", b"\xff\xff\xff\xff")
    await expect(dialog.get_by_role("alert")).to_contain_text("GB18030")
    await choose("账号.csv", b"a" * 1_000_001)
    await expect(dialog.get_by_role("alert")).to_contain_text("1 MB")
    await choose("账号.csv", b"douyin,shop\n" * 501)
    await expect(dialog.get_by_role("alert")).to_contain_text("一次最多导入 500 个")
    await choose("账号.csv", "平台,名称\r\n".encode("gb18030"))
    await expect(dialog.get_by_role("alert")).to_contain_text("其中没有账号")
    await choose("账号.csv", LIST.lstrip("\ufeff").replace(",", ";").encode("gb18030"))
    await dialog.get_by_role("button", name="添加 2 个账号").click()
    await expect(dialog.get_by_role("status")).to_contain_text("已添加 2 个")
    assert names(farm) == ["咖啡", "小店"]
    [shop] = [one for one in farm.master.memory.farm.accounts.all() if one.account_name == "小店"]
    assert (shop.account_id, shop.monitor_interval) == ("7001", 30)


async def test_a_broken_connection_adds_nothing_twice_and_the_failed_are_retried(
    farm: Farm, looker: Looker
):
    page = await looker.open("accounts?import=1")
    lines = "\n".join(f"douyin,Shop {n:03}" for n in range(250))
    dialog = await preview(page, f"platform,name\n{lines}")
    requests = 0

    async def lose_the_second_answer(route: Any) -> None:
        nonlocal requests
        requests += 1
        if requests == 2:
            await route.fetch()  # Master gets it, the page hears nothing
            await route.abort()
        else:
            await route.continue_()

    await page.route("**/accounts/import", lose_the_second_answer)
    await dialog.get_by_role("button", name="Add 250 accounts").click()
    await expect(dialog.get_by_role("status")).to_contain_text("100 added · 150 failed")
    await expect(dialog.get_by_role("row", name="Shop 150")).to_contain_text("unreachable")
    assert len(names(farm)) == 200
    await dialog.get_by_role("button", name="Retry the failed (150)").click()
    await expect(dialog.get_by_role("status")).to_contain_text("250 added")
    assert len(names(farm)) == len(set(names(farm))) == 250
    assert requests == 4


async def test_two_people_with_one_list_add_each_account_once(farm: Farm, looker: Looker):
    lines = "\n".join(f"douyin,Shop {n:03}" for n in range(60))
    pages = [await looker.open("accounts?import=1") for _ in range(2)]
    dialogs = [await preview(page, lines) for page in pages]
    for dialog in dialogs:
        await dialog.get_by_role("button", name="Add 60 accounts").click()
    for dialog in dialogs:
        await expect(dialog.get_by_role("button", name="Add 60")).to_have_count(0)
    await until(lambda: len(names(farm)) == 60)
    assert len(set(names(farm))) == 60


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
async def test_the_preview_is_accessible(
    farm: Farm, looker: Looker, axe: str, language: str, theme: str, width: int
):
    page = await looker.open("accounts?import=1", language=language, theme=theme, width=width)
    dialog = page.get_by_role("dialog")
    await page.evaluate(axe)
    text = "douyin,Shop,7001\ndouyin,A name of some length that is not short,7001\ndouyin,Bad,1,x"
    await dialog.locator("textarea").fill(text)
    await dialog.locator("button.main").click()
    await expect(dialog.get_by_role("row")).to_have_count(4)
    for word in ("imported.new", "imported.added"):
        trouble = [*await page.evaluate(RUN), *await page.evaluate(CUT)]
        wide = await dialog.evaluate("(one) => one.scrollWidth > one.clientWidth + 1")
        assert (trouble, wide) == ([], False), word
        if word == "imported.new":
            await dialog.locator("button.main").click()
            await expect(dialog.locator(".badge.ok")).to_have_count(1)
