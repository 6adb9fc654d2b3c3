"""The single writer, which decides and commits turns in batches.

The writer drains its queues batch by batch:

    read a batch from the queues, in rotation over the kinds of caller
    -> store its facts -> run its operations, each on its own draft
    -> store the batch's draft -> commit -> the farm applies it
    -> read the secrets for hand-outs -> answer -> publish

A refused item drops its draft and affects no other item. A failed commit drops the batch's draft;
nothing else needs undoing. Such a commit may still have happened, so the farm is reloaded before
the next batch.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import structlog
from sqlalchemy.exc import DBAPIError

from master.batch import Batch, Done, Item, Waiting, resolve
from master.clock import Clock
from master.deciding import Deciding
from master.draft import Draft
from master.errors import Overloaded, Refusal, Stopping, StorageTrouble
from master.memory import Memory
from master.metrics import Metrics
from master.operations.afterwards import Before, announce, apply, do_nothing, resume
from master.operations.handouts import fill_handouts
from master.operations.history import RefusedDeeds
from master.settings import Settings
from master.store.counters import REV, read_counter, write_counter
from master.store.farm import MemoryOutdated, load, read_last_heartbeats, write
from master.store.sqlite.database import CommitInDoubt, Database, is_about_values
from master.turn import SWEEP, Bulk, Caller, Operation, Publisher

log = structlog.get_logger(__name__)

BATCH_LIMIT = 200
"""Items per transaction; measurements show no gain beyond this."""

WEIGHT_LIMIT = 5_000
"""Rows that the events of one transaction may write: the maximum of one event by contract."""

TRY_AGAIN_S = 1.0
"""Seconds until the farm is reloaded after a failed reload, whether or not events arrive."""

LAST_PORTIONS_S = 1.0
"""Seconds in which portions of large operations still run once the writer is told to stop.

