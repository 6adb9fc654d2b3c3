"""How each safeguard of Master is removed: a function is replaced by a version without it.

Master has no switches for this, and no other module of the simulator touches Master's internals.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import wraps
from typing import Any
from unittest.mock import patch

import simulator.actors.worker
from master import routes, writer
from master.batch import resolve
from master.deadlines import Deadlines
from master.decisions import assignment, intake, liveness
from master.decisions.intake import Relation
from master.decisions.login import require_open
from master.draft import Draft
from master.errors import NotRegistered
from master.memory import Memory
from master.model import Login, Worker
from master.operations import afterwards, edits, history, logins, messages, silence, workers
from master.protocol import decoding
from master.protocol.admin import NewNotification
from master.sessions import Sessions
from master.store import farm as stored
from master.store import messages as message_rows
from master.store.holders import ANYBODY
from master.store.mapping import MESSAGES
from master.turn import Fetch, Turn
from master.writer import Turns
from simulator.virtual.machine.database import InlineConnection
from simulator.virtual.machine.house import House
from simulator.virtual.tools.behind import Behind, put_all


def replaced(owner: Any, name: str, other: Any) -> Callable[[ExitStack], object]:
    """Return an `apply` that replaces one function."""
    return lambda stack: stack.enter_context(patch.object(owner, name, other))


def without_epochs(stack: ExitStack) -> None:
    """Accept state reports of any epoch, and store an account whatever the epoch of its row."""
    report = logins.apply_report

    def apply_anyway(event: Any, turn: Turn) -> Any:
        return report(event.model_copy(update={"epoch": None}), turn)

    def require_key_only(table: Any, key: str) -> list[Any]:
        return [one for one in conditions(table, key) if "epoch" not in str(one)]

    conditions = stored._conditions
    stack.enter_context(patch.object(stored, "_conditions", require_key_only))
    stack.enter_context(
        patch.object(
            stored, "_expected", lambda rows, old: {"expected_key": getattr(old, rows.key)}
        )
    )
    # drop the cached statements, which contain the condition
    for name in (
        "_update_of",
        "_remove_from",
    ):
        stack.enter_context(patch.object(stored, name, getattr(stored, name).__wrapped__))
    _replace_operation(stack, "worker:login:status", apply_anyway)


def without_dedup(stack: ExitStack) -> None:
    """Drop the uniqueness of message ids."""
    _drop_indexes(stack, "uq_comments_platform", "uq_direct_messages_platform")
    keep_any = {
        kind: rows.table.insert().returning(
            rows.table.c.id, rows.table.c.account_id, rows.table.c[rows.renamed["platform_id"]]
        )
        for kind, rows in MESSAGES.items()
    }
    stack.enter_context(patch.object(message_rows, "_keep_in", keep_any.get))


def without_lease(stack: ExitStack) -> None:
    """Let workers continue, however long they receive nothing."""
    stack.enter_context(patch.object(simulator.actors.worker, "LEASE_SHARE", 1_000.0))


def without_grace(stack: ExitStack) -> None:
    """Count silence from before a start."""
    begin = Sessions.begin_grace

    def begin_late(self: Sessions, now: float, *, grace_s: float) -> None:
        begin(self, now, grace_s=grace_s - 90.0)

    stack.enter_context(patch.object(Sessions, "begin_grace", begin_late))


def without_brake(stack: ExitStack) -> None:
    """Evict all silent workers, however many they are."""
    stack.enter_context(patch.object(liveness, "is_more_likely_us", lambda *_: False))


def without_transactions(stack: ExitStack) -> None:
    """Make each statement a transaction of its own."""
    execute = InlineConnection._execute

    async def execute_alone(self: InlineConnection, fn: Any, *args: Any, **kwargs: Any) -> Any:
        if args and args[0] == "BEGIN IMMEDIATE":
            args = ("SELECT 1",)
        return await execute(self, fn, *args, **kwargs)

    stack.enter_context(patch.object(InlineConnection, "_execute", execute_alone))


def _after_deciding(stack: ExitStack, then: Callable[[Turns, Any], Any]) -> None:
    """Run `then` on each batch that is decided and not yet stored."""
    decide = Turns._decide

    async def decide_and_do(self: Turns, batch: Any, transaction: Any) -> Any:
        left = await decide(self, batch, transaction)
        await then(self, batch)
        return left

    stack.enter_context(patch.object(Turns, "_decide", decide_and_do))


def ack_before_commit(stack: ExitStack) -> None:
    """Send acknowledgements before the commit, except those with secrets."""

    async def answer(_: Turns, batch: Any) -> None:
        for done in batch.done:
            if not done.turn.handouts:
                for item, reply in zip(done.items, done.replies, strict=True):
                    resolve(item.answer, reply)

    _after_deciding(stack, answer)


def without_capacity(stack: ExitStack) -> None:
    """Let every worker have unlimited room."""
    stack.enter_context(patch.object(Worker, "room", property(lambda _: 1_000)))


def without_supersede(stack: ExitStack) -> None:
    """Let a login begin while another of its account is open."""

    _drop_indexes(stack, "uq_login_sessions_open")
    stack.enter_context(patch.object(logins, "close_open_login", lambda *_: None))


def without_stale_sockets(stack: ExitStack) -> None:
    """Treat the close of any of a worker's sockets as the close of its newest."""
    bind, leave = Sessions.bind, Sessions.leave
    spoke_for: dict[str, str] = {}

    def bind_and_remember(self: Sessions, worker_id: str, sid: str) -> str | None:
        spoke_for[sid] = worker_id
        return bind(self, worker_id, sid)

    def leave_anyhow(self: Sessions, sid: str) -> str | None:
        left, worker_id = leave(self, sid), spoke_for.get(sid)
        if left is None and worker_id in self.seats:
            self.seats[worker_id].sid = None
            return worker_id
        return left

    stack.enter_context(patch.object(Sessions, "bind", bind_and_remember))
    stack.enter_context(patch.object(Sessions, "leave", leave_anyhow))


