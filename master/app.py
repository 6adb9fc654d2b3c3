"""Composition root: it alone wires components, and makes a Master of settings, clock and ids."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import uuid
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial

import structlog
from aiohttp import web

from master import __version__
from master.access import Access, is_loopback
from master.budgets import make_budgets
from master.children import ProcessStatus
from master.clock import Clock, SystemClock
from master.endpoints import ENDPOINTS
from master.environment import ListenFault
from master.errors import Refusal, Stopping, StorageTrouble
from master.keys import RandomBytes
from master.lines import Lines
from master.logs import KNOWN
from master.memory import Memory
from master.meter import Meter
from master.metrics import Metrics
from master.model import WorkerConfig
from master.operations.afterwards import expect_unknown_owners, restore
from master.operations.assignments import tell_more
from master.operations.notifications import mark_sent
from master.operations.processes import find_auto_start
from master.operations.secrets import find_unreadable, mark_unreadable
from master.operations.workers import wake_up, write_heartbeats
from master.periodic import Periodic
from master.protocol.processes import ProcessChanged
from master.reception import Reception
from master.routes import LARGEST_EVENT
from master.settings import Settings
from master.sockets.manager import RoomManager
from master.sockets.namespace import Namespace
from master.sockets.rooms import Rooms
from master.sockets.server import SocketServer
from master.store.sqlite.database import Connect, Database
from master.store.sqlite.keyring import prepare_database
from master.store.sqlite.upgrade import DatabaseFault, lock_database
from master.supervisor import Supervisor
from master.tails import Tails
from master.tokens import mark_secret
from master.turn import ADMINS, SWEEP, Parcel
from master.vault import Vault
from master.web.access import check_sockets, read_session
from master.web.condition import Conditions
from master.web.connections import OPTIONS, convert_server
from master.web.descriptors import SPARE, Descriptors, TooFewFiles, count_connections
from master.web.figures import Figures
from master.web.health import Vitals
from master.web.origins import Origins
from master.web.relayed import Relays, name_clients
from master.web.server import build_web
from master.web.system import System
from master.writer import Turns

log = structlog.get_logger(__name__)

SHUTDOWN_TIMEOUT_S = 3
"""Seconds that open requests may take to end when Master stops."""

BACKLOG = 1_024
"""Connections that the kernel queues until they are accepted.

