"""Virtual time and a scripted Master: what a test of an actor needs instead of a network."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from master.model import JsonObject, LoginStatus
from simulator.actors.transport import AckLate, LinkDown, Listener
from simulator.actors.world import World
from simulator.pace import wait_set
from simulator.scenario import Scenario
from simulator.truth.ledger import SECRET_MARK, Ledger
from simulator.truth.platform import Platform
from simulator.truth.tally import Tally

ACCOUNT_ID = "account-1"
QUIET = Scenario(
    workers=1, accounts=1, rate_per_s=0, crash_rate_per_min=0, ramp_s=0, client_drop_rate_per_min=0
)


class JumpingSelector(selectors.SelectSelector):
    """Never waits: if nothing is ready, the clock jumps to the next timer."""

    now = 1_000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "nothing is scheduled: this would wait for ever"
            self.now += timeout
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop with free virtual time."""

    def __init__(self) -> None:
        self.jumping = JumpingSelector()
        super().__init__(self.jumping)

    def time(self) -> float:
        return self.jumping.now


class LoopClock:
    """The clock of the loop in which it is made."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def now(self) -> float:
        return 1_760_000_000 + self.monotonic()

    def monotonic(self) -> float:
        return self._loop.time()


def run_jumping(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` in virtual time."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(work)


Answer = JsonObject | Callable[[JsonObject], JsonObject | None] | None
"""An acknowledgement, or a function of the payload; None never acknowledges."""


def refusal(code: str, *, retryable: bool = False, **more: Any) -> JsonObject:
    return {
        "success": False,
        "error": {"code": code, "message": "no", "retryable": retryable, **more},
    }


class ScriptedMaster:
    """Acknowledges by its script, and records each sender, event and time."""

    def __init__(self, accounts: Iterable[JsonObject] = ()) -> None:
        self.accounts = list(accounts)
        self.down = False
        self.silent = False
        self.answers: dict[str, Answer] = {}
        self.heard: list[tuple[float, str, JsonObject]] = []
        self.wires: list[Wire] = []

    def open(self, namespace: str) -> Wire:
        self.wires.append(Wire(self))
        return self.wires[-1]

    def push(self, event: str, data: JsonObject) -> None:
        """Send an event to the latest connection."""
        self.wires[-1].listeners[event](data)

    def answer(self, event: str, data: JsonObject) -> JsonObject | None:
        if self.silent:
            return None
        if event in self.answers:
            told = self.answers[event]
            return told(data) if callable(told) else told
        if event == "worker:register":
            loop = asyncio.get_running_loop()
            loop.call_soon(
                self.push, "worker:registered", {"success": True, "accounts": self.accounts}
            )
        if event == "client:register":
            asyncio.get_running_loop().call_soon(
                self.push, "client:register:success", {"last_seq": 0}
            )
        if event == "worker:message:detected":
            return {"success": True, "inserted": len(data["messages"]), "duplicates": 0}
        return {"success": True, "accountIds": [account["id"] for account in self.accounts]}

    def all(self, event: str) -> list[JsonObject]:
        return [data for _, name, data in self.heard if name == event]

    def times(self, event: str) -> list[float]:
        return [at for at, name, _ in self.heard if name == event]


class Wire:
    """One connection to a scripted Master: an `simulator.actors.transport.Transport`."""

    def __init__(self, master: ScriptedMaster) -> None:
        self.master = master
        self.listeners: dict[str, Listener] = {}
        self.end: str | None = None
        self._gone = asyncio.Event()

    @property
    def closed(self) -> bool:
        return self._gone.is_set()

    def on(self, event: str, listener: Listener) -> None:
        self.listeners[event] = listener

    async def connect(self) -> None:
        self.master.heard.append((asyncio.get_running_loop().time(), "connect", {}))
        if self.master.down:
            raise LinkDown("nobody there")

    async def call(self, event: str, data: JsonObject, timeout_s: float) -> JsonObject:
        if self.closed:
            raise LinkDown("not connected")
        self.master.heard.append((asyncio.get_running_loop().time(), event, data))
        answer = self.master.answer(event, data)
        if answer is None:
            raise LinkDown("cut") if await wait_set(self._gone, timeout_s) else AckLate(event)
        return answer

    async def disconnect(self) -> None:
        self._finish("closed")

    def cut(self) -> None:
        self._finish("cut")

    async def wait_closed(self) -> None:
        await self._gone.wait()

    def _finish(self, how: str) -> None:
        self.end = self.end or how
        self._gone.set()


def make_world(master: ScriptedMaster, scenario: Scenario = QUIET) -> World:
    """Return the world of an actor whose Master is `master`."""
    clock = LoopClock()
    world = World(
        scenario, clock, master.open, Platform(scenario, clock, "run"), Ledger(clock), Tally(clock)
    )
    world.platform.enroll(ACCOUNT_ID, "handle-1")
    world.tally.account_states[ACCOUNT_ID] = LoginStatus.NOT_LOGGED_IN
    return world


def logged_in(account_id: str = ACCOUNT_ID) -> JsonObject:
    """Return an account as Master sends it to a worker once it is logged in."""
    return {
        "id": account_id,
        "platform": "douyin",
        "monitor_interval": 2,
        "login_status": LoginStatus.LOGGED_IN.value,
        "credentials": {
            "cookies": [{"name": "sessionid", "value": f"{SECRET_MARK}.{account_id}.1"}]
        },
    }


def rules(world: World) -> list[str]:
    """Return the broken rules."""
    return [violation.rule for violation in world.ledger.violations]
