"""Each HTTP route has an example in fixtures/protocol/http, and real answers have its shape.

`WRITE_EXAMPLES=1 pytest tests/web/test_http_examples.py` writes the examples anew.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from master.endpoints import ENDPOINTS
from master.operations.logins import apply_report
from master.operations.workers import hear_heartbeat, say_goodbye
from master.protocol.worker import Goodbye, LoginReport
from tools.protocol import EXAMPLES
from tools.protocol.http import name_example

FOLDER = EXAMPLES / "http"
ONE_COPY = "data"
"""The second name of an answer's content; examples show the content once."""

COMMENT = {
    "platform_comment_id": "7291", "content": "多少钱?", "author_name": "小李", "author_id": "u-7",
    "post_id": "p-1", "post_title": "新品", "detected_at": 1_760_774_400,
}  # fmt: skip
DIRECT_MESSAGE = {
    "platform_message_id": "8305", "content": "在吗?", "sender_name": "小李", "sender_id": "u-7",
    "direction": "inbound", "detected_at": 1_760_774_400,
}  # fmt: skip
LIST = [
    {"platform": "douyin", "account_name": "我的账号", "account_id": "dy-1001"},
    {"platform": "douyin", "account_name": "小店"},
    {"platform": "douyin", "account_name": "大店", "monitor_interval": "0"},
]
OWN_KEY = r'"writing": "k-5b0e6c11", "known": ["k-5b0e6c11"]'
CODE = "data:image/png;base64,iVBORw0KGgo="


SECRET = "kZ0m3cQ1w7yXn5pTgJ2bVhR8sLdF4aEuKqWiC6oY9xM"
"""A link's secret in the examples."""


class Walk:
    """Sends one request of each route; keeps request and answer by the example's name."""

    def __init__(self, site: Any) -> None:
        self._site = site
        self.seen: dict[str, dict[str, Any]] = {}

    async def ask(self, method: str, route: str, body: Any = None, query: str = "", **names: Any):
        path = route.format(**names)
        [endpoint] = [one for one in ENDPOINTS if (one.method, one.path) == (method, route)]
        options = {} if body is None else {"json": body}
        answer = await self._site.ask(method, f"/api/v1{path}{query}", **options)
        assert answer.status == endpoint.status, await answer.text()
        is_image = route.endswith(".png")
        content = "(an image)" if is_image else await answer.json()
        if not is_image:
            content.pop(ONE_COPY, None)
        request = {"method": method, "path": path + query}
        self.seen[name_example(endpoint)] = {
            "request": request | ({} if body is None else {"body": body}),
            "answer": content,
        }
        return None if is_image else content.get(endpoint.noun.singular)


async def walk_all(site: Any) -> dict[str, dict[str, Any]]:
    """Walk through every route, with something of each kind to show."""
    walk = Walk(site)
    worker = await site.register_worker("worker-1", host="127.0.0.1", port=4000, version="1.0.0")
    site.memory.sessions.bind("worker-1", "socket-of-worker-1")
    beat = {"workerId": "worker-1", "stats": {"activeAccounts": 1, "memoryUsage": 256.0}}
    now = site.clock.now()
    hear_heartbeat(beat, worker, site.memory, now, site.clock.monotonic())
    await _add_account(walk, site, worker)
    await _run_process(walk, site)
    await site.turns.run(say_goodbye, Goodbye(worker_id="worker-1"), worker)
    await walk.ask("DELETE", "/workers/{id}", id="worker-1")
    await _make_link(walk, site)
    await _keep_view(walk)
    return walk.seen


