"""A turn: one instant, one caller, one place in a write transaction; and what is told once it is committed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from master.model import Scope
from master.presence import Presence
from master.settings import Settings


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


@dataclass(frozen=True, slots=True)
class Parcel:
    """Something to tell after the commit, or something to do to a socket: `join` its rooms, or `hang_up`."""

    address: Address
    event: str
    payload: dict[str, Any] = field(default_factory=dict)
    kind: Literal["event", "join", "hang_up"] = "event"


@dataclass(slots=True)
class Turn:
    """What an operation works with. `now` is Unix seconds, `monotonic` measures silence and intervals."""

    now: float
    monotonic: float
    caller: Caller
    connection: AsyncConnection
    presence: Presence
    settings: Settings
    new_id: Callable[[], str]
    parcels: list[Parcel] = field(default_factory=list)
    effects: list[Callable[[], object]] = field(default_factory=list)

    @property
    def at(self) -> int:
        """Return `now` as it is stored: whole Unix seconds."""
        return int(self.now)

    def tell(self, address: Address, event: str, payload: dict[str, Any]) -> None:
        """Send an event once this turn is committed."""
        self.parcels.append(Parcel(address, event, payload))

    def answer(self, event: str, payload: dict[str, Any]) -> None:
        """Send a named reply to the socket that asked, if it was a socket."""
        if self.caller.sid is not None:
            self.tell(Address(self.caller.kind + "_socket", self.caller.sid), event, payload)

    def hang_up(self, kind: str, sid: str) -> None:
        """Close a socket of the namespace `kind` once this turn is committed."""
        self.parcels.append(Parcel(Address(kind + "_socket", sid), "", kind="hang_up"))

    def join(self) -> None:
        """Let the caller's socket hear what its namespace is told from this turn on: nothing before, nothing twice."""
        assert self.caller.sid is not None, "only sockets join"
        rooms = {"rooms": self.caller.rooms}
        self.parcels.append(Parcel(Address(self.caller.kind + "_socket", self.caller.sid), "", rooms, kind="join"))

    def after_commit(self, effect: Callable[[], object]) -> None:
        """Change memory once this turn is committed; nothing happens if it is not."""
        self.effects.append(effect)


Operation = Callable[[Any, Turn], Awaitable[Any]]
"""Load, decide, keep, announce; returns the reply. Raises a Refusal for what it will not do."""


@dataclass(frozen=True, slots=True)
class Bulk:
    """An operation that takes all waiting events of its kind at once, with one reply or refusal per event.

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
