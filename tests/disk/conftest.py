"""A real Master on a disk that tests can make fail."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from master.app import Master
from master.clock import ManualClock
from master.settings import load_settings
from tests.conftest import Bench
from tests.disk.disk import Disk
from tests.disk.scene import Scene
from tests.fresh import FreshFiles
from tests.waiting import PATIENCE_S


@pytest.fixture
def disk(tmp_path: Path, fresh_files: FreshFiles) -> Disk:
    return Disk(fresh_files.lay_started(tmp_path / "master.db"))


@pytest.fixture
async def bench(disk: Disk, environ: dict[str, str]) -> AsyncIterator[Bench]:
    clock = ManualClock()
    settings = load_settings({"PORT": "0", "DB_PATH": str(disk.path), **environ}, None)
    bench = Bench(Master(settings, clock=clock, connect=disk.connect), clock)
    await bench.master.start(sweeps=False)
    yield bench
    disk.go_on()  # a failed test must not hang at its end
    for peer in bench.peers:
        await peer.close()
    await bench.master.close()
    for peer in bench.peers:
        peer.check_what_was_heard()


@pytest.fixture
async def scene(bench: Bench, disk: Disk) -> AsyncIterator[Scene]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(PATIENCE_S)) as web:
        yield await Scene(bench, disk, web).set_up()
