"""A Master in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.waiting import PATIENCE_S


class Child:
    """A Master in a process of its own, whose files can be kept from growing."""

    def __init__(self, process: asyncio.subprocess.Process, web: aiohttp.ClientSession) -> None:
        self._process = process
        self._news = asyncio.Condition()
        self._web = web
        self._reading: asyncio.Task[None] | None = None
        self.lines: list[str] = []
        self.port = 0

    async def wait_until_started(self) -> None:
        """Wait for the line that reports the start; keep reading."""
        assert self._process.stderr is not None
        async with asyncio.timeout(PATIENCE_S):
            while not self.port:
                line = await self._process.stderr.readline()
                assert line, self.lines
                self.lines.append(line.decode())
                if '"master_started"' in self.lines[-1]:
                    self.port = json.loads(line)["port"]
        self._reading = asyncio.create_task(self._read(self._process.stderr))

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            async with self._news:
                self.lines.append(line.decode())
                self._news.notify_all()

    async def hear(self, event: str, count: int) -> None:
        """Wait until the process has logged `event` so many times."""

        def is_heard() -> bool:
            return sum(json.loads(line)["event"] == event for line in self.lines) >= count

        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(is_heard)

    def limit_files(self, size: int) -> None:
        """Let no file of this process grow past `size` bytes; bytes beyond are not written."""
        import resource  # a module of Unix only

        _, hard = resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (size, hard))

    async def get(self, path: str) -> tuple[int, Any]:
        """Send a GET request; return status and content."""
        async with self._web.get(f"http://127.0.0.1:{self.port}{path}") as answer:
            return answer.status, await answer.json()

    async def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Send a request with a body; return status and content."""
        async with self._web.post(f"http://127.0.0.1:{self.port}{path}", json=body) as answer:
            return answer.status, await answer.json()

    async def stop(self) -> int:
        """Stop the process; return its exit code."""
        if self._process.returncode is None:
            self._process.terminate()
        return await self.wait()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        self._process.send_signal(number)

    async def wait(self) -> int:
        """Wait until the process has ended; return its exit code."""
        async with asyncio.timeout(PATIENCE_S):
            code = await self._process.wait()
        if self._reading is not None:
            await self._reading
        return code


@asynccontextmanager
async def run_child(folder: Path, *, files: int | None = None) -> AsyncIterator[Child]:
    """Run a Master as in production, with database and logs in this folder.

    It may have at most `files` files open.
    """
    environment = {
        **os.environ,
        "PORT": "0",
        "APP_ENV": "production",
        "DB_PATH": str(folder / "master.db"),
        "LOG_DIR": str(folder / "logs"),
    }
    limit = f"ulimit -n {files}; " if files is not None else ""
    command = ("/bin/sh", "-c", f'{limit}exec "$0" -m master', sys.executable)
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stderr=asyncio.subprocess.PIPE
    )
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(PATIENCE_S)) as web:
        child = Child(process, web)
        try:
            await child.wait_until_started()
            yield child
        finally:
            await child.stop()
