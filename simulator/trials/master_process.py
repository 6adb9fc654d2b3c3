"""The simulator's own Master: a child process that is started, stopped, killed and restarted."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from simulator.truth.ledger import SECRET_MARK

HOST = "127.0.0.1"
DEFAULT_PORT = 3000
QUIET_PORTS = range(10_000, 30_000)
"""Ports that no system uses for outgoing connections.

A port outside this range could be occupied while a killed Master is away.
"""

START_LIMIT_S = 30.0
STOP_LIMIT_S = 15.0
SHOWN_LINES = 12
LOOK_S = 0.05


class StartTrouble(Exception):
    """The run cannot start; the message is for the user."""


@dataclass(slots=True)
class RunningMaster:
    """A Master that was started by other means, and is left running."""

    url: str
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    findings: list[tuple[str, str]] = field(default_factory=list)


class MasterProcess:
    """A Master as a child process, restartable on the same file and port after its end.

    `ended` is set from one end to the next start. `findings` has (rule, detail) of each unexpected
    end, and of faults in the output.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        port: int,
        environment: Mapping[str, str],
        output: Path,
    ) -> None:
        self.url = f"http://{HOST}:{port}"
        self.db_path = Path(environment["DB_PATH"])
        self.keys = environment.get("MASTER_KEYS")
        self.ended = asyncio.Event()
        self.findings: list[tuple[str, str]] = []
        self._session = session
        self._environment = dict(environment)
        self._output = output
        self._process: asyncio.subprocess.Process | None = None
        self._watching: asyncio.Task[None] | None = None
        self._asked: signal.Signals | None = None

    async def spawn(self) -> None:
        """Start the process, without waiting until it is ready."""
        assert self._watching is None or self._watching.done(), "the previous process has not ended"
        self.ended.clear()
        self._asked = None
        with self._output.open("ab") as sink:
            # A session of its own, so that Ctrl-C does not reach Master: the simulator still has to
            # read what Master stored.
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "master"),
                env=self._environment,
                stdout=sink,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        self._watching = asyncio.create_task(self._watch(self._process))

    async def wait_ready(self) -> None:
        """Return once Master is ready. Errors: StartTrouble, with Master's last output."""
        ready = asyncio.create_task(wait_until_ready(self._session, self.url, START_LIMIT_S))
        ended = asyncio.create_task(self.ended.wait())
        try:
            await asyncio.wait({ready, ended}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                raise StartTrouble(
                    f"Master ended with code {self._returncode}:\n{self._read_tail()}"
                )
            try:
                await ready
            except StartTrouble as trouble:
                raise StartTrouble(f"{trouble}\n{self._read_tail()}") from None
        finally:
            ready.cancel()
            ended.cancel()
            await asyncio.wait({ready, ended})

    def strike(self) -> None:
        """Kill the process with SIGKILL, if it runs."""
        self._send(signal.SIGKILL)

    async def wait_end(self) -> None:
        """Return once the process has ended and its end is recorded."""
        if self._watching is not None:
            await self._watching

    async def stop(self) -> None:
        """Stop the process, if it runs, and wait; kill it after STOP_LIMIT_S."""
        self._send(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_LIMIT_S):
                await self.ended.wait()
        except TimeoutError:
            self._kill_after_all()
        await self.wait_end()

    def search_output(self) -> None:
        """Search the output so far, and add its faults to the findings."""
        self.findings += search_output(self._output)

    @property
    def _returncode(self) -> int | None:
        return None if self._process is None else self._process.returncode

    def _send(self, number: signal.Signals) -> None:
        if self._process is None:
            self.ended.set()
        elif self._process.returncode is None and not self.ended.is_set():
            self._asked = number
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def _kill_after_all(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        if self._asked is None or (self._asked is signal.SIGKILL and code != -signal.SIGKILL):
            self.findings.append(
                ("master_ended", f"Master ended by itself with code {code}: {self._read_tail()}")
            )
        elif self._asked is signal.SIGTERM and code != 0:
            self.findings.append(("master_exit", f"asked to stop, Master ended with code {code}"))
        self.ended.set()

    def _read_tail(self) -> str:
        lines = self._output.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-SHOWN_LINES:]) or "(no output)"


