"""Planted cookies and passwords are searched for in every byte that Master leaves on disk."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from master.endpoints import ENDPOINTS
from tests.security.crew import MARK, Crew, cookies, find_planted, plant, run_child, side_files


@pytest.mark.parametrize("shift", range(3))
def test_the_search_finds_what_is_there(tmp_path: Path, shift: int):
    file = tmp_path / "file"
    for content in (
        MARK.encode(),
        json.dumps(MARK).encode(),
        base64.b64encode(b"." * shift + MARK.encode() + b".."),
    ):
        file.write_bytes(b"before" + content + b"after")
        assert find_planted(file), content
    file.write_bytes(b"nothing")
    assert find_planted(file) == []


async def report_in_all_shapes(crew: Crew, account_id: str) -> None:
    """Report messages, and send secrets in fields and events where Master leaves them out."""
    message = {"platform_comment_id": "c1", "content": "hello", "author_name": "a"}
    reply = await crew.worker.ask(
        "worker:message:detected",
        {"type": "comment", "account_id": account_id, "messages": [message]},
    )
    assert reply["success"], reply
    begun = await crew.admin.ask("master:login:start", {"account_id": account_id})
    broken = {"session_id": begun["session_id"], "status": "success"}
    for further in (
        {"cookies": {"a": [MARK]}},
        {"cookies": [MARK]},
        {"status": MARK},
        {"fingerprint": [MARK], "status": "scanned"},
        {"user_info": [MARK], "status": "scanned"},
    ):
        await crew.worker.ask("worker:login:status", {**broken, **further})
    await crew.worker.ask("worker:heartbeat", {"workerId": MARK, "stats": {"cpuUsage": MARK}})
    await crew.admin.ask(
        "master:login:user_input",
        {"session_id": begun["session_id"], "input_type": "sms_code", "value": MARK},
    )
    await crew.admin.ask("master:login:cancel", {"session_id": begun["session_id"]})
    for body in (
        {"name": "q", "server": "h:1", "password": {"x": MARK}},
        {"name": "q", "password": MARK},
    ):
        answer = await crew.call("POST", "/proxies", **body)
        assert MARK not in json.dumps(answer, ensure_ascii=False)


async def test_no_file_contains_a_planted_secret_after_logins_relogins_and_assignments(
    tmp_path: Path,
):
    async with run_child(tmp_path, LOG_LEVEL="debug") as (child, crew):
        proxy = await crew.call(
            "POST", "/proxies", name="p", server="h:1", username="me", password=plant("proxy")
        )
        assert proxy["proxy"]["has_password"]
        proxy_id = proxy["proxy"]["id"]
        await crew.call("POST", "/worker-configs", worker_id="worker-1", proxy_id=proxy_id)
        accounts = [await crew.add_account(f"account-{number}") for number in range(8)]
        for number, account_id in enumerate(accounts):
            await crew.log_in(
                account_id, f"first-{number}", storage_state={"token": plant("words")}
            )
        for number, account_id in enumerate(accounts[:4]):
            await crew.log_in(account_id, f"again-{number}")
        refused = await crew.worker.ask(
            "worker:login:status", {"session_id": "x", "status": "success", "cookies": MARK}
        )
        assert not refused["success"]
        await report_in_all_shapes(crew, accounts[0])
        await crew.call("PUT", f"/proxies/{proxy_id}", password=plant("other"))
        await crew.call("DELETE", f"/accounts/{accounts[5]}")
        shown = {one["id"]: one for one in await crew.register()}
        assert shown[accounts[0]]["credentials"] == {"cookies": cookies("again-0")}
        assert shown[accounts[7]]["credentials"] == {"cookies": cookies("first-7")}
        assert shown[accounts[0]]["proxy"]["password"] == plant("other")
        assert [event for event, _ in crew.device.heard if event == "notification:new"], (
            "it is told something"
        )
        assert MARK not in repr(crew.admin.heard)
        assert MARK not in repr(crew.device.heard)
        for endpoint in ENDPOINTS:
            if endpoint.method == "GET" and "{" not in endpoint.path:
                answer = await crew.call("GET", endpoint.path)
                assert MARK not in json.dumps(answer, ensure_ascii=False), endpoint.path
        code, _ = await child.run("db", "backup", str(tmp_path / "backup.db"))
        assert code == 0
        files = [
            *side_files(child.path),
            tmp_path / "backup.db",
            child.output,
            *(tmp_path / "logs").glob("*.log"),
        ]
        assert {file.name for file in files} >= {
            "master.db",
            "master.db-wal",
            "backup.db",
            "master.log",
        }
        assert find_planted(*files) == []
        assert (await child.run("keys", "rotate"))[0] == 0
        assert find_planted(*side_files(child.path)) == []
    assert (
        find_planted(*side_files(child.path), child.output, *(tmp_path / "logs").glob("*.log"))
        == []
    )
