"""A turn: one instant, one caller, one draft, and the parcels to send after the commit."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from master.deadlines import Deadlines
from master.decisions.history import Deed
from master.draft import Draft
from master.model import Scope
from master.protocol.wire import Outbound
from master.protocol.worker import AccountForWorker
from master.record import quick_to_make
from master.sessions import Sessions
from master.settings import Settings
from master.tokens import ANY_WORKER

PORTION = 250
"""Accounts that one turn moves; the loop is yielded before the next portion, in the next turn."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller: `kind` is worker, admin, client, http or sweep; `sid` is its socket, if any.

    `request_id` is that of an HTTP request; `deed` is the command, if a person is to be recorded
    with it. The other fields come from model.Grant. A caller without a grant has no permission.
    """

    kind: str
    sid: str | None = None
    name: str = ""
    scope: Scope = Scope.NONE
    accounts: frozenset[str] | None = None
    request_id: str | None = None
    deed: Deed | None = None

    @property
    def is_named_worker(self) -> bool:
        """Return whether a worker's token names its worker id, and not only one of many."""
        return self.kind == "worker" and self.name not in ("", ANY_WORKER)

    @property
    def rooms(self) -> tuple[str, ...]:
        """Return the rooms in which this caller's socket receives its namespace's events."""
        if self.kind == "admin":
            return ("admins", "operators" if self.scope >= Scope.OPERATE else "readers")
        if self.accounts is not None:
            return tuple(name_account_room(account_id) for account_id in sorted(self.accounts))
        return (self.kind + "s",)


SWEEP = Caller("sweep")


@quick_to_make
@dataclass(frozen=True, slots=True)
class Address:
    """The recipient of a parcel.

    `to` is worker, clients, a room of administrators, or a namespace's single socket. The rooms of
    administrators are admins (all), operators (with the scope operate) and readers (the others).
    The `id` of clients is the account that a parcel concerns, if any.
    """

    to: str
    id: str = ""


ADMINS = Address("admins")
OPERATORS = Address("operators")
READERS = Address("readers")


def clients_of(account_id: str | None) -> Address:
    """Return the address of the devices for an account's events, or for Master's own (None)."""
    return Address("clients", account_id or "")


def name_account_room(account_id: str) -> str:
    """Return an account's room, for devices that are limited to some accounts."""
    return f"account {account_id}"


def worker_address(worker_id: str) -> Address:
    """Return the address of a worker's live socket, resolved when the parcel is sent."""
    return Address("worker", worker_id)


def socket_address(caller: Caller) -> Address:
    """Return the address of the caller's socket."""
    assert caller.sid is not None, "only a caller with a socket receives events"
    return Address(caller.kind + "_socket", caller.sid)


