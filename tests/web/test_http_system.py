"""What Master tells of itself: condition, system and settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from master.__main__ import main
from master.settings import load_settings
from master.store.sqlite.notes import read_backup_note
from master.web.system import show_settings

SECRETS = {
    "ADMIN_TOKENS": "anna:administrator-secret-token",
    "WORKER_TOKENS": "*:any-worker-secret-token",
    "MASTER_KEYS": "k1:" + "A" * 43 + "=",
}


def test_settings_tell_where_they_come_from_and_keep_secrets(tmp_path: Path):
    file = tmp_path / ".env"
    file.write_text("LOG_LEVEL=debug\nLOGIN_TTL_S=120\nNODE_ENV=production\n")
    settings = load_settings({"LOGIN_TTL_S": "60", "DEMO": "1", **SECRETS}, file)
    shown = {one["name"]: one for one in show_settings(settings)}
    assert (shown["LOG_LEVEL"]["value"], shown["LOG_LEVEL"]["source"]) == ("debug", ".env")
    assert (shown["LOGIN_TTL_S"]["value"], shown["LOGIN_TTL_S"]["source"]) == ("60", "env")
    assert (shown["PORT"]["value"], shown["PORT"]["source"]) == ("3000", "default")
    assert (shown["APP_ENV"]["value"], shown["APP_ENV"]["source"]) == ("production", ".env")
    assert shown["DEMO"]["value"] == "1"
    assert shown["TRUSTED_WORKERS"]["value"] == "none"
    for name in SECRETS:
        assert (shown[name]["value"], shown[name]["is_set"]) == (None, True)
    assert (shown["CLIENT_TOKENS"]["value"], shown["CLIENT_TOKENS"]["is_set"]) == (None, False)
    text = json.dumps(list(shown.values()))
    assert "secret-token" not in text
    assert "AAAA" not in text


async def test_settings_are_for_administrators_and_every_one_is_there(site):
    rows = (await site.call("GET", "/settings"))["settings"]
    assert len(rows) > 30
    assert {"name", "value", "source", "is_secret"} <= rows[0].keys()


async def test_the_system_tells_of_checks_queues_sweeps_and_the_file(site, settings):
    await site.turns.run(_nothing, None)
    system = (await site.call("GET", "/system"))["system"]
    assert {one["name"]: one["ok"] for one in system["checks"]} == dict.fromkeys(
        ("database", "workers", "brake", "loop", "credentials"), True
    ) | {"logs": {one["name"]: one for one in system["checks"]}["logs"]["ok"]}
    assert system["queues"]["writes"] == 0
    assert system["database"]["bytes"] > 0
    assert system["database"]["last_backup"] is None
    assert system["vault"]["writing"] in system["vault"]["known"]
    assert {"Master", "Python", "SQLite", "aiohttp"} <= {one["name"] for one in system["versions"]}
    assert system["now_ms"] == int(site.clock.now() * 1000)


async def test_a_failed_check_says_since_when(site):
    site.database.trouble = "disk full"
    site.clock.advance(5)
    first = (await site.call("GET", "/system"))["system"]
    site.clock.advance(5)
    second = (await site.call("GET", "/system"))["system"]
    for system in (first, second):
        check = next(one for one in system["checks"] if one["name"] == "database")
        assert (check["ok"], check["detail"]) == (False, "disk full")
        assert check["since"] == int(site.clock.now()) - 5
    condition = (await site.call("GET", "/condition"))["condition"]
    assert condition["storage"] == {"since": int(site.clock.now()) - 5, "reason": "disk full"}
    site.database.trouble = None


def test_a_backup_leaves_a_note_that_a_running_master_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    path, copy = tmp_path / "master.db", tmp_path / "copy.db"
    monkeypatch.setenv("DB_PATH", str(path))
    monkeypatch.chdir(tmp_path)
    assert main(["db", "upgrade"]) == 0
    assert read_backup_note(path) is None
    assert main(["db", "backup", "copy.db"]) == 0
    note = read_backup_note(path)
    assert note is not None
    assert note["file"] == str(copy)
    assert (tmp_path / "master.db.backup").stat().st_mode & 0o777 == 0o600
    (tmp_path / "master.db.backup").write_text("[]")
    assert read_backup_note(path) is None
    assert main(["db", "reset", "--yes"]) == 0
    assert not (tmp_path / "master.db.backup").exists()


async def test_a_proxy_tells_its_users_and_its_last_trial(site):
    proxy = await site.call(
        "POST", "/proxies", 201, json={"name": "p", "server": "127.0.0.1:1", "password": "hush"}
    )
    proxy_id = proxy["proxy"]["id"]
    await site.add_account(proxy_id=proxy_id)
    await site.call("POST", f"/proxies/{proxy_id}/test", json={"target": "127.0.0.1:2"})
    for path in ("/proxies", f"/proxies/{proxy_id}"):
        content = (await site.call("GET", path))["data"]
        row = content[0] if isinstance(content, list) else content
        assert row["used_by"] == {"accounts": 1, "workers": 0}
        assert row["last_trial"]["target"] == "127.0.0.1:2"
        assert (row["last_trial"]["reachable"], bool(row["last_trial"]["error"])) == (False, True)
        assert "hush" not in json.dumps(row)
    # a page may send back what it read, however old its figures are
    row["used_by"]["accounts"] = 7
    await site.call("PATCH", f"/proxies/{proxy_id}", json={**row, "name": "renamed"})
    error = await site.refused("DELETE", f"/proxies/{proxy_id}", 409)
    assert [list(one) for one in error["details"]] == [["account_id"]]


async def _nothing(event, turn):
    """Begin no transaction: the writer works."""
