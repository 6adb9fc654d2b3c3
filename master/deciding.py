"""How a batch is decided: each item on a draft of its own, which the batch's draft absorbs.

A refused item drops its draft and affects no other item.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from typing import Any

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from master.batch import Batch, Done, Item, is_on_rows
from master.draft import Draft
from master.errors import Refusal
from master.look import Looks
from master.operations.history import record_history
from master.store.farm import add_notifications
from master.store.sqlite.database import Transaction, is_about_values
from master.turn import Bulk, Fetch, Read

log = structlog.get_logger(__name__)

BATCH_WEIGHT = 500
"""Rows that plain operations may change in one batch; past it the rest forms the next batch."""

FETCHES = 16
"""How often one operation may fetch data that memory does not keep."""

FETCHES_TOO_MUCH = "{} fetches too much that memory does not keep"

BREATH = 100
"""Rows that a batch's operations may change before the writer yields to the event loop."""


class Deciding(Looks):
    """Decides batches; the writer stores them."""

    async def _decide(self, batch: Batch, transaction: Transaction) -> Sequence[Item]:
        """Store the batch's facts, then run operations on rows, then plain ones, each in order.

        Return the items left for the next batch, because this one writes enough; `batch` has none
        of them any more.
        """
        bulks: dict[int, list[Item]] = {}
        on_rows: list[Item] = []
        plain: list[Item] = []
        for item in batch.items:
            if isinstance(item.operation, Bulk):
                bulks.setdefault(id(item.operation), []).append(item)
            elif is_on_rows(item.operation):
                on_rows.append(item)
            else:
                plain.append(item)
        for items in bulks.values():
            batch.done.append(
                await self._perform_bulk(items, batch.draft, await transaction.connect())
            )
        if bulks:
            notes, batch.draft.notes = batch.draft.notes, []
            await add_notifications(await transaction.connect(), notes)
        alone = len(batch.items) == 1
        for item in on_rows:
            batch.done.append(
                await self._perform_on_rows(
                    item, batch.draft, await transaction.connect(), alone=alone
                )
            )
        since = 0
        for number, item in enumerate(plain):
            done = await self._perform_plain(item, batch.draft, transaction)
            batch.done.append(done)
            if batch.draft.weight > BATCH_WEIGHT and number + 1 < len(plain):
                left = plain[number + 1 :]
                batch.leave_out(left)
                return left
            since += 1 + done.turn.draft.weight
            if since > BREATH:
                since = 0
                await asyncio.sleep(0)
        return ()

    async def _perform_bulk(
        self, items: Sequence[Item], draft: Draft, connection: AsyncConnection
    ) -> Done:
        turn = self._make_turn(draft.begin(), items[0].caller, connection)
        operation = items[0].operation
        assert isinstance(operation, Bulk)
        replies = await operation.perform([(item.event, item.caller) for item in items], turn)
        assert len(replies) == len(items), f"{operation.__name__} must answer every event"
        record_history(turn, draft)
        draft.absorb(turn.draft)
        return Done(turn, items, replies)

    async def _perform_on_rows(
        self, item: Item, draft: Draft, connection: AsyncConnection, *, alone: bool
    ) -> Done:
        """Run an operation on rows, in a savepoint if others exist. Errors: DBAPIError.

        It fetches all other data before it writes a row, because each fetch restarts it.
        """
        fetched: dict[tuple[Read, Hashable], Any] = {}
        for _ in range(FETCHES):
            turn = self._make_turn(draft.begin(), item.caller, connection, fetched=fetched)
            try:
                # a Bulk never gets here, but mypy does not know
                if alone:
                    reply = await item.operation(item.event, turn)  # type: ignore[operator]
                else:
                    async with connection.begin_nested():
                        reply = await item.operation(item.event, turn)  # type: ignore[operator]
            except Fetch as need:
                fetched[need.read, need.key] = await need.read(connection, need.key)
                continue
            except Exception as fault:
                if alone:
                    raise  # the transaction rolls its writes back
                failure = self._judge_failure(fault, item)
                return Done(self._make_turn(draft, item.caller), [item], [failure])
            record_history(turn, draft)
            draft.absorb(turn.draft)
            return Done(turn, [item], [reply])
        raise RuntimeError(FETCHES_TOO_MUCH.format(item.operation.__name__))

    async def _perform_plain(self, item: Item, draft: Draft, transaction: Transaction) -> Done:
        """Run a plain operation on its own draft; restart it after each fetch."""
        fetched: dict[tuple[Read, Hashable], Any] = {}
        for _ in range(FETCHES):
            turn = self._make_turn(draft.begin(), item.caller, fetched=fetched)
            try:
                # a Bulk never gets here, but mypy does not know
                reply = item.operation(item.event, turn)  # type: ignore[operator]
            except Fetch as need:
                fetched[need.read, need.key] = await need.read(
                    await transaction.connect(), need.key
                )
                continue
            except Exception as fault:
                return Done(
                    self._make_turn(draft, item.caller), [item], [self._judge_failure(fault, item)]
                )
            record_history(turn, draft)
            draft.absorb(turn.draft)
            return Done(turn, [item], [reply])
        raise RuntimeError(FETCHES_TOO_MUCH.format(item.operation.__name__))

    def _judge_failure(self, fault: Exception, item: Item) -> Exception:
        """Return the failure to answer an item with. Errors: DBAPIError if the disk is at fault."""
        if isinstance(fault, DBAPIError) and not is_about_values(fault):
            raise fault
        if not isinstance(fault, Refusal):
            log.error("turn_failed", operation=item.operation.__name__, exc_info=fault)
        return fault
