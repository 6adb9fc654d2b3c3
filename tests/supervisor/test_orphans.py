"""No worker process outlives the Master that started it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.supervisor.children import CHILD, Bench

MASTER = """
import asyncio, os, signal, sys
from pathlib import Path
from master.clock import SystemClock
from master.model import WorkerConfig
from master.supervisor import Supervisor

async def main():
    supervisor = Supervisor(
        log_dir=Path(sys.argv[1]), master_host="127.0.0.1", master_port=1, clock=SystemClock(),
        stop_limit_s=0.2,
    )
    def config(name, *options):
        return WorkerConfig(
            name, sys.executable, ("-c", os.environ["CHILD"], *options),
            {}, None, None, False, False, 0, 0,
        )
    await supervisor.start(config("a", "parent"))
    if "reaperless" in sys.argv:
        process = supervisor._reaper._process
        process.kill()
        await process.wait()
    await supervisor.start(config("b", "stubborn"))
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("mode", ["with_reaper", "reaperless"])
async def test_a_killed_master_leaves_no_process_behind(bench: Bench, mode: str) -> None:
    master = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", MASTER, str(bench.folder), mode),
        env={**os.environ, "BELL": str(bench.bell.port), "CHILD": CHILD},
        cwd=Path(__file__).parents[2],
    )
    calls = [await bench.bell.rung() for _ in range(3)]
    assert sorted(call.env.get("ROLE", call.env["WORKER_ID"]) for call in calls) == [
        "a",
        "b",
        "browser",
    ]
    master.kill()
    assert await master.wait() == -signal.SIGKILL
    for call in calls:
        await call.ended()
