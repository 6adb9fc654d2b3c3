"""The page of login links: its files, its words, its policy."""

from __future__ import annotations

import re

import pytest

from master.login_link import OPEN_LINK, LinkState
from master.web.console_files import LINK_FOLDER
from tests.web.test_console_files import PAIR

FILES = sorted(LINK_FOLDER.iterdir())
SOURCES = {path.name: path.read_text(encoding="utf-8") for path in FILES}
WORDS = {key: texts for key, *texts in PAIR.findall(SOURCES["words.js"])}


def test_it_is_small_and_free_of_what_the_policy_forbids():
    assert sum(len(text.encode()) for text in SOURCES.values()) <= 19_000
    for name, text in SOURCES.items():
        assert not re.search(r"innerHTML|outerHTML|\beval\(|new Function|https?://|\sstyle=", text)
        assert name != "page.js" or text.startswith("// @ts-check\n")


def test_every_text_is_in_both_languages_and_every_text_that_is_used_exists():
    assert len(WORDS) > 40
    for key, (english, chinese) in WORDS.items():
        names = [sorted(re.findall(r"\{(\w+)\}", text)) for text in (english, chinese)]
        assert english, key
        assert chinese, key
        assert names[0] == names[1], key
    used = set(re.findall(r'\b(?:t|known)\(\s*"([^"]+)"', SOURCES["page.js"]))
    ends = {state.value for state in LinkState if state not in OPEN_LINK}
    steps = {"asking", "code", "scanned", "needs_input", "verifying"}
    assert (used | ends | steps | {"closed", "taken"}) - WORDS.keys() == set()
    shown = re.search(r"const OPEN = \[(.*)\]", SOURCES["page.js"])
    assert shown is not None
    assert set(re.findall(r"\w+", shown[1])) == {state.value for state in OPEN_LINK}


async def test_it_is_served_with_a_strict_policy(site):
    page = await site.ask("GET", "/l/")
    rules = dict(rule.split(" ", 1) for rule in page.headers["Content-Security-Policy"].split("; "))
    assert rules["default-src"] == rules["form-action"] == rules["frame-ancestors"] == "'none'"
    for kind in ("script-src", "style-src", "img-src", "connect-src"):
        assert rules[kind] == "'self'"
    assert (rules["require-trusted-types-for"], rules["trusted-types"]) == ("'script'", "'none'")
    assert page.headers["Referrer-Policy"] == "no-referrer"
    names = re.findall(r'(?:src|href)="(files/[^"]+)"', await page.text())
    assert len(set(names)) == 3  # the style and two modules
    for name in names:
        assert (await site.ask("GET", f"/l/{name}")).status == 200


@pytest.mark.parametrize("path", ["/l/files/0000000000000000/page.js", "/l/nothing", "/l/open"])
async def test_nothing_else_is_served(site, path):
    assert (await site.ask("GET", path)).status in (404, 405)


async def test_its_bare_address_leads_to_it(site):
    bare = await site.ask("GET", "/l", allow_redirects=False)
    assert (bare.status, bare.headers["Location"]) == (308, "l/")
