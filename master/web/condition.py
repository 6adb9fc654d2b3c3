"""Master's condition: what people must know at once, told when it changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from master.clock import Clock
from master.decisions.liveness import find_silent
from master.memory import Memory
from master.model import LoginStatus, WorkerStatus
from master.operations.maintenance import render_row
from master.protocol.system import (
    ConditionChanged,
    ShownBrake,
    ShownCheck,
    ShownCondition,
    ShownTrouble,
)
from master.settings import Settings
from master.sinks import LOST
from master.turn import ADMINS, Parcel, Publisher
from master.web.health import Vitals
from master.writer import Turns

log = structlog.get_logger(__name__)

LOOK_S = 1.0
SHOWN = 20
"""Most silent workers that are named."""

Finding = tuple[bool, str | None]
"""Whether a check is passed, and why not."""


class Conditions:
    """Looks at memory once a second, and tells administrators of a change."""

    def __init__(
        self,
        turns: Turns,
        memory: Memory,
        clock: Clock,
        settings: Settings,
        vitals: Vitals,
        publisher: Publisher,
    ) -> None:
        self._turns = turns
        self._memory = memory
        self._clock = clock
        self._timeout_s = settings.heartbeat_timeout_s
        self._vitals = vitals
        self._publisher = publisher
        self._told: ShownCondition | None = None
        self._since: dict[str, tuple[bool, int]] = {}
        self._brake: tuple[float, int, int] | None = None
        self._trouble: ShownTrouble | None = None

    def render(self) -> ShownCondition:
        """Return the condition as it is now."""
        return {
            "brake": self._render_brake(),
            "storage": self._render_trouble(),
            "stopping": self._vitals.stopping,
            "maintenance": render_row(self._memory.farm.maintenance),
        }

    def list_checks(self) -> list[ShownCheck]:
        """Return each check, and since when it is passed or not."""
        now = int(self._clock.now())
        checks: list[ShownCheck] = []
        for name, check in self._list().items():
            ok, detail = check()
            former = self._since.get(name)
            if former is None or former[0] != ok:
                former = self._since[name] = ok, now
            checks.append({"name": name, "ok": ok, "since": former[1], "detail": detail})
        return checks

    async def look(self) -> None:
        """Tell administrators of the condition if it has changed since the last look."""
        self.list_checks()
        shown = self.render()
        # those who connect read it
        if self._told is not None and shown != self._told:
            await self._publisher.publish([Parcel(ADMINS, ConditionChanged(**shown))])
        self._told = shown

    async def look_for_ever(self) -> None:
        """Call `look` once a second."""
        while True:
            try:
                await self.look()
            except Exception:
                log.exception("condition_not_told")
            await asyncio.sleep(LOOK_S)

    def _render_brake(self) -> ShownBrake | None:
        watch, now = self._memory.watch, self._clock.monotonic()
        until = watch.brake_until
        if until is None or now >= until:
            self._brake = None
            return None
        if self._brake is None or self._brake[0] != until:
            at = self._clock.now()
            began = int(at - (now - watch.put_on_at)) if watch.put_on_at > 0 else int(at)
            self._brake = until, began, round(at + until - now)
        silent = self._find_silent()
        return {
            "since": self._brake[1],
            "until": self._brake[2],
            "silent": silent[:SHOWN],
            "silent_count": len(silent),
        }

    def _render_trouble(self) -> ShownTrouble | None:
        reason = self._turns.trouble
        if reason is None:
            self._trouble = None
        elif self._trouble is None or self._trouble["reason"] != reason:
            since = self._trouble["since"] if self._trouble else int(self._clock.now())
            self._trouble = {"since": since, "reason": reason}
        return self._trouble

    def _find_silent(self) -> list[str]:
        heard = self._memory.find_heard()
        return find_silent(heard, self._clock.monotonic(), self._timeout_s)

    def _list(self) -> dict[str, Callable[[], Finding]]:
        return {
            "database": lambda: (self._turns.trouble is None, self._turns.trouble),
            "workers": self._check_workers,
            "brake": lambda: (self._render_brake() is None, None),
            "loop": self._check_loop,
            "credentials": self._check_credentials,
            "logs": self._check_logs,
        }

    def _check_workers(self) -> Finding:
        number = self._memory.farm.workers.count("status")[WorkerStatus.DISCONNECTED]
        return number == 0, str(number) if number else None

    def _check_loop(self) -> Finding:
        stalls = self._memory.sessions.list_stalls(self._clock.monotonic())
        seconds = max((one.ended - one.began for one in stalls), default=0.0)
        return not stalls, f"{seconds:.1f} s" if stalls else None

    def _check_credentials(self) -> Finding:
        states = self._memory.farm.accounts.count("login_status")
        number = states[LoginStatus.CREDENTIALS_UNREADABLE]
        return number == 0, str(number) if number else None

    def _check_logs(self) -> Finding:
        lost = sum(LOST.values())
        return lost == 0, str(lost) if lost else None
