"""Liveness, readiness and health of Master."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiohttp import web

from master.clock import Clock
from master.errors import Refusal, StorageTrouble
from master.operations.reports import look_at_health, show_status
from master.protocol.answers import ShownFarm, ShownStatus, ShownVitals
from master.protocol.http import Nothing
from master.turn import Caller, Turn
from master.web.answers import answer_json
from master.web.endpoint import ROOT
from master.writer import Turns

PATIENCE_S = 5
HTTP = Caller("http")

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Vitals:
    """The process's version, start and uptime; the composition root sets `stopping`."""

    clock: Clock
    version: str
    stopping: bool = False
    started_at: int = field(init=False)
    _started: float = field(init=False)

    def __post_init__(self) -> None:
        """Note when the process started."""
        self.started_at = int(self.clock.now())
        self._started = self.clock.monotonic()

    @property
    def uptime_s(self) -> float:
        """Return seconds since the start."""
        return round(self.clock.monotonic() - self._started, 3)

    def render(self) -> ShownVitals:
        """Return version, start (Unix seconds) and uptime."""
        return {"version": self.version, "started_at": self.started_at, "uptime_s": self.uptime_s}


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a database check: workers by state, and `trouble`.

    `trouble` says why the database cannot be relied on; None if it can.
    """

    trouble: str | None
    workers: dict[str, int] | None = None


class Health:
    """Answers `/health`, `/health/live`, `/health/ready`, `/`, `/api/v1` and `/api/v1/status`.

    `paths` are those that the index of the API links to.
    """

    def __init__(self, turns: Turns, vitals: Vitals, paths: Iterable[str]) -> None:
        self._paths = tuple(paths)
        self._turns = turns
        self._vitals = vitals
        self._check: asyncio.Task[Finding] | None = None

    async def show_live(self, request: web.Request) -> web.Response:
        """Answer that the process is alive, without a query of the database."""
        return answer_json({"success": True, "status": "ok"})

    async def show_ready(self, request: web.Request) -> web.Response:
        """Return whether requests should be sent here."""
        if self._vitals.stopping:
            return _not_ready("Master is stopping.")
        finding = await self._look_at_database()
        if finding.trouble is not None:
            return _not_ready(finding.trouble)
        return answer_json({"success": True, "status": "ok"})

    async def show_health(self, request: web.Request) -> web.Response:
        """Return the state of the process, the database and the workers."""
        finding = await self._look_at_database()
        well = finding.trouble is None and not self._vitals.stopping
        word = "stopping" if self._vitals.stopping else "ok" if well else "degraded"
        content = {
            "success": well,
            "status": word,
            **self._vitals.render(),
            "database": finding.trouble or "ok",
            "workers": finding.workers,
        }
        return answer_json(content, status=200 if well else 503)

    async def show_root(self, request: web.Request) -> web.Response:
        """Return name, version and links; send a browser to the console."""
        if "text/html" in request.headers.get("Accept", ""):
            return web.Response(status=302, headers={"Location": "console/", "Vary": "Accept"})
        links = {
            "console": "/console/",
            "api": ROOT,
            "status": f"{ROOT}/status",
            "health": "/health",
            "metrics": "/metrics",
            "sockets": "/socket.io",
        }
        return self._answer_links(links)

    async def show_index(self, request: web.Request) -> web.Response:
        """Return name, version, and a link to each route that needs no id."""
        return self._answer_links({path.lstrip("/"): ROOT + path for path in self._paths})

    def _answer_links(self, links: dict[str, str]) -> web.Response:
        return answer_json(
            {
                "success": True,
                "name": "master",
                "version": self._vitals.version,
                "documentation": "docs/protocol.md",
                "links": links,
            }
        )

    async def show_status(self, event: Nothing) -> ShownStatus:
        """Return version, uptime and the counts of everything, at most a second old."""
        counts: ShownFarm = (await self._turns.look_shared(show_status))[0]
        return {**self._vitals.render(), **counts}

    async def close(self, app: web.Application) -> None:
        """Cancel a database check that still waits for the disk."""
        if self._check is not None:
            self._check.cancel()
            await asyncio.wait([self._check])

    async def _look_at_database(self) -> Finding:
        """Check the database, one check at a time, for at most PATIENCE_S.

        A check that takes longer goes on: a thread that waits for a disk cannot be cancelled.
        """
        if self._check is None or self._check.done():
            self._check = asyncio.create_task(self._try_database())
        check = self._check  # a later request may replace self._check
        done, _ = await asyncio.wait([check], timeout=PATIENCE_S)
        if done:
            return check.result()
        return Finding(_word_trouble(self._turns.trouble or "it does not answer in time"))

    async def _try_database(self) -> Finding:
        try:
            if self._turns.trouble is not None:
                await self._turns.run(_try_again, None, HTTP)
            return Finding(None, await self._turns.look(look_at_health, None, HTTP, by="health"))
        except StorageTrouble:
            return Finding(_word_trouble(self._turns.trouble or "it has just failed"))
        except Refusal as refusal:
            return Finding(refusal.message)
        except Exception:
            # any fault means "not ready"; the log has its cause
            log.exception("health_check_failed")
            return Finding("The health check itself has failed; see the log.")


async def _try_again(event: None, turn: Turn) -> None:
    """Do nothing: in trouble a transaction adds a write of its own, which tests the disk."""


def _word_trouble(trouble: str) -> str:
    return f"The database cannot be relied on: {trouble}."


def _not_ready(reason: str) -> web.Response:
    content: dict[str, Any] = {"success": False, "status": "unavailable", "reason": reason}
    answer = answer_json(content, status=503)
    answer.headers["Retry-After"] = "1"
    return answer
