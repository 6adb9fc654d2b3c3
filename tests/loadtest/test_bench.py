"""The bench: its arithmetic, its frames, and one small real run."""

from __future__ import annotations

import json
import os
from pathlib import Path

import orjson
import pytest

from loadtest.bench import frames
from loadtest.bench.crew import add_outcomes, add_spans
from loadtest.bench.loads import Job, Outcome, Span
from loadtest.bench.onwire import count_accounts, make_job, measure_on_wire, share_job
from loadtest.bench.plan import CONNECT, HEARTBEATS, REGISTER, BenchPlan, Scale, read_bench_plan
from loadtest.bench.process import BenchFailed, parse_cpu_s, parse_rss_bytes
from loadtest.bench.report import (
    Findings,
    Sample,
    ScaleRow,
    align,
    find_limited,
    find_median,
    find_ratio,
    show_figures,
    show_number,
    show_scales,
    to_json,
)
from loadtest.bench.run import main
from loadtest.bench.sides import NODE, OURS, SETTINGS, RemotePeer, Running
from loadtest.target import Target

SERVER = Running("127.0.0.1", 3000, 7)


def make_findings() -> Findings:
    findings = Findings()
    for ours, node in ((90.0, 100.0), (110.0, 100.0), (100.0, 200.0)):
        findings.add("heartbeat", OURS, Sample(ours, us=20.0, busy=0.5))
        findings.add("heartbeat", NODE, Sample(node, us=10.0, busy=0.95))
    return findings


@pytest.mark.parametrize(
    ("values", "middle"),
    [([], None), ([None], None), ([3.0], 3.0), ([9.0, 1.0, 2.0], 2.0), ([1.0, None, 2.0], 1.5)],
)
def test_the_median_leaves_out_what_is_not_known(values: list[float | None], middle: float | None):
    assert find_median(values) == middle


def test_a_ratio_is_that_of_the_medians_with_the_range_of_the_rounds():
    findings = make_findings()
    ratio = find_ratio(findings.of("heartbeat", OURS), findings.of("heartbeat", NODE))
    assert ratio == (1.0, 0.5, 1.1)


def test_there_is_no_ratio_without_both_sides_or_to_nothing():
    assert find_ratio([Sample(1.0)], []) is None
    assert find_ratio([], [Sample(1.0)]) is None
    assert find_ratio([Sample(1.0)], [Sample(0.0)]) is None


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "-"), (54_321.4, "54,321"), (99.94, "99.9"), (0.456, "0.46"), (0.0, "0.00")],
)
def test_numbers_have_as_many_digits_as_mean_something(value: float | None, shown: str):
    assert show_number(value) == shown


def test_the_table_has_one_line_per_figure_with_both_sides():
    head, line = show_figures(make_findings()).splitlines()
    assert head.split()[:4] == ["figure", "unit", "ours", "Node"]
    assert line.startswith("acknowledged heartbeats")
    assert line.split()[4:] == ["100", "100", "1.00", "0.50-1.10", "20.0", "10.0", "2.00"]


def test_a_side_that_was_not_measured_is_a_dash():
    findings = Findings()
    findings.add("registrations", OURS, Sample(50.0))
    assert show_figures(findings).splitlines()[1].split()[-7:] == ["50.0"] + 6 * ["-"]


def test_columns_are_as_wide_as_their_widest_cell():
    assert align([("a", "b"), ("ccc", "10")]) == "a     b\nccc  10"


def test_the_table_of_scale_shows_rates():
    scale = Scale(20_000, 400, 72)
    row = ScaleRow(scale, 1.5, 2**20, 10.0, 5.0, 4.0, 30.0, 9.0, 3_600, 0.9, 20.0, 8.0)
    cells = show_scales([row]).splitlines()[1].split()
    assert cells[:3] == ["20000", "400", "1.50"]
    assert cells[6:9] == ["4.00", "5,000", "30"]
    assert cells[9:] == ["(9)", "3600", "0.90", "4,000", "20", "(8)"]


def test_a_busy_generator_is_named():
    (line,) = find_limited(make_findings())
    assert line == "acknowledged heartbeats, node: the generator was busy 95% of the time"


