"""Sessions of the console: who gets one, what its cookie opens, and when it ends."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from http.cookies import SimpleCookie
from typing import Any

import aiohttp
import pytest

from master.model import Grant, Scope
from master.signins import IDLE_S, LINK_S, LONGEST_S, MOST_SESSIONS, Signins, make_link
from tests.security.conftest import MINE, READER, ROOT, WORKER_1, WRONG
from tests.waiting import until

SESSION = "/api/v1/console/session"
SESSIONS = "/api/v1/console/sessions"
STRANGE = "https://evil.example"
BESIDE = "http://localhost:3001"
"""A listed origin: it may use Master with a token of its own."""


def own(guarded) -> str:
    return f"http://127.0.0.1:{guarded.master.port}"


async def sign_in(guarded, origin: str | None = None, **sent: str) -> aiohttp.ClientResponse:
    headers = {"Origin": origin or own(guarded)}
    return await guarded.ask("POST", SESSION, None, json=sent, headers=headers)


def read_cookie(answer: aiohttp.ClientResponse) -> tuple[str, Any]:
    cookies = SimpleCookie(answer.headers["Set-Cookie"])
    assert len(cookies) == 1
    return next(iter(cookies.items()))


async def get_cookie(guarded, token: str = ROOT) -> dict[str, str]:
    """Sign in; return the header with the session's cookie."""
    name, cookie = read_cookie(await sign_in(guarded, token=token))
    guarded.http.cookie_jar.clear()
    return {"Cookie": f"{name}={cookie.value}"}


async def test_a_token_buys_a_cookie_that_no_script_and_no_other_site_can_use(guarded):
    answer = await sign_in(guarded, token=ROOT)
    session = (await answer.json())["session"]
    assert (session["name"], session["scope"], session["guarded"]) == ("root", "admin", True)
    name, cookie = read_cookie(answer)
    assert name == f"master_console_{guarded.master.port}"
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
    assert not cookie["secure"]
    assert len(cookie.value) == 64
    assert ROOT not in cookie.value


async def test_over_https_the_cookie_is_bound_to_the_host(guarded):
    headers = {"Origin": "https://master.example", "Host": "master.example"}
    answer = await guarded.ask("POST", SESSION, None, json={"token": ROOT}, headers=headers)
    name, cookie = read_cookie(answer)
    assert (name, cookie["secure"]) == ("__Host-master_console", True)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"token": WRONG}, 401),
        ({"token": WORKER_1}, 403),
        ({"link": "0" * 64}, 401),
        ({"link": "../../x"}, 401),
        ({}, 422),
        ({"token": 3}, 422),
        ({"token": ROOT, "link": "x"}, 422),
        ({"token": "x" * 5_000}, 422),
    ],
)
async def test_nothing_else_buys_one(guarded, sent, status):
    answer = await sign_in(guarded, **sent)
    assert answer.status == status
    assert "Set-Cookie" not in answer.headers


async def test_guesses_wait_longer_and_longer(guarded):
    seen = [(await sign_in(guarded, link=f"{number}")).status for number in range(20)]
    assert seen[0] == 401
    assert seen[-1] == 429
    assert (await sign_in(guarded, token=ROOT)).status == 200


async def test_a_sign_in_of_another_page_or_of_a_form_is_refused(guarded):
    assert (await sign_in(guarded, STRANGE, token=ROOT)).status == 403
    form = await guarded.ask("POST", SESSION, None, data={"token": ROOT})
    assert (form.status, "Set-Cookie" in form.headers) == (400, False)


