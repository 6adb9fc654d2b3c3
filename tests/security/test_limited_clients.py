"""A device whose token is limited to accounts receives nothing of any other account."""

from __future__ import annotations

import json
from typing import Any

import pytest

from master.operations.notifications import raise_alarm
from master.routes import FROM_CLIENT
from master.sockets.outbound import OutboundQueue
from tests.conftest import Peer
from tests.security.conftest import (
    DEVICE,
    FOREIGN,
    LIMITED,
    MINE,
    OPERATOR,
    OTHER,
    WORKER_1,
    Guarded,
    settle,
)
from tools.protocol import TOLD

HEARD_BY_DEVICES = {
    "client:register:success",
    "client:register:error",
    "client:sync",
    "client:sync:response",
    "notification:new",
}
"""The events that the tests below search; a new event of TOLD must be added here and to them."""

ASKED_BY_DEVICES = {
    "client:register",
    "client:heartbeat",
    "client:notification:ack",
    "client:sync:request",
}


def test_every_event_of_devices_is_looked_through():
    assert set(TOLD["client"]) == HEARD_BY_DEVICES
    assert set(FROM_CLIENT) == ASKED_BY_DEVICES


async def prepare(guarded: Guarded) -> Peer:
    """Make two accounts of one worker, two messages of ours, three of theirs; return the worker."""
    worker = await guarded.register("worker-1", WORKER_1)
    for account_id in (FOREIGN, MINE):
        await guarded.add_account(account_id)
    await guarded.detect(worker, FOREIGN, 1)
    await guarded.detect(worker, MINE, 1)
    await guarded.detect(worker, FOREIGN, 2)
    await guarded.detect(worker, MINE, 2)
    await guarded.detect(worker, FOREIGN, 3)
    return worker


def ids(notifications: list[dict[str, Any]]) -> list[str]:
    return [one["data"]["platform_id"] for one in notifications]


def assert_nothing_foreign(*things: Any) -> None:
    assert FOREIGN not in json.dumps(things), things


async def test_a_hint_is_of_the_own_accounts_alone(guarded, monkeypatch):
    monkeypatch.setattr(OutboundQueue, "is_crowded", True)
    limited = await guarded.register_device(LIMITED)
    await prepare(guarded)
    await settle(limited)
    hints = limited.all("client:sync")
    assert hints
    assert {hint["last_seq"] for hint in hints} <= {2, 4}, "those of the own account"
    assert limited.all("notification:new") == []


async def test_pushed_notifications_are_of_the_own_accounts_alone(guarded):
    limited, everything = (
        await guarded.register_device(LIMITED),
        await guarded.register_device(DEVICE, "of-all"),
    )
    other = await guarded.register_device(OTHER, "device-1")
    worker = await prepare(guarded)
    await everything.hear("notification:new", 5)
    await limited.hear("notification:new", 2)
    await settle(limited, other)
    assert ids(limited.all("notification:new")) == [f"{MINE}-1", f"{MINE}-2"]
    assert ids(other.all("notification:new")) == [f"{FOREIGN}-{number}" for number in (1, 2, 3)]
    assert len({one["id"] for one in everything.all("notification:new")}) == 5, "each once"
    assert_nothing_foreign(limited.heard)
    assert worker.client.connected


async def test_what_a_device_is_owed_and_its_counts_are_of_the_own_accounts(guarded):
    await prepare(guarded)
    limited = await guarded.connect("client", LIMITED)
    answer = await limited.ask("client:register", {"device_id": "device-1"})
    assert answer["owed"] == 2
    await limited.hear("notification:new", 2)
    newest = max(one["seq"] for one in limited.all("notification:new"))
    assert answer["last_seq"] == newest, "the seq of the newest foreign one is not told"
    await settle(limited)
    assert_nothing_foreign(answer, limited.heard)


@pytest.mark.parametrize(
    "since", [{}, {"after_seq": 0}, {"since_timestamp": 0}, {"after_seq": 10**9}, {"offset": 1}]
)
async def test_a_sync_lists_the_own_accounts_alone(guarded, since):
    await prepare(guarded)
    limited = await guarded.register_device(LIMITED)
    answer = await limited.ask("client:sync:request", {"device_id": "device-1", **since})
    await settle(limited)
    assert answer["success"]
    assert answer["total_count"] == 2, "10**9 was never assigned: it is no seq"
    own = {one["seq"] for one in limited.all("notification:new")}
    assert answer["last_seq"] in own
    assert set(ids(answer["notifications"])) <= {f"{MINE}-1", f"{MINE}-2"}
    assert_nothing_foreign(answer, limited.heard)


async def test_replaying_a_sequence_returns_each_own_notification_once(guarded):
    worker = await prepare(guarded)
    limited = await guarded.register_device(LIMITED)
    seen, after = [], 0
    for number in range(3, 8):
        page = await limited.ask(
            "client:sync:request", {"device_id": "device-1", "after_seq": after, "limit": 1}
        )
        seen += ids(page["notifications"])
        after = page["last_seq"]
        await guarded.detect(worker, MINE, number)
        await guarded.detect(worker, FOREIGN, number + 10)
    assert seen == [f"{MINE}-{number}" for number in range(1, 6)]


