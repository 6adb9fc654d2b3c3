"""Master as a process whose standard error is a pipe that is not read."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from master.endpoints import ROOT
from tests.waiting import PATIENCE_S

fcntl = pytest.importorskip("fcntl", reason="only Unix sets a pipe's size")

PIPE_BYTES = 4_096
REQUESTS = 2_100
AT_ONCE = 16


@dataclass(slots=True)
class Unread:
    """A Master in a process of its own; its stderr is not read after the line of its start."""

    process: asyncio.subprocess.Process
    web: aiohttp.ClientSession
    port: int

    async def get(self, path: str) -> tuple[int, str]:
        async with self.web.get(f"http://127.0.0.1:{self.port}{path}") as answer:
            return answer.status, await answer.text()

    async def add_accounts(self, first: int) -> None:
        """Cause log lines, one request after another."""
        for number in range(first, REQUESTS, AT_ONCE):
            url = f"http://127.0.0.1:{self.port}{ROOT}/accounts"
            account = {"platform": "douyin", "account_name": f"a-{number}"}
            async with self.web.post(url, json=account) as answer:
                assert answer.status == 201, await answer.text()

    async def stop(self) -> int:
        if self.process.returncode is None:
            self.process.terminate()
        async with asyncio.timeout(PATIENCE_S):
            return await self.process.wait()


def read_port(reading: int) -> int:
    """Read lines up to the one that reports the start."""
    with os.fdopen(reading, "rb", buffering=0, closefd=False) as stream:
        for line in iter(stream.readline, b""):
            if b'"master_started"' in line:
                return int(json.loads(line)["port"])
    raise AssertionError("Master has not started")


@pytest.fixture
async def unread(tmp_path: Path) -> AsyncIterator[Unread]:
    reading, writing = os.pipe()
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    environment = {
        **os.environ,
        "PORT": "0",
        "APP_ENV": "production",
        "DB_PATH": str(tmp_path / "master.db"),
        "LOG_DIR": str(tmp_path / "logs"),
        "HTTP_REQUESTS_PER_S": "10000",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "master", env=environment, stderr=writing
    )
    os.close(writing)
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(PATIENCE_S)) as web:
            unread = Unread(process, web, await asyncio.to_thread(read_port, reading))
            yield unread
            await unread.stop()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(reading)


async def test_a_master_whose_stderr_has_no_reader_goes_on_and_writes_its_file(
    unread: Unread, tmp_path: Path
) -> None:
    await asyncio.gather(*(unread.add_accounts(first) for first in range(AT_ONCE)))
    assert (await unread.get("/health/live"))[0] == 200
    assert (await unread.get("/health/ready"))[0] == 200
    _, figures = await unread.get("/metrics")
    assert 'master_log_lines_lost_total{sink="file"} 0.0' in figures
    assert await unread.stop() == 0
    lines = (tmp_path / "logs" / "master.log").read_text(encoding="utf-8").splitlines()
    assert '"master_stopped"' in lines[-1]
    assert sum('"account_added"' in line for line in lines) == REQUESTS
