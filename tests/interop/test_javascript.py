"""The official JavaScript client uses the protocol over each transport."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from loadtest.target import Target

WALK_TIMEOUT_S = 120
SECRET = "interop-secret"


@pytest.fixture(scope="module", params=["polling", "websocket", "polling,websocket"])
def seen(request: pytest.FixtureRequest, javascript: Path, master: Target) -> dict[str, Any]:
    """The events of the client on one walk; "polling,websocket" upgrades, as browsers do."""
    walk = subprocess.run(
        ["node", "drive.mjs", master.url, request.param],
        cwd=javascript, capture_output=True, text=True, timeout=WALK_TIMEOUT_S, check=False,
    )  # fmt: skip
    assert walk.returncode == 0, walk.stderr
    results: dict[str, Any] = json.loads(walk.stdout.splitlines()[-1])
    assert "fault" not in results, results["fault"]
    return {**results, "transports": request.param.split(",")}


def test_a_worker_registers_and_is_assigned_a_free_account(seen: dict[str, Any]) -> None:
    step = seen["register"]
    assert step["created"]["status"] == 201
    assert step["transport"] in seen["transports"]
    assert step["ack"]["success"] is True
    registered = step["registered"]
    assert registered["success"] is True
    assert (registered["heartbeatInterval"], registered["heartbeatTimeout"]) == (10, 30)
    assert [account["id"] for account in registered["accounts"]] == [step["accountId"]]


def test_a_heartbeat_is_answered_with_what_the_worker_owns(seen: dict[str, Any]) -> None:
    step = seen["register"]
    assert step["heartbeat"]["success"] is True
    assert step["heartbeat"]["accountIds"] == [step["accountId"]]


def test_a_login_goes_from_admin_to_worker_and_back(seen: dict[str, Any]) -> None:
    step = seen["login"]
    session_id = step["start"]["session_id"]
    assert step["start"]["success"] is True
    assert step["startAck"]["status"] == "sent"
    assert set(step["asked"]) >= {"account_id", "session_id", "platform", "proxy"}
    assert step["qrAck"]["success"] is True
    assert step["ready"]["qr_code_data"].startswith("data:image/png;base64,")
    assert step["ready"]["session_id"] == session_id
    assert step["scanning"]["body"]["data"]["status"] == "scanning"
    assert step["done"]["success"] is True
    assert step["success"]["user_info"]["nickname"] == "昵称 😀"
    assert step["account"]["body"]["account"]["login_status"] == "logged_in"
    assert step["account"]["body"]["account"]["has_credentials"] is True


def test_what_a_person_types_reaches_the_worker(seen: dict[str, Any]) -> None:
    step = seen["login"]
    assert step["typedAck"]["success"] is True
    assert (step["typed"]["input_type"], step["typed"]["value"]) == ("sms_code", "123456")


def test_a_login_that_ended_accepts_no_more_reports(seen: dict[str, Any]) -> None:
    assert seen["login"]["again"]["success"] is False
    assert seen["login"]["again"]["error"]["code"] == "login_closed"


def test_cookies_go_to_the_owning_worker_alone(seen: dict[str, Any]) -> None:
    step = seen["login"]
    assert SECRET in json.dumps(step["assigned"])
    assert all(
        SECRET not in json.dumps(step[name])
        for name in ("success", "update", "account", "scanning")
    )


def test_messages_are_kept_once_and_bad_items_refused_by_name(seen: dict[str, Any]) -> None:
    step = seen["messages"]
    counts = [
        (step[name]["inserted"], step[name]["duplicates"]) for name in ("first", "second", "direct")
    ]
    assert counts == [(2, 0), (1, 1), (1, 0)]
    assert [detail["index"] for detail in step["second"]["details"]] == [2]
    assert step["listed"]["body"]["total"] == 3


def test_every_new_message_is_told_to_admins_and_devices(seen: dict[str, Any]) -> None:
    step = seen["messages"]
    for reader in ("atAdmin", "atDevice"):
        assert [one["title"] for one in step[reader]] == ["新评论", "新评论", "新评论", "新私信"]
    assert step["repeated"] is False
    assert step["seen"]["success"] is True
    assert step["confirmed"]["notification_id"] == step["atDevice"][0]["id"]


def test_a_device_fetches_what_followed_in_order(seen: dict[str, Any]) -> None:
    step = seen["messages"]
    fetched = [one["seq"] for one in step["sync"]["notifications"]]
    assert fetched == sorted({one["seq"] for one in step["atDevice"]})
    assert step["sync"]["last_seq"] == fetched[-1]
    assert step["response"]["notifications"] == step["sync"]["notifications"]
    assert step["rest"]["notifications"] == []


def test_every_malformed_event_is_answered_with_a_refusal(seen: dict[str, Any]) -> None:
    for name, answer in seen["malformed"]["answers"].items():
        assert isinstance(answer, dict), f"{name}: {answer}"
        assert answer["success"] is False, name
        assert answer["error"]["code"] not in ("internal", ""), name
        assert answer["error"]["message"], name
    assert seen["malformed"]["connected"] == [True, True, True]


def test_several_megabytes_arrive_whole(seen: dict[str, Any]) -> None:
    step = seen["malformed"]
    assert step["large"]["inserted"] == 60
    assert step["heartbeat"]["success"] is True
    assert step["status"]["success"] is True
