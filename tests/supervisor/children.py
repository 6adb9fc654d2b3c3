"""Real child processes of a supervisor: they connect when up, until they end."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from master.children import Backoff, ProcessState, ProcessStatus
from master.clock import ManualClock
from master.model import WorkerConfig
from master.supervisor import Supervisor
from tests.waiting import PATIENCE_S

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
    environ = os.environ | {"ROLE": "browser"}
    subprocess.Popen([sys.executable, "-c", os.environ["CHILD"], "stubborn"], env=environ)
line = socket.create_connection(("127.0.0.1", int(os.environ["BELL"])))
hello = {"pid": os.getpid(), "sid": os.getsid(0), "env": dict(os.environ)}
line.sendall(json.dumps(hello).encode() + b"\\n")
sys.exit(int(line.makefile().readline() or 0))
"""


class Call:
    """The connection to one process: its first message, and how to end it or await its end."""

    def __init__(
        self, told: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
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
    """The socket to which processes connect when they are up."""

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
                server.close()  # uvloop would wait forever for open listeners


class Bench:
    """A supervisor under test, its clock and the bell of its children."""

    def __init__(self, folder: Path, bell: Bell) -> None:
        self.folder = folder
        self.bell = bell
        self.clock = ManualClock()
        self.made: list[Supervisor] = []

    def supervisor(self, **changes: Any) -> Supervisor:
        options: dict[str, Any] = {
            "log_dir": self.folder,
            "master_host": "127.0.0.1",
            "master_port": 3000,
            "clock": self.clock,
            "stop_limit_s": PATIENCE_S,
            "backoff": TINY,
            "environ": {**os.environ, "BELL": str(self.bell.port), "CHILD": CHILD},
            **changes,
        }
        self.made.append(Supervisor(**options))
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
        while not true():  # noqa: ASYNC110 - the supervisor signals no changes
            await asyncio.sleep(0)


async def reach(
    supervisor: Supervisor, state: ProcessState, worker_id: str = "worker-1"
) -> ProcessStatus:
    await until(lambda: supervisor.status(worker_id).state is state)
    return supervisor.status(worker_id)
