"""Odd forms of facts: each is readable for Master, and keeps what the platform showed."""

from __future__ import annotations

from random import Random

import orjson
import pytest

from master.clock import ManualClock
from master.model import MessageKind
from master.protocol.decoding import decode
from master.protocol.detected import read_item
from master.protocol.json_text import FastJson
from master.protocol.worker import LoginReport
from simulator.scenario import Scenario
from simulator.truth.invariants import is_stored
from simulator.truth.login_plans import draw_profile
from simulator.truth.oddities import FORMS, LOGIN_FORMS, spoil_item, spoil_login
from simulator.truth.platform import PAGE, Platform

NOW = 1_767_225_600


class Only(Random):
    """Chooses one element."""

    def __init__(self, wanted: str) -> None:
        super().__init__(0)
        self._wanted = wanted

    def choice(self, _):
        return self._wanted


def show_items() -> list:
    clock = ManualClock()
    platform = Platform(Scenario(workers=1, accounts=1, rate_per_s=5), clock, "run")
    platform.remembers = True
    platform.enroll("id", "handle")
    platform.burst(["id"], 40)
    return list(platform.look_at_messages("id", 0))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", MessageKind)
def test_an_odd_message_is_read_as_what_was_shown(form, kind):
    item = next(one for one in show_items() if one.kind is kind)
    odd, truth = spoil_item(kind, item.payload, item.truth, 7_000_000_001, Only(form))
    read = read_item(kind, FastJson.loads(orjson.dumps(odd)))
    row = {**read.model_dump(mode="json"), "earlier_content": None}
    assert is_stored(row, truth), (odd, row)


@pytest.mark.parametrize("form", LOGIN_FORMS)
def test_an_odd_login_is_read_with_its_cookies(form):
    profile = draw_profile("id", "handle", "person", "run", Random(1))
    told = {"session_id": "session", "status": "success", **profile}
    odd, cookies = spoil_login(told, Only(form))
    read = decode(LoginReport, FastJson.loads(orjson.dumps(odd)))
    assert read.cookies is not None
    assert read.cookies.reveal() == cookies


def test_an_edited_message_is_listed_once_and_with_its_present_text():
    clock = ManualClock()
    platform = Platform(Scenario(workers=1, accounts=1), clock, "run")
    platform.enroll("id", "handle")
    platform.burst(["id"], 1)
    [first] = platform.look_at_messages("id", 0)
    assert platform.edit("id", Random(1))
    [edited] = platform.look_at_messages("id", first.position)
    assert edited.number == first.number
    assert edited.payload["content"] != first.payload["content"]
    assert list(platform.look_at_messages("id", 0)) == [edited]
    assert not platform.edit("id", Random(1)), "one edit of a message: their order is not told"


def test_a_message_of_another_conversation_has_the_same_id():
    clock = ManualClock()
    platform = Platform(Scenario(workers=1, accounts=1), clock, "run")
    platform.enroll("id", "handle")
    platform.burst(["id"], 1)
    assert platform.use_id_again("id", Random(1))
    one, other = platform.look_at_messages("id", 0)
    names = {platform.name_item("id", item.kind, item.number) for item in (one, other)}
    assert len(names) == 1
    assert platform.count_conversations(names.pop()) == 2


def test_a_login_brings_old_messages_that_a_first_look_sees():
    clock = ManualClock()
    platform = Platform(Scenario(workers=1, accounts=1), clock, "run")
    platform.enroll("id", "handle")
    platform.begin_login("s", "id")
    platform.mischief.histories = Random(1)  # its first draw brings some
    platform.read_profile("s")
    assert len(platform.look_at_messages("id", None)) > PAGE
    assert len(platform.look_at_messages("id", None)) == PAGE
