"""The start of worker processes: their arguments and environment, and the refusals."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest
import structlog.testing

from master.children import ProcessState
from master.errors import AlreadyRunning, StartFailed
from tests.supervisor.children import CHILD, Bench, config, reach


async def test_a_started_process_is_told_who_it_is_and_where_master_is(bench: Bench) -> None:
    supervisor = bench.supervisor(master_port=0)
    supervisor.master_port = 4321
    env = {"PLACE": "here", "WORKER_ID": "somebody else"}
    await supervisor.start(config(env=env, max_accounts=7))
    told = (await bench.bell.rung()).env
    assert told["WORKER_ID"] == "worker-1"
    assert (told["MASTER_HOST"], told["MASTER_PORT"], told["MAX_ACCOUNTS"]) == (
        "127.0.0.1",
        "4321",
        "7",
    )
    assert told["PLACE"] == "here"
    assert told["BELL"] == str(bench.bell.port), "the parent's environment comes along"


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("0.0.0.0", "127.0.0.1"),  # noqa: S104 - an example
        ("::", "::1"),  # a socket for every IPv6 address accepts no IPv4
        ("::1", "::1"),
        ("10.1.2.3", "10.1.2.3"),
    ],
)
async def test_a_process_gets_an_address_that_it_can_connect_to(
    bench: Bench, host: str, told: str
) -> None:
    await bench.supervisor(master_host=host).start(config())
    call = await bench.bell.rung()
    assert call.env["MASTER_HOST"] == told
    assert "MAX_ACCOUNTS" not in call.env


async def test_a_started_process_is_running_in_a_session_of_its_own(bench: Bench) -> None:
    status = await bench.supervisor().start(config())
    call = await bench.bell.rung()
    assert (status.state, status.pid, status.started_at) == (
        ProcessState.RUNNING,
        call.pid,
        int(bench.clock.now()),
    )
    assert call.sid == call.pid != os.getsid(0)


async def test_without_a_command_the_default_one_is_run_with_the_arguments(bench: Bench) -> None:
    supervisor = bench.supervisor(default_command=(sys.executable, "-c"))
    await supervisor.start(config(command=None, args=(CHILD,)))
    assert (await bench.bell.rung()).env["WORKER_ID"] == "worker-1"


async def test_a_running_process_is_not_started_again(bench: Bench) -> None:
    supervisor = bench.supervisor()
    started = await supervisor.start(config())
    with pytest.raises(AlreadyRunning):
        await supervisor.start(config())
    assert supervisor.status("worker-1") == started


async def test_of_many_starts_at_once_one_wins(bench: Bench) -> None:
    supervisor = bench.supervisor()
    answers = await asyncio.gather(
        *(supervisor.start(config()) for _ in range(5)), return_exceptions=True
    )
    assert [type(answer) for answer in answers if isinstance(answer, Exception)] == [
        AlreadyRunning
    ] * 4
    assert (await bench.bell.rung()).pid == supervisor.status("worker-1").pid


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("no-such-program", "There is no executable program no-such-program on the PATH."),
        ("node worker.js", "what follows the program's name belongs into args."),
        ("{folder}/missing", "There is no program {folder}/missing."),
        ("{folder}", "{folder} is a folder."),
        ("{folder}/plain", "{folder}/plain is not executable."),
        ("{folder}/broken", "{folder}/broken could not be started: Exec format error."),
    ],
)
async def test_what_cannot_be_started_is_refused_with_the_reason(
    bench: Bench, command: str, said: str
) -> None:
    (bench.folder / "plain").touch(mode=0o600)
    (bench.folder / "broken").write_bytes(b"\x7fELF")
    (bench.folder / "broken").chmod(0o700)
    supervisor = bench.supervisor()
    with pytest.raises(StartFailed) as refused:
        await supervisor.start(config(command=command.format(folder=bench.folder)))
    assert said.format(folder=bench.folder) in refused.value.message
    assert supervisor.status("worker-1").state is ProcessState.FAILED


async def test_a_log_that_cannot_be_written_is_named(bench: Bench) -> None:
    (bench.folder / "workers").touch()
    with pytest.raises(StartFailed, match=r"log .*worker-1\.log cannot be written: "):
        await bench.supervisor().start(config())


async def test_what_is_secret_in_the_environment_is_not_logged_or_told(bench: Bench) -> None:
    supervisor = bench.supervisor()
    with structlog.testing.capture_logs() as lines:
        await supervisor.start(config(env={"SOME_KEY": "hush-hush"}))
        call = await bench.bell.rung()
        call.exit(1)
        await reach(supervisor, ProcessState.FAILED)
        with pytest.raises(StartFailed) as refused:
            await supervisor.start(config(env={"SOME_KEY": "hush-hush\0"}))
    assert lines
    assert "hush" not in repr(lines) + refused.value.message + repr(supervisor.statuses())


async def test_of_those_that_start_with_master_one_that_fails_does_not_hinder_the_others(
    bench: Bench,
) -> None:
    supervisor = bench.supervisor()
    with structlog.testing.capture_logs() as lines:
        await supervisor.start_all(
            [config("a"), config("b", command="no-such-program"), config("c")]
        )
    assert [status.state for status in supervisor.statuses()] == ["running", "failed", "running"]
    assert [line["worker"] for line in lines if line["event"] == "worker_process_not_started"] == [
        "b"
    ]
