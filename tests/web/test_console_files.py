"""The console's files: what is vendored, what is said in both languages, how they are served."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from enum import StrEnum

import pytest

from master import errors, model
from master.children import ProcessState
from master.login_link import LinkState
from master.protocol.account_imports import Imported
from master.reasons import Action, EventKind, LinkEnd, Rule, Unplaced, Verdict
from master.web.console_files import FOLDER, load_files

VENDOR = FOLDER / "vendor"
LOCK = json.loads((VENDOR / "vendor.lock.json").read_text(encoding="utf-8"))
OURS = [path for path in sorted(FOLDER.rglob("*.js")) if VENDOR not in path.parents]
PAIR = re.compile(r'"((?:[^"\\]|\\.)*)":\s*\[\s*"((?:[^"\\]|\\.)*)",\s*"((?:[^"\\]|\\.)*)",?\s*\]')
USED = re.compile(r'\bt\(\s*"([^"]+)"')
CHOSEN = re.compile(r'\bt\([^()"]*\? "([^"]+)" : "([^"]+)"')
KINDS: dict[str, type[StrEnum]] = {
    "workerIs": model.WorkerStatus,
    "accountIs": model.AccountStatus,
    "loginIs": model.LoginStatus,
    "notice": model.NotificationType,
    "priority": model.Priority,
    "reason": Unplaced,
    "verdict": Verdict,
    "rule": Rule,
    "action": Action,
    "happened": EventKind,
    "process": ProcessState,
    "linkIs": LinkState,
    "linkEnd": LinkEnd,
    "imported": Imported,
}


def read_words() -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for path in FOLDER.glob("words_*.js"):
        for key, english, chinese in PAIR.findall(path.read_text(encoding="utf-8")):
            assert key not in found, f"{key} has two meanings"
            found[key] = (english, chinese)
    return found


WORDS = read_words()


@pytest.mark.parametrize("one", LOCK, ids=lambda one: one["file"])
def test_each_vendored_file_is_the_one_that_was_fetched_and_has_its_licence(one):
    content = (VENDOR / one["file"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == one["sha256"]
    assert (VENDOR / one["licence_file"]).read_text(encoding="utf-8").strip()
    assert one["version"] in one["file"]


def test_nothing_is_vendored_that_the_list_does_not_name():
    assert {path.name for path in VENDOR.glob("*js")} == {one["file"] for one in LOCK}


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_our_modules_are_short_checked_and_free_of_what_the_policy_forbids(path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith("// @ts-check\n")
    assert len(text.splitlines()) <= 400
    assert not re.search(r"innerHTML|outerHTML|\beval\(|new Function|https?://|\sstyle=", text)


def test_every_text_is_in_both_languages_with_the_same_parameters():
    assert len(WORDS) > 300
    for key, (english, chinese) in WORDS.items():
        names = [sorted(re.findall(r"\{(\w+)\}", text)) for text in (english, chinese)]
        assert english, key
        assert chinese, key
        assert names[0] == names[1], key


def test_every_text_that_a_page_uses_exists():
    used = set[str]()
    for path in OURS:
        text = path.read_text(encoding="utf-8")
        used |= set(USED.findall(text)) | {key for pair in CHOSEN.findall(text) for key in pair}
    assert used - WORDS.keys() == set()


def test_every_state_and_every_refusal_has_words():
    states = {f"{kind}.{word}" for kind, words in KINDS.items() for word in words}
    refusals = {
        f"code.{kind.code}"
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.Refusal)
    }
    assert (states | refusals | {"code.internal"}) - WORDS.keys() == set()


async def test_the_page_is_revalidated_and_its_files_are_kept_for_ever(site):
    page = await site.ask("GET", "/console/")
    text = await page.text()
    assert page.status == 200
    assert page.headers["Cache-Control"] == "no-cache"
    known = {"If-None-Match": page.headers["ETag"]}
    assert (await site.ask("GET", "/console/", headers=known)).status == 304
    names = re.findall(r'(?:src|href)="(files/[^"]+)"', text)
    names += json.loads(re.findall(r'importmap">(.*?)</script>', text, re.DOTALL)[0])[
        "imports"
    ].values()
    assert len(names) > 30
    for name in names:
        answer = await site.ask("GET", f"/console/{name.removeprefix('./')}")
        assert answer.status == 200, name
        assert "immutable" in answer.headers["Cache-Control"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_pages_that_few_people_open_are_loaded_when_one_is_opened(site):
    text = await (await site.ask("GET", "/console/")).text()
    first = set(re.findall(r'modulepreload" href="files/[^/]+/([^"]+)"', text))
    assert {"app.js", "pages/overview.js", "pages/worker.js", "vendor/htm-3.1.1.mjs"} <= first
    assert not first & {"pages/audit.js", "pages/system.js", "pages/log.js", "tail.js"}
    for name in ("pages/audit.js", "pages/log.js", "tail.js"):
        path = f"/console/files/{load_files().version}/{name}"
        assert (await site.ask("GET", path)).status == 200


async def test_the_policy_allows_own_files_and_the_import_map_alone(site):
    policy = (await site.ask("GET", "/console/")).headers["Content-Security-Policy"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert re.fullmatch(r"'self' 'sha256-[A-Za-z0-9+/=]+'", rules["script-src"])
    assert rules["style-src"] == rules["connect-src"] == "'self'"
    assert rules["frame-ancestors"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert (rules["require-trusted-types-for"], rules["trusted-types"]) == ("'script'", "'none'")


@pytest.mark.parametrize(
    "path",
    [
        "/console/files/0000000000000000/app.js",
        f"/console/files/{load_files().version}/nothing.js",
        f"/console/files/{load_files().version}/../console.py",
        f"/console/files/{load_files().version}/%2e%2e/console.py",
        "/console/nothing",
    ],
)
async def test_nothing_else_is_served(site, path):
    assert (await site.ask("GET", path)).status == 404


async def test_a_browser_is_sent_to_the_console_and_a_program_is_not(site):
    browser = {"Accept": "text/html,application/xhtml+xml"}
    sent = await site.ask("GET", "/", headers=browser, allow_redirects=False)
    assert (sent.status, sent.headers["Location"]) == (302, "console/")
    assert (await (await site.ask("GET", "/")).json())["name"] == "master"
    bare = await site.ask("GET", "/console", allow_redirects=False)
    assert (bare.status, bare.headers["Location"]) == (308, "console/")


async def test_an_open_master_needs_no_sign_in_and_says_so(site):
    session = (await site.call("GET", "/console/session"))["session"]
    assert (session["guarded"], session["scope"], session["demo"]) == (False, "admin", False)
    assert session["now_ms"] == int(site.clock.now() * 1000)
