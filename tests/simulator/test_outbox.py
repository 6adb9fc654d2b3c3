"""The outbox: bounded, and each report is kept until acknowledged, sent no earlier than due."""

from __future__ import annotations

import pytest

from master.model import MessageKind
from simulator.actors.outbox import Outbox, Report, Verdict, judge_ack
from simulator.chance import draw_backoff, open_stream


def report(name: str = "a") -> Report:
    return Report(name, MessageKind.COMMENT, [1], [{"content": "x"}])


def outbox(limit: int = 500) -> Outbox:
    return Outbox(open_stream(1, "outbox"), limit)


def test_reports_leave_in_the_order_they_came():
    box, sent = outbox(), [report(name) for name in "abc"]
    assert all(box.put(each, 10.0) for each in sent)
    assert [box.pop_due(10.0) for _ in sent] == sent


def test_nothing_leaves_before_it_is_due():
    box = outbox()
    box.put(report(), 10.0)
    assert box.pop_due(9.9) is None
    assert box.find_wait(9.0) == 1.0
    assert box.pop_due(10.0) is not None


def test_an_empty_outbox_waits_for_nothing():
    assert outbox().find_wait(0.0) is None


def test_what_was_not_acknowledged_is_sent_again_later_each_time():
    box, again = outbox(), report()
    box.put(again, 0.0)
    for tries in range(1, 6):
        assert box.pop_due(1e9) is again
        wait_s = box.retry(again, 100.0)
        assert 0.1 <= wait_s <= min(15.0, 0.5 * 2 ** (tries - 1))
        assert box.find_wait(100.0) == pytest.approx(wait_s)
        assert again.tries == tries


def test_a_report_waits_at_least_as_long_as_master_asks():
    box, again = outbox(), report()
    box.put(again, 0.0)
    box.pop_due(0.0)
    assert box.retry(again, 0.0, 7.5) >= 7.6
    assert box.pop_due(7.5) is None


def test_hurry_makes_everything_due():
    box = outbox()
    box.put(report(), 50.0)
    box.hurry(1.0)
    assert box.find_wait(1.0) == 0.0


def test_a_full_outbox_accepts_no_more_until_there_is_room():
    box = outbox(limit=2)
    assert [box.put(report(), 0.0) for _ in range(3)] == [True, True, False]
    sending = box.pop_due(0.0)
    assert not box.put(report(), 0.0), "what is on its way still counts"
    assert sending is not None
    box.finish(sending)
    assert box.put(report(), 0.0)
    assert len(box) == 2


def test_only_what_is_being_sent_can_be_finished():
    with pytest.raises(AssertionError):
        outbox().finish(report())


@pytest.mark.parametrize(
    ("ack", "verdict"),
    [
        ({"success": True, "inserted": 1}, (Verdict.ACCEPTED, 0.0)),
        (
            {"success": False, "error": {"retryable": True, "retry_after_ms": 1500}},
            (Verdict.AGAIN, 1.5),
        ),
        ({"success": False, "error": {"retryable": True}}, (Verdict.AGAIN, 0.0)),
        (
            {"success": False, "error": {"retryable": True, "retry_after_ms": "soon"}},
            (Verdict.AGAIN, 0.0),
        ),
        ({"success": False, "error": {"retryable": False}}, (Verdict.REFUSED, 0.0)),
        ({"success": False, "error": "no"}, (Verdict.REFUSED, 0.0)),
        ({"success": "yes"}, (Verdict.REFUSED, 0.0)),
        ({}, (Verdict.REFUSED, 0.0)),
    ],
)
def test_an_acknowledgement_decides_what_becomes_of_a_report(ack, verdict):
    assert judge_ack(ack) == verdict


def test_waits_grow_to_a_limit_and_use_the_whole_span():
    waits = [draw_backoff(open_stream(seed, "backoff"), 30, (0.5, 15.0)) for seed in range(500)]
    assert max(waits) <= 15.0
    assert min(waits) < 1.5, "full jitter: some come back early"
    assert max(waits) > 13.5


def test_a_shuffled_outbox_sends_everything_in_another_order_and_nothing_too_early():
    box, sent = outbox(), [report(name) for name in "abcdefgh"]
    for each in sent:
        box.put(each, 10.0)
    box.pop_due(10.0)
    box.retry(sent[0], 10.0, 90.0)
    box.shuffle(open_stream(1, "shuffle"))
    early = [box.pop_due(99.9) for _ in sent]
    late = [box.pop_due(1_000.0) for _ in sent]
    assert sent[0] in late
    order = [each.account_id for each in (*early, *late) if each is not None]
    assert sorted(order) == list("abcdefgh")
    assert order != list("bcdefgha")


def test_the_oldest_report_is_known_also_while_it_is_sent():
    box, first = outbox(), report("a")
    assert box.find_oldest() is None
    box.put(first, 1.0)
    box.put(report("b"), 2.0)
    assert box.pop_due(1.0) is first
    assert box.find_oldest() == 1.0
    box.retry(first, 50.0)
    assert box.find_oldest() == 1.0
    assert box.pop_due(2.0) is not first
    assert box.pop_due(1e9) is first
    box.finish(first)
    assert box.find_oldest() == 2.0
