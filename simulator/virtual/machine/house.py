"""The host of Master in a virtual run: one file, one Master after another, their connections."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from master.app import Master
from master.clock import Clock
from master.model import Stall
from master.periodic import PULSE_S
from master.sessions import STALL_S
from master.settings import Settings
from simulator.actors.transport import LinkDown
from simulator.chance import open_stream
from simulator.virtual.machine.database import COMPILATION, connect_inline
from simulator.virtual.machine.disk import Disk
from simulator.virtual.machine.life import Life, bury
from simulator.virtual.machine.loop import VirtualLoop
from simulator.virtual.machine.network import Frame, Link
from simulator.virtual.machine.wire import DRIVER, make_environ

START_LIMIT_S = 600.0

STALLS = 200
"""How many stalls are remembered: more than fit into three timeouts."""


class House:
    """The host of Master. `master` is None while none serves; `on_open` receives each new one."""

    def __init__(self, loop: VirtualLoop, clock: Clock, settings: Settings, seed: int) -> None:
        self.disk = Disk(open_stream(seed, "disk"))
        self.master: Master | None = None
        self.life: Life | None = None
        self.started_at = 0.0
        self.undisturbed_since = 0.0
        self.stall_ended = -math.inf
        """When the latest stall ended that the present Master must have noticed."""
        self.stalls: list[Stall] = []
        """The latest such stalls, in order."""
        self.hindered_at = 0.0
        """When something other than a stall last hindered Master."""
        self.stalled_since: float | None = None
        """When Master was stopped, or None; a stopped Master reads and does nothing."""
        self.kills: Counter[str] = Counter()
        self.trouble = ""
        """Why the latest Master that failed to start, without being killed, did so."""
        self.on_birth: Callable[[], None] = lambda: None
        """Called before each new Master touches the file."""
        self.on_resume: Callable[[bool], None] = lambda _: None
        """Called at each end of a stall; the argument tells whether that Master continues."""
        self.on_open: Callable[[Master], None] = lambda _: None
        self.on_killed: Callable[[], None] = lambda: None
        self._loop = loop
        self._clock = clock
        self._settings = settings
        self._seed = seed
        self._ids = itertools.count(1)
        self._random_bytes = open_stream(seed, "vault").randbytes
        self._sids = itertools.count(1)
        self._links: dict[Link, None] = {}
        self._link_of_socket: dict[str, Link] = {}
        self._being_born: tuple[Life, Master] | None = None
        self._send_strike: Callable[[], None] | None = None
        self._sends_left = 0

    @property
    def path(self) -> Path:
        """Return the database file."""
        return self._settings.db_path

    @property
    def links(self) -> int:
        """Return how many connections Master still serves."""
        return len(self._links)

    async def open(self) -> bool:
        """Start a Master; return whether it serves: it may be killed, or meet a broken disk."""
        self.on_birth()
        life = Life("master")
        master = life.call(self._make_master)
        self._being_born = (life, master)
        birth = life.start(master.start(listen=False))
        killed = asyncio.ensure_future(self._wait_dead(life))
        try:
            await asyncio.wait(
                {birth, killed}, return_when=asyncio.FIRST_COMPLETED, timeout=START_LIMIT_S
            )
        except asyncio.CancelledError:
            self.kill("cancelled")  # the caller is gone, so no fault could reach this Master later
            raise
        finally:
            killed.cancel()
            self._being_born = None
        if life.dead:
            return False
        if not birth.done() or birth.exception() is not None:
            self.trouble = (
                repr(birth.exception())
                if birth.done()
                else f"it took more than {START_LIMIT_S:g} s"
            )
            self._end(life, master)
            return False
        self.life, self.master = life, master
        self.started_at = self.undisturbed_since = self.hindered_at = self._clock.monotonic()
        self.stall_ended, self.stalled_since, self.stalls = -math.inf, None, []
        self.on_open(master)
        return True

    async def _wait_dead(self, life: Life) -> None:
        while not life.dead:  # noqa: ASYNC110 - virtual time costs nothing
            await asyncio.sleep(0.05)

    def kill(self, why: str) -> None:
        """Kill the running or starting Master, as SIGKILL does."""
        life, master = self._being_born or (self.life, self.master)
        if life is None or master is None or life.dead:
            return
        self.kills[why] += 1
        self.life = self.master = None
        self._end(life, master)
        self.on_killed()

    def _end(self, life: Life, master: Master) -> None:
        self._loop.kill_life(life)
        self.disk.abandon()
        master._locks.close()  # the system releases a dead process's locks
        self._send_strike = None
        bury(life, master)
        links, self._links = self._links, {}
        self._link_of_socket.clear()
        for link in links:
            link.sever()

    async def close(self) -> None:
        """Stop Master as SIGTERM does."""
        if self.life is not None and self.master is not None:
            life, master = self.life, self.master
            await life.start(master.close())
            self.life = self.master = None
            self._loop.kill_life(life)  # tasks that it leaves behind end with the process
            bury(life, master)
            self._links.clear()

    def release(self) -> None:
        """Release the lock of a Master that was left running."""
        if self.master is not None:
            self.master._locks.close()

    def stall(self) -> None:
        """Stop Master's process until `resume`."""
        if self.life is not None:
            self._loop.stop_life(self.life)
            if self.stalled_since is None:
                self.stalled_since = self._clock.monotonic()

    def resume(self) -> None:
        """Let a stalled Master continue."""
        if self.life is not None:
            self._loop.resume_life(self.life)
        now, began, self.stalled_since = self._clock.monotonic(), self.stalled_since, None
        if began is not None and now - began > STALL_S + PULSE_S:
            self.stall_ended = now
            self.stalls = [*self.stalls[1 - STALLS :], Stall(began, now)]
        self.on_resume(began is not None and self.life is not None)
        self.disturb()

    def disturb(self) -> None:
        """Note that something hindered Master until now."""
        self.undisturbed_since = self._clock.monotonic()
        if self.master is None or self.disk.hinders:
            self.hindered_at = self.undisturbed_since

    def arm_send(self, count: int, strike: Callable[[], None]) -> None:
        """Call `strike` before the `count`-th frame that Master sends from now."""
        self._sends_left, self._send_strike = count, strike

    def disarm(self) -> None:
        """Cancel all armed kills."""
        self._send_strike = None
        self.disk.disarm()

    def serve(self, link: Link) -> asyncio.Task[Any]:
        """Let Master serve a connection. Errors: LinkDown if no Master runs."""
        if self.life is None or self.master is None:
            raise LinkDown("no Master runs")
        link.on_send = self._before_send
        self._links[link] = None
        task = self.life.start(self.master.sockets.eio.handle_request(make_environ(link)))
        task.add_done_callback(lambda _: self._links.pop(link, None))
        return task

    def find_link(self, sid: str) -> Link | None:
        """Return the link of a worker's socket at the running Master, or None."""
        if self.master is None:
            return None
        sockets, link = self.master.sockets, self._link_of_socket.get(sid)
        if link is None:
            served = sockets.manager.eio_sid_from_sid(sid, "/worker")
            link = next(
                (one for one in self._links if served is not None and one.served_as == served), None
            )
            if link is not None:
                self._link_of_socket[sid] = link
        elif link not in self._links:
            del self._link_of_socket[sid]
            link = None
        return link

    async def _before_send(self, frame: Frame) -> None:
        if self._send_strike is None:
            return
        self._sends_left -= 1
        if self._sends_left <= 0:
            strike, self._send_strike = self._send_strike, None
            strike()
            await self._loop.create_future()  # the process that was about to send is dead now

    def _make_master(self) -> Master:
        master = Master(
            self._settings,
            clock=self._clock,
            new_id=lambda: f"{self._seed:08x}-0000-4000-8000-{next(self._ids):012x}",
            connect=connect_inline(self.path, self.disk),
            random_bytes=self._random_bytes,
        )
        COMPILATION.share(master.database)
        eio = master.sockets.eio
        eio._async = {**eio._async, **DRIVER}
        eio.generate_id = lambda: f"sid{next(self._sids):08d}"
        return master
