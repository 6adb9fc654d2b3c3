"""Login links: what an owner's device may do, and what leaked, forwarded and old links may not."""

from __future__ import annotations

import asyncio
import re
from http.cookies import Morsel, SimpleCookie
from typing import Any

import aiohttp
import pytest

from master.app import Master
from master.operations.login_links import expire_links
from master.settings import load_settings
from tests.conftest import Peer
from tests.security.conftest import (
    CODE,
    FOREIGN,
    MINE,
    OPERATOR,
    READER,
    ROOT,
    TOKENS,
    WORKER_1,
    Guarded,
)
from tests.waiting import until

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


@pytest.fixture
async def worker(guarded: Guarded) -> Peer:
    await guarded.add_account(MINE)
    return await guarded.register("worker-1", WORKER_1)


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


async def test_an_owner_logs_in_and_the_link_ends(guarded, worker):
    admin = await guarded.connect("admin", ROOT)
    link_id, secret = await make(guarded, note="for the new phone")
    phone = Phone(guarded, **{"User-Agent": IPHONE})
    assert (await phone.open(secret)).status == 200
    state = await phone.state()
    assert (state["state"], state["operator"], state["note"]) == (
        "opened", "operator", "for the new phone",
    )  # fmt: skip
    assert MINE not in str(state)
    assert (state["account"], state["farm"], state["login"]) == ("ac***ne", "Master", None)
    session_id = await begin(guarded, worker, phone)
    seen = await phone.state()
    assert (seen["state"], seen["login"]["step"], seen["login"]["seq"]) == ("started", "code", 1)
    image = await phone.ask("GET", f"/l/qr.png?link={link_id}&seq=1")
    assert (image.status, image.content_type) == (200, "image/png")
    assert image.headers["Cache-Control"] == "no-store"
    await report(worker, session_id, "scanned")
    await report(worker, session_id, "sms_input_required", step="sms", message="sent to 138")
    asked = (await phone.state())["login"]["question"]
    assert (asked["kind"], asked["message"]) == ("sms_code", "sent to 138")
    assert await phone.post("input", value="1", step_id=asked["step_id"] - 1) == (
        409,
        "step_passed",
    )
    assert await phone.post("input", value="246810", step_id=asked["step_id"]) == (200, "")
    typed = await worker.hear("master:login:user_input")
    assert (typed["input_type"], typed["value"]) == ("sms_code", "246810")
    await report(worker, session_id, "success", cookies=COOKIES, user_info={"uid": "7001"})
    assert (await phone.state())["state"] == "done"
    assert await phone.post("start") == (404, "link_closed")
    assert (await Phone(guarded).open(secret)).status == 404
    states = [one["state"] for one in admin.all("login_link:status")]
    assert states == ["made", "opened", "started", "scanned", "done"]
    told = admin.all("login_link:status")[1]
    assert told["device"] == {"address": "127.0.0.1", "agent": "Safari, iPhone"}
    (row,) = await read_links(guarded)
    assert (row["state"], row["starts"], row["session_id"]) == ("done", 1, session_id)
    assert "url" not in row


async def test_each_step_is_in_the_audit_and_no_secret_is_anywhere(guarded, worker, capfd):
    _, secret = await make(guarded)
    phone = Phone(guarded)
    await phone.open(secret)
    session_id = await begin(guarded, worker, phone)
    await report(worker, session_id, "sms_required", input_type="sms_code")
    await phone.post("input", value="typed-secret-246810")
    await Phone(guarded).open(secret)
    rows = (await (await guarded.ask("GET", "/api/v1/audit?limit=100")).json())["audit"]["items"]
    steps = {(one["kind"], one["by"]["kind"], one["by"]["scope"]) for one in rows}
    assert {
        ("login_link_made", "http", "operate"),
        ("login_link_opened", "link", "none"),
        ("login_link_started", "link", "none"),
        ("login_link_refused", "link", "none"),
        ("login_opened", "link", "none"),
    } <= steps
    kept = "\n".join((*guarded.dump(), str(guarded.dump_events()), str(capfd.readouterr())))
    for hidden in (secret, *phone.cookies.values(), "typed-secret-246810"):
        assert hidden not in kept


async def test_another_device_gets_a_constant_refusal_and_the_operator_is_told(guarded, worker):
    admin = await guarded.connect("admin", ROOT)
    link_id, secret = await make(guarded)
    phone, other = Phone(guarded), Phone(guarded)
    await phone.open(secret)
    seen = {await (await other.open(secret)).text() for _ in range(3)}
    assert len(seen) == 1
    assert "link_taken" in seen.pop()
    assert other.cookies == {}
    assert (await admin.hear("login_link:status", 3))["refused"] == 1
    assert (await phone.open(secret)).status == 200
    stolen = Phone(guarded)
    stolen.link, stolen.cookies = link_id, {f"master_link_{link_id}": "x" * 43}
    assert await stolen.post("start") == (404, "link_closed")
    assert not worker.all("master:login:start")


