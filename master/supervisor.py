"""Worker processes: children that are started, stopped, restarted and never left behind.

    stopped, failed --start--> running --stop--> stopping --> stopped
                                  |--ends by itself--> backoff --> running    with auto_restart,
                                  |                                           until the limit
                                  |--ends by itself--> stopped (exit code 0), failed

Each child leads its own session: Ctrl-C reaches only Master, which then stops its children in
order, and every signal goes to the whole group, so that a worker's browsers end with it. If Master
is killed, reaper.py ends them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import structlog

from master.children import (
    BACKOFF,
    Backoff,
    ProcessState,
    ProcessStatus,
    find_program,
    name_log,
)
from master.clock import Clock
from master.errors import AlreadyRunning, NotRunning, Refusal, StartFailed, Stopping
from master.model import WorkerConfig
from master.output import Output, Part, read_part, read_tail
from master.reaper import Reaper
from master.settings import SECRET_SETTINGS

log = structlog.get_logger(__name__)

DEFAULT_COMMAND = (sys.executable, "-m", "simulator", "worker")
REACHED_AT = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not bound


class WorkerTokens(Protocol):
    """Issues each worker process its own token while it runs; access.py implements it."""

    def issue_worker_token(self, worker_id: str) -> str:
        """Return a new token."""
        ...

    def withdraw_worker_token(self, worker_id: str) -> None:
        """End the token."""
        ...


@dataclass(slots=True)
class _Child:
    """One worker's process. Changes need `lock`, except those of `watch`, which records the end."""

    config: WorkerConfig
    status: ProcessStatus
    tell: Callable[[ProcessStatus], object]
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    process: asyncio.subprocess.Process | None = None
    watch: asyncio.Task[None] | None = None
    comeback: asyncio.Task[None] | None = None
    began: float = 0.0
    crashes: int = 0

    def note(self, state: ProcessState, **changes: Any) -> ProcessStatus:
        former, self.status = self.status, replace(self.status, state=state, **changes)
        if self.status != former:
            self.tell(self.status)
        return self.status


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
        backoff: Backoff = BACKOFF,
        default_command: Sequence[str] = DEFAULT_COMMAND,
        environ: Mapping[str, str] | None = None,
        tokens: WorkerTokens | None = None,
    ) -> None:
        self.master_port = master_port  # set again once port 0 is resolved
        self._master_host = REACHED_AT.get(master_host, master_host)
        self._folder = log_dir / "workers"
        self._clock = clock
        self._stop_limit_s = stop_limit_s
        self._backoff = backoff
        self._default_command = tuple(default_command)
        self._environ = os.environ if environ is None else environ
        self._tokens = tokens
        self._children: dict[str, _Child] = {}
        self._reaper = Reaper(stop_limit_s)
        self._closing = False
        self.when_changed: Callable[[ProcessStatus], object] = lambda status: None
        """Called with each new status of a process."""

    async def start(self, config: WorkerConfig) -> ProcessStatus:
        """Start a worker's process, at once if in backoff. Errors: AlreadyRunning, StartFailed."""
        child = self._require_child(config)
        async with child.lock:
            if child.process is not None:
                raise AlreadyRunning
            return await self._start_afresh(child, config)

    async def stop(self, worker_id: str) -> ProcessStatus:
        """Stop a worker's process: SIGTERM, then SIGKILL after the limit. Errors: NotRunning."""
        child = self._children.get(worker_id)
        if child is None:
            raise NotRunning
        async with child.lock:
            if child.process is None and child.status.state is not ProcessState.BACKOFF:
                raise NotRunning
            return await self._halt(child)

    async def restart(self, config: WorkerConfig) -> ProcessStatus:
        """Stop a worker's process, if any, then start it by `config`. Errors: StartFailed."""
        child = self._require_child(config)
        async with child.lock:
            await self._halt(child)
            return await self._start_afresh(child, config)

    async def start_all(self, configs: Iterable[WorkerConfig]) -> None:
        """Start the processes that start with Master; one that fails does not affect the others."""
        for config in configs:
            try:
                await self.start(config)
            except Refusal as refusal:
                log.error(
                    "worker_process_not_started", worker=config.worker_id, reason=refusal.message
                )

    async def close(self) -> None:
        """Stop all processes at the same time, and refuse new ones; none is left behind."""
        self._closing = True
        try:
            await asyncio.gather(*(self._halt_locked(child) for child in self._children.values()))
        finally:
            await self._reaper.close()

    def status(self, worker_id: str) -> ProcessStatus:
        """Return the status of a worker's process; a process that never started is stopped."""
        child = self._children.get(worker_id)
        return child.status if child else self._first_status(worker_id)

    def statuses(self) -> list[ProcessStatus]:
        """Return the status of every process with a requested start, by worker id."""
        return [child.status for _, child in sorted(self._children.items())]

    async def tail_log(self, worker_id: str, lines: int) -> list[str]:
        """Return the last lines of a worker's log, out of its last megabyte."""
        return await asyncio.to_thread(read_tail, self.locate_log(worker_id), lines)

    async def read_log(self, worker_id: str, after: str | None, lines: int, **limits: Any) -> Part:
        """Return what a worker's log has behind a position, as `output.read_part` does."""
        path = self.locate_log(worker_id)
        return await asyncio.to_thread(read_part, path, after, lines, **limits)

    async def _start_afresh(self, child: _Child, config: WorkerConfig) -> ProcessStatus:
        """Start a process on request, with its crashes and restarts reset."""
        await self._cancel_comeback(child)
        child.config = config
        child.crashes = 0
        child.status = self._first_status(config.worker_id)
        try:
            return await self._launch(child)
        except StartFailed:
            child.note(ProcessState.FAILED)
            raise

    async def _launch(self, child: _Child) -> ProcessStatus:
        """Start the process and watch it. Errors: StartFailed, Stopping."""
        if self._closing:
            raise Stopping
        config = child.config
        environment = self._describe_environment(config)
        named, *arguments = (config.command,) if config.command else self._default_command
        program = find_program(named, environment.get("PATH"))
        output = None
        try:
            await self._reaper.open()
            output = Output(self.locate_log(config.worker_id), self._clock)
            process = await asyncio.create_subprocess_exec(
                *(program, *arguments, *config.args),
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output.end,
                stderr=output.end,
                start_new_session=True,
            )
        except (OSError, ValueError) as fault:
            if output is not None:
                output.drop()
            reason = getattr(fault, "strerror", None) or fault
            raise StartFailed(f"{named} could not be started: {reason}.") from None
        output.start()
        self._reaper.watch(process.pid)
        child.process = process
        child.began = self._clock.monotonic()
        child.watch = asyncio.create_task(
            self._watch(child, process, output), name=f"watch {config.worker_id}"
        )
        log.info("worker_process_started", worker=config.worker_id, pid=process.pid)
        return child.note(
            ProcessState.RUNNING,
            pid=process.pid,
            started_at=int(self._clock.now()),
            exit_code=None,
            config_updated_at=config.updated_at,
        )

    async def _watch(
        self, child: _Child, process: asyncio.subprocess.Process, output: Output
    ) -> None:
        """Wait for the process to end, clean up after it, and restart it if configured."""
        code = await process.wait()
        # a browser that outlives its worker is useless
        _signal_group(process.pid, signal.SIGKILL)
        self._reaper.forget(process.pid)
        await output.close()
        if self._tokens is not None:
            self._tokens.withdraw_worker_token(child.config.worker_id)
        child.process = None
        wanted = child.status.state is ProcessState.STOPPING
        ended = ProcessState.STOPPED if wanted or code == 0 else ProcessState.FAILED
        child.note(ended, pid=None, exit_code=code)
        if wanted:
            log.info("worker_process_stopped", worker=child.config.worker_id, exit_code=code)
            return
        log.warning("worker_process_ended", worker=child.config.worker_id, exit_code=code)
        if child.config.auto_restart and not self._closing:
            if self._clock.monotonic() - child.began >= self._backoff.stable_s:
                child.crashes = 0
            self._plan_comeback(child)

    def _plan_comeback(self, child: _Child) -> None:
        """Schedule a restart after the delay, or abandon the process."""
        child.crashes += 1
        if child.crashes > self._backoff.limit:
            child.note(ProcessState.FAILED)
            log.error(
                "worker_process_abandoned",
                worker=child.config.worker_id,
                restarts=child.status.restarts,
            )
            return
        delay_s = self._backoff.delay_s(child.crashes)
        child.note(ProcessState.BACKOFF)
        child.comeback = asyncio.create_task(
            self._come_back(child, delay_s), name=f"comeback {child.config.worker_id}"
        )

    async def _come_back(self, child: _Child, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        # another owner of the lock has cancelled this task, or finds a running process
        async with child.lock:
            child.note(ProcessState.BACKOFF, restarts=child.status.restarts + 1)
            try:
                await self._launch(child)
            except StartFailed as refusal:
                log.error(
                    "worker_process_not_started",
                    worker=child.config.worker_id,
                    reason=refusal.message,
                )
                self._plan_comeback(child)
            except Stopping:
                child.note(ProcessState.STOPPED)

    async def _cancel_comeback(self, child: _Child) -> None:
        """Cancel a scheduled restart.

        The restart waits for the lock that the caller owns, so no half-started process is lost.
        """
        if child.status.state is ProcessState.BACKOFF and child.comeback is not None:
            child.comeback.cancel()
            await asyncio.wait({child.comeback})
            child.note(ProcessState.STOPPED)

    async def _halt_locked(self, child: _Child) -> None:
        async with child.lock:
            await self._halt(child)

    async def _halt(self, child: _Child) -> ProcessStatus:
        """End the process and its children, if any; return once they are gone."""
        await self._cancel_comeback(child)
        if child.process is not None:
            assert child.watch is not None
            child.note(ProcessState.STOPPING)
            _signal_group(child.process.pid, signal.SIGTERM)
            _, waiting = await asyncio.wait({child.watch}, timeout=self._stop_limit_s)
            if waiting:
                log.warning(
                    "worker_process_killed",
                    worker=child.config.worker_id,
                    limit_s=self._stop_limit_s,
                )
                _signal_group(child.process.pid, signal.SIGKILL)
                await asyncio.wait({child.watch})
        return child.status

    def _describe_environment(self, config: WorkerConfig) -> dict[str, str]:
        environment = {
            **{
                name: value
                for name, value in self._environ.items()
                if name.lower() not in SECRET_SETTINGS
            },
            **config.env,
            "WORKER_ID": config.worker_id,
            "MASTER_HOST": self._master_host,
            "MASTER_PORT": str(self.master_port),
        }
        if self._tokens is not None:
            environment["MASTER_WORKER_TOKEN"] = self._tokens.issue_worker_token(config.worker_id)
        if config.max_accounts is not None:
            environment["MAX_ACCOUNTS"] = str(config.max_accounts)
        return environment

    def _require_child(self, config: WorkerConfig) -> _Child:
        first = self._first_status(config.worker_id)
        fresh = _Child(config, first, self._tell)
        return self._children.setdefault(config.worker_id, fresh)

    def _tell(self, status: ProcessStatus) -> None:
        self.when_changed(status)

    def _first_status(self, worker_id: str) -> ProcessStatus:
        return ProcessStatus(worker_id, log_path=str(self.locate_log(worker_id)))

    def locate_log(self, worker_id: str) -> Path:
        """Return the path of a worker's log, which may not exist."""
        return self._folder / name_log(worker_id)


def _signal_group(pid: int, number: int) -> None:
    """Send a signal to a child and to the processes that it started."""
    # the group may be gone; macOS raises the second error while its last process is a zombie
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
