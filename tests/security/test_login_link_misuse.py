"""Login links: previews, foreign pages, cookies, scopes and limits."""

from __future__ import annotations

import asyncio
from http.cookies import Morsel, SimpleCookie

import aiohttp
import pytest

from tests.security.conftest import FOREIGN, MINE, OPERATOR, READER
from tests.security.owners import (
    OF_MINE,
    Phone,
    make,
    read_links,
)
from tests.waiting import until


async def test_nothing_happens_on_a_get(guarded, owners_worker):
    _, secret = await make(guarded)
    before = guarded.dump()
    bot = Phone(guarded, **{"User-Agent": "Slackbot-LinkExpanding 1.0"})
    for path in ("/l/", "/l/open", "/l/start", "/l/input", f"/l/state?link={secret}", "/l/qr.png"):
        for method in ("GET", "HEAD"):
            answer = await bot.ask(method, path)
            assert "Set-Cookie" not in answer.headers
    assert guarded.dump() == before
    assert (await Phone(guarded).open(secret)).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:3001"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_no_other_page_uses_a_link_or_its_cookie(guarded, owners_worker, headers):
    _, secret = await make(guarded)
    phone = Phone(guarded)
    assert (await Phone(guarded, **headers).open(secret)).status == 403
    await phone.open(secret)
    answers = [
        await phone.ask("POST", f"/l/start?link={phone.link}", json={}, headers=headers),
        await phone.ask(
            "POST", f"/l/input?link={phone.link}", json={"value": "x"}, headers=headers
        ),
        await phone.ask("GET", f"/l/state?link={phone.link}", headers=headers),
        await phone.ask("GET", f"/l/qr.png?link={phone.link}", headers=headers),
    ]
    assert {answer.status for answer in answers} == {403}
    assert not owners_worker.all("master:login:start")


async def test_a_change_has_an_origin_and_is_json(guarded, owners_worker):
    _, secret = await make(guarded)
    phone = Phone(guarded)
    await phone.open(secret)
    cookie = {"Cookie": f"master_link_{phone.link}={phone.cookies[f'master_link_{phone.link}']}"}
    bare = await guarded.ask("POST", f"/l/start?link={phone.link}", None, json={}, headers=cookie)
    assert bare.status == 403
    for body in ({"data": b"{}", "headers": {"Content-Type": "text/plain"}}, {"data": {"a": "b"}}):
        answer = await phone.ask("POST", f"/l/start?link={phone.link}", **body)
        assert answer.status == 400
    assert not owners_worker.all("master:login:start")


async def read_cookie(answer: aiohttp.ClientResponse) -> tuple[str, Morsel[str]]:
    ((name, cookie),) = SimpleCookie(answer.headers["Set-Cookie"]).items()
    return name, cookie


async def test_the_cookie_is_for_this_page_alone(guarded, owners_worker):
    _, secret = await make(guarded)
    phone = Phone(guarded)
    name, cookie = await read_cookie(await phone.open(secret))
    assert name == f"master_link_{phone.link}"
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Strict")
    assert cookie["path"] == ""  # a browser takes /l, the folder of the request
    _, secret = await make(guarded)
    secure = Phone(guarded, Origin="https://farm.example", Host="farm.example")
    name, cookie = await read_cookie(await secure.open(secret))
    assert (name, cookie["secure"]) == (f"__Secure-master_link_{secure.link}", True)
    assert (await secure.state())["state"] == "opened"


async def test_the_cookie_opens_nothing_else(guarded, owners_worker):
    await guarded.add_account(FOREIGN)
    _, secret = await make(guarded)
    phone = Phone(guarded)
    await phone.open(secret)
    for path in ("/api/v1/accounts", OF_MINE, "/api/v1/console/session", "/metrics", "/api/v1"):
        assert (await phone.ask("GET", path)).status == 401
    other = (await guarded.ask("POST", f"/api/v1/accounts/{FOREIGN}/login-links", json={})).json()
    link = (await other)["login_link"]["id"]
    assert (await phone.ask("GET", f"/l/state?link={link}")).status == 404
    headers = {**phone.headers, "Cookie": f"master_link_{phone.link}={'x' * 43}"}
    admin = await guarded.connect("admin", headers=headers)
    assert (await admin.ask("admin:status:request", {}))["error"]["code"] == "unauthorized"


async def test_who_may_only_read_makes_sees_and_ends_no_link(guarded, owners_worker):
    link_id, _ = await make(guarded)
    for method, path in (("POST", OF_MINE), ("GET", OF_MINE), ("DELETE", f"{OF_MINE}/{link_id}")):
        body = {"json": {}} if method == "POST" else {}
        assert await guarded.code(method, path, READER, **body) == (403, "forbidden")
    assert await guarded.code("POST", "/api/v1/qr.png", READER, json={"text": "x"}) == (
        403, "forbidden",
    )  # fmt: skip
    drawn = await guarded.ask("POST", "/api/v1/qr.png", OPERATOR, json={"text": "https://x/l/#y"})
    assert (drawn.status, drawn.content_type) == (200, "image/png")


@pytest.mark.parametrize(
    "wanted", [{"ttl_s": 59}, {"ttl_s": 86_401}, {"note": "x" * 301}, {"noet": "x"}, {"ttl_s": "x"}]
)
async def test_a_wish_that_is_not_allowed_makes_no_link(guarded, owners_worker, wanted):
    assert (await guarded.code("POST", OF_MINE, json=wanted))[0] == 422
    assert await read_links(guarded) == []


async def test_a_device_has_few_requests_that_wait(guarded, owners_worker):
    _, secret = await make(guarded)
    phone = Phone(guarded)
    await phone.open(secret)
    tag = (await phone.state())["tag"]
    links = guarded.master.memory.links
    waits = [asyncio.create_task(phone.state(tag)) for _ in range(4)]
    await until(lambda: links.count_waiting(phone.link) == 4)
    assert (await phone.ask("GET", f"/l/state?link={phone.link}")).status == 429
    await phone.post("start")
    assert {(await one)["state"] for one in waits} == {"started"}
    assert links.count_waiting(phone.link) == 0


async def test_a_start_that_finds_no_worker_costs_nothing(guarded):
    await guarded.add_account(MINE)
    _, secret = await make(guarded)
    phone = Phone(guarded)
    await phone.open(secret)
    assert await phone.post("start") == (409, "no_worker")
    assert (await phone.state())["starts_left"] == 3