Many operations end in that time. Of the others, the first sweeps after a start do what is left, as
after a crash; the reading of messages and notifications on behalf of a person is asked for again.
"""


class Turns(Deciding):
    """The single writer, with reads beside it.

    `on_commit` is called with each batch after its commit, before any answer.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        memory: Memory,
        settings: Settings,
        new_id: Callable[[], str],
        publisher: Publisher,
        metrics: Metrics | None = None,
        *,
        queue_limit: int = 10_000,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        super().__init__(
            database,
            clock,
            memory,
            settings,
            new_id,
            publisher,
            metrics or Metrics(),
            random_bytes,
        )
        self._waiting = Waiting(queue_limit)
        self._wake = asyncio.Event()
        self._closing = True  # until `start`: without a writer no request would be answered
        self._last_portions_at = float("inf")
        """Monotonic second after which no further portion of a large operation runs."""
        self._in_doubt = False
        self._doubtful: Draft | None = None
        """The draft of a commit that may or may not have happened."""
        self._refused = RefusedDeeds()
        self._again: asyncio.TimerHandle | None = None
        self._writer: asyncio.Task[None] | None = None
        self.on_commit: Callable[[Batch], None] = lambda batch: None

    async def load_farm(self) -> dict[str, int | None]:
        """Read the farm from the database; return each worker's last sign of life (Unix seconds).

        Needed at a start, and when the database's content is in doubt. Errors: StorageTrouble.
        """
        try:
            async with self._database.read(by="writer") as connection:
                farm, heard = await load(connection), await read_last_heartbeats(connection)
                reserved = await read_counter(connection, REV)
        except DBAPIError as fault:
            raise self._report_trouble(fault) from fault
        self._memory.farm.replace(farm)
        self._memory.minutes.begin(self._clock.now())
        self._memory.revision.resume(reserved or 0)
        return heard

    def start(self) -> None:
        """Start the writer."""
        self._closing = False
        self._last_portions_at = float("inf")
        self._writer = asyncio.create_task(self._write_for_ever(), name="writer")

    async def close(self) -> None:
        """Refuse new items, finish the queued ones, stop the writer.

        Large operations stop after a portion, LAST_PORTIONS_S later.
        """
        self._closing = True
        self._last_portions_at = self._clock.monotonic() + LAST_PORTIONS_S
        self._wake.set()
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self._writer is not None:
            await self._writer
            self._writer = None

    @property
    def waiting(self) -> int:
        """Return the number of queued items."""
        return len(self._waiting)

    @property
    def trouble(self) -> str | None:
        """Return the disk's last error, or None once a write has succeeded again."""
        return self._database.trouble

    def submit(
        self, operation: Operation | Bulk, event: Any, caller: Caller
    ) -> asyncio.Future[Any]:
        """Queue an event for the writer; the future resolves to the reply after the commit.

        Errors, through the future: the operation's Refusal, Overloaded, Stopping, StorageTrouble.
        """
        return self._submit(operation, event, caller).answer

    def _submit(self, operation: Operation | Bulk, event: Any, caller: Caller) -> Item:
        item = Item(operation, event, caller, asyncio.get_running_loop().create_future())
        if self._closing:
            resolve(item.answer, Stopping())
        elif not self._waiting.has_room(caller.kind):
            resolve(item.answer, Overloaded(retry_after_ms=1_000))
        else:
            self._waiting.put(item)
            self._wake.set()
        return item

    async def run(self, operation: Operation | Bulk, event: Any, caller: Caller = SWEEP) -> Any:
        """Run an operation in a turn; return its reply after the commit."""
        return await self.submit(operation, event, caller)

    async def run_with_rev(
        self, operation: Operation | Bulk, event: Any, caller: Caller
    ) -> tuple[Any, int]:
        """Run an operation in a turn; return its reply and the revision, both after the commit."""
        item = self._submit(operation, event, caller)
        return await item.answer, item.rev

    def note(self, caller: Caller) -> None:
        """Record the caller's command, which changes no row or was refused, without waiting.

        Of many refused ones only some are recorded, so that they cannot fill the disk.
        """
        deed = caller.deed
        if deed is not None and deed.refused is not None:
            deed = self._refused.admit(caller, self._clock.monotonic())
        if deed is not None:
            self.submit(do_nothing, None, replace(caller, deed=deed))

    # -- the writer -------------------------------------------------------------------------------

    async def _write_for_ever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._commit(self._waiting.pop_batch(BATCH_LIMIT, WEIGHT_LIMIT))
            if self._closing:
                return

    async def _commit(self, items: list[Item]) -> None:
        """Decide a batch, store it in one transaction, answer its callers and send its parcels."""
        batch = Batch(items, Draft(self._memory), self._clock.monotonic())
        self._memory.pending = batch.draft
        revision = self._memory.revision
        try:
            if self._in_doubt:
                # without this check, a disk that keeps failing would cause a reload per batch
                await self._database.prove()
                await self._load_anew()
                batch.draft = self._memory.pending = Draft(self._memory)
            async with self._database.write() as transaction:
                self._put_first(await self._decide(batch, transaction))
                if not batch.draft.is_empty():
                    await write(await transaction.connect(), self._memory.farm, batch.draft)
                if batch.draft.is_seen and revision.must_reserve:
                    connection = await transaction.connect()
                    await write_counter(connection, REV, revision.next_reserved)
        except asyncio.CancelledError:
            raise
        except Exception as fault:
            # the writer survives every bug: callers need answers, and the next batch may succeed
            self._memory.pending = None
            await self._fail(batch, fault)
            return
        batch.rev = revision.advance() if batch.draft.is_seen else revision.value
        self._in_doubt = any(done.turn.in_doubt for done in batch.done)
        batch.parcels = [parcel for done in batch.done for parcel in done.turn.parcels]
        try:
            batch.parcels += announce(batch.draft)
            for operation, event in apply(batch.draft, [done.turn for done in batch.done]):
                self._queue(operation, event)
        except Exception:
            # the batch is stored: its callers get their replies, and memory is reloaded
            log.exception("applying_failed")
            self._in_doubt = True
            self._queue(do_nothing, None)
        self._memory.pending = None
        self._metrics.batch_items.observe(len(batch.items))
        self._metrics.commit_seconds.observe(self._clock.monotonic() - batch.began)
        self._continue(batch)
        await self._answer(batch)
        if any(done.turn.folds_log for done in batch.done):
            await self._database.fold_log()

    def _continue(self, batch: Batch) -> None:
        """Queue the next portions first, unless the writer is to stop."""
        following = [one for done in batch.done for one in done.turn.next_turns]
        if following and self._clock.monotonic() > self._last_portions_at:
            names = sorted({operation.__name__ for operation, _ in following})
            log.info("portions_left", operations=names)
            return
        for operation, event in reversed(following):
            self._queue(operation, event, first=True)

    def _put_first(self, items: Sequence[Item]) -> None:
        if items:
            self._waiting.put_first(items)
            self._wake.set()

    def _queue(self, operation: Operation, event: Any, *, first: bool = False) -> None:
        item = Item(operation, event, SWEEP, asyncio.get_running_loop().create_future())
        if first:
            self._put_first([item])
        else:
            self._waiting.put(item)
            self._wake.set()

    async def _answer(self, batch: Batch) -> None:
        """Read the secrets for hand-outs, then answer every caller and publish."""
        self.on_commit(batch)
        handing = [done for done in batch.done if done.turn.handouts]
        try:
            broken = (
                await fill_handouts([done.turn for done in handing], self._database)
                if handing
                else None
            )
        except Exception as fault:
            self._leave_out_unread(batch, handing, fault)
        else:
            if broken is not None:
                self._queue(*broken)
        for done in batch.done:
            for item, reply in zip(done.items, done.replies, strict=True):
                item.rev = batch.rev
                resolve(item.answer, reply)
        if batch.parcels:
            try:
                await self._publisher.publish(batch.parcels)
            except Exception:
                log.exception("publishing_failed", parcels=len(batch.parcels))

    def _leave_out_unread(self, batch: Batch, handing: Sequence[Done], fault: Exception) -> None:
        """Leave out accounts whose secrets could not be read: their registrations must be repeated.

        Workers that did not just register are told of them later.
        """
        if isinstance(fault, DBAPIError):
            failure: Exception = self._report_trouble(fault)
        else:
            failure = fault
            log.error("handing_out_failed", exc_info=fault)
        unread = {id(handout.shown) for done in handing for handout in done.turn.handouts}
        batch.parcels = [
            one for one in batch.parcels if id(getattr(one.content, "accounts", None)) not in unread
        ]
        for done in handing:
            for handout in done.turn.handouts:
                if handout.is_task:
                    done.turn.sessions.leave_untold(
                        handout.worker_id, dict.fromkeys(handout.epochs, 0)
                    )
            done.replies = [
                failure if isinstance(one, dict) and id(one.get("accounts")) in unread else one
                for one in done.replies
            ]

    async def _fail(self, batch: Batch, fault: Exception) -> None:
        """Answer a batch that was rolled back; if a value was at fault, try each item alone."""
        if self._in_doubt:
            self._try_again_later()  # the farm could not be loaded, so no turn can be decided
        elif isinstance(fault, (CommitInDoubt, MemoryOutdated)):
            self._in_doubt, self._doubtful = True, batch.draft
            self._queue(do_nothing, None)  # causes the reload even if no event arrives
            log.error("farm_in_doubt", reason=str(fault.__cause__ or fault))
        about_disk = isinstance(fault, DBAPIError) and not is_about_values(fault)
        if len(batch.items) > 1 and not about_disk and not self._in_doubt:
            for item in batch.items:
                await self._commit([item])
            return
        failure = self._judge_undone(fault, batch)
        for item in batch.items:
            resolve(item.answer, failure)

    def _try_again_later(self) -> None:
        """Schedule a reload of the farm, even if no event arrives until then."""
        if self._again is None and not self._closing:
            self._again = asyncio.get_running_loop().call_later(TRY_AGAIN_S, self._try_again)

    def _try_again(self) -> None:
        self._again = None
        self._queue(do_nothing, None)

    def _judge_undone(self, fault: Exception, batch: Batch) -> Exception:
        """Return the error for every caller of a batch that was rolled back."""
        if isinstance(fault, CommitInDoubt) and isinstance(fault.__cause__, DBAPIError):
            return self._report_trouble(fault.__cause__)
        if isinstance(fault, MemoryOutdated):
            return StorageTrouble(retry_after_ms=1_000)
        if isinstance(fault, DBAPIError) and not is_about_values(fault):
            return self._report_trouble(fault)
        if not isinstance(fault, Refusal):
            names = sorted({item.operation.__name__ for item in batch.items})
            log.error("batch_failed", operations=names, exc_info=fault)
        return fault

    async def _load_anew(self) -> None:
        """Reload the farm as at a start, and tell workers what they may have missed."""
        farm = self._memory.farm
        before = Before.of(farm)
        await self.load_farm()
        event = resume(self._memory, before, self._doubtful, self._clock, self._settings)
        self._in_doubt, self._doubtful = False, None
        log.warning("farm_loaded_anew", workers=len(farm.workers), accounts=len(farm.accounts))
        if event is not None:
            self._queue(*event, first=True)