async def test_the_cookie_opens_the_api_with_the_tokens_scope(guarded):
    cookie = await get_cookie(guarded, READER)
    assert (await guarded.ask("GET", "/api/v1/accounts", None, headers=cookie)).status == 200
    assert (await guarded.ask("GET", "/metrics", None, headers=cookie)).status == 200
    change = {**cookie, "Origin": own(guarded)}
    body = {"platform": "douyin", "account_name": "x"}
    answer = await guarded.code("POST", "/api/v1/accounts", None, json=body, headers=change)
    assert answer == (403, "forbidden")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": STRANGE},
        {"Origin": BESIDE},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
        {},
        {"Sec-Fetch-Site": "same-origin"},
    ],
)
async def test_a_change_with_the_cookie_comes_from_the_console_itself(guarded, headers):
    cookie = await get_cookie(guarded)
    body = {"platform": "douyin", "account_name": "x"}
    both = {**cookie, **headers}
    answer = await guarded.ask("POST", "/api/v1/accounts", None, json=body, headers=both)
    assert answer.status in (401, 403)
    mine = {**cookie, "Origin": own(guarded)}
    assert (
        await guarded.ask("POST", "/api/v1/accounts", None, json=body, headers=mine)
    ).status == 201


@pytest.mark.parametrize(
    "headers",
    [{"Origin": STRANGE}, {"Origin": BESIDE}, {"Sec-Fetch-Site": "same-site"},
     {"Sec-Fetch-Site": "cross-site"}],
)  # fmt: skip
async def test_no_other_page_reads_with_the_cookie(guarded, headers):
    cookie = await get_cookie(guarded)
    answer = await guarded.ask("GET", "/api/v1/accounts", None, headers={**cookie, **headers})
    assert answer.status in (401, 403)


async def test_a_body_that_a_form_could_send_is_refused_with_the_cookie(guarded):
    headers = {**await get_cookie(guarded), "Origin": own(guarded), "Content-Type": "text/plain"}
    body = b'{"platform": "douyin", "account_name": "x"}'
    answer = await guarded.code("POST", "/api/v1/accounts", None, data=body, headers=headers)
    assert answer == (400, "unreadable")


async def test_a_token_in_the_header_wins_over_the_cookie(guarded):
    cookie = await get_cookie(guarded)
    assert (await guarded.ask("GET", "/api/v1/accounts", WRONG, headers=cookie)).status == 401
    session = await (await guarded.ask("GET", SESSION, READER, headers=cookie)).json()
    assert session["session"]["name"] == "reader"


async def test_the_cookie_opens_the_admin_namespace_and_no_other(guarded):
    headers = {**await get_cookie(guarded), "Origin": own(guarded)}
    admin = await guarded.connect("admin", headers=headers)
    assert (await admin.ask("admin:status:request", {}))["success"]
    for namespace in ("worker", "client"):
        with pytest.raises(Exception, match=r"token|connect|namespace"):
            await guarded.connect(namespace, headers=headers)


@pytest.mark.parametrize("origin", [None, BESIDE])
async def test_a_socket_of_another_page_gets_nothing_by_the_cookie(guarded, origin):
    headers = await get_cookie(guarded)
    if origin is not None:
        headers["Origin"] = origin
    admin = await guarded.connect("admin", headers=headers)
    assert (await admin.ask("admin:status:request", {}))["error"]["code"] == "unauthorized"


async def test_the_end_of_a_session_closes_its_sockets_and_its_cookie_opens_nothing(guarded):
    headers = {**await get_cookie(guarded), "Origin": own(guarded)}
    admin = await guarded.connect("admin", headers={**headers})  # the library takes the cookie out
    gone = asyncio.Event()
    admin.client.on("disconnect", lambda *_: gone.set(), namespace="/admin")
    answer = await guarded.ask("DELETE", SESSION, None, headers=headers)
    assert answer.status == 200
    await until(gone.is_set)
    assert (await guarded.ask("GET", SESSION, None, headers=headers)).status == 401


async def test_sessions_are_listed_and_ended_by_those_who_may(guarded):
    reader, root = await get_cookie(guarded, READER), await get_cookie(guarded)
    rows = (await (await guarded.ask("GET", SESSIONS, None, headers=root)).json())["data"]
    assert [(row["name"], row["is_own"]) for row in rows] == [("root", True), ("reader", False)]
    seen = (await (await guarded.ask("GET", SESSIONS, None, headers=reader)).json())["data"]
    assert [row["name"] for row in seen] == ["reader"]
    change = {"Origin": own(guarded)}
    foreign = f"{SESSIONS}/{rows[0]['id']}"
    assert (await guarded.ask("DELETE", foreign, None, headers={**reader, **change})).status == 404
    ended = f"{SESSIONS}/{rows[1]['id']}"
    assert (await guarded.ask("DELETE", ended, None, headers={**root, **change})).status == 200
    assert (await guarded.ask("GET", SESSION, None, headers=reader)).status == 401


