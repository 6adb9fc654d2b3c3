"""Runs each sweep at its interval; a sweep that fails is logged and runs again."""

from __future__ import annotations

import asyncio

import structlog

from master.clock import Clock
from master.decisions.liveness import longest_protection_s
from master.errors import Refusal
from master.memory import Memory
from master.metrics import Metrics
from master.protocol.system import ShownSweep
from master.routes import SWEEPS, Sweep
from master.sessions import STALL_S
from master.settings import Settings
from master.writer import Turns

log = structlog.get_logger(__name__)

PULSE_S = 0.5


class Periodic:
    """Runs the sweeps, each at its own interval."""

    def __init__(
        self, turns: Turns, memory: Memory, settings: Settings, clock: Clock, metrics: Metrics
    ) -> None:
        self._turns = turns
        self._metrics = metrics
        self._memory = memory
        self._settings = settings
        self._clock = clock
        self.sweeps = tuple(sweep for sweep in SWEEPS if sweep.interval_s(settings) > 0)
        self._tasks: list[asyncio.Task[None]] = []
        self._found: dict[str, tuple[int, int]] = {}
        """Sweep -> when it last ran (Unix seconds), and what it has found so far."""

    def start(self) -> None:
        """Start one task per sweep, and one that measures the loop's delay."""
        self._tasks = [
            asyncio.create_task(self._repeat(sweep), name=f"sweep-{sweep.name}")
            for sweep in self.sweeps
        ]
        self._tasks.append(asyncio.create_task(self._feel_pulse(), name="pulse"))

    async def close(self) -> None:
        """Stop all sweeps."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def sweep(self, sweep: Sweep) -> None:
        """Run one sweep, if anything is due."""
        if sweep.is_due(self._memory, self._settings, self._clock.now(), self._clock.monotonic()):
            found = await self._turns.run(sweep.operation, None)
            number = sum(found.values()) if isinstance(found, dict) else found
            self._metrics.sweep_findings.labels(sweep.name).inc(number)
            before = self._found.get(sweep.name, (0, 0))[1]
            self._found[sweep.name] = int(self._clock.now()), before + number

    def list_sweeps(self) -> list[ShownSweep]:
        """Return each sweep: one that had nothing to do has not run."""
        shown: list[ShownSweep] = []
        for sweep in self.sweeps:
            at, found = self._found.get(sweep.name, (None, 0))
            interval_s = sweep.interval_s(self._settings)
            shown.append(
                {"name": sweep.name, "interval_s": interval_s, "last_run": at, "found": found}
            )
        return shown

    async def _repeat(self, sweep: Sweep) -> None:
        while True:
            try:
                await self.sweep(sweep)
            except Refusal as refusal:
                log.warning("sweep_refused", sweep=sweep.name, reason=refusal.message)
            except Exception:
                log.exception("sweep_failed", sweep=sweep.name)
            await asyncio.sleep(sweep.interval_s(self._settings))

    async def _feel_pulse(self) -> None:
        """Record how late this loop is; after a stall, a worker's silence proves little."""
        while True:
            before = self._memory.sessions.pulse = self._clock.monotonic()
            await asyncio.sleep(PULSE_S)
            now = self._clock.monotonic()
            lag_s = now - before - PULSE_S
            self._metrics.loop_lag.set(max(0.0, lag_s))
            if lag_s > STALL_S:
                self._memory.sessions.note_stall(
                    before, now, keep_s=longest_protection_s(self._settings.heartbeat_timeout_s)
                )
                log.warning("loop_stalled", seconds=round(lag_s, 3))
