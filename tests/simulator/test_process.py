"""The simulator as its user and Master's supervisor run it: real processes, a real Master."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from loadtest.target import Target, find_free_port
from simulator.actors.transport import open_http_session
from simulator.pace import end_tasks
from simulator.trials.master_process import run_master
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]
CHILDREN = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")


STARTED: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def _nobody_stays() -> Iterator[None]:
    """End the processes that a failed test has left behind."""
    yield
    while STARTED:
        with STARTED.pop() as process:
            process.kill()


def start(*arguments: str, port: int = 0) -> subprocess.Popen[str]:
    """Start `python -m simulator` with its output in pipes, as text."""
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator", *arguments],
        env={**os.environ, "PORT": str(port or find_free_port()), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    STARTED.append(process)
    return process


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for the end; return the exit code, stdout and stderr."""
    out, err = process.communicate(timeout=PATIENCE_S)
    return process.returncode, out, err


def read_until(stream: IO[str] | None, words: str) -> str:
    """Wait for the first line with `words`; return it."""
    assert stream is not None
    seen = []
    for line in stream:
        seen.append(line)
        if words in line:
            return line
    raise AssertionError(f"{words!r} was never said: {seen}")


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with Target() as target:
        yield target
        assert target.stop() == 0


def test_a_short_run_ends_with_one_json_object_and_no_violation():
    arguments = "--workers 5 --duration 3 --json --quiet"
    code, out, err = finish(start(*arguments.split()))
    result = json.loads(out.splitlines()[-1])
    assert result["violations"] == 0, result["violation_details"]
    assert code == 0, err
    assert result["workers"] == 5
    assert result["counts"]["registrations"] > 0
    assert result["counts"]["logins_started"] > 0
    assert out.count("\n") == 1
    assert err == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_with_a_summary(number):
    process = start("--workers", "2", "--json")
    read_until(process.stderr, "running")
    process.send_signal(number)
    code, out, err = finish(process)
    assert code == 0, err
    assert "No violation" in err, "the summary goes beside the JSON"
    assert json.loads(out)["violations"] == 0


def test_a_run_at_a_master_that_is_there_leaves_no_account(target):
    arguments = f"--url {target.url} --workers 1 --accounts 2 --duration 1 --quiet"
    code, out, err = finish(start(*arguments.split()))
    assert (code, err) == (0, "")
    assert "No violation" in out
    assert target.ask("GET", "/api/v1/accounts")["data"] == []


def test_a_port_that_is_in_use_is_said_in_one_line():
    with socket.socket() as occupied:
        occupied.bind(("127.0.0.1", 0))
        occupied.listen()
        port = occupied.getsockname()[1]
        code, out, err = finish(start("--workers", "1", port=port))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert f"port {port} on 127.0.0.1 cannot be used" in err


def test_a_master_that_is_not_there_is_said_in_one_line():
    url = f"http://127.0.0.1:{find_free_port()}"
    code, out, err = finish(start("--url", url))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert f"Master at {url} was not ready" in err


@pytest.mark.skipif(
    not CHILDREN.exists(), reason="which process is the simulator's Master is asked of /proc"
)
def test_a_master_that_dies_ends_the_run_as_violated():
    process = start("--workers", "2", "--json")
    read_until(process.stderr, "running")
    (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(child), signal.SIGKILL)
    code, out, _ = finish(process)
    assert code == 1
    assert {"api", "master_ended"} <= {
        violation["rule"] for violation in json.loads(out)["violation_details"]
    }


async def test_a_master_of_ones_own_ends_without_findings(monkeypatch):
    monkeypatch.setenv("PORT", str(find_free_port()))
    async with open_http_session() as session:
        async with run_master(session, {}) as master:
            assert not master.ended.is_set()
            async with session.get(f"{master.url}/health/ready") as answer:
                assert answer.status == 200
        assert master.ended.is_set()
        assert master.findings == []


# -- one worker as a process -----------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_process_registers_and_says_goodbye_when_it_is_told_to_stop(target, number):
    worker_id = f"worker-{number.name}"
    process = start("worker", "--id", worker_id, "--url", target.url, "--max-accounts", "3")
    read_until(process.stdout, "connected")
    (worker,) = (
        row for row in target.ask("GET", "/api/v1/workers")["data"] if row["id"] == worker_id
    )
    assert (worker["status"], worker["max_accounts"]) == ("connected", 3)
    process.send_signal(number)
    code, out, err = finish(process)
    assert (code, err) == (0, "")
    assert f"{worker_id}: goodbye" in out
    (worker,) = (
        row for row in target.ask("GET", "/api/v1/workers")["data"] if row["id"] == worker_id
    )
    assert worker["status"] == "offline", "a goodbye is not waited for"


def test_a_worker_process_without_a_master_says_so_and_can_be_stopped():
    process = start("worker", "--url", f"http://127.0.0.1:{find_free_port()}")
    read_until(process.stdout, "connecting (")
    process.terminate()
    code, out, err = finish(process)
    assert (code, err) == (0, "")
    assert "goodbye" in out


def test_a_worker_that_master_refuses_says_why(target):
    process = start("worker", "--id", "", "--url", target.url)
    said = read_until(process.stderr, "greeting_refused")
    assert "workerId" in said
    process.terminate()
    assert finish(process)[0] == 1


async def test_a_task_that_swallows_its_cancellation_is_cancelled_again():
    swallowed = asyncio.Event()

    async def swallow() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            swallowed.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(swallow())
    await asyncio.sleep(0)
    await end_tasks(task)
    assert swallowed.is_set()
    assert task.cancelled()
