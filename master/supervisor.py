"""Worker processes: real children that are started, stopped, restarted and never left behind.

stopped --start--> running --stop--> stopping --> stopped
                      |--crash--> backoff --> running   (with auto_restart; failed after ten in a row)
                      |--crash--> failed                (without)
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog

from master.clock import Clock
from master.errors import AlreadyRunning, NotRunning, Refusal, StartFailed
from master.model import JsonObject, WorkerConfig

log = structlog.get_logger(__name__)

DEFAULT_COMMAND = (sys.executable, "-m", "simulator", "worker")
BACKOFF_FIRST_S = 1.0
BACKOFF_MOST_S = 60.0
RESTART_LIMIT = 10
STABLE_S = 60.0
TAIL_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """What is known of one worker process. `started_at` is Unix seconds."""

    worker_id: str
    state: str = "stopped"
    pid: int | None = None
    started_at: int | None = None
    restarts: int = 0
    exit_code: int | None = None

    def to_wire(self) -> JsonObject:
        """Return it as HTTP shows it."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(slots=True)
class _Child:
    status: ProcessStatus
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    process: asyncio.subprocess.Process | None = None
    watcher: asyncio.Task[None] | None = None
    in_a_row: int = 0


class Supervisor:
    """All worker processes of this Master."""

    def __init__(
        self,
        *,
        log_dir: Path,
        master_host: str,
        master_port: int,
        clock: Clock,
        stop_limit_s: float,
        backoff_first_s: float = BACKOFF_FIRST_S,
        default_command: Sequence[str] = DEFAULT_COMMAND,
    ) -> None:
        self._folder = log_dir / "workers"
        self.master_host = "127.0.0.1" if master_host in ("0.0.0.0", "::") else master_host  # noqa: S104 - compared
        self.master_port = master_port
        self._clock = clock
        self._stop_limit_s = stop_limit_s
        self._backoff_first_s = backoff_first_s
        self._default_command = tuple(default_command)
        self._children: dict[str, _Child] = {}

    def status(self, worker_id: str) -> ProcessStatus:
        """Return what is known of a worker's process; one never started is stopped."""
        child = self._children.get(worker_id)
        return child.status if child else ProcessStatus(worker_id)

    async def start(self, config: WorkerConfig) -> ProcessStatus:
        """Start a worker's process. Errors: AlreadyRunning, StartFailed."""
        child = self._children.setdefault(config.worker_id, _Child(ProcessStatus(config.worker_id)))
        async with child.lock:
            if child.process is not None:
                raise AlreadyRunning
            await self._stop_watching(child)
            child.in_a_row = 0
            await self._launch(child, config)
            return child.status

    async def stop(self, worker_id: str) -> ProcessStatus:
        """Stop a worker's process: SIGTERM, and SIGKILL after the limit. Errors: NotRunning."""
        child = self._children.get(worker_id)
        if child is None or child.status.state not in ("running", "backoff"):
            raise NotRunning
        async with child.lock:
            await self._end(child)
            return child.status

    async def restart(self, config: WorkerConfig) -> ProcessStatus:
        """Stop a worker's process if it runs, then start it. Errors: StartFailed."""
        with suppress(NotRunning):
            await self.stop(config.worker_id)
        return await self.start(config)

    async def start_all(self, configs: Iterable[WorkerConfig]) -> None:
        """Start those that are to start with Master; one that fails does not hinder the others."""
        for config in configs:
            try:
                await self.start(config)
            except Refusal as refusal:
                log.error("worker_process_not_started", worker=config.worker_id, reason=refusal.message)

    async def close(self) -> None:
        """Stop every process; none is left behind."""
        await asyncio.gather(*(self._end(child) for child in self._children.values()))

    async def tail_log(self, worker_id: str, lines: int) -> list[str]:
        """Return the last lines of a worker's log, out of at most its last megabyte."""
        return await asyncio.to_thread(_read_tail, self._log_path(worker_id), lines)

    async def _launch(self, child: _Child, config: WorkerConfig) -> None:
        command = (config.command, *config.args) if config.command else (*self._default_command, *config.args)
        environment = {
            **os.environ,
            **config.env,
            "WORKER_ID": config.worker_id,
            "MASTER_HOST": self.master_host,
            "MASTER_PORT": str(self.master_port),
        }
        if config.max_accounts is not None:
            environment["MAX_ACCOUNTS"] = str(config.max_accounts)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._log_path(config.worker_id).open("ab") as output:
                child.process = await asyncio.create_subprocess_exec(
                    *command,
                    env=environment,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,  # Ctrl-C reaches Master alone, which then stops its children in order
                )
        except OSError as fault:
            child.status = replace(child.status, state="failed", pid=None)
            raise StartFailed(f"The worker process could not be started: {fault.strerror}.") from None
        started = int(self._clock.now())
        child.status = replace(child.status, state="running", pid=child.process.pid, started_at=started, exit_code=None)
        child.watcher = asyncio.create_task(self._watch(child, config), name=f"watch-{config.worker_id}")
        log.info("worker_process_started", worker=config.worker_id, pid=child.process.pid)

    async def _watch(self, child: _Child, config: WorkerConfig) -> None:
        """Note how a process ends, and start it again where that is wanted."""
        assert child.process is not None
        began = self._clock.monotonic()
        code = await child.process.wait()
        child.process = None
        log.warning("worker_process_ended", worker=config.worker_id, exit_code=code)
        child.in_a_row = 0 if self._clock.monotonic() - began > STABLE_S else child.in_a_row + 1
        child.status = replace(child.status, state="stopped" if code == 0 else "failed", pid=None, exit_code=code)
        if code == 0 or not config.auto_restart or child.in_a_row > RESTART_LIMIT:
            return
        child.status = replace(child.status, state="backoff")
        await asyncio.sleep(min(BACKOFF_MOST_S, self._backoff_first_s * 2 ** (child.in_a_row - 1)))
        child.status = replace(child.status, restarts=child.status.restarts + 1)
        try:
            await self._launch(child, config)
        except StartFailed as refusal:
            log.error("worker_process_not_started", worker=config.worker_id, reason=refusal.message)

    async def _end(self, child: _Child) -> None:
        await self._stop_watching(child)
        process = child.process
        if process is None:
            child.status = replace(child.status, state="stopped", pid=None)
            return
        child.status = replace(child.status, state="stopping")
        _signal_group(process, signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), self._stop_limit_s)
        except TimeoutError:
            _signal_group(process, signal.SIGKILL)
            await process.wait()
        child.process = None
        child.status = replace(child.status, state="stopped", pid=None, exit_code=process.returncode)

    async def _stop_watching(self, child: _Child) -> None:
        if child.watcher is not None and not child.watcher.done():
            child.watcher.cancel()
            await asyncio.gather(child.watcher, return_exceptions=True)
        child.watcher = None

    def _log_path(self, worker_id: str) -> Path:
        """Return a worker's log file; whatever could leave the folder is replaced in its name."""
        safe = re.sub(r"[^A-Za-z0-9._-]", "_", worker_id).lstrip(".") or "_"
        return self._folder / f"{safe}.log"


def _signal_group(process: asyncio.subprocess.Process, number: int) -> None:
    """Signal the child and whatever it started itself."""
    with suppress(ProcessLookupError):  # it may have ended by itself
        os.killpg(process.pid, number)


def _read_tail(path: Path, lines: int) -> list[str]:
    if not path.is_file():
        return []
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TAIL_BYTES))
        return file.read().decode("utf-8", "replace").splitlines()[-lines:]
