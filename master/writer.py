"""The single writer that gives turns, and a read-only look beside it.

The writer drains what is waiting into one transaction (a group commit). Every item of a group has its own savepoint,
so that one that fails is refused alone. Only after the commit are memory changed, callers answered and parcels sent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection

from master.clock import Clock
from master.errors import Overloaded, Refusal, Stopping, StorageTrouble
from master.metrics import Metrics
from master.presence import Presence
from master.settings import Settings
from master.store.database import Database
from master.turn import SWEEP, Bulk, Caller, Operation, Publisher, Turn

log = structlog.get_logger(__name__)

GROUP_LIMIT = 200
"""Items per transaction: measured to be where a bigger group gains no more."""

WEIGHT_LIMIT = 5_000
"""Rows that the events of one transaction may make together: as many as one event by contract."""


class _Undone(Exception):
    """The only item of a transaction has failed: the transaction is undone with it."""

    def __init__(self, failure: Exception) -> None:
        super().__init__()
        self.failure = failure


@dataclass(slots=True)
class _Item:
    operation: Operation | Bulk
    event: Any
    caller: Caller
    answer: asyncio.Future[Any]


class Turns:
    """The single writer, and a read-only look beside it."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        presence: Presence,
        settings: Settings,
        new_id: Callable[[], str],
        publisher: Publisher,
        metrics: Metrics | None = None,
        *,
        queue_limit: int = 10_000,
    ) -> None:
        self._database = database
        self._clock = clock
        self._presence = presence
        self._settings = settings
        self._new_id = new_id
        self._publisher = publisher
        self._metrics = metrics or Metrics()
        self._queue_limit = queue_limit
        self._waiting: deque[_Item] = deque()
        self._wake = asyncio.Event()
        self._closing = True  # until `start`: without a writer nobody would ever be answered
        self._writer: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the writer."""
        self._closing = False
        self._writer = asyncio.create_task(self._write_for_ever(), name="writer")

    async def close(self) -> None:
        """Refuse what comes, finish what waits, stop the writer."""
        self._closing = True
        self._wake.set()
        if self._writer is not None:
            await self._writer
            self._writer = None

    @property
    def waiting(self) -> int:
        """Return how many items wait for the writer."""
        return len(self._waiting)

    @property
    def trouble(self) -> str | None:
        """Return what the disk said when it last failed, or None once it has taken a write again."""
        return self._database.trouble

    def submit(self, operation: Operation | Bulk, event: Any, caller: Caller) -> asyncio.Future[Any]:
        """Put an event into the writer's queue; the future holds the reply once it is committed.

        Errors, through the future: the operation's Refusal, Overloaded, Stopping, StorageTrouble.
        """
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._closing:
            _settle(answer, Stopping())
        elif self._queue_limit and len(self._waiting) >= self._queue_limit:
            _settle(answer, Overloaded(retry_after_ms=1_000))
        else:
            self._waiting.append(_Item(operation, event, caller, answer))
            self._wake.set()
        return answer

    async def run(self, operation: Operation | Bulk, event: Any, caller: Caller = SWEEP) -> Any:
        """Give an operation its turn and return its reply after the commit."""
        return await self.submit(operation, event, caller)

    async def look(self, operation: Operation, event: Any, caller: Caller = SWEEP, *, apart: bool = False) -> Any:
        """Let an operation read what is committed; it can change nothing.

        `apart` from the other readers there is one connection more, however many of them wait. Errors: Overloaded if no
        connection becomes free in time, StorageTrouble.
        """
        try:
            async with self._database.read(apart=apart) as connection:
                turn = self._make_turn(connection, caller)
                reply = await operation(event, turn)
        except PoolTimeout as fault:
            raise Overloaded("Too many readers wait for the database.", retry_after_ms=1_000) from fault
        except DBAPIError as fault:
            raise self._report_trouble(fault) from fault
        if turn.parcels:
            await self._publisher.publish(turn.parcels)
        return reply

    async def _write_for_ever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._commit(self._take_group())
                self._presence.doubted.clear()  # what was to be taken from them is taken by now, or not at all
            if self._closing:
                return

    def _take_group(self) -> list[_Item]:
        """Take what waits, in order, until one of the limits of a group is reached."""
        group = [self._waiting.popleft()]
        weight = _weigh(group[0])
        while self._waiting and len(group) < GROUP_LIMIT:
            weight += _weigh(self._waiting[0])
            if weight > WEIGHT_LIMIT:
                break
            group.append(self._waiting.popleft())
        return group

    async def _commit(self, group: Sequence[_Item]) -> None:
        """Perform a group in one transaction, then answer everybody and send what is to be told."""
        began = self._clock.monotonic()
        try:
            async with self._database.write() as connection:
                done = await self._perform(group, connection)
        except asyncio.CancelledError:
            raise
        except Exception as fault:
            # the writer outlives any bug: whoever waits must be answered, and the next group may be fine
            self._presence.settle_claims(stored=False)
            failure = self._judge_undone(fault, group)
            for item in group:
                _settle(item.answer, failure)
            return
        self._presence.settle_claims(stored=True)
        self._metrics.group_items.observe(len(group))
        self._metrics.commit_seconds.observe(self._clock.monotonic() - began)
        for turn, _ in done:
            self._apply(turn.effects)
        for _, answers in done:
            for item, reply in answers:
                _settle(item.answer, reply)
        parcels = [parcel for turn, _ in done for parcel in turn.parcels]
        if parcels:
            try:
                await self._publisher.publish(parcels)
            except Exception:
                log.exception("publishing_failed", parcels=len(parcels))

    def _judge_undone(self, fault: Exception, group: Sequence[_Item]) -> Exception:
        """Return what everybody in a group that was undone is told."""
        if isinstance(fault, _Undone):
            return fault.failure
        if isinstance(fault, DBAPIError):
            return self._report_trouble(fault)
        log.error("group_failed", items=len(group), exc_info=fault)
        return fault

    def _apply(self, effects: Sequence[Callable[[], object]]) -> None:
        """Change memory; a bug in one effect must not keep the others, or those who wait, from their due."""
        for effect in effects:
            try:
                effect()
            except Exception:
                log.exception("effect_failed")

    async def _perform(
        self, group: Sequence[_Item], connection: AsyncConnection
    ) -> list[tuple[Turn, list[tuple[_Item, Any]]]]:
        """Return, per turn taken, the turn and (item, reply or exception); a failed turn leaves no trace.

        Errors: _Undone if there is one item only, and it fails.
        """
        if len(group) == 1:
            return [await self._perform_alone(group[0], connection)]
        done = []
        bulks: dict[int, list[_Item]] = {}
        for item in group:
            if isinstance(item.operation, Bulk):
                bulks.setdefault(id(item.operation), []).append(item)
            else:
                done.append(await self._perform_together([item], connection))
        for items in bulks.values():
            turn, answers = await self._perform_together(items, connection)
            if len(items) > 1 and all(isinstance(reply, Exception) for _, reply in answers):
                done.extend([await self._perform_together([item], connection) for item in items])
            else:
                done.append((turn, answers))
        return done

    async def _perform_alone(self, item: _Item, connection: AsyncConnection) -> tuple[Turn, list[tuple[_Item, Any]]]:
        """Perform the only item of a transaction, which needs no savepoint: nobody else is undone with it."""
        turn = self._make_turn(connection, item.caller)
        try:
            return turn, await self._perform_in(turn, [item])
        except Exception as fault:
            raise _Undone(self._judge_failure(fault, item)) from fault

    async def _perform_in(self, turn: Turn, items: Sequence[_Item]) -> list[tuple[_Item, Any]]:
        operation = items[0].operation
        if isinstance(operation, Bulk):
            replies = await operation.perform([(item.event, item.caller) for item in items], turn)
            assert len(replies) == len(items), f"{operation.__name__} must answer every event"
            return list(zip(items, replies, strict=True))
        return [(items[0], await operation(items[0].event, turn))]

    def _judge_failure(self, fault: Exception, item: _Item) -> Exception:
        """Return the failure that is told to whoever asked. Errors: DBAPIError where it is the disk's fault."""
        if isinstance(fault, DBAPIError) and not isinstance(fault, IntegrityError):
            raise fault
        if not isinstance(fault, Refusal):
            log.error("turn_failed", operation=item.operation.__name__, exc_info=fault)
        return fault

    async def _perform_together(
        self, items: Sequence[_Item], connection: AsyncConnection
    ) -> tuple[Turn, list[tuple[_Item, Any]]]:
        """Perform one item, or several of one bulk operation, inside a savepoint of their own."""
        turn = self._make_turn(connection, items[0].caller)
        try:
            async with connection.begin_nested():
                return turn, await self._perform_in(turn, items)
        except Exception as fault:
            failure = self._judge_failure(fault, items[0])
        return self._make_turn(connection, items[0].caller), [(item, failure) for item in items]

    def _make_turn(self, connection: AsyncConnection, caller: Caller) -> Turn:
        now, monotonic = self._clock.now(), self._clock.monotonic()
        return Turn(now, monotonic, caller, connection, self._presence, self._settings, self._new_id)

    def _report_trouble(self, fault: DBAPIError) -> StorageTrouble:
        self._metrics.storage_troubles.inc()
        log.error("storage_trouble", reason=str(fault.orig))
        return StorageTrouble(retry_after_ms=1_000)


def _weigh(item: _Item) -> int:
    return item.operation.weigh(item.event) if isinstance(item.operation, Bulk) else 1


def _settle(answer: asyncio.Future[Any], reply: Any) -> None:
    """Give an answer to whoever still waits for it."""
    if answer.done():
        return
    if isinstance(reply, Exception):
        answer.set_exception(reply)
        answer.exception()  # nobody may be waiting any more: an unread exception is no news
    else:
        answer.set_result(reply)
