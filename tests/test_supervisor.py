# ruff: noqa
"""Worker processes, tried on real children that ring a bell when they are up and hold the line until they end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
import uvloop

from master.clock import ManualClock
from master.errors import AlreadyRunning, NotRunning, StartFailed, Stopping
from master.model import WorkerConfig
from master.supervisor import LOG_BYTES, Backoff, ProcessState, ProcessStatus, Supervisor

PATIENCE_S = 20
NEVER_S = 3_600.0
TINY = Backoff(first_s=0.001, most_s=0.002, limit=3)
SLOW = Backoff(first_s=NEVER_S, most_s=NEVER_S)

CHILD = """
import json, os, signal, socket, subprocess, sys
options = sys.argv[1:]
signal.signal(signal.SIGTERM, signal.SIG_IGN if "stubborn" in options else lambda *_: sys.exit(0))
print("out", os.environ["WORKER_ID"], flush=True)
print("err", os.environ["WORKER_ID"], file=sys.stderr, flush=True)
if "parent" in options:
    subprocess.Popen([sys.executable, "-c", os.environ["CHILD"], "stubborn"], env=os.environ | {"ROLE": "browser"})
line = socket.create_connection(("127.0.0.1", int(os.environ["BELL"])))
line.sendall(json.dumps({"pid": os.getpid(), "sid": os.getsid(0), "env": dict(os.environ)}).encode() + b"\\n")
sys.exit(int(line.makefile().readline() or 0))
"""

MASTER = """
import asyncio, os, signal, sys
from pathlib import Path
from master.clock import SystemClock
from master.model import WorkerConfig
from master.supervisor import Supervisor

async def main():
    supervisor = Supervisor(
        log_dir=Path(sys.argv[1]), master_host="127.0.0.1", master_port=1, clock=SystemClock(), stop_limit_s=0.2
    )
    def config(name, *options):
        return WorkerConfig(
            name, sys.executable, ("-c", os.environ["CHILD"], *options), {}, None, None, False, False, 0, 0
        )
    await supervisor.start(config("a", "parent"))
    if "guardless" in sys.argv:
        process = supervisor._guard._process
        process.kill()
        await process.wait()
    await supervisor.start(config("b", "stubborn"))
    await asyncio.Event().wait()