async def test_refusals_are_counted_up_to_a_limit(guarded, worker):
    _, secret = await make(guarded)
    await Phone(guarded).open(secret)
    for _ in range(30):
        await Phone(guarded).open(secret)
    (row,) = await read_links(guarded)
    assert row["refused"] == 20


async def test_unknown_and_ended_links_are_refused_alike_and_guesses_wait(guarded, worker):
    link_id, secret = await make(guarded)
    await guarded.ask("DELETE", f"{OF_MINE}/{link_id}")
    phone = Phone(guarded)
    ended = await phone.open(secret)
    unknown = await phone.open("A" * 43)
    assert (ended.status, await ended.text()) == (unknown.status, await unknown.text())
    codes = [(await phone.open(f"{number:043}")).status for number in range(10)]
    assert codes[-1] == 429
    _, secret = await make(guarded)
    assert (await phone.open(secret)).status == 200


async def test_a_stranger_that_scans_a_leaked_code_is_stopped(guarded, worker):
    _, secret = await make(guarded)
    phone = Phone(guarded)
    await phone.open(secret)
    session_id = await begin(guarded, worker, phone)
    await report(worker, session_id, "success", cookies=COOKIES, user_info={"uid": "7001"})
    _, secret = await make(guarded)
    stranger = Phone(guarded)
    await stranger.open(secret)
    session_id = await begin(guarded, worker, stranger, 2)
    answer = await report(
        worker, session_id, "success", cookies=COOKIES, user_info={"uid": "7002", "nickname": "Li"}
    )
    assert answer["error_type"] == "identity_mismatch"
    state = await stranger.state()
    assert (state["state"], state["outcome"]) == ("started", "identity_mismatch")
    assert "Li" not in str(state)
    row = (await (await guarded.ask("GET", f"/api/v1/accounts/{MINE}")).json())["account"]
    assert row["platform_user_id"] == "7001"


@pytest.mark.parametrize("profile", [{"uid": "7002"}, {}, None])
async def test_a_link_for_one_person_takes_no_other_and_no_unknown_one(guarded, worker, profile):
    _, secret = await make(guarded, require_uid="7001")
    phone = Phone(guarded)
    await phone.open(secret)
    session_id = await begin(guarded, worker, phone)
    about = {} if profile is None else {"user_info": profile}
    answer = await report(worker, session_id, "success", cookies=COOKIES, **about)
    assert answer["error_type"] == "identity_mismatch"
    session_id = await begin(guarded, worker, phone, 2)
    about = {"user_info": {"uid": "7001"}}
    answer = await report(worker, session_id, "success", cookies=COOKIES, **about)
    assert answer["status"] == "success"
    refused = await guarded.code("POST", OF_MINE, json={"require_uid": "7002"})
    assert refused == (422, "invalid")


async def test_a_link_ends_with_its_third_failed_login(guarded, worker):
    _, secret = await make(guarded)
    phone = Phone(guarded)
    await phone.open(secret)
    for number in range(1, 4):
        session_id = await begin(guarded, worker, phone, number)
        assert await phone.post("start") == (200, "")  # a second tap is one login
        await report(worker, session_id, "failed")
    state = await phone.state()
    assert (state["state"], state["end_reason"], state["starts_left"]) == ("expired", "used_up", 0)
    assert await phone.post("start") == (404, "link_closed")
    assert len(worker.all("master:login:start")) == 3


async def test_its_time_ends_a_link_and_its_login_by_either_clock(guarded, worker):
    _, secret = await make(guarded, ttl_s=60)
    phone = Phone(guarded)
    await phone.open(secret)
    session_id = await begin(guarded, worker, phone)
    guarded.clock.advance(59)
    assert await phone.post("start") == (200, "")
    guarded.clock.advance(1)
    assert await phone.post("start") == (404, "link_closed")
    assert (await Phone(guarded).open(secret)).status == 404
    assert await guarded.run(expire_links) == 1
    assert (await worker.hear("master:login:cancel"))["session_id"] == session_id
    state = await phone.state()
    assert (state["state"], state["end_reason"]) == ("expired", "time")
    _, secret = await make(guarded, ttl_s=60)
    guarded.clock.step(-3_600)
    guarded.clock.advance(61)
    assert (await Phone(guarded).open(secret)).status == 404
    guarded.clock.advance(7_200)
    assert (await phone.ask("GET", f"/l/state?link={phone.link}")).status == 404


