"""Worker processes over HTTP: start, stop, restart, status and the end of their output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from aiohttp import web

from master.endpoints import ROOT, Endpoint
from master.errors import Missing, NotRunning, Stopping
from master.model import JsonObject, WorkerConfig
from master.operations.processes import find_config, find_runnable
from master.protocol.http import Request
from master.turn import Caller, Operation
from master.web.answers import answer_one
from master.web.health import Vitals
from master.web.reading import read_request
from master.writer import Turns

HTTP = Caller("http")


class Process(Protocol):
    """What is known of one worker's process."""

    def to_wire(self) -> JsonObject:
        """Return it as answers carry it; its `state` is stopped where nothing was started."""
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
        """Return what is known of the worker's process, also if there is none."""
        ...

    async def tail_log(self, worker_id: str, lines: int) -> Sequence[str]:
        """Return the last `lines` lines that the worker's processes have written."""
        ...


class Lifecycle:
    """Answers `workers/{id}/lifecycle/...`. What is started needs a configuration; what runs is always known."""

    def __init__(self, turns: Turns, processes: Processes, vitals: Vitals) -> None:
        self._turns = turns
        self._processes = processes
        self._vitals = vitals

    async def start(self, request: web.Request, endpoint: Endpoint) -> web.Response:
        """Start the worker's process as its configuration says. Errors: Missing, AlreadyRunning, StartFailed."""
        config = await self._require_config(await read_request(request, endpoint), find_runnable)
        self._refuse_while_stopping()
        return answer_one(endpoint.singular, (await self._processes.start(config)).to_wire())

    async def restart(self, request: web.Request, endpoint: Endpoint) -> web.Response:
        """Stop the worker's process and start it as its configuration says by now."""
        config = await self._require_config(await read_request(request, endpoint), find_runnable)
        self._refuse_while_stopping()
        return answer_one(endpoint.singular, (await self._processes.restart(config)).to_wire())

    async def stop(self, request: web.Request, endpoint: Endpoint) -> web.Response:
        """Stop the worker's process, also one whose configuration is gone. Errors: Missing, NotRunning."""
        event = await read_request(request, endpoint)
        try:
            stopped = await self._processes.stop(event.path["id"])
        except NotRunning:
            await self._require_config(event)
            raise
        return answer_one(endpoint.singular, stopped.to_wire())

    async def show_status(self, request: web.Request, endpoint: Endpoint) -> web.Response:
        """Show the worker's process. Errors: Missing."""
        process = await self._require_known(await read_request(request, endpoint))
        return answer_one(endpoint.singular, process)

    async def show_logs(self, request: web.Request, endpoint: Endpoint) -> web.Response:
        """Show the last lines of the worker's output. Errors: Missing."""
        event = await read_request(request, endpoint)
        await self._require_known(event)
        lines = await self._processes.tail_log(event.path["id"], event.query.lines)
        return answer_one(endpoint.singular, list(lines))

    async def _require_known(self, event: Request[Any, Any]) -> JsonObject:
        """Return the worker's process; one that was not started and has no configuration is unknown."""
        process = self._processes.status(event.path["id"]).to_wire()
        if process["state"] == "stopped":
            await self._require_config(event)
        return process

    def _refuse_while_stopping(self) -> None:
        """Start nothing that nobody would stop. Errors: Stopping."""
        if self._vitals.stopping:
            raise Stopping

    async def _require_config(self, event: Request[Any, Any], find: Operation = find_config) -> WorkerConfig:
        config: WorkerConfig | None = await self._turns.look(find, event, HTTP)
        if config is None:
            raise Missing(f"This worker has no configuration to run it by; create one with POST {ROOT}/worker-configs.")
        return config
