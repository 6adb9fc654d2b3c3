"""What `python -m simulator virtual` may be told, and what it does with it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import engineio.async_socket
import pytest

from simulator.__main__ import main
from simulator.virtual.ablations import ABLATIONS
from simulator.virtual.faults import FAULTS
from simulator.virtual.options import read_faults, read_seeds
from simulator.virtual.plan import plan_swarm
from simulator.virtual.record import play_and_record, read_record
from simulator.virtual.run import Outcome, play
from simulator.virtual.seeds import Sums
from simulator.virtual.shrink import Shrinking

SHORT = ["virtual", "--workers", "3", "--accounts", "6", "--hours", "0.03"]


def test_one_run_prints_one_object_and_ends_with_0(capsys):
    assert main([*SHORT, "--faults", "worker_crash,cut_link", "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {
        "seed",
        "trace_hash",
        "violations",
        "simulated_s",
        "wall_s",
        "counts",
        "events",
        "refusals",
        "faults",
    } <= set(result)
    assert (result["seed"], result["violations"]) == (1, 0)
    assert result["simulated_s"] > 108
    assert result["events"][">worker:heartbeat"] > 10


def test_a_record_is_played_again_line_by_line(tmp_path, capsys):
    record = tmp_path / "run.jsonl"
    assert main([*SHORT, "--faults", "swizzle", "--trace", str(record)]) == 0
    assert main(["virtual", "replay", str(record)]) == 0
    assert "the same, line by line" in capsys.readouterr().out
    lines = record.read_text().splitlines()
    lines[5] = lines[5].replace('","', '","x', 1)
    lines[-1] = json.dumps({"trace_hash": "0"})
    record.write_text("\n".join(lines) + "\n")
    assert main(["virtual", "replay", str(record)]) == 1
    assert "line 6 was" in capsys.readouterr().out


def test_a_plan_comes_back_from_its_record_as_it_was(tmp_path):
    plan = plan_swarm(7, hours=0.02)
    outcome = play_and_record(plan, tmp_path / "run.jsonl")
    read, lines, trace_hash = read_record(tmp_path / "run.jsonl")
    assert (read, trace_hash) == (plan, outcome.trace_hash)
    assert len(lines) > 20


def test_a_report_is_one_page_that_needs_nothing_else(tmp_path):
    page = tmp_path / "report.html"
    assert main([*SHORT, "--faults", "worker_crash", "--report", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert "Workers by state" in text
    assert "worker crash" in text
    assert 'src="http' not in text, "plots must not be fetched from anywhere"


def test_seeds_are_summed_up_with_what_was_seen(capsys):
    assert main(["virtual", "--seeds", "3..4", "--hours", "0.02", "--faults", "cut_link,storm", "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["seeds"], result["failed"]) == (2, [])
    assert set(result["sometimes"]) == {"fault cut_link", "fault storm"}


def test_a_safeguard_that_is_away_is_noticed(capsys):
    assert main(["virtual", "ablate", "--only", "login_deadline,capacity_check", "--seeds", "0..30", "--first"]) == 0
    assert "NEVER" not in capsys.readouterr().out


def test_a_run_of_which_only_the_first_violation_matters_ends_there():
    with ABLATIONS["stale_socket_check"].off():
        whole, short = play(plan_swarm(0)), play(plan_swarm(0), until_violation=True)
    assert short.details[0] == whole.details[0]
    assert short.simulated_s < whole.simulated_s / 2
    assert all(detail["rule"] != "stray_fault" for detail in short.details), "what was still running is no fault"
    assert engineio.async_socket.time is time, "the next server must not live in the virtual time of this run"


@pytest.mark.parametrize(
    ("written", "named"),
    [
        ("virtual --faults earthquake", "there is no fault 'earthquake'"),
        ("virtual --hours 0", "--hours is 0"),
        ("virtual --hours nan", "--hours is nan"),
        ("virtual --workers -1", "--workers is -1"),
        ("virtual --seeds 5..1", "--seeds is '5..1'"),
        ("virtual --seeds all", "--seeds is 'all'"),
        ("virtual --seeds 1..2 --jobs 0", "--jobs is 0"),
        ("virtual --report /nowhere/at/all.html", "/nowhere/at/all.html cannot be written"),
        ("virtual --trace /", "/ cannot be written"),
        ("virtual replay no.jsonl", "no.jsonl: No such file"),
        ("virtual replay pyproject.toml", "is no record"),
        ("virtual shrink", "--seed"),
        ("virtual ablate --only hope", "there is no safeguard 'hope'"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(capsys, monkeypatch, written, named):
    monkeypatch.chdir(Path(__file__).parents[2])
    assert main(written.split()) == 2
    said = capsys.readouterr().err
    assert named in said
    assert said.count("\n") == 1


def test_seeds_and_faults_are_read_as_written():
    assert read_seeds("7") == range(7, 8)
    assert read_seeds("0..999") == range(1000)
    assert read_faults("all") == tuple(FAULTS)
    assert read_faults("none") == ()
    assert read_faults("storm, burst,storm") == ("storm", "burst")


def test_a_fault_that_was_never_seen_is_told():
    sums = Sums()
    sums.add(Outcome(1, faults={"storm": 2, "kill_start": 1}))
    rows = dict(sums.list_sometimes(["storm", "burst", "master_kill"]))
    assert (rows["fault storm"], rows["fault burst"], rows["killed start"], rows["killed after_commit"]) == (2, 0, 1, 0)


def test_a_failing_plan_shrinks_to_what_it_needs():
    def attempt(plan) -> Outcome:
        fails = "storm" in plan.gaps_s and plan.scenario.workers >= 2 and plan.chaos_s > 50
        return Outcome(plan.seed, violations=int(fails), details=[{"rule": "lost"}] if fails else [])

    plan = next(plan for plan in map(plan_swarm, range(100)) if "storm" in plan.gaps_s and plan.scenario.workers > 2)
    small = Shrinking(plan, "lost", attempt, lambda _: None).run()
    assert (list(small.gaps_s), small.scenario.workers, small.scenario.accounts, small.scenario.clients) == (
        ["storm"],
        2,
        1,
        0,
    )
    assert 50 < small.chaos_s < 70
    assert small.gaps_s["storm"] == plan.gaps_s["storm"], "what is left happens as before"
