"""A person's device: it receives and confirms notifications, disconnects, and catches up."""

from __future__ import annotations

import asyncio
from collections import deque

from master.model import JsonObject
from simulator.actors.connection import TROUBLE, Connection, Refused, live_until
from simulator.actors.transport import LinkDown
from simulator.actors.world import World
from simulator.chance import draw_backoff, draw_gap, open_stream
from simulator.pace import Signal, wait_forever
from simulator.truth.sequence import SeenSequence

HEARTBEAT_S = 10.0
CONFIRM_RATE = 0.3
CONFIRM_LIMIT = 200
PAGE = 500
ANSWER_TIMEOUT_S = 10.0
SYNC_ROUNDS = 3


class Client:
    """One device in the /client namespace."""

    def __init__(self, number: int, world: World) -> None:
        self.device_id = f"{world.prefix}-device-{number:02d}"
        self._world = world
        self._rng = open_stream(world.scenario.seed, "client", self.device_id)
        self._to_confirm: deque[str] = deque(maxlen=CONFIRM_LIMIT)
        self._confirm_wake = Signal()
        self._sync_wanted = Signal()
        self._registered = asyncio.Event()
        self._answered = asyncio.Event()
        self._answer: JsonObject = {}
        self._syncing = asyncio.Lock()
        self.seen = SeenSequence(self.device_id, world.ledger.complain)
        listeners = {
            "client:register:success": self._on_registration,
            "client:sync": self._on_hint,
            "client:sync:response": self._on_answer,
            "notification:new": self._on_notification,
        }
        self._connection = Connection("/client", world, listeners, self._register, self._rng)

    async def run(self, calm: asyncio.Event, leave: asyncio.Event) -> None:
        """Receive notifications until `leave`; once `calm` is set the connection is kept."""
        await live_until(leave, self._connection, self._live(calm))

    async def catch_up(self) -> None:
        """Request all missed notifications. Errors: LinkDown, AckLate, Refused."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self._connection.wait_ready()
        except TimeoutError:
            raise LinkDown(f"not connected for {ANSWER_TIMEOUT_S:.0f} s") from None
        async with self._syncing:
            for _ in range(SYNC_ROUNDS):
                await self._sync_once()
                if not self.seen.has_gap:
                    return
        self._world.ledger.complain(
            "gap_after_sync", f"{self.device_id} still misses {(self.seen.last or 0) + 1}"
        )

    async def _live(self, calm: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._connection.run(self._rng.uniform(0.0, 0.5)))
            group.create_task(self._beat())
            group.create_task(self._confirm())
            group.create_task(self._sync_when_wanted())
            group.create_task(self._lose_connection(calm))

    async def _register(self) -> None:
        self._registered.clear()
        self.seen.reconnect()
        names = {"device_type": "simulated", "device_name": f"device of {self.device_id}"}
        await self._connection.call("client:register", {"device_id": self.device_id, **names})
        if not await self._connection.expect(self._registered, ANSWER_TIMEOUT_S):
            self._world.ledger.complain(
                "no_named_reply", f"{self.device_id}: no client:register:success"
            )
        self._sync_wanted.set()

    async def _beat(self) -> None:
        while True:
            await self._connection.wait_ready()
            await asyncio.sleep(HEARTBEAT_S * self._rng.uniform(0.9, 1.1))
            await self._try(
                "client:heartbeat", {"client_id": self.device_id, "timestamp": self._now_ms()}
            )

    async def _confirm(self) -> None:
        while True:
            await self._connection.wait_ready()
            if not self._to_confirm:
                await self._confirm_wake.wait(None)
                continue
            notification_id = self._to_confirm.popleft()
            words = {
                "notification_id": notification_id,
                "client_id": self.device_id,
                "timestamp": self._now_ms(),
            }
            if await self._try("client:notification:ack", words):
                self._world.ledger.note_confirmed(self.device_id, notification_id)

    async def _try(self, event: str, data: JsonObject) -> bool:
        """Send an event once; return whether Master acknowledged it with success."""
        try:
            await self._connection.call(event, data)
        except Refused as refused:
            if not refused.retryable:
                self._world.ledger.complain("client_refused", f"{self.device_id}: {refused}")
        except TROUBLE:
            pass
        else:
            return True
        return False

    async def _sync_when_wanted(self) -> None:
        while True:
            await self._sync_wanted.wait(None)
            try:
                await self.catch_up()
            except TROUBLE as trouble:
                asked_s = trouble.wait_s if isinstance(trouble, Refused) else 0.0
                await asyncio.sleep(
                    asked_s + draw_backoff(self._rng, 0, self._world.scenario.retry_wait_s)
                )
                self._sync_wanted.set()

    async def _sync_once(self) -> None:
        """Request all pages after `seen.last`. Errors: LinkDown, AckLate, Refused."""
        counts = self._world.tally.counts
        counts.syncs += 1
        more = True
        while more:
            after = self.seen.last or 0
            self._answered.clear()
            words = {"device_id": self.device_id, "after_seq": after, "limit": PAGE, "offset": 0}
            await self._connection.call("client:sync:request", words)
            if not await self._connection.expect(self._answered, ANSWER_TIMEOUT_S):
                self._world.ledger.complain(
                    "no_named_reply", f"{self.device_id}: no client:sync:response"
                )
                return
            rows = self._answer.get("notifications") or []
            counts.client_notifications += self.seen.record_page(
                after, [int(row["seq"]) for row in rows]
            )
            more = bool(self._answer.get("has_more")) and bool(rows)

    async def _lose_connection(self, calm: asyncio.Event) -> None:
        rate = self._world.scenario.client_drop_rate_per_min / 60
        while rate > 0 and not calm.is_set():
            await asyncio.sleep(draw_gap(self._rng, rate))
            if self._connection.ready and not calm.is_set():
                self._world.tally.tell(f"{self.device_id} lost its connection")
                self._connection.cut()
        await wait_forever()

    def _on_registration(self, data: JsonObject) -> None:
        self.seen.begin(int(data.get("last_seq") or 0))
        self._registered.set()

    def _on_hint(self, data: JsonObject) -> None:
        """Fetch the notifications that Master did not push, because too many waited."""
        self._sync_wanted.set()

    def _on_answer(self, data: JsonObject) -> None:
        self._answer = data
        self._answered.set()

    def _on_notification(self, data: JsonObject) -> None:
        if not self.seen.record_push(int(data["seq"])):
            return
        self._world.tally.counts.client_notifications += 1
        if self.seen.has_gap:
            self._sync_wanted.set()
        if self._rng.random() < CONFIRM_RATE:
            self._to_confirm.append(str(data["id"]))
            self._confirm_wake.set()

    def _now_ms(self) -> int:
        return int(self._world.clock.now() * 1000)