def test_the_json_object_has_medians_rounds_and_the_ratio():
    found = json.loads(json.dumps(to_json(make_findings())))["figures"]["heartbeat"]
    assert (found["ours"], found["node"], found["ratio"], found["node_us"]) == (100, 100, 1, 10)
    assert len(found["ours_rounds"]) == 3


def test_spans_of_generators_are_one_span():
    first = Span(10, from_s=1.0, to_s=3.0, cpu_from_s=5.0, cpu_to_s=5.5, own_s=0.2)
    second = Span(20, from_s=1.5, to_s=4.0, cpu_from_s=5.1, cpu_to_s=5.6, own_s=2.0)
    measured = add_spans([first, second])
    assert (measured.count, measured.seconds, measured.per_s) == (30, 3.0, 10.0)
    assert measured.us == pytest.approx(0.6 / 30 * 1e6)
    assert measured.busy == pytest.approx(0.8)


def test_processor_time_that_is_not_known_stays_unknown():
    assert add_spans([Span(1, from_s=0.0, to_s=1.0)]).us is None


def test_counts_of_generators_are_added_and_the_servers_memory_is_not():
    outcomes = [
        Outcome(figures={"rss_before": 10.0, "rss_after": 30.0, "sent": 6.0}, faults=["a"]),
        Outcome(figures={"rss_before": 12.0, "rss_after": 29.0, "sent": 3.0}),
    ]
    total = add_outcomes(outcomes)
    assert total.figures == {"rss_before": 10.0, "rss_after": 30.0, "sent": 9.0}
    assert total.faults == ["a"]


def unmask(frame: bytes) -> bytes:
    size = frame[1] & 0x7F
    start = 2 + {126: 2, 127: 8}.get(size, 0)
    mask, masked = frame[start : start + 4], frame[start + 4 :]
    return bytes(byte ^ mask[at % 4] for at, byte in enumerate(masked))


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
def test_a_frame_is_masked_and_says_how_long_it_is(size: int):
    payload = os.urandom(size)
    frame = frames.encode_frame(payload)
    assert frame[0] == 0x81
    assert frame[1] & 0x80
    assert unmask(frame) == payload


