"""Worker processes that end by themselves are restarted, or stay down."""

from __future__ import annotations

import sys

import pytest

from master.children import Backoff, ProcessState
from tests.supervisor.children import SLOW, TINY, Bench, config, reach


@pytest.mark.parametrize(("code", "state"), [(0, ProcessState.STOPPED), (3, ProcessState.FAILED)])
async def test_a_process_that_ends_by_itself_stays_down(
    bench: Bench, code: int, state: ProcessState
) -> None:
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


async def test_a_process_that_ends_again_and_again_is_abandoned(bench: Bench) -> None:
    supervisor = bench.supervisor()
    await supervisor.start(config(auto_restart=True))
    for _ in range(TINY.limit + 1):
        (await bench.bell.rung()).exit(9)
    status = await reach(supervisor, ProcessState.FAILED)
    assert (status.exit_code, status.restarts) == (9, TINY.limit)
    fresh = await supervisor.start(config(auto_restart=True))
    assert (fresh.state, fresh.restarts) == (ProcessState.RUNNING, 0), (
        "a requested start resets the counts"
    )


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


@pytest.mark.parametrize(
    ("crashes", "delay_s"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (10, 60), (10_000, 60)]
)
def test_the_wait_doubles_up_to_a_minute(crashes: int, delay_s: float) -> None:
    assert Backoff().delay_s(crashes) == delay_s
