"""Login links: what an owner's device may do, and how a link ends."""

from __future__ import annotations

import asyncio

import pytest

from master.app import Master
from master.operations.login_links import expire_links
from master.settings import load_settings
from tests.security.conftest import MINE, OPERATOR, ROOT, TOKENS, WORKER_1
from tests.security.owners import (
    COOKIES,
    IPHONE,
    OF_MINE,
    Phone,
    begin,
    make,
    read_links,
    report,
)
from tests.waiting import until


async def test_an_owner_logs_in_and_the_link_ends(guarded, owners_worker):
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
    session_id = await begin(guarded, owners_worker, phone)
    seen = await phone.state()
    assert (seen["state"], seen["login"]["step"], seen["login"]["seq"]) == ("started", "code", 1)
    image = await phone.ask("GET", f"/l/qr.png?link={link_id}&seq=1")
    assert (image.status, image.content_type) == (200, "image/png")
    assert image.headers["Cache-Control"] == "no-store"
    await report(owners_worker, session_id, "scanned")
    await report(owners_worker, session_id, "sms_input_required", step="sms", message="sent to 138")
    asked = (await phone.state())["login"]["question"]
    assert (asked["kind"], asked["message"]) == ("sms_code", "sent to 138")
    assert await phone.post("input", value="1", step_id=asked["step_id"] - 1) == (
        409,
        "step_passed",
    )
    assert await phone.post("input", value="246810", step_id=asked["step_id"]) == (200, "")
    typed = await owners_worker.hear("master:login:user_input")
    assert (typed["input_type"], typed["value"]) == ("sms_code", "246810")
    await report(owners_worker, session_id, "success", cookies=COOKIES, user_info={"uid": "7001"})
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


async def test_each_step_is_in_the_audit_and_no_secret_is_anywhere(guarded, owners_worker, capfd):
    _, secret = await make(guarded)
    phone = Phone(guarded)
    await phone.open(secret)
    session_id = await begin(guarded, owners_worker, phone)
    await report(owners_worker, session_id, "sms_required", input_type="sms_code")
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


async def test_another_device_gets_a_constant_refusal_and_the_operator_is_told(
    guarded, owners_worker
):
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
    assert not owners_worker.all("master:login:start")


async def test_refusals_are_counted_up_to_a_limit(guarded, owners_worker):
    _, secret = await make(guarded)
    await Phone(guarded).open(secret)
    for _ in range(30):
        await Phone(guarded).open(secret)
    (row,) = await read_links(guarded)
    assert row["refused"] == 20


async def test_unknown_and_ended_links_are_refused_alike_and_guesses_wait(guarded, owners_worker):
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


async def test_a_stranger_that_scans_a_leaked_code_is_stopped(guarded, owners_worker):
    _, secret = await make(guarded)
    phone = Phone(guarded)
    await phone.open(secret)
    session_id = await begin(guarded, owners_worker, phone)
    await report(owners_worker, session_id, "success", cookies=COOKIES, user_info={"uid": "7001"})
    _, secret = await make(guarded)
    stranger = Phone(guarded)
    await stranger.open(secret)
    session_id = await begin(guarded, owners_worker, stranger, 2)
    answer = await report(
        owners_worker,
        session_id,
        "success",
        cookies=COOKIES,
        user_info={"uid": "7002", "nickname": "Li"},
    )
    assert answer["error_type"] == "identity_mismatch"
    state = await stranger.state()
    assert (state["state"], state["outcome"]) == ("started", "identity_mismatch")
    assert "Li" not in str(state)
    row = (await (await guarded.ask("GET", f"/api/v1/accounts/{MINE}")).json())["account"]
    assert row["platform_user_id"] == "7001"


@pytest.mark.parametrize("profile", [{"uid": "7002"}, {}, None])
async def test_a_link_for_one_person_takes_no_other_and_no_unknown_one(
    guarded, owners_worker, profile
):
    _, secret = await make(guarded, require_uid="7001")
    phone = Phone(guarded)
    await phone.open(secret)
    session_id = await begin(guarded, owners_worker, phone)
    about = {} if profile is None else {"user_info": profile}
    answer = await report(owners_worker, session_id, "success", cookies=COOKIES, **about)
    assert answer["error_type"] == "identity_mismatch"
    session_id = await begin(guarded, owners_worker, phone, 2)
    about = {"user_info": {"uid": "7001"}}
    answer = await report(owners_worker, session_id, "success", cookies=COOKIES, **about)
    assert answer["status"] == "success"
    refused = await guarded.code("POST", OF_MINE, json={"require_uid": "7002"})
    assert refused == (422, "invalid")


async def test_a_link_ends_with_its_third_failed_login(guarded, owners_worker):
    _, secret = await make(guarded)
    phone = Phone(guarded)
    await phone.open(secret)
    for number in range(1, 4):
        session_id = await begin(guarded, owners_worker, phone, number)
        assert await phone.post("start") == (200, "")  # a second tap is one login
        await report(owners_worker, session_id, "failed")
    state = await phone.state()
    assert (state["state"], state["end_reason"], state["starts_left"]) == ("expired", "used_up", 0)
    assert await phone.post("start") == (404, "link_closed")
    assert len(owners_worker.all("master:login:start")) == 3


async def test_its_time_ends_a_link_and_its_login_by_either_clock(guarded, owners_worker):
    _, secret = await make(guarded, ttl_s=60)
    phone = Phone(guarded)
    await phone.open(secret)
    session_id = await begin(guarded, owners_worker, phone)
    guarded.clock.advance(59)
    assert await phone.post("start") == (200, "")
    guarded.clock.advance(1)
    assert await phone.post("start") == (404, "link_closed")
    assert (await Phone(guarded).open(secret)).status == 404
    assert await guarded.run(expire_links) == 1
    assert (await owners_worker.hear("master:login:cancel"))["session_id"] == session_id
    state = await phone.state()
    assert (state["state"], state["end_reason"]) == ("expired", "time")
    _, secret = await make(guarded, ttl_s=60)
    guarded.clock.step(-3_600)
    guarded.clock.advance(61)
    assert (await Phone(guarded).open(secret)).status == 404
    guarded.clock.advance(7_200)
    assert (await phone.ask("GET", f"/l/state?link={phone.link}")).status == 404


async def test_a_revoked_link_ends_its_login_and_the_page_hears_it_at_once(guarded, owners_worker):
    link_id, secret = await make(guarded)
    phone = Phone(guarded)
    await phone.open(secret)
    await begin(guarded, owners_worker, phone)
    tag = (await phone.state())["tag"]
    waits = asyncio.create_task(phone.state(tag))
    await until(lambda: guarded.master.memory.links.count_waiting(link_id) == 1)
    answer = await guarded.ask("DELETE", f"{OF_MINE}/{link_id}", OPERATOR)
    assert (await answer.json())["login_link"]["state"] == "revoked"
    assert (await waits)["state"] == "revoked"
    await owners_worker.hear("master:login:cancel")
    assert await guarded.code("DELETE", f"{OF_MINE}/{link_id}", OPERATOR) == (404, "link_closed")
    assert (await phone.ask("GET", f"/l/qr.png?link={link_id}")).status == 404


async def test_a_newer_link_and_the_removal_of_the_account_end_a_link(guarded, owners_worker):
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


async def test_a_link_survives_a_restart_with_its_device_and_its_end(guarded, owners_worker):
    _, secret = await make(guarded)
    phone = Phone(guarded)
    await phone.open(secret)
    session_id = await begin(guarded, owners_worker, phone)
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
