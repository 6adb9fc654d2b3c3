"""A turn: one instant, one caller, one draft; and what is told once it is committed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from master.deadlines import Deadlines
from master.draft import Draft
from master.model import JsonObject, Scope
from master.protocol.wire import Outbound
from master.sessions import Sessions
from master.settings import Settings
from master.tokens import ANY_WORKER

PORTION = 250
"""Accounts that one turn moves: the loop is given up in between, and the next portion is the next turn."""


AGAIN = object()
"""The reply of an operation that is to have its turn once more before anybody is answered."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: `kind` is worker, admin, client, http or sweep; `sid` the socket, where there is one.

    The rest is what model.Grant says of them. Without a grant nobody may do anything.
    """

    kind: str
    sid: str | None = None
    name: str = ""
    scope: Scope = Scope.NONE
    accounts: frozenset[str] | None = None

    @property
    def is_named_worker(self) -> bool:
        """Tell whether a worker's token says which worker it is, and not only that it may be one of many."""
        return self.kind == "worker" and self.name not in ("", ANY_WORKER)

    @property
    def rooms(self) -> tuple[str, ...]:
        """Return what this caller's socket hears of what its namespace is told."""
        if self.kind == "admin":
            return ("admins", "operators" if self.scope >= Scope.OPERATE else "readers")
        if self.accounts is not None:
            return tuple(name_account_room(account_id) for account_id in sorted(self.accounts))
        return (self.kind + "s",)


SWEEP = Caller("sweep")


@dataclass(frozen=True, slots=True)
class Address:
    """Whom a parcel is for: `to` is worker, clients, a room of administrators, or a namespace's single socket.

    Administrators' rooms are admins (all of them), operators (who may operate) and readers (the others). The `id` of
    clients is the account that a parcel is about, if it is about one.
    """

    to: str
    id: str = ""


ADMINS = Address("admins")
OPERATORS = Address("operators")
READERS = Address("readers")


def clients_of(account_id: str | None) -> Address:
    """Return the address of the devices that may hear of an account, or of Master itself (None)."""
    return Address("clients", account_id or "")


def name_account_room(account_id: str) -> str:
    """Return the room of those devices that hear of some accounts only."""
    return f"account {account_id}"


def worker_address(worker_id: str) -> Address:
    """Return the address of a worker's live socket, whichever that is when the parcel leaves."""
    return Address("worker", worker_id)


def socket_address(caller: Caller) -> Address:
    """Return the address of the socket over which somebody asks."""
    assert caller.sid is not None, "only sockets are answered by events"
    return Address(caller.kind + "_socket", caller.sid)


@dataclass(frozen=True, slots=True)
class Join:
    """Let a socket hear what these rooms are told from here on."""

    rooms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close a socket."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """Something to tell after the commit, or something to do to a socket."""

    address: Address
    content: Outbound | Join | HangUp


@dataclass(frozen=True, slots=True)
class HandOut:
    """Accounts for their worker. Their secrets are read after the commit, and only then `shown` is filled.

    `epochs` is account -> the epoch in which it was handed out: one that has moved on since is left out.
    """

    worker_id: str
    epochs: dict[str, int]
    is_task: bool = False
    """Whether the worker is told to watch them from now on; else they are part of an answer."""
    shown: list[JsonObject] = field(default_factory=list, repr=False)


Read = Callable[[AsyncConnection, Any], Awaitable[Any]]
"""Reads what memory does not hold."""


class Fetch(Exception):
    """A plain operation needs what memory does not hold: it is read, and the operation begins anew."""

    def __init__(self, read: Read, key: Hashable) -> None:
        super().__init__()
        self.read = read
        self.key = key


@dataclass(slots=True)
class Turn:
    """What an operation works with. `now` is Unix seconds, `monotonic` measures silence and intervals."""

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
    """Whether this turn has placed what waits: nothing may be taken from anybody after that."""
    folds_log: bool = False
    """Whether the database's log is to be emptied after this turn."""
    in_doubt: bool = False
    """Whether memory and file were found to differ: the farm is loaded anew after this turn."""

    @property
    def at(self) -> int:
        """Return `now` as it is stored: whole Unix seconds."""
        return int(self.now)

    @property
    def milliseconds(self) -> int:
        """Return `now` as fields called timestamp have it."""
        return int(self.now * 1000)

    @property
    def sessions(self) -> Sessions:
        """Return who is here."""
        return self.draft.memory.sessions

    @property
    def deadlines(self) -> Deadlines:
        """Return what has its time."""
        return self.draft.memory.deadlines

    @property
    def connection(self) -> AsyncConnection:
        """Return the connection that an operation on rows works with."""
        assert self.rows is not None, "a plain operation asks no database"
        return self.rows

    def fetch(self, read: Read, key: Hashable) -> Any:
        """Return what `read` finds for `key`. The first time, it is read and the whole operation begins anew."""
        try:
            return self.fetched[read, key]
        except KeyError:
            raise Fetch(read, key) from None

    def tell(self, address: Address, content: Outbound) -> None:
        """Send an event once this turn is committed."""
        self.parcels.append(Parcel(address, content))

    def answer(self, content: Outbound) -> None:
        """Send a named reply to the socket that asked, if it was a socket."""
        if self.caller.sid is not None:
            self.tell(socket_address(self.caller), content)

    def hang_up(self, kind: str, sid: str) -> None:
        """Close a socket of the namespace `kind` once this turn is committed."""
        self.parcels.append(Parcel(Address(kind + "_socket", sid), HangUp()))

    def join(self) -> None:
        """Let the caller's socket hear what its namespace is told from this turn on: nothing before, nothing twice."""
        self.parcels.append(Parcel(socket_address(self.caller), Join(self.caller.rooms)))

    def after_commit(self, effect: Callable[[], object]) -> None:
        """Note what this process has done once it is stored; the farm changes by the draft alone."""
        self.effects.append(effect)

    def go_on(self, operation: Operation, event: Any = None) -> None:
        """Let an operation have the next turn at once: what is left of a large one."""
        self.next_turns.append((operation, event))


Operation = Callable[[Any, Turn], Any]
"""Decides and writes into the turn's draft; returns the reply. Raises a Refusal for what it will not do.

A plain function asks no database (but by `Turn.fetch`). A coroutine function works on rows that memory does not hold:
notifications, messages, ended logins; it refuses before it writes any.
"""


@dataclass(frozen=True, slots=True)
class Onward:
    """What an operation that only looked leaves to a turn: what is to be written, and what was found for that.

    Whatever takes long to read is read beside the writer in this way. What was found may have changed by the turn.
    """

    operation: Operation
    event: Any


@dataclass(frozen=True, slots=True)
class Bulk:
    """An operation on rows that takes all waiting events of its kind at once, with one reply or refusal per event.

    `weigh` says how many rows an event may make: a transaction takes so many at most, and one event in any case.
    """

    perform: Callable[[Sequence[tuple[Any, Caller]], Turn], Awaitable[Sequence[Any]]]
    weigh: Callable[[Any], int] = lambda _: 1

    @property
    def __name__(self) -> str:
        """Return the function's name, for logs and documents."""
        return self.perform.__name__


class Publisher(Protocol):
    """Takes parcels to their sockets."""

    async def publish(self, parcels: Sequence[Parcel]) -> None:
        """Send every parcel; one that cannot be delivered harms no other."""
        ...