def read_port(environment: Mapping[str, str]) -> int:
    """Return the port in PORT. Errors: StartTrouble."""
    written = environment.get("PORT", "").strip() or str(DEFAULT_PORT)
    if not written.isdecimal() or not 1 <= int(written) <= 65_535:
        raise StartTrouble(f"PORT is {written!r}; allowed is a number from 1 to 65535")
    return int(written)


def choose_port(environment: Mapping[str, str]) -> int:
    """Return the port in PORT, else one that stays free while Master is away.

    Errors: StartTrouble.
    """
    if environment.get("PORT", "").strip():
        port = read_port(environment)
        require_free_port(port)
        return port
    for port in random.sample(QUIET_PORTS, 100):
        with contextlib.suppress(StartTrouble):
            require_free_port(port)
            return port
    raise StartTrouble("no free port was found; name one with PORT")


def require_free_port(port: int) -> None:
    """Check that the port is free. Errors: StartTrouble, with remedies."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as fault:
            raise StartTrouble(
                f"port {port} on {HOST} cannot be used ({fault.strerror}): stop the process that "
                f"listens there, choose another port with PORT={port + 100}, or use a Master that "
                f"runs there with --url http://{HOST}:{port}"
            ) from None


def describe_environment(
    environment: Mapping[str, str],
    port: int,
    folder: Path,
    extra: Mapping[str, str],
    *,
    own_file: bool = False,
) -> dict[str, str]:
    """Return the child's environment.

    Its data goes to `folder`. Without `own_file`, the environment may name other paths.
    """
    paths = {"DB_PATH": str(folder / "master.db"), "LOG_DIR": str(folder / "logs")}
    forced = paths if own_file else {}
    return {**paths, **extra, **environment, **forced, "PORT": str(port), "HOST": HOST}


@contextlib.asynccontextmanager
async def prepare_master(
    session: aiohttp.ClientSession, port: int, extra: Mapping[str, str], *, own_file: bool = True
) -> AsyncIterator[MasterProcess]:
    """Yield a Master that is not started yet; stop it at the end if it runs."""
    with tempfile.TemporaryDirectory(prefix="simulator-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        environment = describe_environment(os.environ, port, folder, extra, own_file=own_file)
        output = folder / "master.out"
        output.touch()
        master = MasterProcess(session, port, environment, output)
        try:
            yield master
        finally:
            await master.stop()
            master.search_output()


@contextlib.asynccontextmanager
async def run_master(
    session: aiohttp.ClientSession, extra: Mapping[str, str]
) -> AsyncIterator[MasterProcess]:
    """Start a Master, yield it once it is ready, and stop it with SIGTERM. Errors: StartTrouble."""
    port = read_port(os.environ)
    require_free_port(port)
    async with prepare_master(session, port, extra, own_file=False) as master:
        await master.spawn()
        await master.wait_ready()
        yield master


def search_output(output: Path) -> list[tuple[str, str]]:
    """Return (rule, detail) for each traceback and secret in Master's output; at most 20."""
    findings: list[tuple[str, str]] = []
    with output.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            if SECRET_MARK in line:
                findings.append(
                    (
                        "secret_in_log",
                        f"line {number}: {line.partition(SECRET_MARK)[0][-120:]}<secret>",
                    )
                )
            elif "Traceback (most recent call last)" in line:
                findings.append(
                    ("traceback", f"line {number} of Master's output: {line.strip()[:200]}")
                )
            if len(findings) >= 20:
                break
    return findings


async def wait_until_ready(session: aiohttp.ClientSession, url: str, limit_s: float) -> None:
    """Return once Master is ready. Errors: StartTrouble after `limit_s`."""
    said = "no answer"
    try:
        async with asyncio.timeout(limit_s):
            while True:
                try:
                    async with session.get(f"{url}/health/ready") as answer:
                        if answer.status == 200:
                            return
                        said = f"status {answer.status}"
                except (aiohttp.ClientError, OSError) as fault:
                    said = str(fault) or type(fault).__name__
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        raise StartTrouble(
            f"Master at {url} was not ready within {limit_s:.0f} s: {said}"
        ) from None