def without_handover(stack: ExitStack) -> None:
    """Let a new owner act at once, though the former one may act still."""
    stack.enter_context(patch.object(Deadlines, "find_wait", lambda *_: 0.0))


def apply_before_commit(stack: ExitStack) -> None:
    """Apply a batch to the farm before the commit, even if the commit fails."""
    write, announce, behind = stored.write, afterwards.announce, dict[int, Behind]()

    async def run_ahead(_: Turns, batch: Any) -> None:
        behind[id(batch.draft)] = Behind(batch.draft)
        for table, changes in zip(batch.draft.memory.farm.tables, batch.draft.tables, strict=True):
            put_all(table, changes.changed)

    async def write_difference(connection: Any, _: Any, draft: Draft) -> None:
        await write(connection, behind[id(draft)], draft)  # type: ignore[arg-type]

    # called after the commit, before the draft is applied again
    def announce_difference(
        draft: Draft,
    ) -> Any:
        behind.pop(id(draft)).restore(draft)
        return announce(draft)

    _after_deciding(stack, run_ahead)
    stack.enter_context(patch.object(writer, "write", write_difference))
    stack.enter_context(patch.object(writer, "announce", announce_difference))


def without_brake_end(stack: ExitStack) -> None:
    """Never end a brake."""

    def replace_for_ever(one: Any, **changes: Any) -> Any:
        if "brake_until" in changes:
            changes["brake_until"] = one.brake_until if changes["brake_until"] is None else math.inf
        return replace(one, **changes)

    stack.enter_context(patch.object(silence, "replace", replace_for_ever))


def without_deadline_check(stack: ExitStack) -> None:
    """Accept reports of an expired login until a sweep has ended it."""

    def require_not_ended(login: Login, _: float) -> None:
        require_open(login, -math.inf)

    stack.enter_context(patch.object(logins, "require_open", require_not_ended))


def without_login_owner(stack: ExitStack) -> None:
    """Accept reports of a login from any worker."""

    def find_anyone_s(turn: Turn, session_id: str, _: str | None) -> Login:
        if turn.draft.speaker_of(turn.caller.sid) is None:
            raise NotRegistered
        login = logins._find(turn, session_id)
        require_open(login, turn.now)
        return login

    stack.enter_context(patch.object(logins, "_find_own", find_anyone_s))


def without_holders(stack: ExitStack) -> None:
    """Accept messages of an account from any worker, as if its owners were unknown."""
    require = messages.require_holder

    def forgive(event: Any, reporter: Any, _: Any, turn: Turn) -> str:
        return require(event, reporter, {(event.account_id, ANYBODY)}, turn)

    stack.enter_context(patch.object(messages, "require_holder", forgive))