async def _add_account(walk: Walk, site: Any, worker: Any) -> None:
    body = {"platform": "douyin", "account_name": "我的账号", "account_id": "dy-1001"}
    account = (await walk.ask("POST", "/accounts", body))["id"]
    login = (await walk.ask("POST", "/accounts/{id}/login", {}, id=account))["session_id"]
    await site.show_code(worker, login, CODE)
    await walk.ask("GET", "/login-sessions/{id}/qr.png", id=login)
    report = LoginReport(
        session_id=login,
        status="success",
        cookies=[{"name": "sessionid", "value": "1"}],
        user_info={"nickname": "小店", "uid": "7001"},
    )
    await site.turns.run(apply_report, report, worker)
    await site.detect(worker, account, "comment", COMMENT)
    await site.detect(worker, account, "direct_message", DIRECT_MESSAGE)
    await walk.ask("GET", "/accounts", query="?platform=douyin&limit=100")
    await walk.ask("GET", "/accounts/status/all")
    await walk.ask("GET", "/accounts/{id}", id=account)
    for method in ("PUT", "PATCH"):
        await walk.ask(method, "/accounts/{id}", {"monitor_interval": 60}, id=account)
    acts = {"ids": [account, "gone"], "change": {"monitor_interval": 60}}
    await walk.ask("POST", "/accounts/actions", acts)
    await walk.ask("GET", "/accounts/{id}/explain", id=account)
    await walk.ask("GET", "/workers/{id}/explain", id="worker-1")
    wishes = {"max_accounts": {"worker-1": 5}}
    await walk.ask("POST", "/placement/plan", wishes)
    await walk.ask("GET", "/accounts/{id}/timeline", id=account)
    await walk.ask("GET", "/workers/{id}/timeline", id="worker-1")
    await walk.ask("GET", "/audit", query="?limit=5")
    await walk.ask("GET", "/workers")
    await walk.ask("GET", "/workers/{id}", id="worker-1")
    await walk.ask("GET", "/maintenance")
    for path in ("/condition", "/system", "/settings"):
        await walk.ask("GET", path)
    body = {"deadline_s": 600, "reason": "new switch"}
    await walk.ask("POST", "/maintenance", body)
    await walk.ask("DELETE", "/maintenance")
    body = {"deadline_s": 600, "reason": "new disk"}
    await walk.ask("POST", "/workers/{id}/drain", body, id="worker-1")
    await walk.ask("DELETE", "/workers/{id}/drain", id="worker-1")
    await walk.ask("GET", "/login-sessions", query="?status=success")
    await walk.ask("GET", "/login-sessions/{id}", id=login)
    await walk.ask("GET", "/comments", query="?limit=20&offset=0")
    await walk.ask("GET", "/direct-messages", query="?direction=inbound")
    listed = (await (await site.ask("GET", "/api/v1/comments")).json())["data"]
    await walk.ask("POST", "/messages/{kind}/{id}/read", kind="comments", id=listed[0]["id"])
    await walk.ask("POST", "/messages/{kind}/{id}/unread", kind="comments", id=listed[0]["id"])
    ids = [{"kind": "comment", "id": listed[0]["id"]}]
    await walk.ask("POST", "/messages/read", {"ids": ids})
    await walk.ask("POST", "/messages/unread", {"account_id": account, "kind": "direct_message"})
    await walk.ask("GET", "/notifications", query="?type=comment&limit=50")
    await walk.ask("GET", "/statistics")
    await walk.ask("GET", "/statistics/minutes")
    await walk.ask("GET", "/status")
    again = await site.call("POST", f"/accounts/{account}/login")
    session = again["login_session"]["session_id"]
    await walk.ask("POST", "/login-sessions/{id}/cancel", id=session)
    await walk.ask("DELETE", "/accounts/{id}", id=account)


async def _make_link(walk: Walk, site: Any) -> None:
    body: dict[str, Any] = {"platform": "douyin", "account_name": "小店"}
    account = (await site.call("POST", "/accounts", 201, json=body))["account"]["id"]
    await walk.ask("POST", "/accounts/import", {"rows": LIST, "dry_run": True})
    body = {"ttl_s": 3600, "note": "for the new phone"}
    link = (await walk.ask("POST", "/accounts/{id}/login-links", body, id=account))["id"]
    await walk.ask("GET", "/accounts/{id}/login-links", id=account)
    await walk.ask("DELETE", "/accounts/{id}/login-links/{link}", id=account, link=link)
    await walk.ask("POST", "/qr.png", {"text": f"https://master.example.org/l/#{SECRET}"})


async def _keep_view(walk: Walk) -> None:
    body = {"name": "Paused shops", "url": "#/accounts?status=paused"}
    view = (await walk.ask("POST", "/console/views", body))["id"]
    await walk.ask("GET", "/console/views")
    await walk.ask("PUT", "/console/views/{id}", body | {"name": "Resting"}, id=view)
    change = {"url": "#/accounts?status=paused&platform=douyin"}
    await walk.ask("PATCH", "/console/views/{id}", change, id=view)
    await walk.ask("DELETE", "/console/views/{id}", id=view)


