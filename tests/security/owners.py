"""The owners of accounts, with phones that open login links."""

from __future__ import annotations

import re
from http.cookies import SimpleCookie
from typing import Any

import aiohttp

from tests.conftest import Peer
from tests.security.conftest import CODE, MINE, OPERATOR, Guarded

OF_MINE = f"/api/v1/accounts/{MINE}/login-links"
COOKIES = [{"name": "sessionid", "value": "v", "domain": ".douyin.com"}]
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/604.1"


class Phone:
    """An owner's device: a cookie jar of its own, and a page of Master's origin."""

    def __init__(self, guarded: Guarded, **headers: str) -> None:
        self.guarded = guarded
        self.headers = {"Origin": f"http://127.0.0.1:{guarded.master.port}", **headers}
        self.cookies: dict[str, str] = {}
        self.link = ""

    async def ask(self, method: str, path: str, **options: Any) -> aiohttp.ClientResponse:
        headers = {**self.headers, **options.pop("headers", {})}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={one}" for name, one in self.cookies.items())
        self.guarded.http.cookie_jar.clear()
        return await self.guarded.ask(method, path, None, headers=headers, **options)

    async def open(self, secret: str) -> aiohttp.ClientResponse:
        answer = await self.ask("POST", "/l/open", json={"secret": secret})
        for header in answer.headers.getall("Set-Cookie", ()):
            for name, one in SimpleCookie(header).items():
                self.cookies[name] = one.value
        if answer.status == 200:
            self.link = (await answer.json())["data"]["id"]
        return answer

    async def state(self, after: str = "") -> dict[str, Any]:
        answer = await self.ask("GET", f"/l/state?link={self.link}&after={after}")
        content: dict[str, Any] = await answer.json()
        assert answer.status == 200, content
        return content["data"]

    async def post(self, name: str, **sent: Any) -> tuple[int, str]:
        answer = await self.ask("POST", f"/l/{name}?link={self.link}", json=sent)
        return answer.status, (await answer.json()).get("error", {}).get("code", "")


async def make(guarded: Guarded, token: str = OPERATOR, **wanted: Any) -> tuple[str, str]:
    """Make a link; return its id and its secret."""
    answer = await guarded.ask("POST", OF_MINE, token, json={"ttl_s": 900, **wanted})
    content = await answer.json()
    assert answer.status == 200, content
    link = content["login_link"]
    assert re.fullmatch(r"l/#[A-Za-z0-9_-]{43}", link["url"])
    return link["id"], link["url"].partition("#")[2]


async def read_links(guarded: Guarded) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await (await guarded.ask("GET", OF_MINE)).json())["data"]
    return rows


async def begin(guarded: Guarded, worker: Peer, phone: Phone, count: int = 1) -> str:
    """Start a login from the phone, and let the worker send a code; return the session's id."""
    assert await phone.post("start") == (200, "")
    session_id: str = (await worker.hear("master:login:start", count))["session_id"]
    await worker.ask("worker:login:qrcode", {"session_id": session_id, "qr_code_data": CODE})
    return session_id


async def report(worker: Peer, session_id: str, status: str, **words: Any) -> dict[str, Any]:
    event = {"session_id": session_id, "status": status, **words}
    answer: dict[str, Any] = await worker.ask("worker:login:status", event)
    return answer
