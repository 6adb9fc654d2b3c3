"""The options of the command line, scenario files, and the texts of their refusals."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from simulator.__main__ import build_parser, main, read_run, read_worker
from simulator.scenario import (
    Scenario,
    ScenarioTrouble,
    change_scenario,
    load_scenario,
    name_scenarios,
)
from simulator.trials.catalog import COMMANDS
from simulator.trials.demo import Options
from simulator.trials.master_process import StartTrouble, describe_environment, read_port

OPTIONS = (
    *(
        "--workers",
        "--admins",
        "--clients",
        "--accounts",
        "--duration",
        "--url",
        "--seed",
        "--rate",
    ),
    *("--login-failure-rate", "--crash-rate", "--json", "--quiet"),
)


def test_without_arguments_it_is_the_demo():
    assert read_run([]) == (Scenario(), Options())


def test_every_option_is_there_and_described():
    text = build_parser().format_help()
    assert [option for option in OPTIONS if option not in text] == []
    assert "PORT" in text
    assert re.search(r"Exit\s+code", text)


def test_options_change_the_scenario():
    written = "--workers 5 --admins 1 --clients 3 --accounts 7 --duration 3 --seed 9 --rate 2.5 "
    written += (
        "--login-failure-rate 1 --crash-rate 60 --url http://127.0.0.1:3456/ --keep --json --quiet"
    )
    scenario, options = read_run(written.split())
    assert scenario == Scenario(
        workers=5,
        admins=1,
        clients=3,
        accounts=7,
        duration_s=3,
        seed=9,
        rate_per_s=2.5,
        login_failure_rate=1,
        crash_rate_per_min=60,
    )
    assert options == Options("http://127.0.0.1:3456", json=True, quiet=True, keep=True)


def test_options_win_over_the_file():
    scenario, _ = read_run(["--scenario", "rough", "--workers", "3"])
    assert scenario == change_scenario(load_scenario("rough"), {"workers": 3})


def test_accounts_are_four_per_worker_unless_said():
    assert Scenario(workers=7).account_count == 28
    assert Scenario(accounts=0).account_count == 0


@pytest.mark.parametrize(
    ("written", "named", "allowed"),
    [
        ("--workers -1", "--workers is -1", "0 to 5,000"),
        ("--workers 5001", "--workers is 5,001", "0 to 5,000"),
        ("--workers many", "--workers: invalid int value: 'many'", "--help"),
        ("--workers 1.5", "--workers: invalid int value", "--help"),
        ("--admins 0", "--admins is 0", "1 to 100"),
        ("--clients -1", "--clients is -1", "0 to 1,000"),
        ("--accounts -1", "--accounts is -1", "0 to 50,000"),
        ("--duration 0", "--duration is 0", "1 to 31,536,000"),
        ("--duration inf", "--duration is inf", "1 to 31,536,000"),
        ("--rate nan", "--rate is nan", "0 to 100,000"),
        ("--login-failure-rate 1.1", "--login-failure-rate is 1.1", "0 to 1"),
        ("--crash-rate 61", "--crash-rate is 61", "0 to 60"),
        ("--url ftp://host", "--url is 'ftp://host'", "http://host:port"),
        ("--url http://", "--url is 'http://'", "http://host:port"),
        ("--url http://host:port", "--url is 'http://host:port'", "http://host:port"),
        ("--scenario nowhere", "no scenario 'nowhere'", "rough"),
        ("--keep", "--keep needs --url", ""),
        ("--turbo", "unrecognized arguments: --turbo", "--help"),
        ("worker --max-accounts x", "--max-accounts: invalid int value: 'x'", "--help"),
        ("worker --max-accounts -1", "--max-accounts is -1", "0 to 10,000"),
        ("worker --platforms ,", "--platforms is ()", "list of names"),
        ("worker --url nowhere", "--url is 'nowhere'", "http://host:port"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line(written, named, allowed, capsys):
    assert main(written.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert named in err
    assert allowed in err


@pytest.mark.parametrize("port", ["abc", "0", "65536", "-1", "3000.5"])
def test_a_wrong_port_is_refused(port):
    with pytest.raises(StartTrouble, match="allowed is a number from 1 to 65535"):
        read_port({"PORT": port})


@pytest.mark.parametrize(
    ("environment", "port"), [({}, 3000), ({"PORT": " "}, 3000), ({"PORT": "3456"}, 3456)]
)
def test_the_port_comes_from_the_environment(environment, port):
    assert read_port(environment) == port


def test_the_demo_leaves_nothing_behind_unless_told_where():
    folder = Path("somewhere")
    plain = describe_environment({}, 3456, folder, {"LOGIN_TTL_S": "20"})
    assert plain["DB_PATH"] == str(folder / "master.db")
    assert plain["LOG_DIR"] == str(folder / "logs")
    assert (plain["PORT"], plain["HOST"], plain["LOGIN_TTL_S"]) == ("3456", "127.0.0.1", "20")
    assert describe_environment({"DB_PATH": "mine.db"}, 3456, folder, {})["DB_PATH"] == "mine.db"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("localhost", "http://localhost:3100"),
        ("10.0.0.1", "http://10.0.0.1:3100"),
        ("::1", "http://[::1]:3100"),
        ("[::1]", "http://[::1]:3100"),
        ("fe80::1%eth0", "http://[fe80::1%eth0]:3100"),
    ],
)
def test_a_worker_connects_to_any_form_of_host(host, url):
    assert read_worker([], {"MASTER_HOST": host, "MASTER_PORT": "3100"})[1] == url


def test_a_worker_reads_what_its_supervisor_passes_it():
    environment = {
        "WORKER_ID": "w-7",
        "MASTER_HOST": "10.0.0.1",
        "MASTER_PORT": "3100",
        "MAX_ACCOUNTS": "3",
    }
    profile, url, scenario = read_worker([], environment)
    assert (profile.id, profile.max_accounts, url) == ("w-7", 3, "http://10.0.0.1:3100")
    assert profile.capabilities == ("douyin", "xiaohongshu")
    assert scenario.crash_rate_per_min == 0


def test_what_a_worker_is_told_wins_over_its_environment():
    written = ["--id", "w-1", "--platforms", "douyin, ", "--max-accounts", "2"]
    profile, url, _ = read_worker(written, {"WORKER_ID": "w-7", "MAX_ACCOUNTS": "3"})
    assert (profile.id, profile.capabilities, profile.max_accounts) == ("w-1", ("douyin",), 2)
    assert url == "http://127.0.0.1:3000"


# -- scenario files --------------------------------------------------------------------------------


def test_the_scenarios_that_ship_are_valid():
    assert name_scenarios() == ["flood", "logins", "rough"]
    assert all(load_scenario(name) != Scenario() for name in name_scenarios())


def test_a_scenario_file_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('platforms = ["weibo"]\nscan_delay_s = [1, 2]\n', encoding="utf-8")
    assert load_scenario(str(path)) == Scenario(platforms=("weibo",), scan_delay_s=(1.0, 2.0))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("workerz = 5", "there is no setting 'workerz'; known are accounts, "),
        ("workers = 'five'", "workers is 'five'; allowed is a number"),
        ("workers = true", "workers is True; allowed is a number"),
        ("workers = 2.5", "workers is 2.5; allowed is a whole number"),
        ("workers = 9_999", "workers is 9,999; allowed is 0 to 5,000"),
        ("scan_delay_s = [5, 1]", "allowed is [least, most] in seconds"),
        ("scan_delay_s = 5", "allowed is [least, most] in seconds"),
        ("platforms = []", "platforms is []; allowed is a list of names"),
        ("workers = ", "Invalid value"),
    ],
)
def test_a_wrong_scenario_file_is_refused_by_name(tmp_path, text, said):
    path = tmp_path / "wrong.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioTrouble) as caught:
        load_scenario(str(path))
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("written", "named"),
    [
        ("crash --kills 0", "--kills is 0; allowed is 1 to 1,000,000"),
        ("crash --kills many", "--kills: invalid int value"),
        ("crash --workers -1", "--workers is -1"),
        ("crash --rate -1", "--rate is -1"),
        ("crash --duration 5", "unrecognized arguments"),
        ("restart --workers 0", "--workers is 0; allowed is 1 to 5,000"),
        ("restart --accounts -1", "--accounts is -1; allowed is 0 to 50,000"),
        ("restart --limit 0", "--limit is 0.0; allowed is 1 to 3,600"),
        ("restart --limit nan", "--limit is nan"),
    ],
)
def test_a_trial_that_makes_no_sense_is_refused_in_one_line(capsys, written, named):
    assert main(written.split()) == 2
    said = capsys.readouterr().err
    assert named in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_trials_are_named_in_the_help_and_have_their_own(capsys, name):
    assert f"`{name}`" in build_parser().format_help()
    with pytest.raises(SystemExit):
        main([name, "--help"])
    assert f"python -m simulator {name}" in capsys.readouterr().out
