"""The fake platform: equal seeds give equal worlds, other seeds others."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from master.clock import ManualClock
from master.model import LoginStatus, MessageKind
from simulator.actors.worker import draw_profiles
from simulator.chance import open_stream
from simulator.scenario import Scenario
from simulator.truth.login_plans import VISITOR_S
from simulator.truth.platform import CODE_LASTS_S, KEPT, PAGE, LoginView, Platform, draw_login

BUSY = Scenario(workers=1, accounts=2, rate_per_s=10)
SURE = replace(BUSY, never_scan_rate=0, login_failure_rate=0, sms_rate=0, scan_delay_s=(3, 3))


def live(scenario: Scenario, step_s: float = 5.0) -> list[Any]:
    """Return everything that a platform produces in a minute."""
    clock = ManualClock()
    platform = Platform(scenario, clock, "run")
    course: list[Any] = []
    for number in (1, 2):
        platform.enroll(f"id-{number}", f"handle-{number}")
        plan = platform.begin_login(f"s-{number}", f"id-{number}")
        course += [plan, platform.fetch_code(f"s-{number}"), platform.read_phone(f"s-{number}")]
        course.append(platform.read_profile(f"s-{number}"))
    for _ in range(int(60 / step_s)):
        clock.advance(step_s)
        for number in (1, 2):
            platform.look_at_messages(f"id-{number}", 0)
    course += [
        [(i.kind, i.number, i.payload) for i in platform.look_at_messages(f"id-{n}", 0)]
        for n in (1, 2)
    ]
    return course


def begin(scenario: Scenario) -> tuple[Platform, ManualClock]:
    clock = ManualClock()
    platform = Platform(scenario, clock, "run")
    platform.enroll("id", "handle")
    platform.begin_login("s", "id")
    return platform, clock


def test_the_same_seed_plays_the_same_course():
    assert live(BUSY) == live(BUSY)


def test_another_seed_plays_another_course():
    ours, theirs = live(BUSY), live(replace(BUSY, seed=2))
    assert all(
        one != other for one, other in zip(ours, theirs, strict=True) if not isinstance(one, str)
    )


def test_how_often_somebody_looks_does_not_change_what_is_said():
    def words(course: list[Any]) -> list[Any]:
        return [(kind, number, payload["content"]) for kind, number, payload in course[-1]]

    assert words(live(BUSY, 5.0)) == words(live(BUSY, 20.0))


def test_an_account_draws_nothing_from_another():
    platform = Platform(BUSY, clock := ManualClock(), "run")
    platform.enroll("other-id", "handle-2")
    platform.look_at_messages("other-id", 0)
    clock.advance(60)
    alone = [item.payload["content"] for item in platform.look_at_messages("other-id", 0)]
    assert alone == [payload["content"] for _, _, payload in live(BUSY)[-1]]


def test_streams_of_one_seed_are_apart():
    draws = {
        open_stream(1, purpose, name).random()
        for purpose in ("login", "sms")
        for name in ("a", "b")
    }
    assert len(draws) == 4


@pytest.mark.parametrize(("failure_rate", "succeeds"), [(0.0, {True}), (1.0, {False})])
def test_the_failure_rate_decides_at_its_ends(failure_rate, succeeds):
    scenario = Scenario(login_failure_rate=failure_rate)
    assert {draw_login(scenario, f"h{number}", 1).succeeds for number in range(200)} == succeeds


def test_about_as_many_logins_fail_as_asked():
    failed = sum(
        not draw_login(Scenario(login_failure_rate=0.3), f"h{n}", 1).succeeds for n in range(1000)
    )
    assert 250 < failed < 350


def test_a_login_is_seen_waiting_scanned_confirmed():
    platform, clock = begin(SURE)
    assert platform.look_at_login("s") is LoginView.WAITING
    platform.fetch_code("s")
    clock.advance(2.9)
    assert platform.look_at_login("s") is LoginView.WAITING
    clock.advance(0.2)
    assert platform.look_at_login("s") is LoginView.SCANNED
    clock.advance(2.0)
    assert platform.look_at_login("s") is LoginView.CONFIRMED


def test_a_login_that_is_not_scanned_waits_for_ever():
    platform, clock = begin(replace(SURE, never_scan_rate=1))
    platform.fetch_code("s")
    clock.advance(10_000)
    assert platform.look_at_login("s") is LoginView.WAITING


def test_a_login_that_needs_a_code_accepts_only_the_right_one():
    platform, clock = begin(replace(SURE, sms_rate=1))
    platform.fetch_code("s")
    clock.advance(10)
    assert platform.look_at_login("s") is LoginView.CODE_NEEDED
    assert not platform.type_code("s", "000000")
    assert platform.look_at_login("s") is LoginView.CODE_NEEDED
    assert platform.type_code("s", str(platform.read_phone("s")))
    assert platform.look_at_login("s") is LoginView.CONFIRMED
    platform.end_login("s")
    assert platform.read_phone("s") is None


def test_a_qr_code_runs_out_and_the_next_one_is_another():
    platform, clock = begin(SURE)
    first = platform.fetch_code("s")
    clock.advance(CODE_LASTS_S)
    assert not platform.is_code_old("s")
    clock.advance(0.1)
    assert platform.is_code_old("s")
    assert platform.fetch_code("s") != first
    assert not platform.is_code_old("s")


def test_cookies_open_only_their_own_account():
    platform, _ = begin(SURE)
    profile = platform.read_profile("s")
    assert platform.accepts("id", profile)
    assert not platform.accepts("another", profile)
    for worthless in (None, {}, {"cookies": []}, {"cookies": [{"value": "x"}]}, {"cookies": "x"}):
        assert not platform.accepts("id", worthless)


@pytest.mark.parametrize("taken", [False, True])
def test_a_strangers_login_begins_a_session_only_once_master_takes_the_person(taken):
    platform, _ = begin(SURE)
    platform.mischief.wrong_phones = Random(1)  # its first draw lets a stranger scan
    platform.begin_login("t", "id")
    platform.standings.end_session("id", LoginStatus.LOGGED_OUT)
    platform.fetch_code("t")
    platform.read_profile("t")
    if taken:
        platform.accept_stranger("t")
    seen, _ = platform.standings.look("id")
    assert seen is (LoginStatus.LOGGED_IN if taken else LoginStatus.LOGGED_OUT)


def test_a_cursor_gets_what_follows_it_and_a_newcomer_the_latest_page():
    platform, clock = begin(SURE)
    platform.look_at_messages("id", None)
    clock.advance(30)
    everything = platform.look_at_messages("id", 0)
    assert [item.position for item in everything] == list(range(1, platform.produced + 1))
    assert platform.look_at_messages("id", None) == everything[-PAGE:]
    assert platform.look_at_messages("id", everything[-3].position) == everything[-2:]


def test_the_platform_forgets_what_is_too_old():
    platform, clock = begin(replace(SURE, rate_per_s=1000))
    platform.look_at_messages("id", 0)
    clock.advance(60)
    assert len(platform.look_at_messages("id", 0)) == KEPT < platform.produced


def test_ids_are_unique_and_name_the_run():
    platform, clock = begin(SURE)
    platform.look_at_messages("id", 0)
    clock.advance(60)
    items = platform.look_at_messages("id", 0)
    names = [platform.name_item("id", item.kind, item.number) for item in items]
    assert len(set(names)) == len(names)
    assert all(platform.is_ours(name) for name in names)
    keys = {
        MessageKind.COMMENT: "platform_comment_id",
        MessageKind.DIRECT_MESSAGE: "platform_message_id",
    }
    assert names == [item.payload[keys[item.kind]] for item in items]


def test_nothing_appears_after_the_end():
    platform, clock = begin(SURE)
    platform.stop_producing()
    clock.advance(60)
    assert platform.look_at_messages("id", 0) == []


def test_workers_differ_in_what_they_can():
    profiles = draw_profiles(6, ("douyin", "xiaohongshu"), 10, "sim")
    assert len({profile.id for profile in profiles}) == 6
    assert [len(profile.capabilities) for profile in profiles] == [2, 2, 1, 2, 2, 1]


@pytest.mark.parametrize("count", [7, 3 * KEPT + 1])
def test_a_burst_shows_as_many_messages_as_were_asked_for(count):
    platform = Platform(replace(BUSY, rate_per_s=1e-9), ManualClock(), "run")
    ids = [f"id-{number}" for number in range(3)]
    for name in ids:
        platform.enroll(name, name)
    platform.burst(ids[:2], count)
    shown = [len(platform.look_at_messages(name, 0)) for name in ids]
    assert sum(shown) == count
    assert shown[0] - shown[1] == count % 2
    assert shown[2] == 0


def test_after_a_burst_the_platform_shows_no_more_than_it_brought():
    platform = Platform(replace(BUSY, rate_per_s=1e-9), ManualClock(), "run")
    platform.enroll("id", "handle")
    for _ in range(3):
        platform.burst(["id"], KEPT + 5)
    assert len(platform.look_at_messages("id", 0)) == KEPT + 5
    platform.burst(["id"], 1)
    assert len(platform.look_at_messages("id", 0)) == KEPT


class TestVisitors:
    def play(self, scenario: Scenario) -> tuple[Platform, ManualClock]:
        clock = ManualClock()
        platform = Platform(scenario, clock, "run")
        platform.visitors.are_here = True
        platform.enroll("id", "handle")
        platform.begin_login("s", "id")
        platform.fetch_code("s")
        return platform, clock

    def test_a_visitor_scans_by_hand_and_any_code_is_right(self):
        platform, clock = self.play(replace(SURE, sms_rate=1, login_failure_rate=1))
        clock.advance(10)
        assert platform.look_at_login("s") is LoginView.WAITING
        platform.scan_by_hand("s")
        assert platform.look_at_login("s") is LoginView.CODE_NEEDED
        assert platform.type_code("s", "123456")
        clock.advance(5)
        assert platform.look_at_login("s") is LoginView.CONFIRMED

    def test_the_owner_scans_a_code_that_a_visitor_has_left_alone(self):
        platform, clock = self.play(SURE)
        clock.advance(VISITOR_S)
        assert platform.look_at_login("s") is LoginView.WAITING
        clock.advance(10)
        assert platform.look_at_login("s") is LoginView.CONFIRMED

    def test_what_simulated_administrators_start_goes_its_way(self):
        platform, clock = self.play(SURE)
        platform.visitors.planned.add("s")
        clock.advance(10)
        assert platform.look_at_login("s") is LoginView.CONFIRMED
        platform.end_login("s")
        assert platform.visitors.planned == set()

    def test_without_a_code_there_is_nothing_to_scan(self):
        platform, _ = begin(SURE)
        platform.scan_by_hand("s")
        platform.scan_by_hand("no-such-login")
        assert not platform.is_played("s")