async def _run_process(walk: Walk, site: Any) -> None:
    body = {"name": "Shanghai", "server": "127.0.0.1:9", "username": "u", "password": "p"}
    proxy = (await walk.ask("POST", "/proxies", body))["id"]
    await walk.ask("GET", "/proxies")
    await walk.ask("GET", "/proxies/{id}", id=proxy)
    for method in ("PUT", "PATCH"):
        await walk.ask(method, "/proxies/{id}", {"status": "inactive"}, id=proxy)
    await walk.ask("POST", "/proxies/{id}/test", {"target": "127.0.0.1:9"}, id=proxy)
    await walk.ask("DELETE", "/proxies/{id}", id=proxy)
    program = "print('ready', flush=True); import signal; signal.pause()"
    body = {"worker_id": "worker-9", "command": sys.executable, "args": ["-c", program]}
    await walk.ask("POST", "/worker-configs", body)
    await walk.ask("GET", "/worker-configs")
    await walk.ask("GET", "/worker-configs/{id}", id="worker-9")
    for method in ("PUT", "PATCH"):
        await walk.ask(method, "/worker-configs/{id}", {"auto_restart": True}, id="worker-9")
    await walk.ask("POST", "/workers/{id}/lifecycle/start", id="worker-9")
    await walk.ask("POST", "/workers/{id}/lifecycle/restart", id="worker-9")
    await walk.ask("GET", "/workers/{id}/lifecycle/status", id="worker-9")
    while not (await site.call("GET", "/workers/worker-9/lifecycle/logs"))["logs"]:
        continue  # the process has not written its line yet
    await walk.ask("POST", "/workers/{id}/lifecycle/stop", id="worker-9")
    await walk.ask("GET", "/workers/{id}/lifecycle/logs", query="?lines=2", id="worker-9")
    await walk.ask("GET", "/workers/{id}/lifecycle/output", query="?lines=2", id="worker-9")
    await walk.ask("GET", "/processes")
    await walk.ask("DELETE", "/worker-configs/{id}", id="worker-9")


def find_differences(example: Any, real: Any, where: str = "") -> list[str]:
    """Return where two values differ in their shape: in fields, or in the types of values."""
    if isinstance(example, dict) and isinstance(real, dict):
        odd = [f"{where}.{name}" for name in sorted(example.keys() ^ real.keys())]
        for name in example.keys() & real.keys():
            odd += find_differences(example[name], real[name], f"{where}.{name}")
        return odd
    if isinstance(example, list) and isinstance(real, list):
        return find_differences(example[0], real[0], f"{where}[]") if example and real else []
    kinds = [float if type(one) is int else type(one) for one in (example, real)]
    return [] if kinds[0] is kinds[1] or None in (example, real) else [f"{where}: {kinds}"]


def make_tidy(seen: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """Return examples that do not depend on the run: ids look as a real Master makes them."""
    text = json.dumps(seen, ensure_ascii=False).replace(str(tmp_path), ".")
    text = text.replace(sys.executable, "/usr/bin/python3").replace("request-", "id-")
    text = re.sub(r"\bl/#[\w-]+", f"l/#{SECRET}", text)
    text = re.sub(r"\bid-(\d+)", lambda m: f"9b2f0d0e-1f0a-4d5b-8a0e-{int(m[1]):012d}", text)
    text = re.sub(r'"pid": \d+', '"pid": 4711', text)
    text = re.sub(r'"\d+\.(\d+)", "(after|skipped)"', r'"1311768.\1", "\2"', text)
    text = re.sub(r'"(bytes|wal_bytes)": \d+', r'"\1": 4096', text)
    text = re.sub(r'"writing": "[^"]+", "known": \["[^"]+"\]', OWN_KEY, text)
    tidy: dict[str, Any] = json.loads(text)
    versions = tidy["GET system.json"]["answer"]["system"]["versions"]
    del versions[1:]
    return tidy


async def test_every_route_has_an_example_and_real_answers_have_its_shape(site, tmp_path):
    async with asyncio.timeout(60):
        seen = await walk_all(site)
    wanted = {name_example(endpoint) for endpoint in ENDPOINTS}
    if os.environ.get("WRITE_EXAMPLES"):
        FOLDER.mkdir(exist_ok=True)
        for name, example in make_tidy(seen, tmp_path).items():
            text = json.dumps(example, ensure_ascii=False, indent=2)
            (FOLDER / name).write_text(text + "\n", encoding="utf-8")
    examples = {path.name: json.loads(path.read_text("utf-8")) for path in FOLDER.glob("*.json")}
    assert set(examples) == wanted
    assert {name: find_differences(examples[name], seen.get(name)) for name in wanted} == {
        name: [] for name in wanted
    }, "WRITE_EXAMPLES=1 writes the examples anew"
