"""The web application over real HTTP and a real database, with a manual clock."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from master.access import Access
from master.budgets import make_budgets
from master.clock import ManualClock
from master.endpoints import ENDPOINTS
from master.keys import make_key
from master.lines import Lines
from master.memory import Memory
from master.meter import Meter
from master.metrics import Metrics
from master.model import JsonObject
from master.operations.logins import relay_qr_code
from master.operations.messages import keep_detected
from master.operations.workers import register_worker
from master.protocol.detected import MessagesDetected
from master.protocol.worker import LoginQrCode, Register
from master.settings import Settings, load_settings
from master.store.sqlite.database import Database
from master.supervisor import Supervisor
from master.turn import Caller, Parcel
from master.vault import Vault
from master.web.condition import Conditions
from master.web.figures import Figures
from master.web.health import Vitals
from master.web.origins import Origins
from master.web.server import build_web
from master.web.system import System
from master.writer import Turns
from simulator.virtual.machine.database import COMPILATION
from tests.fresh import FreshFiles


class Parcels:
    """A publisher that keeps the parcels."""

    def __init__(self) -> None:
        self.sent: list[Parcel] = []

    async def publish(self, parcels: Sequence[Parcel]) -> None:
        self.sent.extend(parcels)


class Site:
    """The running application and all its parts."""

    def __init__(self, settings: Settings) -> None:
        self.clock = ManualClock()
        self.memory = Memory()
        self.parcels = Parcels()
        self.supervisor = Supervisor(
            log_dir=settings.log_dir,
            master_host="127.0.0.1",
            master_port=1,
            clock=self.clock,
            stop_limit_s=10,
            default_command=(sys.executable, "-c", "import signal; signal.pause()"),
        )
        self.vault = Vault()
        self.vault.use([make_key(os.urandom)])
        self.database = Database(settings.db_path, self.vault)
        COMPILATION.share(self.database)
        self.vitals = Vitals(self.clock, "1.2.3")
        numbers = itertools.count(1)
        self.turns = Turns(
            self.database,
            self.clock,
            self.memory,
            settings,
            lambda: f"id-{next(numbers)}",
            self.parcels,
        )
        meter = Meter(self.clock, make_budgets(0, settings.max_body_bytes))
        access = Access(settings, self.clock, os.urandom)
        conditions = Conditions(
            self.turns, self.memory, self.clock, settings, self.vitals, self.parcels
        )
        self.app = build_web(
            ENDPOINTS,
            turns=self.turns,
            supervisor=self.supervisor,
            settings=settings,
            vitals=self.vitals,
            figures=Figures(self.turns, self.memory, Metrics(), lambda: 0, meter),
            new_id=lambda: f"request-{next(numbers)}",
            access=access,
            lines=Lines(meter),
            origins=Origins(settings.allowed_origins, access.needs_token),
            links=self.memory.links,
            system=System(
                settings, self.vitals, conditions, self.turns, self.vault, self.memory.sessions
            ),
        )
        self.client: TestClient[Any, Any] = TestClient(TestServer(self.app))

    async def ask(self, method: str, path: str, **options: Any) -> ClientResponse:
        answer = await self.client.request(method, path, **options)
        await answer.read()
        return answer

    async def call(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        """Send an API request; return the JSON answer, which must have `status`."""
        answer = await self.ask(method, "/api/v1" + path, **options)
        content = await answer.json()
        assert answer.status == status, content
        assert content["success"] is (status < 400)
        return content

    async def refused(self, method: str, path: str, status: int, **options: Any) -> Any:
        """Send an API request; return the refusal's error object."""
        error = (await self.call(method, path, status, **options))["error"]
        assert set(error) >= {"code", "message", "retryable"}
        assert set(error) <= {"code", "message", "retryable", "details", "retry_after_ms"}
        assert error["message"]
        return error

    async def add_account(self, **fields: Any) -> Any:
        body = {"platform": "douyin", "account_name": "我的账号", **fields}
        return (await self.call("POST", "/accounts", 201, json=body))["account"]

    async def register_worker(self, worker_id: str = "worker-1", **fields: Any) -> Caller:
        caller = Caller("worker", f"socket-of-{worker_id}")
        self.memory.sessions.worker_sockets.add(f"socket-of-{worker_id}")
        await self.turns.run(
            register_worker,
            Register(worker_id=worker_id, capabilities=["douyin"], **fields),
            caller,
        )
        return caller

    async def detect(
        self, worker: Caller, account_id: str, kind: str, *messages: JsonObject
    ) -> Any:
        event = MessagesDetected(account_id=account_id, type=kind, messages=list(messages))
        return await self.turns.run(keep_detected, event, worker)

    async def show_code(
        self, worker: Caller, session_id: str, data: str, url: str | None = None
    ) -> None:
        event = LoginQrCode(session_id=session_id, qr_code_data=data, qr_code_url=url)
        await self.turns.run(relay_qr_code, event, worker)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(
        {"DB_PATH": str(tmp_path / "master.db"), "LOG_DIR": str(tmp_path / "logs")}, None
    )


@pytest.fixture
async def site(settings: Settings, fresh_files: FreshFiles) -> AsyncIterator[Site]:
    fresh_files.lay_empty(settings.db_path)
    site = Site(settings)
    await site.turns.load_farm()
    site.turns.start()
    await site.client.start_server()
    yield site
    await site.client.close()
    await site.supervisor.close()
    await site.turns.close()
    await site.database.close()
