"""A Master of the simulator's own: started as a child process, waited for, and stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from simulator.ledger import SECRET_MARK

HOST = "127.0.0.1"
DEFAULT_PORT = 3000
START_LIMIT_S = 30.0
STOP_LIMIT_S = 15.0
SHOWN_LINES = 12


class StartTrouble(Exception):
    """The run cannot start; the message is for the person at the keyboard."""


@dataclass(slots=True)
class OwnMaster:
    """A Master of this run. `findings` holds (rule, detail) of what was wrong with its end, once `ended` is set."""

    url: str
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    findings: list[tuple[str, str]] = field(default_factory=list)


def read_port(environment: Mapping[str, str]) -> int:
    """Return the port that PORT in the environment names. Errors: StartTrouble."""
    written = environment.get("PORT", "").strip() or str(DEFAULT_PORT)
    if not written.isdecimal() or not 1 <= int(written) <= 65_535:
        raise StartTrouble(f"PORT is {written!r}; allowed is a number from 1 to 65535")
    return int(written)


def require_free_port(port: int) -> None:
    """Check that nobody listens on the port. Errors: StartTrouble that says what to do."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as fault:
            raise StartTrouble(
                f"port {port} on {HOST} cannot be used ({fault.strerror}): stop what listens there, choose another "
                f"with PORT={port + 100}, or use the Master that runs there with --url http://{HOST}:{port}"
            ) from None


def describe_environment(
    environment: Mapping[str, str], port: int, folder: Path, extra: Mapping[str, str]
) -> dict[str, str]:
    """Return the child's environment: its data goes to `folder` unless the environment says where."""
    defaults = {"DB_PATH": str(folder / "master.db"), "LOG_DIR": str(folder / "logs"), **extra}
    return {**defaults, **environment, "PORT": str(port), "HOST": HOST}


@contextlib.asynccontextmanager
async def run_master(session: aiohttp.ClientSession, extra: Mapping[str, str]) -> AsyncIterator[OwnMaster]:
    """Start a Master, yield it once it is ready, and stop it with SIGTERM. Errors: StartTrouble."""
    port = read_port(os.environ)
    require_free_port(port)
    with tempfile.TemporaryDirectory(prefix="simulator-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        output = folder / "master.out"
        with output.open("wb") as sink:
            # A session of its own: Ctrl-C is for the simulator, which still has to ask Master what it stored.
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "master"),
                env=describe_environment(os.environ, port, folder, extra),
                stdout=sink,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        master = OwnMaster(f"http://{HOST}:{port}")
        watching = asyncio.create_task(_tell_end(process, master.ended))
        try:
            await _wait_ready(session, master.url, process, output)
            yield master
        finally:
            before = process.returncode
            await _stop(process)
            await watching
            if before is not None:
                master.findings.append(("master_ended", f"Master ended by itself with code {before}"))
            elif process.returncode != 0:
                master.findings.append(("master_exit", f"asked to stop, Master ended with code {process.returncode}"))
            master.findings += search_output(output)


def search_output(output: Path) -> list[tuple[str, str]]:
    """Return (rule, detail) for each traceback and each secret in what Master wrote to its console; at most 20."""
    findings: list[tuple[str, str]] = []
    with output.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            if SECRET_MARK in line:
                findings.append(("secret_in_log", f"line {number}: {line.partition(SECRET_MARK)[0][-120:]}<secret>"))
            elif "Traceback (most recent call last)" in line:
                findings.append(("traceback", f"line {number} of Master's output: {line.strip()[:200]}"))
            if len(findings) >= 20:
                break
    return findings


async def wait_until_ready(session: aiohttp.ClientSession, url: str, limit_s: float) -> None:
    """Return once Master says that it is ready. Errors: StartTrouble."""
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
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise StartTrouble(f"Master at {url} was not ready within {limit_s:.0f} s: {said}") from None


async def _tell_end(process: asyncio.subprocess.Process, ended: asyncio.Event) -> None:
    await process.wait()
    ended.set()


async def _wait_ready(
    session: aiohttp.ClientSession, url: str, process: asyncio.subprocess.Process, output: Path
) -> None:
    ready = asyncio.create_task(wait_until_ready(session, url, START_LIMIT_S))
    ended = asyncio.create_task(process.wait())
    try:
        await asyncio.wait({ready, ended}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            raise StartTrouble(f"Master ended with code {process.returncode}:\n{_read_tail(output)}")
        try:
            await ready
        except StartTrouble as trouble:
            raise StartTrouble(f"{trouble}\n{_read_tail(output)}") from None
    finally:
        ready.cancel()
        ended.cancel()
        await asyncio.wait({ready, ended})


def _read_tail(output: Path) -> str:
    lines = output.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-SHOWN_LINES:]) or "(it said nothing)"


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_LIMIT_S):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
