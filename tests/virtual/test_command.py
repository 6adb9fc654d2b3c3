"""The options of `python -m simulator virtual`, and their effects."""

from __future__ import annotations

import json
import multiprocessing
import os
import shlex
import signal
import tempfile
import time
from pathlib import Path

import engineio.async_socket
import pytest

from simulator.__main__ import main
from simulator.virtual.faults import FAULTS
from simulator.virtual.plan import plan_swarm
from simulator.virtual.run import Outcome, play
from simulator.virtual.tools.ablations import ABLATIONS
from simulator.virtual.tools.command import ablate
from simulator.virtual.tools.options import (
    build_parser,
    build_shrink_parser,
    name_swarm,
    read_faults,
    read_seeds,
    read_shrink,
    read_single,
    read_swarm,
)
from simulator.virtual.tools.seeds import Sums, Task, run_seeds
from simulator.virtual.tools.shrink import Shrinking

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


def test_a_report_is_one_page_that_needs_nothing_else(tmp_path):
    page = tmp_path / "report.html"
    assert main([*SHORT, "--faults", "worker_crash", "--report", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert "Workers by state" in text
    assert "worker crash" in text
    assert 'src="http' not in text, "plots must not be fetched from anywhere"


def test_seeds_are_summed_up_with_what_was_seen(capsys):
    assert (
        main(
            [
                "virtual",
                "--seeds",
                "3..4",
                "--hours",
                "0.02",
                "--faults",
                "cut_link,storm",
                "--json",
            ]
        )
        == 0
    )
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["seeds"], result["stopped"], result["failed"], result["failed_seeds"]) == (
        2,
        False,
        [],
        {},
    )
    assert set(result["sometimes"]) == {"fault cut_link", "fault storm"}
    assert {"seeds_per_s", "speed", "simulated_s", "wall_s", "events", "refusals", "faults"} <= set(
        result
    )
    assert result["events"][">worker:heartbeat"] > 10


def play_without_safeguard(capsys, arguments: list[str]) -> str:
    """Play a failing run; return the output."""
    with ABLATIONS["stale_socket_check"].off():
        assert main(arguments) == 1
    return capsys.readouterr().out


def find_line(begins: str, printed: str) -> list[str]:
    """Return the words of a printed line after its given beginning."""
    (line,) = [line for line in printed.splitlines() if line.startswith(begins)]
    return shlex.split(line.removeprefix(begins))


def test_the_printed_commands_play_exactly_the_run_that_failed_and_make_it_small(
    capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    options = "--workers 5 --accounts 9 --admins 1 --clients 1 --rate 0.25 --hours 0.05 --seed 4"
    arguments = ["virtual", *options.split(), "--faults", "late_close, cut_link"]
    printed = play_without_safeguard(capsys, arguments)
    again = play_without_safeguard(capsys, find_line("again: python -m simulator", printed))
    assert find_line("trace ", again) == find_line("trace ", printed)
    smaller = find_line("smaller: python -m simulator virtual shrink", printed)
    assert read_shrink(build_shrink_parser().parse_args(smaller)) == read_single(
        build_parser().parse_args(arguments[1:])
    )
    assert "faults: late_close" in play_without_safeguard(capsys, ["virtual", "shrink", *smaller])


@pytest.mark.parametrize(
    "options", [[], ["--hours", "0.05", "--faults", "storm,late_close"], ["--faults", "none"]]
)
def test_the_commands_of_a_swarms_seed_play_exactly_it(options):
    parsed = build_parser().parse_args(["--seeds", "0..9", *options])
    again, smaller = (shlex.split(command) for command in name_swarm(parsed, 3))
    played = build_parser().parse_args(again[4:])
    (plan,) = [task.make_plan() for task in read_swarm(parsed, [3])]
    assert [task.make_plan() for task in read_swarm(played, read_seeds(played.seeds))] == [plan]
    assert read_shrink(build_shrink_parser().parse_args(smaller[5:])) == plan


def put_folders_into(folder: Path, monkeypatch) -> None:
    """Let this process and its children put temporary files into a folder."""
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)


def test_ctrl_c_leaves_the_sums_so_far_and_no_folder(monkeypatch, tmp_path, capfd):
    put_folders_into(tmp_path, monkeypatch)

    def tell(sums: Sums) -> None:
        if sums.seeds == 1:  # a terminal sends it to all processes; only the parent may react
            for child in multiprocessing.active_children():
                os.kill(child.pid, signal.SIGINT)
        else:
            signal.raise_signal(signal.SIGINT)

    sums = run_seeds([Task(seed, ("storm",), 0.01) for seed in range(20)], 1, tell)
    assert (sums.seeds, sums.stopped) == (2, True)
    assert list(tmp_path.iterdir()) == []
    assert "Traceback" not in capfd.readouterr().err


def test_no_folder_is_left_where_seeds_are_stopped_at_the_first_that_fails(monkeypatch, tmp_path):
    put_folders_into(tmp_path, monkeypatch)
    assert ablate("stale_socket_check", range(20), 2, first=True)[0] < 20
    assert list(tmp_path.iterdir()) == []


def test_a_safeguard_that_is_away_is_noticed(capsys):
    assert (
        main(
            [
                "virtual",
                "ablate",
                "--only",
                "login_deadline,capacity_check",
                "--seeds",
                "0..30",
                "--first",
            ]
        )
        == 0
    )
    assert "NEVER" not in capsys.readouterr().out


def test_a_run_of_which_only_the_first_violation_matters_ends_there():
    with ABLATIONS["stale_socket_check"].off():
        whole, short = play(plan_swarm(1)), play(plan_swarm(1), until_violation=True)
    assert short.details[0] == whole.details[0]
    assert short.simulated_s < whole.simulated_s / 2
    assert all(detail["rule"] != "stray_fault" for detail in short.details), (
        "what was still running is no fault"
    )
    assert engineio.async_socket.time is time, (
        "the next server must not live in the virtual time of this run"
    )


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
        ("virtual shrink --seed 1 --workers 0", "--workers is for --single"),
        ("virtual shrink --seed 1 --single --workers 0", "--workers is 0"),
        ("virtual --workers 0", "--workers is 0; allowed is 1"),
        ("virtual --seeds 1 --workers 3", "--workers is for one run"),
        ("virtual --seeds 1 --accounts 3", "--accounts is for one run"),
        ("virtual --seeds 1 --admins 3", "--admins is for one run"),
        ("virtual --seeds 1 --clients 0", "--clients is for one run"),
        ("virtual --seeds 1 --rate 0", "--rate is for one run"),
        ("virtual --seeds 1 --seed 0", "--seed is for one run"),
        ("virtual --seeds 1 --report x.html", "--report is for one run"),
        ("virtual --seeds 1 --trace x.jsonl", "--trace is for one run"),
        ("virtual --jobs 0", "--jobs is for --seeds"),
        ("virtual --keep-going", "--keep-going is for --seeds"),
        ("virtual --faults ,", "names no fault"),
        ("virtual --seeds 1 --faults=", "names no fault"),
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
    assert (
        rows["fault storm"],
        rows["fault burst"],
        rows["killed start"],
        rows["killed after_commit"],
    ) == (2, 0, 1, 0)


def test_a_failing_plan_shrinks_to_what_it_needs():
    def attempt(plan) -> Outcome:
        fails = "storm" in plan.gaps_s and plan.scenario.workers >= 2 and plan.chaos_s > 50
        return Outcome(
            plan.seed, violations=int(fails), details=[{"rule": "lost"}] if fails else []
        )

    plan = next(
        plan
        for plan in map(plan_swarm, range(100))
        if "storm" in plan.gaps_s and plan.scenario.workers > 2
    )
    small = Shrinking(plan, "lost", attempt, lambda _: None).run()
    assert (
        list(small.gaps_s),
        small.scenario.workers,
        small.scenario.accounts,
        small.scenario.clients,
    ) == (
        ["storm"],
        2,
        1,
        0,
    )
    assert 50 < small.chaos_s < 70
    assert small.gaps_s["storm"] == plan.gaps_s["storm"], "what is left happens as before"
