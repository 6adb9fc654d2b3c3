"""Login links as tables: what reports mean to an owner, names in part, and what is told."""

from __future__ import annotations

import pytest

from master.decisions.links import hide_name, name_agent, read_question, read_step, tell_link
from master.login_link import LinkState
from master.reasons import LinkEnd
from master.record import change
from tests.records import make_link

LINK = make_link("k", "a")


@pytest.mark.parametrize(
    ("status", "step"),
    [
        ("Scanned", "scanned"),
        ("confirming", "scanned"),
        ("SMS-Input required", "needs_input"),
        ("captcha_required", "needs_input"),
        ("logging in", "verifying"),
        ("waiting", None),
        ("qrcode_ready", None),
    ],
)
def test_a_workers_status_is_a_step(status, step):
    assert read_step(status) == step


@pytest.mark.parametrize(
    ("status", "step", "input_type", "question"),
    [
        ("sms_required", None, None, "sms_code"),
        ("input_required", "SMS", None, "sms_code"),
        ("input_required", None, "captcha_image", "captcha"),
        ("verification_required", None, None, "verification_required"),
        ("input_required", None, "birthday", "birthday"),
    ],
)
def test_a_workers_question_is_of_a_kind(status, step, input_type, question):
    assert read_question(status, step, input_type) == question


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Noodle shop", "No***op"),
        ("小店", "小*"),
        ("我的小店", "我***店"),
        ("x", "x*"),
        ("", "*"),
        ("  ab  ", "a*"),
    ],
)
def test_a_name_is_shown_in_part(name, shown):
    assert hide_name(name) == shown


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/604.1", "Safari, iPhone"),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/131 MicroMessenger/8.0", "WeChat, Android"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/131 Safari/537.36 Edg/131", "Edge, Windows"),
        ("curl/8", None),
        ("", None),
    ],
)
def test_a_browser_is_called_as_people_call_it(agent, name):
    assert name_agent(agent) == name


OPENED = change(LINK, state=LinkState.OPENED, device_hash="d", device_address="192.0.2.7")
STARTED = change(OPENED, state=LinkState.STARTED, starts=1, session_id="s")


@pytest.mark.parametrize(
    ("before", "after", "kinds"),
    [
        (None, LINK, ["login_link_made"]),
        (LINK, OPENED, ["login_link_opened"]),
        (OPENED, change(OPENED, refused=1), ["login_link_refused"]),
        (OPENED, STARTED, ["login_link_started"]),
        (STARTED, change(STARTED, state=LinkState.SCANNED), ["login_link_scanned"]),
        (STARTED, change(STARTED, outcome="failed"), []),
        (STARTED, change(STARTED, starts=2, session_id="t"), ["login_link_started"]),
        (STARTED, change(STARTED, state=LinkState.DONE), ["login_link_done"]),
        (
            STARTED,
            change(STARTED, state=LinkState.EXPIRED, end_reason=LinkEnd.TIME),
            ["login_link_expired"],
        ),
        (
            LINK,
            change(LINK, state=LinkState.REVOKED, end_reason=LinkEnd.CANCELLED),
            ["login_link_revoked"],
        ),
        (LINK, None, ["login_link_revoked"]),
        (change(LINK, state=LinkState.DONE), None, []),
    ],
)
def test_each_step_of_a_link_is_told_and_never_its_secret(before, after, kinds):
    told = list(tell_link(before, after, {}))
    assert [one.kind for one in told] == kinds
    assert {(one.account_id, one.target) for one in told} <= {("a", "k")}
    assert "hash of k" not in str(told)