def make_server_frame(payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


@pytest.mark.parametrize("step", [1, 7, 1_000_000])
def test_frames_are_cut_from_the_stream_however_it_arrives(step: int):
    payloads = [b"", b"2", b"x" * 126, b"y" * 70_000, b"end"]
    stream = b"".join(make_server_frame(payload) for payload in payloads)
    reader, found = frames.FrameReader(), []
    for at in range(0, len(stream), step):
        found += reader.feed(stream[at : at + step])
    assert found == [(frames.TEXT, payload) for payload in payloads]


@pytest.mark.parametrize(
    "stream",
    [b"\x01\x00", b"\x80\x00", b"\x81\x80abcd", b"\x81\x7f" + b"\xff" * 8],
)
def test_a_fragmented_masked_or_endless_frame_is_a_broken_stream(stream: bytes):
    with pytest.raises(frames.BrokenStream):
        frames.FrameReader().feed(stream)


def test_an_event_and_its_acknowledgement_have_the_same_number():
    packet = frames.head_event("/worker", 12) + frames.encode_event("worker:heartbeat", {"a": 1})
    assert packet == b'42/worker,12["worker:heartbeat",{"a":1}]'
    answer = b"43/worker,12" + orjson.dumps([{"success": True}])
    assert frames.read_acknowledgement(answer, len(b"43/worker,")) == (12, {"success": True})
    assert frames.read_acknowledgement(b"43/worker,3[]", len(b"43/worker,")) == (3, None)


def test_processor_time_and_memory_are_read_from_proc():
    ticks = os.sysconf("SC_CLK_TCK")
    stat = f"7 (a ) program) S {'0 ' * 10}{ticks} {2 * ticks} 0 0"
    assert parse_cpu_s(stat) == 3.0
    assert parse_rss_bytes("Name:\tx\nVmRSS:\t    12 kB\n") == 12 * 1024
    with pytest.raises(BenchFailed):
        parse_rss_bytes("Name:\tx\n")


def test_quick_sizes_are_smaller_and_chosen_ones_win():
    full, quick = read_bench_plan([]), read_bench_plan(["--quick"])
    assert (full.rounds, full.connect_workers, quick.rounds) == (3, 2_000, 1)
    assert quick.connect_workers < full.connect_workers
    assert max(scale.accounts for scale in quick.scales) < 10_000
    assert read_bench_plan(["--quick", "--rounds", "2"]).rounds == 2
    assert isinstance(quick.batch, int)


def test_a_row_of_scale_loses_a_share_of_its_workers_unless_it_says_how_many():
    assert read_bench_plan(["--scale", "1000:10,20000:400:72"]).scales == (
        Scale(1_000, 10, 2),
        Scale(20_000, 400, 72),
    )


@pytest.mark.parametrize(
    "wrong",
    [
        ["--only", "nothing"],
        ["--only", ","],
        ["--rounds", "0"],
        ["--seconds", "0"],
        ["--scale", "1000"],
        ["--scale", "1000:3"],
        ["--scale", "1000:10:5"],
    ],
)
def test_a_wrong_option_is_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as end:
        read_bench_plan(wrong)
    assert end.value.code == 2
    assert wrong[0] in capsys.readouterr().err


def make_plan(*arguments: str) -> BenchPlan:
    return read_bench_plan(["--quick", *arguments])


def test_generators_share_the_workers_and_the_first_has_the_administrators():
    job = Job("reports", "", "", 0, workers=5, admins=3)
    shares = share_job(job, 2, SERVER)
    assert [(share.workers, share.admins) for share in shares] == [(3, 3), (2, 0)]
    assert len({share.name for share in shares}) == 2
    assert {(share.host, share.port, share.pid) for share in shares} == {("127.0.0.1", 3000, 7)}
    assert len(share_job(Job("heartbeats", "", "", 0, workers=1), 2, SERVER)) == 1


def test_as_many_accounts_wait_as_the_workers_take():
    plan = make_plan("--register-workers", "30", "--register-accounts", "4", "--warm-workers", "20")
    job = make_job(REGISTER, plan)
    assert count_accounts(job, 1) == (30 + 20) * 4
    assert count_accounts(make_job(CONNECT, plan), 1) == 0


def test_a_peer_needs_an_http_address():
    with pytest.raises(BenchFailed):
        RemotePeer("127.0.0.1:3000")


TINY = {
    "connect-workers": "8",
    "register-workers": "6",
    "register-accounts": "2",
    "warm-workers": "2",
    "heartbeat-workers": "4",
    "report-workers": "4",
    "seconds": "0.2",
    "warm": "0.1",
    "settle": "0.1",
}
"""Sizes that are too small for a measurement and large enough for the checks."""


def make_tiny(*arguments: str) -> list[str]:
    sizes = [part for name, value in TINY.items() for part in (f"--{name}", value)]
    return ["--quick", *sizes, *arguments]


def test_workers_connect_register_and_send_heartbeats_to_a_server_that_runs():
    plan, findings = read_bench_plan(make_tiny("--generators", "2")), Findings()
    with Target(settings=SETTINGS) as target:
        for part in (CONNECT, REGISTER, HEARTBEATS):
            measure_on_wire(part, RemotePeer(target.url), plan, findings)
        listed = target.ask("GET", "/api/v1/workers?limit=1")["total"]
    assert set(findings.samples) == {"arrive", "connect", "register", "heartbeat"}
    assert all(findings.of(name, NODE)[0].value > 0 for name in findings.samples)
    assert listed == (8 + 2 * 2) + (6 + 2 * 2) + 4


def test_a_bench_of_messages_stores_and_tells_what_was_sent(capsys: pytest.CaptureFixture[str]):
    code = main([*make_tiny("--only", "messages"), "--json"])
    out, err = capsys.readouterr()
    found = json.loads(out.splitlines()[-1])
    assert (code, found["faults"]) == (0, []), err
    figures = found["figures"]
    assert figures["report"]["ours"] > 0
    assert figures["messages"]["ours"] == pytest.approx(3 * figures["report"]["ours"])
    assert figures["report"]["ours_us"] is not None
    assert "stored message events" in out


def test_a_root_without_a_master_is_a_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["--quick", "--only", "connect", "--root", str(tmp_path)]) == 1
    assert "FAILED" in capsys.readouterr().out
