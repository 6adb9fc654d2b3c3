"""Safeguards that can be taken away: if the simulation does not notice one's absence, an invariant is missing.

Master has no switches for this. Each ablation replaces one function of it, for the time of a run in this process, by
one that does the same without its safeguard; no other module of the simulator reaches into Master's insides.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import simulator.worker
from master import routes
from master.decisions import assignment, liveness
from master.decisions.login import require_open
from master.errors import NotRegistered
from master.model import Login, Worker
from master.operations import logins
from master.presence import Presence
from master.store import accounts as account_rows
from master.store import logins as login_rows
from master.turn import Turn
from master.writer import Turns, _settle
from simulator.virtual.database import InlineConnection
from simulator.virtual.house import House


@dataclass(frozen=True, slots=True)
class Ablation:
    """One safeguard: what it is there for, and how it is taken away."""

    purpose: str
    apply: Callable[[ExitStack], None]

    @contextmanager
    def off(self) -> Iterator[None]:
        """Take the safeguard away for as long as the context lasts."""
        with ExitStack() as stack:
            self.apply(stack)
            yield


def _without_epochs(stack: ExitStack) -> None:
    """Take reports of state whatever epoch they are of."""
    change, report = account_rows.change_account, logins.take_report

    async def change_anyway(
        connection: Any, account_id: str, values: Any, now: int, *, epoch: int | None = None
    ) -> Any:
        return await change(connection, account_id, values, now)

    async def take_anyway(event: Any, turn: Turn) -> Any:
        return await report(event.model_copy(update={"epoch": None}), turn)

    stack.enter_context(patch.object(account_rows, "change_account", change_anyway))
    _replace_operation(stack, "worker:login:status", take_anyway)


def _without_dedup(stack: ExitStack) -> None:
    """Forget that a message's id is unique."""
    _drop_indexes(stack, "uq_comments_platform", "uq_direct_messages_platform")


def _without_lease(stack: ExitStack) -> None:
    """Let workers act on, however long they have heard nothing."""
    stack.enter_context(patch.object(simulator.worker, "LEASE_SHARE", 1_000.0))


def _without_grace(stack: ExitStack) -> None:
    """After a start, count the silence from before it."""
    begin = Presence.begin_grace

    def begin_late(self: Presence, now: float, *, grace_s: float, timeout_s: float) -> None:
        begin(self, now, grace_s=grace_s - 90.0, timeout_s=timeout_s)

    stack.enter_context(patch.object(Presence, "begin_grace", begin_late))


def _without_brake(stack: ExitStack) -> None:
    """Give up everybody who is silent, however many they are."""
    stack.enter_context(patch.object(liveness, "is_more_likely_us", lambda *_: False))


def _without_transactions(stack: ExitStack) -> None:
    """Let each statement be a transaction of its own."""
    execute = InlineConnection._execute

    async def execute_alone(self: InlineConnection, fn: Any, *args: Any, **kwargs: Any) -> Any:
        if args and args[0] == "BEGIN IMMEDIATE":
            args = ("SELECT 1",)
        return await execute(self, fn, *args, **kwargs)

    stack.enter_context(patch.object(InlineConnection, "_execute", execute_alone))


def _ack_before_commit(stack: ExitStack) -> None:
    """Answer what was asked before it is stored."""
    perform = Turns._perform

    async def perform_and_answer(self: Turns, group: Any, connection: Any) -> Any:
        done = await perform(self, group, connection)
        for _, answers in done:
            for item, reply in answers:
                _settle(item.answer, reply)
        return done

    stack.enter_context(patch.object(Turns, "_perform", perform_and_answer))


def _without_capacity(stack: ExitStack) -> None:
    """Let every worker have room."""
    stack.enter_context(patch.object(Worker, "room", property(lambda _: 1_000)))


def _without_supersede(stack: ExitStack) -> None:
    """Let a login begin beside one that is open."""

    async def find_none(*_: Any) -> None:
        return None

    _drop_indexes(stack, "uq_login_sessions_open")
    stack.enter_context(patch.object(login_rows, "find_open_login", find_none))


def _without_stale_sockets(stack: ExitStack) -> None:
    """Take the close of any socket of a worker for the close of its newest."""
    seat, leave = Presence.seat, Presence.leave
    spoke_for: dict[str, str] = {}

    def seat_and_remember(self: Presence, worker_id: str, sid: str, *, monotonic: float, at: int) -> str | None:
        spoke_for[sid] = worker_id
        return seat(self, worker_id, sid, monotonic=monotonic, at=at)

    def leave_anyhow(self: Presence, sid: str) -> str | None:
        left = leave(self, sid)
        worker_id = spoke_for.get(sid)
        if left is None and worker_id in self.seats:
            self.seats[worker_id].sid = None
            self.claims[worker_id] = sid
            return worker_id
        return left

    stack.enter_context(patch.object(Presence, "seat", seat_and_remember))
    stack.enter_context(patch.object(Presence, "leave", leave_anyhow))


def _without_handover(stack: ExitStack) -> None:
    """Let a new owner act at once, whatever the former one has heard."""
    stack.enter_context(patch.object(Presence, "find_wait", lambda *_: 0.0))


