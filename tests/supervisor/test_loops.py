"""A process never started has a status; both event loops run processes."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from master.errors import StartFailed
from tests.supervisor.children import Bell, Bench, Call, config, open_bench


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
        "config_updated_at": None,
    }
    assert supervisor.statuses() == []


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_both_event_loops_run_processes(
    tmp_path: Path, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
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


def run(
    story: Coroutine[Any, Any, None], new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(story)


async def _find_worker(bell: Bell) -> Call:
    """Return the next call that does not come from a browser."""
    while "ROLE" in (call := await bell.rung()).env:
        pass
    return call
