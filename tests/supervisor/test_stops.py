"""The stop and restart of worker processes, and the close of all."""

from __future__ import annotations

import asyncio
import signal

import pytest

from master.children import ProcessState
from master.errors import NotRunning, Stopping
from tests.supervisor.children import SLOW, Bench, config, reach


async def test_a_stopped_process_ends_by_itself_and_may_start_again(bench: Bench) -> None:
    supervisor = bench.supervisor()
    await supervisor.start(config(auto_restart=True))
    call = await bench.bell.rung()
    stopped = await supervisor.stop("worker-1")
    await call.ended()
    assert (stopped.state, stopped.pid, stopped.exit_code, stopped.restarts) == (
        ProcessState.STOPPED,
        None,
        0,
        0,
    )
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
    calls = {
        call.env.get("ROLE", "worker"): call
        for call in [await bench.bell.rung(), await bench.bell.rung()]
    }
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


async def test_a_restart_ends_the_old_process_and_uses_the_new_configuration(bench: Bench) -> None:
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
