"""The largest sizes of events, and texts with lone surrogates."""

from __future__ import annotations

import pytest

from master.protocol.detected import MessagesDetected
from master.protocol.json_text import FastJson
from master.protocol.wire import Payload
from master.protocol.worker import LoginReport
from master.routes import LARGEST_EVENT


def test_the_largest_events_are_reports_and_logins():
    assert (
        LARGEST_EVENT
        == MessagesDetected.largest
        == LoginReport.largest
        > Payload.largest
        == 64 * 1024
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"\ud83d"', "\ufffd"),
        (r'"\udc00"', "\ufffd"),
        (r'"\ud83d\ude00"', "\U0001f600"),
        (r'"a\uD83D\ud83d\ude00b\udE00"', "a\ufffd\U0001f600b\ufffd"),
        (r'"\\ud83d"', "\\ud83d"),
        (r'"\\\ud83d\n"', "\\\ufffd\n"),
        (r'"\\ud83d\ude00"', "\\ud83d\ufffd"),
        (r'"\u0041\ud83d\u0042"', "A\ufffdB"),
        (r'["\ud83d",{"\udfff":1}]', ["\ufffd", {"\ufffd": 1}]),
    ],
)
def test_a_lone_half_of_a_character_is_replaced_in_the_text(text, value):
    assert FastJson.loads(text) == value


@pytest.mark.parametrize(
    "text", ['"\\ud83d', '"\\ud83d"]', '["\\ud83d", nan]', '"\\ud83', "[" * 5_000]
)
def test_what_cannot_be_read_is_no_better_with_half_a_character(text):
    with pytest.raises(ValueError, match=r"."):
        FastJson.loads(text)