def _effects_before_commit(stack: ExitStack) -> None:
    """Change memory before the commit, whether or not the file takes it."""
    perform = Turns._perform

    async def perform_and_apply(self: Turns, group: Any, connection: Any) -> Any:
        done = await perform(self, group, connection)
        for turn, _ in done:
            self._apply(turn.effects)
            turn.effects.clear()
        return done

    stack.enter_context(patch.object(Turns, "_perform", perform_and_apply))


def _without_deadline(stack: ExitStack) -> None:
    """Let logins stay open for ever."""
    stack.enter_context(patch.object(Presence, "find_overdue", lambda *_: []))


def _without_stall_check(stack: ExitStack) -> None:
    """Take no notice of a stall of one's own."""
    stack.enter_context(patch.object(Presence, "find_stall", lambda *_: None))


def _without_brake_end(stack: ExitStack) -> None:
    """Once the brake is on, never take it off."""

    def read(self: Presence) -> float | None:
        return vars(self).get("brake")

    def put_on(self: Presence, until: float | None) -> None:
        if until is not None:
            vars(self)["brake"] = math.inf

    stack.enter_context(patch.object(Presence, "brake_until", property(read, put_on), create=True))


def _without_deadline_check(stack: ExitStack) -> None:
    """Take reports of a login until a sweep has ended it, however late it is."""

    def require_not_ended(login: Login, _: float) -> None:
        require_open(login, -math.inf)

    stack.enter_context(patch.object(logins, "require_open", require_not_ended))


def _without_login_owner(stack: ExitStack) -> None:
    """Take reports of a login from any worker."""

    async def find_anyone_s(turn: Turn, session_id: str, account_id: str | None) -> Login:
        if turn.presence.seat_of_socket(turn.caller.sid) is None:
            raise NotRegistered
        login = await logins._find(turn, session_id)
        require_open(login, turn.now)
        return login

    stack.enter_context(patch.object(logins, "_find_own", find_anyone_s))


def _publish_before_commit(stack: ExitStack) -> None:
    """Tell people before what they are told is stored."""
    perform = Turns._perform

    async def perform_and_publish(self: Turns, group: Any, connection: Any) -> Any:
        done = await perform(self, group, connection)
        parcels = [parcel for turn, _ in done for parcel in turn.parcels if parcel.kind == "event"]
        if any(parcel.event == "notification:new" for parcel in parcels):
            await self._publisher.publish([parcel for parcel in parcels if parcel.event == "notification:new"])
            for turn, _ in done:
                turn.parcels[:] = [parcel for parcel in turn.parcels if parcel.event != "notification:new"]
        return done

    stack.enter_context(patch.object(Turns, "_perform", perform_and_publish))


def _without_balance(stack: ExitStack) -> None:
    """Give accounts to whoever has room and comes first by its id."""
    find_least = assignment._Loads.find_least

    def find_first(self: assignment._Loads, platform: str) -> str | None:
        if find_least(self, platform) is None:
            return None
        return min(worker_id for worker_id in self.workers if self.has_room(worker_id, platform))

    stack.enter_context(patch.object(assignment._Loads, "find_least", find_first))


def _without_rest(stack: ExitStack) -> None:
    """Move whatever makes loads even."""
    stack.enter_context(patch.object(assignment, "may_move", lambda _: True))


def _drop_indexes(stack: ExitStack, *names: str) -> None:
    """Drop indexes from each file before its first Master answers."""
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
    """Let the table of what workers say lead to another operation."""
    table = dict(routes.FROM_WORKER)
    table[event] = replace(table[event], operation=new)
    stack.enter_context(patch.dict(routes.NAMESPACES, {"worker": table}))


ABLATIONS: dict[str, Ablation] = {
    "epoch_check": Ablation("reports of state from an earlier epoch change nothing", _without_epochs),
    "dedup_key": Ablation("a message that is reported again is stored once", _without_dedup),
    "own_stop": Ablation("a worker that hears nothing stops before Master gives its accounts away", _without_lease),
    "restart_grace": Ablation("nobody is lost because Master was away", _without_grace),
    "brake": Ablation("where most fall silent at once it is more likely us", _without_brake),
    "transactions": Ablation("what belongs together is stored together", _without_transactions),
    "ack_after_commit": Ablation("what is acknowledged is stored", _ack_before_commit),
    "capacity_check": Ablation("nobody is given more than it takes", _without_capacity),
    "supersede": Ablation("one open login per account", _without_supersede),
    "stale_socket_check": Ablation("only the newest socket's close counts", _without_stale_sockets),
    "handover_wait": Ablation("a new owner waits until the former one has heard of it", _without_handover),
    "memory_after_commit": Ablation("memory never runs ahead of the file", _effects_before_commit),
    "login_deadline": Ablation("every login ends", _without_deadline),
    "least_loaded": Ablation("accounts go to whoever holds the fewest", _without_balance),
    "may_move": Ablation("what is pinned or being logged in is not moved to make loads even", _without_rest),
    "stall_check": Ablation("nobody is lost because Master itself stood still", _without_stall_check),
    "brake_end": Ablation("who is still silent after the brake is given up", _without_brake_end),
    "deadline_check": Ablation("nothing is taken of a login whose time is up", _without_deadline_check),
    "login_owner_check": Ablation("only the worker that was given a login reports of it", _without_login_owner),
    "told_after_commit": Ablation("nobody is told what a crash then undoes", _publish_before_commit),
}
"""Name -> a safeguard; the first ten are those of simulation.md."""