async def test_a_link_signs_in_once_and_only_soon(guarded):
    path = guarded.path
    secret = make_link(path, "reader", guarded.clock.now(), os.urandom)
    assert all(found.stat().st_mode & 0o077 == 0 for found in path.parent.glob("*.signin-*"))
    assert all(secret not in found.name for found in path.parent.glob("*"))
    assert (await (await sign_in(guarded, link=secret)).json())["session"]["name"] == "reader"
    assert (await sign_in(guarded, link=secret)).status == 401
    late = make_link(path, "reader", guarded.clock.now(), os.urandom)
    guarded.clock.advance(LINK_S + 1)
    assert (await sign_in(guarded, link=late)).status == 401
    unknown = make_link(path, "nobody", guarded.clock.now(), os.urandom)
    assert (await sign_in(guarded, link=unknown)).status == 401


async def test_the_command_prints_a_link(guarded):
    settings = {"DB_PATH": str(guarded.path), "ADMIN_TOKENS": f"reader:{READER}:read,root:{ROOT}"}
    command = [sys.executable, "-m", "master", "console", "signin"]
    environment = {**os.environ, **settings, "PORT": str(guarded.master.port)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *arguments], env=environment, capture_output=True, text=True, check=False
        )

    done = await asyncio.to_thread(run, "root")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(rf"{own(guarded)}/console/#signin=[0-9a-f]{{64}}\n", done.stdout)
    assert ROOT not in done.stdout + done.stderr
    assert (await asyncio.to_thread(run, "nobody")).returncode == 2


def test_a_session_ends_unused_after_half_a_day_and_in_any_case_after_a_week(guarded_clock):
    clock, signins = guarded_clock
    ended: list[str] = []
    signins.hang_up = ended.append
    grant = Grant("admin", "anna", Scope.READ)
    idle, _ = signins.open(grant, "here", "browser")
    clock.advance(IDLE_S)
    assert signins.find(idle) is None
    used, session = signins.open(grant, "here", "browser")
    assert signins.join({"master.signin": session}, "socket-1")
    clock.advance(LONGEST_S - 1)
    assert signins.find(used) is session
    clock.advance(1)
    signins.end_late()
    assert (signins.find(used), ended) == (None, ["socket-1"])
    assert not signins.join({"master.signin": session}, "socket-2")


def test_sessions_are_bounded(guarded_clock):
    clock, signins = guarded_clock
    first, _ = signins.open(Grant("admin", "anna", Scope.READ), "here", "browser")
    for _ in range(MOST_SESSIONS):
        clock.advance(1)
        signins.open(Grant("admin", "anna", Scope.READ), "here", "browser")
    assert len(signins.list()) == MOST_SESSIONS
    assert signins.find(first) is None


@pytest.fixture
def guarded_clock():
    from master.clock import ManualClock

    clock = ManualClock()
    return clock, Signins(clock, os.urandom)


async def test_a_code_is_shown_as_an_image_with_the_cookie(guarded):
    await guarded.add_account(MINE)
    worker = await guarded.register("worker-1", WORKER_1)
    admin = await guarded.connect("admin", ROOT)
    session_id = await guarded.start_login(admin, worker, MINE)
    path = f"/api/v1/login-sessions/{session_id}/qr.png?seq=3"
    image = await guarded.ask("GET", path, None, headers=await get_cookie(guarded))
    assert (image.status, image.content_type) == (200, "image/png")
    reader = await get_cookie(guarded, READER)
    assert (await guarded.ask("GET", path, None, headers=reader)).status == 403
