"""Worker processes over HTTP: start, stop, restart, status and the end of their output."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Protocol, cast

import structlog
from aiohttp import web

from master.errors import Missing, NotRunning, Refusal, Stopping
from master.model import WorkerConfig
from master.operations.drains import begin_drain, finish_restart, wait_for_drain
from master.operations.processes import find_config, find_runnable
from master.output import Part
from master.protocol.answers import Listing, ShownProcess, ShownRestart
from master.protocol.drains import DrainWorker, RestartWorker
from master.protocol.http import ById, LogsQuery
from master.protocol.lists import Page
from master.protocol.processes import LogPartQuery, ShownLogPart
from master.protocol.words import DrainState
from master.turn import Caller, Operation
from master.web.endpoint import ROOT
from master.web.health import Vitals
from master.writer import Turns

HTTP = Caller("http")

log = structlog.get_logger(__name__)


class Process(Protocol):
    """The state of one worker's process."""

    def to_wire(self) -> ShownProcess:
        """Return it as a reply; its `state` is stopped if it was never started."""
        ...


class Processes(Protocol):
    """Runs worker processes; the supervisor does."""

    async def start(self, config: WorkerConfig) -> Process:
        """Start the worker's process. Errors: AlreadyRunning, StartFailed."""
        ...

    async def stop(self, worker_id: str) -> Process:
        """Stop the worker's process. Errors: NotRunning."""
        ...

    async def restart(self, config: WorkerConfig) -> Process:
        """Stop the worker's process if it runs, and start it. Errors: StartFailed."""
        ...

    def status(self, worker_id: str) -> Process:
        """Return the state of the worker's process, also if it was never started."""
        ...

    def statuses(self) -> Sequence[Process]:
        """Return the state of each process that was started, by worker id."""
        ...

    async def read_log(self, worker_id: str, after: str | None, lines: int) -> Part:
        """Return what the worker's processes have written behind a position."""
        ...

    async def tail_log(self, worker_id: str, lines: int) -> Sequence[str]:
        """Return the last `lines` lines that the worker's processes have written."""
        ...


class Lifecycle:
    """Answers `workers/{id}/lifecycle/...`.

    A start needs a configuration; the other actions also work for a process that was started
    before its configuration was removed.
    """

    def __init__(self, turns: Turns, processes: Processes, vitals: Vitals) -> None:
        self._turns = turns
        self._processes = processes
        self._vitals = vitals
        self._restarts: dict[str, asyncio.Task[None]] = {}

    async def start(self, event: ById) -> ShownProcess:
        """Start the worker's process by its configuration.

        Errors: Missing, AlreadyRunning, StartFailed.
        """
        config = await self._require_config(event, find_runnable)
        self._refuse_while_stopping()
        return (await self._processes.start(config)).to_wire()

    async def restart(self, event: RestartWorker) -> ShownRestart:
        """Stop the worker's process if it runs, and start it by its current configuration.

        With `drain_s` its accounts leave it first: the answer comes at once, the worker's row tells
        the progress, and a drain that is cancelled restarts nothing.
        Errors: Missing, UnknownWorker, WorkerNotConnected, StartFailed.
        """
        by_id = ById(id=event.id)
        config = await self._require_config(by_id, find_runnable)
        self._refuse_while_stopping()
        if event.drain_s is None:
            return cast(ShownRestart, (await self._processes.restart(config)).to_wire())
        wanted = DrainWorker(id=event.id, deadline_s=event.drain_s, reason=event.reason)
        row = await self._turns.run(begin_drain, wanted, HTTP)
        ended: asyncio.Future[str] = await self._turns.look(wait_for_drain, by_id, HTTP)
        if (former := self._restarts.pop(event.id, None)) is not None:
            former.cancel()
        restart = self._restart_drained(by_id, ended)
        self._restarts[event.id] = asyncio.create_task(restart, name=f"restart-{event.id}")
        shown = cast(ShownRestart, self._processes.status(event.id).to_wire())
        return {**shown, "draining": row["draining"]}

    async def _restart_drained(self, event: ById, ended: asyncio.Future[str]) -> None:
        """Restart a process once its drain has ended, unless it was cancelled."""
        state = await ended
        if state != DrainState.CANCELLED and not self._vitals.stopping:
            try:
                await self._processes.restart(await self._require_config(event, find_runnable))
                await self._turns.run(finish_restart, event, HTTP)
            except Refusal as refusal:
                log.warning("drained_not_restarted", worker=event.id, reason=refusal.message)
        self._restarts.pop(event.id, None)

    async def close(self, app: web.Application) -> None:
        """Give up the restarts that wait for a drain: Master stops all processes."""
        for task in [*self._restarts.values()]:
            task.cancel()

    async def stop(self, event: ById) -> ShownProcess:
        """Stop the worker's process, also after its configuration was deleted.

        Errors: Missing, NotRunning.
        """
        try:
            stopped = await self._processes.stop(event.id)
        except NotRunning:
            await self._require_config(event)
            raise
        return stopped.to_wire()

    async def show_status(self, event: ById) -> ShownProcess:
        """Return the state of the worker's process.

        Errors: Missing.
        """
        return await self._require_known(event)

    async def show_logs(self, event: LogsQuery) -> list[str]:
        """Return the last lines of the worker's output.

        Errors: Missing.
        """
        await self._require_known(event)
        return list(await self._processes.tail_log(event.id, event.lines))

    async def list_processes(self, event: Page) -> Listing[ShownProcess]:
        """List the processes that were started since Master's start, by worker id."""
        found = self._processes.statuses()
        page = found[event.offset : event.offset + event.limit]
        return Listing([one.to_wire() for one in page], len(found))

    async def show_log_part(self, event: LogPartQuery) -> ShownLogPart:
        """Return lines of the worker's output, to be read on from the position behind them.

        Errors: Missing.
        """
        await self._require_known(event)
        part = await self._processes.read_log(event.id, event.after, event.lines)
        return cast(ShownLogPart, asdict(part))

    async def _require_known(self, event: ById) -> ShownProcess:
        """Return the process. Errors: Missing if it was never started and has no configuration."""
        process = self._processes.status(event.id).to_wire()
        if process["state"] == "stopped":
            await self._require_config(event)
        return process

    def _refuse_while_stopping(self) -> None:
        """Refuse a start during shutdown: no code would stop the process. Errors: Stopping."""
        if self._vitals.stopping:
            raise Stopping

    async def _require_config(self, event: ById, find: Operation = find_config) -> WorkerConfig:
        config: WorkerConfig | None = await self._turns.look(find, event, HTTP)
        if config is None:
            raise Missing(
                "This worker has no configuration to run it by; "
                f"create one with POST {ROOT}/worker-configs."
            )
        return config