asyncio.run(main())
"""


class Call:
    """The line to one process: what it said of itself, and the way to end it or to hear that it has ended."""

    def __init__(self, told: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.pid: int = told["pid"]
        self.sid: int = told["sid"]
        self.env: dict[str, str] = told["env"]
        self._reader, self._writer = reader, writer

    def exit(self, code: int) -> None:
        self._writer.write(b"%d\n" % code)

    async def ended(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            with suppress(ConnectionResetError):
                assert await self._reader.read() == b""

    async def close(self) -> None:
        self._writer.close()


class Bell:
    """Where processes ring when they are up."""

    def __init__(self) -> None:
        self._calls: asyncio.Queue[Call] = asyncio.Queue()
        self.port = 0

    async def rung(self) -> Call:
        async with asyncio.timeout(PATIENCE_S):
            return await self._calls.get()

    @asynccontextmanager
    async def hang(self) -> AsyncIterator[Bell]:
        async with AsyncExitStack() as lines:

            async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                call = Call(json.loads(await reader.readline()), reader, writer)
                lines.push_async_callback(call.close)
                self._calls.put_nowait(call)

            server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=2**20)
            self.port = server.sockets[0].getsockname()[1]
            try:
                yield self
            finally:
                server.close()  # uvloop would wait for ever for what still listens


class Bench:
    """A supervisor under test, its clock and the bell of its children."""

    def __init__(self, folder: Path, bell: Bell) -> None:
        self.folder = folder
        self.bell = bell
        self.clock = ManualClock()
        self.made: list[Supervisor] = []

    def supervisor(self, **changes: Any) -> Supervisor:
        given: dict[str, Any] = {
            "log_dir": self.folder,
            "master_host": "127.0.0.1",
            "master_port": 3000,
            "clock": self.clock,
            "stop_limit_s": PATIENCE_S,
            "backoff": TINY,
            "environ": {**os.environ, "BELL": str(self.bell.port), "CHILD": CHILD},
            **changes,
        }
        self.made.append(Supervisor(**given))
        return self.made[-1]


@asynccontextmanager
async def open_bench(folder: Path) -> AsyncIterator[Bench]:
    async with Bell().hang() as bell:
        bench = Bench(folder, bell)
        try:
            yield bench
        finally:
            for supervisor in bench.made:
                await supervisor.close()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with open_bench(tmp_path) as bench:
        yield bench


def config(worker_id: str = "worker-1", *options: str, **changes: Any) -> WorkerConfig:
    plain = WorkerConfig(
        worker_id=worker_id,
        command=sys.executable,
        args=("-c", CHILD, *options),
        env={},
        proxy_id=None,
        max_accounts=None,
        auto_start=True,
        auto_restart=False,
        created_at=0,
        updated_at=0,
    )
    return replace(plain, **changes)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not true():  # noqa: ASYNC110 - the supervisor tells nobody of its changes; a turn of the loop is no wait
            await asyncio.sleep(0)


async def reach(supervisor: Supervisor, state: ProcessState, worker_id: str = "worker-1") -> ProcessStatus:
    await until(lambda: supervisor.status(worker_id).state is state)
    return supervisor.status(worker_id)


# start


async def test_a_started_process_is_told_who_it_is_and_where_master_is(bench: Bench) -> None:
    supervisor = bench.supervisor(master_port=0)
    supervisor.master_port = 4321
    env = {"PLACE": "here", "WORKER_ID": "somebody else"}
    await supervisor.start(config(env=env, max_accounts=7))
    told = (await bench.bell.rung()).env
    assert told["WORKER_ID"] == "worker-1"
    assert (told["MASTER_HOST"], told["MASTER_PORT"], told["MAX_ACCOUNTS"]) == ("127.0.0.1", "4321", "7")
    assert told["PLACE"] == "here"
    assert told["BELL"] == str(bench.bell.port), "the parent's environment comes along"


@pytest.mark.parametrize(("host", "told"), [("0.0.0.0", "127.0.0.1"), ("::", "127.0.0.1"), ("10.1.2.3", "10.1.2.3")])  # noqa: S104
async def test_a_process_is_given_an_address_that_it_can_connect_to(bench: Bench, host: str, told: str) -> None:
    await bench.supervisor(master_host=host).start(config())
    call = await bench.bell.rung()
    assert call.env["MASTER_HOST"] == told
    assert "MAX_ACCOUNTS" not in call.env


async def test_a_started_process_is_running_in_a_session_of_its_own(bench: Bench) -> None:
    status = await bench.supervisor().start(config())
    call = await bench.bell.rung()
    assert (status.state, status.pid, status.started_at) == (ProcessState.RUNNING, call.pid, int(bench.clock.now()))
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
    answers = await asyncio.gather(*(supervisor.start(config()) for _ in range(5)), return_exceptions=True)
    assert [type(answer) for answer in answers if isinstance(answer, Exception)] == [AlreadyRunning] * 4
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
async def test_what_cannot_be_started_is_refused_with_the_reason(bench: Bench, command: str, said: str) -> None:
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


async def test_of_those_that_start_with_master_one_that_fails_does_not_hinder_the_others(bench: Bench) -> None:
    supervisor = bench.supervisor()
    with structlog.testing.capture_logs() as lines:
        await supervisor.start_all([config("a"), config("b", command="no-such-program"), config("c")])
    assert [status.state for status in supervisor.statuses()] == ["running", "failed", "running"]
    assert [line["worker"] for line in lines if line["event"] == "worker_process_not_started"] == ["b"]


# stop, restart, close


async def test_a_stopped_process_ends_by_itself_and_may_start_again(bench: Bench) -> None:
    supervisor = bench.supervisor()
    await supervisor.start(config(auto_restart=True))
    call = await bench.bell.rung()
    stopped = await supervisor.stop("worker-1")
    await call.ended()
    assert (stopped.state, stopped.pid, stopped.exit_code, stopped.restarts) == (ProcessState.STOPPED, None, 0, 0)
    started = await supervisor.start(config())
    assert (started.state, started.exit_code) == (ProcessState.RUNNING, None)


async def test_what_does_not_run_cannot_be_stopped(bench: Bench) -> None:
    supervisor = bench.supervisor()
    with pytest.raises(NotRunning):
        await supervisor.stop("worker-1")
    await supervisor.start(config())
    await supervisor.stop("worker-1")
    with pytest.raises(NotRunning):
        await supervisor.stop("worker-1")


async def test_a_process_that_ignores_the_signal_is_killed_after_the_limit(bench: Bench) -> None:
    supervisor = bench.supervisor(stop_limit_s=0.01)
    await supervisor.start(config("worker-1", "stubborn"))
    call = await bench.bell.rung()
    stopped = await supervisor.stop("worker-1")
    await call.ended()
    assert (stopped.state, stopped.exit_code) == (ProcessState.STOPPED, -signal.SIGKILL)


@pytest.mark.parametrize("how", ["stop", "crash"])
async def test_what_a_process_started_itself_ends_with_it(bench: Bench, how: str) -> None:
    supervisor = bench.supervisor()
    await supervisor.start(config("worker-1", "parent"))
    calls = {call.env.get("ROLE", "worker"): call for call in [await bench.bell.rung(), await bench.bell.rung()]}
    if how == "stop":
        await supervisor.stop("worker-1")
    else:
        calls["worker"].exit(1)
    await calls["browser"].ended()


async def test_a_stop_that_its_caller_gave_up_can_be_asked_for_again(bench: Bench) -> None:
    supervisor = bench.supervisor()
    await supervisor.start(config("worker-1", "stubborn"))
    call = await bench.bell.rung()
    first = asyncio.create_task(supervisor.stop("worker-1"))
    await reach(supervisor, ProcessState.STOPPING)
    first.cancel()
    await asyncio.wait({first})
    call.exit(5)
    stopped = await supervisor.stop("worker-1")
    assert (stopped.state, stopped.exit_code) == (ProcessState.STOPPED, 5)


async def test_a_restart_ends_the_old_process_and_takes_the_new_configuration(bench: Bench) -> None:
    supervisor = bench.supervisor()
    await supervisor.start(config())
    old = await bench.bell.rung()
    status = await supervisor.restart(config(env={"PLACE": "new"}))
    await old.ended()
    new = await bench.bell.rung()
    assert new.env["PLACE"] == "new"
    assert (status.pid, status.restarts) == (new.pid, 0)


async def test_a_restart_starts_what_does_not_run(bench: Bench) -> None:
    status = await bench.supervisor().restart(config())
    assert (await bench.bell.rung()).pid == status.pid


async def test_a_start_during_a_stop_comes_after_it(bench: Bench) -> None:
    supervisor = bench.supervisor()
    await supervisor.start(config())
    old = await bench.bell.rung()
    stopping = asyncio.create_task(supervisor.stop("worker-1"))
    await reach(supervisor, ProcessState.STOPPING)
    started = await supervisor.start(config())
    assert (await stopping).state is ProcessState.STOPPED
    await old.ended()
    assert started.pid == (await bench.bell.rung()).pid != old.pid


async def test_closing_ends_all_processes_and_refuses_new_ones(bench: Bench) -> None:
    supervisor = bench.supervisor(stop_limit_s=0.01, backoff=SLOW)
    for name, options in {"a": ["parent"], "b": ["stubborn"], "c": []}.items():
        await supervisor.start(config(name, *options, auto_restart=True))
    calls = [await bench.bell.rung() for _ in range(4)]
    next(call for call in calls if call.env["WORKER_ID"] == "c").exit(1)
    await reach(supervisor, ProcessState.BACKOFF, "c")
    await supervisor.close()
    for call in calls:
        await call.ended()
    assert [status.state for status in supervisor.statuses()] == ["stopped"] * 3
    for ask in (supervisor.start, supervisor.restart):
        with pytest.raises(Stopping):
            await ask(config("d"))


# ends by itself


@pytest.mark.parametrize(("code", "state"), [(0, ProcessState.STOPPED), (3, ProcessState.FAILED)])
async def test_a_process_that_ends_by_itself_stays_down(bench: Bench, code: int, state: ProcessState) -> None:
    supervisor = bench.supervisor()
    await supervisor.start(config())
    (await bench.bell.rung()).exit(code)
    status = await reach(supervisor, state)
    assert (status.pid, status.exit_code, status.restarts) == (None, code, 0)


@pytest.mark.parametrize("code", [0, 3])
async def test_with_auto_restart_it_comes_back(bench: Bench, code: int) -> None:
    supervisor = bench.supervisor()
    await supervisor.start(config(auto_restart=True))
    first = await bench.bell.rung()
    first.exit(code)
    second = await bench.bell.rung()
    status = await reach(supervisor, ProcessState.RUNNING)
    assert (status.pid, status.restarts) == (second.pid, 1)
    assert second.pid != first.pid


async def test_a_process_that_ends_again_and_again_is_given_up(bench: Bench) -> None:
    supervisor = bench.supervisor()
    await supervisor.start(config(auto_restart=True))
    for _ in range(TINY.limit + 1):
        (await bench.bell.rung()).exit(9)
    status = await reach(supervisor, ProcessState.FAILED)
    assert (status.exit_code, status.restarts) == (9, TINY.limit)
    fresh = await supervisor.start(config(auto_restart=True))
    assert (fresh.state, fresh.restarts) == (ProcessState.RUNNING, 0), "a person's start forgets what was"


async def test_after_a_stable_minute_the_count_starts_again(bench: Bench) -> None:
    supervisor = bench.supervisor()
    await supervisor.start(config(auto_restart=True))
    for _ in range(TINY.limit):
        (await bench.bell.rung()).exit(9)
    last = await bench.bell.rung()
    await reach(supervisor, ProcessState.RUNNING)
    bench.clock.advance(TINY.stable_s)
    last.exit(9)
    again = await bench.bell.rung()
    assert (await reach(supervisor, ProcessState.RUNNING)).pid == again.pid


async def test_a_start_that_fails_on_the_way_back_counts_like_a_crash(bench: Bench) -> None:
    program = bench.folder / "program"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "$CHILD"\n')
    program.chmod(0o700)
    supervisor = bench.supervisor()
    await supervisor.start(config(command=str(program), args=(), auto_restart=True))
    call = await bench.bell.rung()
    program.unlink()
    call.exit(1)
    status = await reach(supervisor, ProcessState.FAILED)
    assert (status.exit_code, status.restarts) == (1, TINY.limit)


async def test_a_start_during_backoff_starts_at_once(bench: Bench) -> None:
    supervisor = bench.supervisor(backoff=SLOW)
    await supervisor.start(config(auto_restart=True))
    (await bench.bell.rung()).exit(1)
    await reach(supervisor, ProcessState.BACKOFF)
    status = await supervisor.start(config(auto_restart=True))
    assert (status.state, status.pid) == (ProcessState.RUNNING, (await bench.bell.rung()).pid)


async def test_a_stop_during_backoff_cancels_the_return(bench: Bench) -> None:
    supervisor = bench.supervisor(backoff=SLOW)
    await supervisor.start(config(auto_restart=True))
    (await bench.bell.rung()).exit(1)
    await reach(supervisor, ProcessState.BACKOFF)
    stopped = await supervisor.stop("worker-1")
    assert (stopped.state, stopped.exit_code) == (ProcessState.STOPPED, 1)


@pytest.mark.parametrize(("crashes", "delay_s"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (10, 60), (10_000, 60)])
def test_the_wait_doubles_up_to_a_minute(crashes: int, delay_s: float) -> None:
    assert Backoff().delay_s(crashes) == delay_s


# orphans


@pytest.mark.parametrize("mode", ["guarded", "guardless"])
async def test_a_killed_master_leaves_no_process_behind(bench: Bench, mode: str) -> None:
    master = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", MASTER, str(bench.folder), mode),
        env={**os.environ, "BELL": str(bench.bell.port), "CHILD": CHILD},
        cwd=Path(__file__).parent.parent,
    )
    calls = [await bench.bell.rung() for _ in range(3)]
    assert sorted(call.env.get("ROLE", call.env["WORKER_ID"]) for call in calls) == ["a", "b", "browser"]
    master.kill()
    assert await master.wait() == -signal.SIGKILL
    for call in calls:
        await call.ended()


# logs


async def test_what_processes_write_is_kept_across_restarts(bench: Bench) -> None:
    supervisor = bench.supervisor()
    await supervisor.start(config())
    await bench.bell.rung()
    status = await supervisor.restart(config())
    await bench.bell.rung()
    assert await supervisor.tail_log("worker-1", 100) == ["out worker-1", "err worker-1"] * 2
    assert await supervisor.tail_log("worker-1", 1) == ["err worker-1"]
    assert status.log_path == str(bench.folder / "workers" / "worker-1.log")


@pytest.mark.parametrize(
    ("content", "lines", "tail"),
    [
        (b"", 5, []),
        (b"a\nb\nc\n", 0, []),
        (b"a\nb\nc\n", 2, ["b", "c"]),
        (b"a\nb\nc", 2, ["b", "c"]),
        (b"a\n\n", 5, ["a", ""]),
        (b"a\r\nb\x0bc\xff\r\n", 5, ["a", "b\x0bc\ufffd"]),
        (b"x" * 99 + b"\n" + b"line\n" * 100_000, 3, ["line"] * 3),
        (b"y" * 3_000_000 + b"\nlast\n", 2, ["y" * (1024 * 1024 - 6), "last"]),
    ],
    ids=["empty", "none", "some", "unfinished", "blank", "bytes", "long", "longer-than-the-limit"],
)
async def test_the_tail_is_read_from_the_end(bench: Bench, content: bytes, lines: int, tail: list[str]) -> None:
    folder = bench.folder / "workers"
    folder.mkdir()
    (folder / "worker-1.log").write_bytes(content)
    assert await bench.supervisor().tail_log("worker-1", lines) == tail


async def test_a_worker_that_never_wrote_has_no_lines(bench: Bench) -> None:
    assert await bench.supervisor().tail_log("nobody", 10) == []


async def test_a_large_log_is_set_aside_at_the_next_start(bench: Bench) -> None:
    path = bench.folder / "workers" / "worker-1.log"
    path.parent.mkdir()
    path.touch()
    os.truncate(path, LOG_BYTES + 1)
    supervisor = bench.supervisor()
    await supervisor.start(config())
    await bench.bell.rung()
    assert path.with_name("worker-1.log.1").stat().st_size == LOG_BYTES + 1
    assert await supervisor.tail_log("worker-1", 10) == ["out worker-1", "err worker-1"]


async def test_no_worker_id_leads_out_of_the_folder_or_to_the_log_of_another(bench: Bench) -> None:
    supervisor = bench.supervisor()
    ids = [".", "..", "../x", "/etc/x", "a/b", "a_b", "a%2Fb", "a\\b", "", " ", "工人", "\ud800", "é" * 128, "é" * 127]
    paths = [Path(supervisor.status(worker_id).log_path or "") for worker_id in ids]
    assert {path.parent for path in paths} == {bench.folder / "workers"}
    assert len({path.name for path in paths}) == len(ids)
    assert not any(path.name.startswith(".") and worker_id for path, worker_id in zip(paths, ids, strict=True))
    assert max(len(path.name) for path in paths) < 255


# statuses and loops


async def test_a_worker_never_started_is_stopped(bench: Bench) -> None:
    supervisor = bench.supervisor()
    assert supervisor.status("nobody").to_wire() == {
        "worker_id": "nobody",
        "state": "stopped",
        "pid": None,
        "started_at": None,
        "restarts": 0,
        "exit_code": None,
        "log_path": str(bench.folder / "workers" / "nobody.log"),
    }
    assert supervisor.statuses() == []


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_both_event_loops_run_processes(tmp_path: Path, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def live() -> None:
        async with open_bench(tmp_path) as bench:
            supervisor = bench.supervisor(stop_limit_s=0.01)
            await supervisor.start(config("a", "parent", auto_restart=True))
            first = await _find_worker(bench.bell)
            first.exit(1)
            second = await _find_worker(bench.bell)
            assert second.sid == second.pid != first.pid
            with pytest.raises(StartFailed, match="PATH"):
                await supervisor.start(config("b", command="no-such-program"))
            assert (await supervisor.restart(config("a", "stubborn"))).restarts == 0
            third = await _find_worker(bench.bell)
            assert (await supervisor.stop("a")).exit_code == -signal.SIGKILL
            await third.ended()

    run(live(), new_loop)


def run(story: Coroutine[Any, Any, None], new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(story)


async def _find_worker(bell: Bell) -> Call:
    """Return the next call that does not come from a browser."""
    while "ROLE" in (call := await bell.rung()).env:
        pass
    return call
