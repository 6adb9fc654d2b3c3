"""Records: their contents, the comparison of each line, and the records that are refused."""

from __future__ import annotations

import json
import signal
from dataclasses import replace

import pytest

from simulator.__main__ import main
from simulator.virtual.faults import FAULTS
from simulator.virtual.plan import DAY, plan_run, plan_swarm
from simulator.virtual.tools.record import play_and_record, read_head, replay, show_plan

SHORT = ["virtual", "--workers", "2", "--accounts", "3", "--hours", "0.01"]


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> list[str]:
    """Return the lines of a record."""
    path = tmp_path_factory.mktemp("record") / "run.jsonl"
    assert main([*SHORT, "--faults", "storm", "--trace", str(path)]) == 0
    return path.read_text(encoding="utf-8").splitlines()


def keep(path, lines: list[str]):
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def change_detail(lines: list[str]) -> list[str]:
    """Change a part that no hash covers."""
    return [*lines[:5], lines[5][:-2] + 'other"]', *lines[6:]]


def test_a_plan_comes_back_from_its_record_as_it_was(tmp_path):
    plan = plan_swarm(7, hours=0.02)
    outcome = play_and_record(plan, tmp_path / "run.jsonl")
    first, *lines, last = (tmp_path / "run.jsonl").read_bytes().splitlines()
    assert read_head(first, tmp_path)[0] == plan
    assert json.loads(last) == {"trace_hash": outcome.trace_hash}
    assert len(lines) > 20


def test_a_record_is_played_again_line_by_line(tmp_path, capsys, written):
    path = keep(tmp_path / "run.jsonl", written)
    assert main(["virtual", "replay", str(path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "the same, line by line"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (change_detail, "line 6 was"),
        (lambda lines: [*lines[:7], *lines[8:]], "line 8 was"),
        (lambda lines: [*lines[:7], lines[7], *lines[7:]], "line 9 was"),
        (lambda lines: [*lines[:-2], lines[-1]], "the record ends before line"),
        (lambda lines: [*lines[:-1], lines[-2], lines[-1]], ", is missing"),
        (lambda lines: lines[:-1], "it was cut off"),
        (lambda lines: lines[:-3], "the record ends before line"),
        (lambda lines: [*lines, lines[5]], "goes on after its last line"),
        (
            lambda lines: [*lines[:-1], '{"trace_hash": "0"}'],
            "the lines are the same, the hash is not",
        ),
    ],
)
def test_whatever_differs_from_a_record_is_told_though_its_hash_may_be_the_same(
    tmp_path, written, change, said
):
    path = keep(tmp_path / "run.jsonl", change(written))
    assert said in replay(path).difference


def test_a_record_of_another_version_says_so_where_it_differs(tmp_path, capsys, written):
    head = json.loads(written[0]) | {"version": "0.9 of commit abc"}
    path = keep(tmp_path / "run.jsonl", [json.dumps(head), *change_detail(written)[1:]])
    assert main(["virtual", "replay", str(path)]) == 1
    assert "the record is of 0.9 of commit abc, this is 1." in capsys.readouterr().out
    keep(path, change_detail(written))
    assert main(["virtual", "replay", str(path)]) == 1
    assert "the record is of" not in capsys.readouterr().out


def test_a_run_that_is_stopped_by_hand_leaves_its_record_as_far_as_it_came(
    tmp_path, capsys, monkeypatch
):
    async def press_ctrl_c(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    path = tmp_path / "run.jsonl"
    with monkeypatch.context() as context:
        context.setitem(FAULTS, "storm", press_ctrl_c)
        assert main([*SHORT, "--faults", "storm", "--trace", str(path)]) == 130
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) > 10
    assert json.loads(lines[-1]) == {"stopped": True}
    keep(path, [json.dumps({"plan": plan_of(["storm"])}), *lines[1:]])
    again = replay(path)
    assert (again.difference, again.stopped) == ("", True)


def plan_of(faults: list[str]) -> dict:
    """Return the plan of SHORT as a record has it."""
    return show_plan(plan_run(replace(DAY, workers=2, accounts=3), 0.01, faults))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"settings": {"DB_PATH": "/tmp/x.db"}}, "a plan cannot set 'DB_PATH'"),  # noqa: S108
        ({"settings": {"log_dir": "x"}}, "a plan cannot set 'log_dir'"),
        ({"settings": {"NOPE": "1"}}, "a plan cannot set 'NOPE'"),
        ({"settings": {"LOGIN_TTL_S": 60}}, "LOGIN_TTL_S is 60; allowed is a text"),
        (
            {"settings": {"LOGIN_TTL_S": "soon", "LOGIN_MAX_S": "x"}},
            "LOGIN_TTL_S='soon' is not allowed",
        ),
        ({"settings": {"HEARTBEAT_TIMEOUT_S": "1"}}, "longer than HEARTBEAT_INTERVAL_S"),
        ({"settings": ["LOGIN_TTL_S"]}, "this is no plan"),
        ({"gaps_s": {"storm": 0}}, "the gap of storm is 0"),
        ({"gaps_s": {"storm": -1}}, "the gap of storm is -1"),
        ({"gaps_s": {"storm": "often"}}, "the gap of storm is 'often'"),
        ({"gaps_s": {"quake": 3}}, "no fault quake"),
        ({"chaos_s": -5}, "chaos_s is -5"),
        ({"chaos_s": "abc"}, "chaos_s is 'abc'"),
        ({"chaos_s": 1e300}, "chaos_s is"),
        ({"seed": 1.5}, "the plan's seed is 1.5"),
        ({"seed": 2}, "the plan's seed is 2"),
        ({"scenario": {"workers": 0}}, "workers is 0"),
        ({"scenario": {"workers": "two"}}, "workers is 'two'"),
        ({"scenario": []}, "this is no plan"),
    ],
)
def test_a_record_that_asks_for_what_no_run_has_is_refused_in_one_line(
    tmp_path, capsys, change, named
):
    path = keep(tmp_path / "run.jsonl", [json.dumps({"plan": {**plan_of(["storm"]), **change}})])
    assert main(["virtual", "replay", str(path)]) == 2
    said = capsys.readouterr().err
    assert named in said
    assert said.count("\n") == 1


def test_a_record_that_cannot_be_written_is_told_in_one_line(capsys):
    assert main([*SHORT, "--faults", "none", "--trace", "/dev/full"]) == 2
    assert "/dev/full: No space left on device" in capsys.readouterr().err
