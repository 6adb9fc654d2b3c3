"""The reaper: a small process that ends the worker processes if Master dies without doing so.

It learns of Master's death from a pipe that the kernel closes then, sends SIGTERM to every
remaining process group, and SIGKILL after the limit. PR_SET_PDEATHSIG would need code between fork
and exec (unsafe beside threads), is bound to the thread that forked, spares the grandchildren, and
exists only on Linux. A gap of a few milliseconds remains between a worker's fork and the line that
reports it to the reaper.
"""

from __future__ import annotations

import asyncio
import os
import sys

import structlog

log = structlog.get_logger(__name__)

PROGRAM = """\
# Master's reaper: ends the worker processes if Master dies without doing so.
import os, signal, sys, time

for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
left = set()
for line in sys.stdin:
    (left.add if line[0] == "+" else left.discard)(int(line[1:]))

def tell(number):
    for pid in sorted(left):
        try:
            os.killpg(pid, number)
        except OSError:
            left.discard(pid)

tell(signal.SIGTERM)
deadline = time.monotonic() + float(sys.argv[1])
while left and time.monotonic() < deadline:
    time.sleep(0.05)
    tell(0)
tell(signal.SIGKILL)
"""


class Reaper:
    """The process that ends the worker processes if Master dies; it starts before them."""

    def __init__(self, stop_limit_s: float) -> None:
        self._stop_limit_s = stop_limit_s
        self._lock = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._pipe: int | None = None
        self._pids: set[int] = set()

    async def open(self) -> None:
        """Start the reaper if there is none, or if it has died. Errors: OSError."""
        async with self._lock:
            if self._process is not None and self._process.returncode is None:
                return
            self._close_pipe()
            ours, self._pipe = os.pipe()
            os.set_blocking(self._pipe, False)
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-I", "-S", "-c", PROGRAM, str(self._stop_limit_s)),
                    stdin=ours,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.DEVNULL,
                    start_new_session=True,
                )
            finally:
                os.close(ours)
            for pid in sorted(self._pids):
                self._say(f"+{pid}\n")

    def watch(self, pid: int) -> None:
        """Let the reaper end this leader's process group if Master dies."""
        self._pids.add(pid)
        self._say(f"+{pid}\n")

    def forget(self, pid: int) -> None:
        """Exclude a process group that has ended."""
        self._pids.discard(pid)
        self._say(f"-{pid}\n")

    async def close(self) -> None:
        """End the reaper."""
        async with self._lock:
            self._close_pipe()
            if self._process is not None:
                await self._process.wait()

    def _say(self, line: str) -> None:
        try:
            if self._pipe is not None:
                os.write(self._pipe, line.encode())
        except OSError as fault:
            # dead or stuck; the pipe stays open, because its end would end the workers
            log.warning("reaper_unreachable", reason=fault.strerror)

    def _close_pipe(self) -> None:
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None
