"""The conditions of a failed load test."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loadtest.plan import P99_MS, read_plan
from loadtest.report import ACK, CONNECT, Row, find_faults, show_table

GOOD = Row(
    ACK,
    "worker:heartbeat",
    count=10,
    failures=0,
    per_s=1.0,
    p50_ms=1,
    p95_ms=2,
    p99_ms=500,
    max_ms=900,
)


@pytest.mark.parametrize(
    ("row", "faults"),
    [
        (GOOD, []),
        (replace(GOOD, p99_ms=501), ["ACK worker:heartbeat: p99 501 ms is above 500 ms"]),
        (replace(GOOD, failures=1), ["ACK worker:heartbeat: 1 of 10 failed"]),
        (replace(GOOD, count=0), ["nothing was acknowledged"]),
        (replace(GOOD, kind=CONNECT, p99_ms=9_000), ["nothing was acknowledged"]),
    ],
)
def test_failures_and_slow_answers_are_faults_and_slow_handshakes_are_not(
    row: Row, faults: list[str]
):
    assert find_faults([row], p99_limit_ms=500) == faults


def test_a_test_that_measured_nothing_has_failed():
    assert find_faults([], p99_limit_ms=500) == ["nothing was acknowledged"]


def test_the_table_has_a_head_and_one_line_per_row_handshakes_first():
    lines = show_table([GOOD, replace(GOOD, kind=CONNECT, name="/worker")]).splitlines()
    assert [line.split()[0] for line in lines] == ["what", "CONNECT", "ACK"]
    assert lines[2].split()[1:] == ["worker:heartbeat", "10", "0", "1.0", "1", "2", "500", "900"]


def test_the_limit_follows_the_shape_unless_it_is_chosen():
    assert read_plan([]).p99_ms == P99_MS["steady"]
    assert read_plan(["--shape", "burst"]).p99_ms == P99_MS["burst"]
    assert read_plan(["--p99-ms", "50"]).p99_ms == 50


@pytest.mark.parametrize(
    "wrong", [["--workers", "0"], ["--time", "0"], ["--time", "nan"], ["--shape", "flat"]]
)
def test_a_wrong_option_is_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as end:
        read_plan(wrong)
    assert end.value.code == 2
    assert wrong[0] in capsys.readouterr().err