async def test_a_foreign_notification_cannot_be_confirmed_and_is_like_none(guarded):
    await prepare(guarded)
    admin = await guarded.connect("admin", OPERATOR)
    limited = await guarded.register_device(LIMITED)
    [(foreign,), *_] = guarded.rows("SELECT id FROM notifications WHERE account_id = ?", FOREIGN)
    before = guarded.dump()
    theirs = await limited.ask("client:notification:ack", {"notification_id": foreign})
    nobodys = await limited.ask("client:notification:ack", {"notification_id": "nobody"})
    assert theirs == nobodys
    assert theirs["error"]["code"] == "not_found"
    await settle(admin)
    assert guarded.dump() == before
    assert not admin.all("notification:confirmed")


async def test_an_own_notification_is_confirmed_under_the_devices_own_name(guarded):
    await prepare(guarded)
    admin = await guarded.connect("admin", OPERATOR)
    limited = await guarded.register_device(LIMITED)
    own = await limited.hear("notification:new")
    answer = await limited.ask("client:notification:ack", {"notification_id": own["id"]})
    assert (answer["success"], answer["confirmed_by"]) == (True, "device-1")
    assert (await admin.hear("notification:confirmed"))["notification_id"] == own["id"]


async def test_a_heartbeat_tells_of_the_own_device_alone(guarded):
    limited = await guarded.register_device(LIMITED)
    await guarded.register_device(DEVICE, "of-all")
    answer = await limited.ask("client:heartbeat", {"client_id": "of-all"})
    assert answer["client_id"] == "device-1"


async def test_a_limited_device_reaches_no_other_tokens_device(guarded):
    """One device id under two tokens is two devices: each has its own last_seq."""
    await prepare(guarded)
    everything = await guarded.register_device(DEVICE, "shared")
    await everything.close()
    limited = await guarded.register_device(LIMITED, "shared")
    answer = await limited.ask("client:sync:request", {"device_id": "shared", "after_seq": 10**9})
    assert answer["success"]
    back = await guarded.connect("client", DEVICE)
    assert (await back.ask("client:register", {"device_id": "shared"}))["owed"] == 5


async def test_a_registered_device_speaks_for_no_other(guarded):
    await prepare(guarded)
    first, second = (
        await guarded.register_device(DEVICE, "first"),
        await guarded.register_device(DEVICE, "second"),
    )
    refused = await first.ask("client:sync:request", {"device_id": "second", "after_seq": 10**9})
    assert refused["error"]["code"] == "not_yours"
    await second.close()
    back = await guarded.connect("client", DEVICE)
    assert (await back.ask("client:register", {"device_id": "second"}))["owed"] == 5


async def test_nothing_of_logins_accounts_and_alarms_reaches_a_limited_device(guarded):
    worker = await prepare(guarded)
    admin = await guarded.connect("admin", OPERATOR)
    limited, everything = (
        await guarded.register_device(LIMITED),
        await guarded.register_device(DEVICE, "of-all"),
    )
    session_id = await guarded.start_login(admin, worker, FOREIGN)
    await worker.ask(
        "worker:login:status",
        {"session_id": session_id, "status": "success", "cookies": [{"a": 1}]},
    )

    def alarm(event: None, turn: Any) -> None:
        raise_alarm(turn, "something is wrong", {"silent": ["worker-1"]})

    await guarded.run(alarm)
    await everything.hear("notification:new", 6)
    await settle(limited)
    assert {event for event, _ in limited.heard} == {"client:register:success", "notification:new"}
    assert ids(limited.all("notification:new")) == [f"{MINE}-1", f"{MINE}-2"]


async def test_a_device_hears_nothing_before_it_registers(guarded):
    silent = await guarded.connect("client", LIMITED)
    await prepare(guarded)
    await settle(silent)
    assert silent.heard == []


async def test_what_a_limited_device_passes_is_sent_of_its_own_accounts_alone(guarded):
    await prepare(guarded)
    limited = await guarded.register_device(LIMITED)
    newest = (await limited.hear("notification:new", 2))["seq"]
    guarded.master.memory.sessions.delivered.clear()
    await limited.ask("client:sync:request", {"device_id": "device-1", "after_seq": newest})
    sent = guarded.rows("SELECT account_id FROM notifications WHERE is_sent")
    assert sent == [(MINE,), (MINE,)]


async def test_a_limited_device_that_confirms_one_by_one_passes_what_is_not_for_it(guarded):
    await prepare(guarded)
    limited = await guarded.register_device(LIMITED)
    await limited.hear("notification:new", 2)
    for own in limited.all("notification:new"):
        assert (await limited.ask("client:notification:ack", {"notification_id": own["id"]}))[
            "success"
        ]
    assert guarded.rows("SELECT seen_seq FROM client_devices") == [
        (limited.all("notification:new")[1]["seq"],)
    ]
    assert guarded.rows("SELECT * FROM client_deliveries") == []