Past it the kernel drops them, and their peers retry a second or more later.
"""

RETRY_S = 1.0
"""Seconds before the disk is tried again."""


SWITCH_S = 0.0002
"""How long one thread may keep Python's GIL from others; the database's needs it per row."""


def rest_collector() -> None:
    """Pause the garbage collector until `tune_process`: a start loads many permanent objects."""
    gc.disable()
    sys.setswitchinterval(SWITCH_S)


def tune_process() -> None:
    """Tune the interpreter of a started process that runs Master and nothing else.

    The garbage collector runs less often, and never scans the objects loaded so far. By default it
    scans all live objects after a number of allocations: among a hundred thousand accounts that
    blocks the loop for a tenth of a second. A busy loop also yields the GIL sooner to the database
    thread, which needs it once per row and by default would wait 5 ms each time.
    """
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(5_000, 10, 20)
    sys.setswitchinterval(SWITCH_S)


def require_tokens(settings: Settings) -> None:
    """Refuse a non-loopback HOST or every origin when no tokens are set. Errors: ListenFault."""
    if settings.worker_tokens or settings.admin_tokens or settings.client_tokens:
        return
    if "*" in settings.allowed_origins:
        raise ListenFault(
            "ALLOWED_ORIGINS='*' lets every web page in a browser of this machine call Master, "
            "and no token is set: set tokens, or name the origins."
        )
    if settings.host.lower() != "localhost" and not is_loopback(settings.host):
        raise ListenFault(
            f"HOST={settings.host!r} can be reached from other machines, and no token is set: set "
            "ADMIN_TOKENS, and WORKER_TOKENS or TRUSTED_WORKERS for workers and CLIENT_TOKENS for "
            "devices, or set HOST=127.0.0.1."
        )


def hide_keys(settings: Settings) -> None:
    """Hide the keys of MASTER_KEYS in all log lines."""
    written = settings.master_keys.reveal() if settings.master_keys is not None else ""
    for entry in written.split(","):
        KNOWN.add(mark_secret(entry.partition(":")[2].strip()))


def _make_sockets(settings: Settings, clock: Clock, metrics: Metrics, lines: Lines) -> SocketServer:
    return SocketServer(
        async_mode="aiohttp",
        cors_allowed_origins=lambda origin, environ: True,  # `check_sockets` refuses foreign ones
        cors_credentials=True,
        max_http_buffer_size=LARGEST_EVENT,
        outbound_bytes=settings.outbound_queue_bytes,
        metrics=metrics,
        clock=clock,
        lines=lines,
        client_manager=RoomManager(),
        http_compression=False,
        monitor_clients=True,
    )


class Master:
    """One coordinator: `start` opens it, `close` finishes the writes and shuts it down."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        new_id: Callable[[], str] | None = None,
        connect: Connect | None = None,
        random_bytes: RandomBytes = os.urandom,
    ) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.new_id = new_id or (lambda: str(uuid.uuid4()))
        self.memory = Memory()
        self.metrics = Metrics()
        self.access = Access(settings, self.clock, random_bytes, self._find_config)
        hide_keys(settings)
        self.meter = Meter(
            self.clock,
            make_budgets(settings.socket_events_per_s, LARGEST_EVENT),
            requests_per_s=settings.http_requests_per_s,
        )
        self.relays = Relays(settings.trusted_proxies)
        self.lines = Lines(self.meter, self.relays.is_trusted)
        self.sockets = _make_sockets(settings, self.clock, self.metrics, self.lines)
        self.vault = Vault(random_bytes)
        self.database = Database(settings.db_path, self.vault, connect=connect)
        self.rooms = Rooms(self.sockets, self.memory.sessions)
        self.turns = Turns(
            self.database,
            self.clock,
            self.memory,
            settings,
            self.new_id,
            self.rooms,
            self.metrics,
            queue_limit=settings.write_queue_items,
            random_bytes=random_bytes,
        )
        self.memory.sessions.outlets = self.sockets
        self.memory.sessions.tell_on = lambda worker_id: self.turns.submit(
            tell_more, worker_id, SWEEP
        )
        self.sockets.reception = Reception(
            self.turns, self.memory, self.clock, self.rooms, self.metrics, settings, self.access
        )
        for name in ("worker", "admin", "client"):
            self.sockets.register_namespace(
                Namespace(name, self.turns, self.memory.sessions, self.sockets, self.access)
            )
        self.origins = Origins(settings.allowed_origins, self.access.needs_token)
        self.sockets.find_signin = partial(read_session, self.access, self.origins, self.lines)
        self.access.signins.hang_up = self.sockets.hang_up_admin
        self.periodic = Periodic(self.turns, self.memory, settings, self.clock, self.metrics)
        self.vitals = Vitals(self.clock, __version__)
        self.supervisor = Supervisor(
            log_dir=settings.log_dir,
            master_host=settings.host,
            master_port=settings.port,
            clock=self.clock,
            stop_limit_s=settings.worker_stop_limit_s,
            tokens=self.access,
        )
        self.supervisor.when_changed = self._tell_process
        self.tails = Tails(self.memory.sessions, self.supervisor, self.rooms)
        self.memory.sessions.tell_output = self.tails.tell
        self.conditions = Conditions(
            self.turns,
            self.memory,
            self.clock,
            settings,
            self.vitals,
            self.rooms,
        )
        self.system = System(
            settings,
            self.vitals,
            self.conditions,
            self.turns,
            self.vault,
            self.memory.sessions,
            list_sweeps=self.periodic.list_sweeps,
            measure_outbound=self.sockets.measure_outbound,
        )
        self._telling: set[asyncio.Task[None]] = set()
        self._background: list[asyncio.Task[None]] = []
        self._locks = ExitStack()
        self._runner: web.AppRunner | None = None
        self.port = settings.port

    def _tell_process(self, status: ProcessStatus) -> None:
        """Tell administrators of a process's new state, in the order of the changes."""
        event = ProcessChanged(status.to_wire())
        task = asyncio.create_task(self.rooms.publish([Parcel(ADMINS, event)]))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    def _find_config(self, worker_id: str) -> WorkerConfig | None:
        """Return the configuration of a worker process, or None."""
        return self.memory.farm.configs.get(worker_id)

    async def start(self, *, sweeps: bool = True, listen: bool = True) -> None:
        """Open the database, rebuild memory, listen. Errors: DatabaseFault, KeyFault, ListenFault.

        A simulation sets `listen` to False and brings its own connections.
        """
        if listen:
            require_tokens(self.settings)
        self._locks.enter_context(lock_database(self.settings.db_path))
        self.system.database_version = prepare_database(
            self.settings.db_path, self.vault, self.settings.read_keys()
        )
        try:
            heard = await self.turns.load_farm()
            restore(self.memory, self.clock, self.settings, heard)
            self.turns.start()
            restored = await self.turns.run(wake_up, None)
            auto_start = await self.turns.run(find_auto_start, None)
        except StorageTrouble:
            fault = f"{self.settings.db_path} cannot be used as a database: {self.turns.trouble}."
            raise DatabaseFault(fault) from None
        application = build_web(
            ENDPOINTS,
            turns=self.turns,
            supervisor=self.supervisor,
            settings=self.settings,
            vitals=self.vitals,
            figures=Figures(
                self.turns, self.memory, self.metrics, self.sockets.measure_outbound, self.meter
            ),
            new_id=self.new_id,
            access=self.access,
            lines=self.lines,
            origins=self.origins,
            links=self.memory.links,
            system=self.system,
        )
        self._runner = web.AppRunner(application, shutdown_timeout=SHUTDOWN_TIMEOUT_S, **OPTIONS)
        await self._runner.setup()
        sockets = check_sockets(self.access, self.origins, self.sockets.intake.handle)
        convert_server(self._runner.server, self.lines, sockets, name_clients(self.relays))
        self.begin_grace()
        if listen:
            await self._listen(self._runner)
        if sweeps:
            self._start_background()
        await self.supervisor.start_all(auto_start)
        if not self.access.guarded:
            log.info(
                "no_tokens",
                meaning="no token is set: only this machine may connect, with every permission",
            )
        log.info("master_started", host=self.settings.host, port=self.port, **restored)

    def _start_background(self) -> None:
        """Start the sweeps, and what looks around between them."""
        self.periodic.start()
        endless = {
            "strangers": self.sockets.drop_strangers_for_ever(),
            "signins": self.end_signins_for_ever(),
            "secrets": self.check_secrets(),
            "condition": self.conditions.look_for_ever(),
            "descriptors": Descriptors(self.metrics).look_for_ever(),
        }
        self._background = [asyncio.create_task(one, name=name) for name, one in endless.items()]

    def begin_grace(self) -> None:
        """Measure silence from now on; for a timeout, assume that every account has a former owner.

        The file does not tell which accounts the former process revoked: their workers may act.
        """
        now = self.clock.monotonic()
        self.memory.sessions.begin_grace(now, grace_s=self.settings.restart_grace_s)
        expect_unknown_owners(self.memory, self.clock, self.settings)

    async def end_signins_for_ever(self) -> None:
        """End the console's sessions whose time is up, once a minute."""
        while True:
            await asyncio.sleep(60)
            self.access.signins.end_late()

    async def check_secrets(self) -> None:
        """Check once whether every sealed value opens, and mark the accounts where one does not."""
        while True:
            try:
                await self.turns.run(mark_unreadable, await self.turns.look(find_unreadable, None))
                return
            except Stopping:
                return
            except Refusal:
                await asyncio.sleep(RETRY_S)

    async def _listen(self, runner: web.AppRunner) -> None:
        host, port = self.settings.host, self.settings.port
        try:
            self.lines.most = count_connections()
        except TooFewFiles as fault:
            raise ListenFault(str(fault)) from None
        # in one pass, the loop accepts as many as are queued
        backlog = BACKLOG if self.lines.most > BACKLOG else SPARE // 2
        try:
            await web.TCPSite(runner, host, port, backlog=backlog).start()
        except OSError as fault:
            raise ListenFault(
                f"Cannot listen on {host}:{port}: {os.strerror(fault.errno or 0)}."
            ) from None
        self.port = runner.addresses[0][1]
        self.supervisor.master_port = self.port

    def make_http_protocol(self) -> asyncio.Protocol:
        """Return the server side of a new HTTP connection, for a caller that supplies the bytes."""
        server = self._runner.server if self._runner is not None else None
        assert server is not None, "start first"
        return server()

    async def close(self) -> None:
        """Stop accepting, end the worker processes, finish the writes, close the database."""
        self.vitals.stopping = True
        await self.conditions.look()
        await self.supervisor.close()
        await self.tails.close()
        if self._runner is not None:
            for site in list(self._runner.sites):
                await site.stop()
        await self.periodic.close()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.sockets.hang_up_all()
        with suppress(Refusal):  # from a full disk, or a Master that never started
            await self.turns.run(write_heartbeats, None)
            await self.turns.run(mark_sent, None)
        await self.turns.close()
        await self.sockets.shutdown()
        if self._runner is not None:
            await self._runner.cleanup()
        await self.database.close()
        self._locks.close()
        log.info("master_stopped")