async def test_a_revoked_link_ends_its_login_and_the_page_hears_it_at_once(guarded, worker):
    link_id, secret = await make(guarded)
    phone = Phone(guarded)
    await phone.open(secret)
    await begin(guarded, worker, phone)
    tag = (await phone.state())["tag"]
    waits = asyncio.create_task(phone.state(tag))
    await until(lambda: guarded.master.memory.links.count_waiting(link_id) == 1)
    answer = await guarded.ask("DELETE", f"{OF_MINE}/{link_id}", OPERATOR)
    assert (await answer.json())["login_link"]["state"] == "revoked"
    assert (await waits)["state"] == "revoked"
    await worker.hear("master:login:cancel")
    assert await guarded.code("DELETE", f"{OF_MINE}/{link_id}", OPERATOR) == (404, "link_closed")
    assert (await phone.ask("GET", f"/l/qr.png?link={link_id}")).status == 404


async def test_a_newer_link_and_the_removal_of_the_account_end_a_link(guarded, worker):
    admin = await guarded.connect("admin", ROOT)
    _, first = await make(guarded)
    guarded.clock.advance(1)
    _, second = await make(guarded)
    assert (await Phone(guarded).open(first)).status == 404
    assert (await read_links(guarded))[1]["end_reason"] == "replaced"
    phone = Phone(guarded)
    await phone.open(second)
    assert (await guarded.ask("DELETE", f"/api/v1/accounts/{MINE}")).status == 200
    assert (await phone.ask("GET", f"/l/state?link={phone.link}")).status == 404
    assert admin.all("login_link:status")[-1]["end_reason"] == "account_deleted"
    assert guarded.rows("SELECT count(*) FROM login_links") == [(0,)]


async def test_a_link_survives_a_restart_with_its_device_and_its_end(guarded, worker):
    _, secret = await make(guarded)
    phone = Phone(guarded)
    await phone.open(secret)
    session_id = await begin(guarded, worker, phone)
    await guarded.master.close()
    paths = {"DB_PATH": str(guarded.path), "LOG_DIR": str(guarded.path.parent / "logs")}
    settings = load_settings({"PORT": "0", **paths, **TOKENS}, None)
    guarded.master = Master(settings, clock=guarded.clock)
    await guarded.master.start(sweeps=False)
    phone.headers["Origin"] = f"http://127.0.0.1:{guarded.master.port}"
    state = await phone.state()
    assert (state["state"], state["login"]["step"], state["starts_left"]) == ("started", "code", 2)
    again = Phone(guarded)
    assert "link_taken" in await (await again.open(secret)).text()
    back = await guarded.register("worker-1", WORKER_1)
    await report(back, session_id, "success", cookies=COOKIES, user_info={"uid": "7001"})
    assert (await phone.state())["state"] == "done"


async def test_nothing_happens_on_a_get(guarded, worker):
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
async def test_no_other_page_uses_a_link_or_its_cookie(guarded, worker, headers):
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
    assert not worker.all("master:login:start")


async def test_a_change_has_an_origin_and_is_json(guarded, worker):
    _, secret = await make(guarded)
    phone = Phone(guarded)
    await phone.open(secret)
    cookie = {"Cookie": f"master_link_{phone.link}={phone.cookies[f'master_link_{phone.link}']}"}
    bare = await guarded.ask("POST", f"/l/start?link={phone.link}", None, json={}, headers=cookie)
    assert bare.status == 403
    for body in ({"data": b"{}", "headers": {"Content-Type": "text/plain"}}, {"data": {"a": "b"}}):
        answer = await phone.ask("POST", f"/l/start?link={phone.link}", **body)
        assert answer.status == 400
    assert not worker.all("master:login:start")


async def read_cookie(answer: aiohttp.ClientResponse) -> tuple[str, Morsel[str]]:
    ((name, cookie),) = SimpleCookie(answer.headers["Set-Cookie"]).items()
    return name, cookie


async def test_the_cookie_is_for_this_page_alone(guarded, worker):
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


async def test_the_cookie_opens_nothing_else(guarded, worker):
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


async def test_who_may_only_read_makes_sees_and_ends_no_link(guarded, worker):
    link_id, _ = await make(guarded)
    for method, path in (("POST", OF_MINE), ("GET", OF_MINE), ("DELETE", f"{OF_MINE}/{link_id}")):
        body = {"json": {}} if method == "POST" else {}
        assert await guarded.code(method, path, READER, **body) == (403, "forbidden")
    assert await guarded.code("POST", "/api/v1/qr-codes", READER, json={"text": "x"}) == (
        403, "forbidden",
    )  # fmt: skip
    drawn = await guarded.ask("POST", "/api/v1/qr-codes", OPERATOR, json={"text": "https://x/l/#y"})
    assert (drawn.status, drawn.content_type) == (200, "image/png")


@pytest.mark.parametrize(
    "wanted", [{"ttl_s": 59}, {"ttl_s": 86_401}, {"note": "x" * 301}, {"noet": "x"}, {"ttl_s": "x"}]
)
async def test_a_wish_that_is_not_allowed_makes_no_link(guarded, worker, wanted):
    assert (await guarded.code("POST", OF_MINE, json=wanted))[0] == 422
    assert await read_links(guarded) == []


async def test_a_device_has_few_requests_that_wait(guarded, worker):
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