def publish_before_commit(stack: ExitStack) -> None:
    """Send notifications before they are stored."""

    async def publish(self: Turns, batch: Any) -> None:
        for done in batch.done:
            early = [
                parcel
                for parcel in done.turn.parcels
                if isinstance(parcel.content, NewNotification)
            ]
            if early:
                done.turn.parcels[:] = [
                    parcel for parcel in done.turn.parcels if parcel not in early
                ]
                await self._publisher.publish(early)

    _after_deciding(stack, publish)


def refused_is_kept(stack: ExitStack) -> None:
    """Keep the changes in the draft of a refused item."""
    perform = Turns._perform_plain

    async def perform_and_keep(self: Turns, item: Any, draft: Draft, transaction: Any) -> Any:
        @wraps(item.operation)
        def keep(event: Any, turn: Turn) -> Any:
            try:
                return item.operation(event, turn)
            except Fetch:
                raise
            except Exception:
                draft.absorb(turn.draft)
                raise

        return await perform(self, replace(item, operation=keep), draft, transaction)

    stack.enter_context(patch.object(Turns, "_perform_plain", perform_and_keep))


def heartbeats_do_not_wait(stack: ExitStack) -> None:
    """Answer heartbeats from the farm, even if the batch under way changes their worker."""
    stack.enter_context(patch.object(Memory, "is_pending", lambda *_: False))


def plan_one_by_one(stack: ExitStack) -> None:
    """Evict workers one by one, each without knowing that the next one is lost too."""

    def evict(turn: Turn, worker_ids: Any, why: str, *, reachable: bool) -> int:
        freed = 0
        for worker_id in list(worker_ids):
            turn.is_placed = False
            freed += workers.evict(turn, [worker_id], why, reachable=reachable)
        return freed

    stack.enter_context(patch.object(silence, "evict", evict))


def without_loading(stack: ExitStack) -> None:
    """Keep the farm unchanged after a commit that failed, whatever it stored."""

    async def forget_doubt(self: Turns) -> None:
        self._in_doubt = False

    stack.enter_context(patch.object(Turns, "_load_anew", forget_doubt))


def without_history(stack: ExitStack) -> None:
    """Derive no events from changed accounts."""
    stack.enter_context(patch.object(history, "tell_account", lambda *_: iter(())))


def without_balance(stack: ExitStack) -> None:
    """Assign each account to the first worker by id that has room."""
    find_least = assignment._Loads.find_least

    def find_first(self: assignment._Loads, platform: str) -> str | None:
        if find_least(self, platform) is None:
            return None
        return min(worker_id for worker_id in self.workers if self.has_room(worker_id, platform))

    stack.enter_context(patch.object(assignment._Loads, "find_least", find_first))


def without_rest(stack: ExitStack) -> None:
    """Move pinned accounts and those with an open login too."""
    stack.enter_context(patch.object(assignment, "may_move", lambda _: True))


def _drop_indexes(stack: ExitStack, *names: str) -> None:
    """Drop indexes from each file before its first Master serves."""
    opened = House.open

    async def open_and_drop(self: House) -> bool:
        came = await opened(self)
        if came:
            connection = sqlite3.connect(self.path)
            for name in names:
                connection.execute(f"DROP INDEX IF EXISTS {name}")
            connection.commit()
            connection.close()
        return came

    stack.enter_context(patch.object(House, "open", open_and_drop))


def _replace_operation(stack: ExitStack, event: str, new: Any) -> None:
    """Let an event of workers call another operation."""
    table = dict(routes.FROM_WORKER)
    table[event] = replace(table[event], operation=new)
    stack.enter_context(patch.dict(routes.NAMESPACES, {"worker": table}))


def _refuse(_: Any, __: Any, fault: Exception, *___: Any, **____: Any) -> Any:
    raise fault


def without_forgiveness(stack: ExitStack) -> None:
    """Refuse facts for any field in an unknown form."""
    stack.enter_context(patch.object(decoding, "_leave_out", _refuse))


def without_edits(stack: ExitStack) -> None:
    """Count edits of stored messages as edits, and drop their texts."""

    async def drop(_: Any, __: Any) -> None:
        return None

    stack.enter_context(patch.object(edits, "store_edits", drop))


def without_conversations(stack: ExitStack) -> None:
    """Take a message of another conversation with the same id for a repeat."""

    def compare_ids(stored: Any, reported: Any) -> Relation:
        found = intake.compare(stored, reported)
        return Relation.SAME if found is Relation.OTHER else found

    stack.enter_context(patch.object(edits, "compare", compare_ids))