@dataclass(frozen=True, slots=True)
class Join:
    """Add a socket to these rooms from here on."""

    rooms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close a socket."""


@quick_to_make
@dataclass(frozen=True, slots=True)
class Parcel:
    """An event to send after the commit, or an action on a socket."""

    address: Address
    content: Outbound | Join | HangUp


@quick_to_make
@dataclass(frozen=True, slots=True)
class HandOut:
    """Accounts for their worker. `shown` is filled after the commit, when their secrets are read.

    `epochs` is account -> its epoch at the hand-out; an account with a newer epoch is left out.
    """

    worker_id: str
    epochs: dict[str, int]
    is_task: bool = False
    """Whether the worker is to watch them from now on; otherwise they are part of an answer."""
    shown: list[AccountForWorker] = field(default_factory=list, repr=False)


Read = Callable[[AsyncConnection, Any], Awaitable[Any]]
"""Reads data that memory does not keep."""


class Fetch(Exception):
    """An operation needs data that memory does not keep: it restarts once the data is read."""

    def __init__(self, read: Read, key: Hashable) -> None:
        super().__init__()
        self.read = read
        self.key = key


@dataclass(slots=True)
class Turn:
    """An operation's context. `now` is Unix seconds; `monotonic` is for silence and intervals."""

    now: float
    monotonic: float
    caller: Caller
    draft: Draft
    settings: Settings
    new_id: Callable[[], str]
    rows: AsyncConnection | None = None
    fetched: dict[tuple[Read, Hashable], Any] = field(default_factory=dict)
    parcels: list[Parcel] = field(default_factory=list)
    handouts: list[HandOut] = field(default_factory=list)
    effects: list[Callable[[], object]] = field(default_factory=list)
    next_turns: list[tuple[Any, Any]] = field(default_factory=list)
    is_placed: bool = False
    """Whether this turn has assigned the waiting accounts; no account may be revoked after that."""
    folds_log: bool = False
    """Whether the database's write-ahead log is emptied after this turn."""
    in_doubt: bool = False
    """Whether memory and database differ: the farm is reloaded after this turn."""
    random_bytes: Callable[[int], bytes] = os.urandom
    """Makes secrets."""

    @property
    def at(self) -> int:
        """Return `now` as it is stored: whole Unix seconds."""
        return int(self.now)

    @property
    def milliseconds(self) -> int:
        """Return `now` in milliseconds, as in fields called timestamp."""
        return int(self.now * 1000)

    @property
    def sessions(self) -> Sessions:
        """Return the live sockets and signs of life."""
        return self.draft.memory.sessions

    @property
    def deadlines(self) -> Deadlines:
        """Return the deadlines."""
        return self.draft.memory.deadlines

    @property
    def rev(self) -> int:
        """Return the revision for an event or an answer: that of its batch, or of what is read."""
        return self.draft.rev

    @property
    def connection(self) -> AsyncConnection:
        """Return the connection of an operation on rows."""
        assert self.rows is not None, "a plain operation has no connection"
        return self.rows

    def fetch(self, read: Read, key: Hashable) -> Any:
        """Return what `read` finds for `key`; the first call restarts the operation."""
        try:
            return self.fetched[read, key]
        except KeyError:
            raise Fetch(read, key) from None

    def tell(self, address: Address, content: Outbound) -> None:
        """Send an event after the commit."""
        self.parcels.append(Parcel(address, content))

    def answer(self, content: Outbound) -> None:
        """Send a named reply to the caller's socket, if it has one."""
        if self.caller.sid is not None:
            self.tell(socket_address(self.caller), content)

    def hang_up(self, kind: str, sid: str) -> None:
        """Close a socket of the namespace `kind` after the commit."""
        self.parcels.append(Parcel(Address(kind + "_socket", sid), HangUp()))

    def join(self) -> None:
        """Add the caller's socket to its namespace's rooms from this turn on.

        It receives no event of an earlier turn, and none twice.
        """
        self.parcels.append(Parcel(socket_address(self.caller), Join(self.caller.rooms)))

    def after_commit(self, effect: Callable[[], object]) -> None:
        """Change this process's state after the commit; only the draft changes the farm."""
        self.effects.append(effect)

    def go_on(self, operation: Operation, event: Any = None) -> None:
        """Run an operation in the next turn, for the rest of a large one."""
        self.next_turns.append((operation, event))


Operation = Callable[[Any, Turn], Any]
"""Decides and writes into the turn's draft; returns the reply or raises a Refusal.

A plain function queries the database only by `Turn.fetch`. A coroutine function works on rows that
memory does not keep (notifications, messages, ended logins), and refuses before it writes any.
"""


@dataclass(frozen=True, slots=True)
class Onward:
    """A write that a look leaves to a turn, with the data that the look found for it.

    Long reads run beside the writer in this way. The data may have changed by the turn.
    """

    operation: Operation
    event: Any


@dataclass(frozen=True, slots=True)
class Bulk:
    """An operation on rows for all queued events of its kind, with one reply or refusal per event.

    `weigh` returns how many rows an event may write. A transaction has a limit of rows, but always
    accepts one event.
    """

    perform: Callable[[Sequence[tuple[Any, Caller]], Turn], Awaitable[Sequence[Any]]]
    weigh: Callable[[Any], int] = lambda _: 1

    @property
    def __name__(self) -> str:
        """Return the function's name, for logs and documents."""
        return self.perform.__name__


class Publisher(Protocol):
    """Sends parcels to their sockets."""

    async def publish(self, parcels: Sequence[Parcel]) -> None:
        """Send every parcel; a failed delivery affects no other."""
        ...
