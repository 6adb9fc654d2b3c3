"""Worker processes over HTTP: start, stop, restart, status and the end of their output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from master.errors import Missing, NotRunning, Stopping
from master.model import WorkerConfig
from master.operations.processes import find_config, find_runnable
from master.protocol.answers import ShownProcess
from master.protocol.http import ById, LogsQuery
from master.turn import Caller, Operation
from master.web.endpoint import ROOT
from master.web.health import Vitals
from master.writer import Turns

HTTP = Caller("http")


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

    async def start(self, event: ById) -> ShownProcess:
        """Start the worker's process by its configuration.

        Errors: Missing, AlreadyRunning, StartFailed.
        """
        config = await self._require_config(event, find_runnable)
        self._refuse_while_stopping()
        return (await self._processes.start(config)).to_wire()

    async def restart(self, event: ById) -> ShownProcess:
        """Stop the worker's process if it runs, and start it by its current configuration.

        Errors: Missing, StartFailed.
        """
        config = await self._require_config(event, find_runnable)
        self._refuse_while_stopping()
        return (await self._processes.restart(config)).to_wire()

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
