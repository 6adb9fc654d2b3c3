"""A draft: a copy-on-write view of the farm, on which operations decide and into which they write.

Each item of a group works on a draft of its own over the group's draft; one that is refused is thrown away, and costs
nothing. The group's draft is what the store writes, and once it is committed the farm applies it.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from master.farm import Committed, Kind, Table
from master.memory import Memory, Watch
from master.model import (
    Account,
    Device,
    Login,
    Notification,
    Proxy,
    Worker,
    WorkerConfig,
    WorkerStatus,
    change,
)

R = TypeVar("R")


class Changes(Generic[R]):
    """One table of a draft: what it changes (None: removed), over the table below it."""

    __slots__ = ("_below", "_come", "_gone", "_growth", "_moved", "changed", "kind")

    def __init__(self, below: Table[R]) -> None:
        self.kind: Kind[R] = below.kind
        self._below = below
        self.changed: dict[str, R | None] = {}
        self._growth = 0
        """How many records more there are than below."""
        self._moved: dict[str, dict[Hashable, dict[str, bool]]] = {}
        """Index -> key -> record's key -> whether the index holds it there now."""
        self._come: dict[tuple[str, Hashable], dict[str, None]] = {}
        """Ordered index and key -> the records that this draft has put there."""
        self._gone: dict[tuple[str, Hashable], Any] = {}
        """Ordered index and key -> the rank up to which nothing of the table below is left there."""

    def get(self, key: str) -> R | None:
        """Return one record, or None."""
        return self.changed[key] if key in self.changed else self._below.get(key)

    def find(self, index: str, key: Hashable, after: Any = None) -> Iterator[R]:
        """Yield the records that an index holds under a key, in its order; of an ordered one, those ranked `after`.

        Iterate over a list of it where the draft is written meanwhile, unless it is only what was yielded already.
        """
        return (
            self._find(index, key, after) if self.changed else self._below.find(index, key, after)
        )

    def _find(self, index: str, key: Hashable, after: Any) -> Iterator[R]:
        moved = self._moved.get(index, {}).get(key)
        if index in self.kind.ordered:
            yield from self._find_ranked(index, key, moved or {}, after)
            return
        changed, record_key = self.changed, self.kind.key
        for record in self._below.find(index, key):
            name = record_key(record)
            if moved is None or name not in moved:
                yield changed.get(name) or record
        if moved:
            yield from [
                come for name, here in moved.items() if here and (come := changed[name]) is not None
            ]

    def _find_ranked(
        self, index: str, key: Hashable, moved: dict[str, bool], after: Any
    ) -> Iterator[R]:
        rank = self.kind.rank
        come = [
            record
            for name in self._come.get((index, key), ())
            if (record := self.changed[name]) is not None
        ]
        if after is not None:
            come = [record for record in come if rank(record) > after]
        kept = self._find_kept(index, key, moved, after)
        yield from heapq.merge(kept, sorted(come, key=rank), key=rank) if come else kept

    def _find_kept(
        self, index: str, key: Hashable, moved: dict[str, bool], after: Any
    ) -> Iterator[R]:
        """Yield what an ordered index of the table below holds and this draft leaves there.

        What is taken from it is taken from its beginning: how far all of it is gone is kept, or each item of a group
        would look through what the items before it have taken.
        """
        changed, record_key, rank = self.changed, self.kind.key, self.kind.rank
        gone_to = self._gone.get((index, key))
        start = gone_to if after is None or (gone_to is not None and gone_to > after) else after
        at_beginning = start is gone_to
        for record in self._below.find(index, key, start):
            name = record_key(record)
            if name in moved:
                if at_beginning:
                    self._gone[index, key] = rank(record)
                continue
            at_beginning = False
            yield changed.get(name) or record

    def list_groups(self, index: str) -> list[Hashable]:
        """Return the keys under which an index may hold something."""
        return list(
            {
                **dict.fromkeys(self._below.list_groups(index)),
                **dict.fromkeys(self._moved.get(index, ())),
            }
        )

    def first(self, index: str, key: Hashable) -> R | None:
        """Return the first record that an index holds under a key, or None."""
        return next(self.find(index, key), None)

    def all(self) -> Iterator[R]:
        """Yield every record."""
        record_key = self.kind.key
        yield from (
            record for record in self._below.all() if record_key(record) not in self.changed
        )
        yield from [record for record in self.changed.values() if record is not None]

    def count(self, tally: str) -> Counter[str]:
        """Return how many records there are of each value of a tally."""
        counts, value = self._below.count(tally), self.kind.tallies[tally]
        for key, record in self.changed.items():
            if (old := self._below.get(key)) is not None:
                counts[value(old)] -= 1
            if record is not None:
                counts[value(record)] += 1
        return +counts

    def __len__(self) -> int:
        return len(self._below) + self._growth

    def put(self, record: R) -> None:
        """Insert a record, or put it in the place of the one with its key."""
        self._write(self.kind.key(record), record)

    def remove(self, key: str) -> None:
        """Remove a record."""
        self._write(key, None)

    def _write(self, key: str, record: R | None) -> None:
        old = self.get(key)
        self.changed[key] = record
        self._growth += (record is not None) - (old is not None)
        for index, keys in self.kind.indexes:
            was, now = (
                keys(old) if old is not None else (),
                keys(record) if record is not None else (),
            )
            if was == now:
                continue
            moved = self._moved.setdefault(index, {})
            for one in was:
                moved.setdefault(one, {})[key] = False
                if (index, one) in self._come:
                    self._come[index, one].pop(key, None)
            for one in now:
                moved.setdefault(one, {})[key] = True
                if index in self.kind.ordered:
                    self._come.setdefault((index, one), {})[key] = None

    def touches(self, index: str, key: Hashable) -> bool:
        """Tell whether what an index holds under a key has changed."""
        return index in self._moved and key in self._moved[index]

    def absorb(self, other: Changes[R]) -> None:
        """Take over what a draft over this one changes."""
        if not other.changed:
            return
        self.changed.update(other.changed)
        self._growth += other._growth
        for index, keys in other._moved.items():
            moved = self._moved.setdefault(index, {})
            for key, names in keys.items():
                moved.setdefault(key, {}).update(names)
                if (index, key) in self._come:
                    for name, here in names.items():
                        if not here:
                            self._come[index, key].pop(name, None)
        for place, come in other._come.items():
            self._come.setdefault(place, {}).update(come)


class Draft:
    """What a turn reads and writes: the tables, and what else is decided with them.

    `kept` are values that are stored and not held in memory (secrets, codes): (table, row) -> column -> value. `notes`
    are notifications to be stored. `bound` says which socket speaks for a worker from now on, `signs` when a worker was
    heard (Unix seconds), `owed` all accounts that a worker has lost and could not be told of, `told` about how many
    bytes each worker is told of accounts, `told_bytes` all of them by this and below.
    """

    __slots__ = (
        "_over", "accounts", "bound", "configs", "devices", "kept", "last_seq", "logins", "memory", "notes", "owed",
        "proxies", "signs", "told", "told_bytes", "watch", "workers",
    )  # fmt: skip

    def __init__(self, memory: Memory, over: Draft | None = None) -> None:
        below: Any = memory.farm if over is None else over
        self.memory = memory
        self._over = over
        self.workers: Changes[Worker] = Changes(below.workers)
        self.accounts: Changes[Account] = Changes(below.accounts)
        self.logins: Changes[Login] = Changes(below.logins)
        self.proxies: Changes[Proxy] = Changes(below.proxies)
        self.configs: Changes[WorkerConfig] = Changes(below.configs)
        self.devices: Changes[Device] = Changes(below.devices)
        self.last_seq: int = below.last_seq
        self.watch: Watch = memory.watch if over is None else over.watch
        self.kept: dict[tuple[str, str], dict[str, Any]] = {}
        self.notes: list[Notification] = []
        self.bound: dict[str, str] = {}
        self.signs: dict[str, int] = {}
        self.owed: dict[str, set[str]] = {}
        self.told: dict[str, int] = {}
        self.told_bytes: int = over.told_bytes if over is not None else 0

    @property
    def tables(self) -> tuple[Changes[Any], ...]:
        """Return every table, those that others refer to first."""
        return self.workers, self.proxies, self.configs, self.accounts, self.logins, self.devices

    def begin(self) -> Draft:
        """Return a draft over this one, for one item of a group."""
        return Draft(self.memory, self)

    def absorb(self, other: Draft) -> None:
        """Take over what a draft over this one has written."""
        for table, changes in zip(self.tables, other.tables, strict=True):
            table.absorb(changes)
        self.last_seq, self.watch = other.last_seq, other.watch
        for place, values in other.kept.items():
            self.kept.setdefault(place, {}).update(values)
        self.notes += other.notes
        self.bound.update(other.bound)
        self.signs.update(other.signs)
        self.owed.update(other.owed)
        for worker_id, size in other.told.items():
            self.count_told(worker_id, size)

    def is_empty(self) -> bool:
        """Tell whether there is nothing to be stored."""
        if self.kept or self.notes or self.signs or self.last_seq != self.memory.farm.last_seq:
            return False
        return not any(table.changed for table in self.tables)

    @property
    def weight(self) -> int:
        """Return about how many rows this writes."""
        return sum(len(table.changed) for table in self.tables) + len(self.notes) + len(self.kept)

    # -- who holds what ------------------------------------------------------------------------------------------

    def assign(self, account: Account, worker_id: str, now: int) -> Account:
        """Give an account that nobody holds to a worker and raise its epoch; return it as it is now."""
        return self.assign_all([account], worker_id, now)[0]

    def assign_all(self, accounts: Sequence[Account], worker_id: str, now: int) -> list[Account]:
        """Give accounts that nobody holds to a worker and raise their epochs; return them as they are now."""
        worker = self.workers.get(worker_id)
        assert worker is not None, "only a known worker is given something"
        owed, given = self.owed_to(worker_id), []
        for account in accounts:
            assert account.assigned_worker_id is None, "what somebody holds is taken first"
            mine = change(
                account, assigned_worker_id=worker.id, epoch=account.epoch + 1, updated_at=now
            )
            self.accounts.put(mine)
            given.append(mine)
        self.workers.put(change(worker, assigned_accounts=worker.assigned_accounts + len(given)))
        if owed:
            self.owed[worker_id] = owed - {account.id for account in given}
        return given

    def release(self, account: Account, now: int) -> Account:
        """Take an account from its worker; return it as it is now. Its epoch stays until somebody gets it."""
        return self.release_all([account], account.assigned_worker_id or "", now)[0]

    def release_all(self, accounts: Sequence[Account], worker_id: str, now: int) -> list[Account]:
        """Take accounts from the worker that holds them; return them as they are now."""
        worker = self.workers.get(worker_id)
        assert worker is not None, "what somebody holds is held by a known worker"
        taken = []
        for account in accounts:
            assert account.assigned_worker_id == worker_id, "nobody loses what another holds"
            free = change(account, assigned_worker_id=None, updated_at=now)
            self.accounts.put(free)
            taken.append(free)
        self.workers.put(change(worker, assigned_accounts=worker.assigned_accounts - len(taken)))
        return taken

    def held_by(self, worker_id: str) -> list[Account]:
        """Return the accounts that a worker holds, by id."""
        return sorted(self.accounts.find("owner", worker_id), key=lambda account: account.id)

    def count_reserved(self, worker_id: str) -> int:
        """Return how many open logins a worker has of accounts that it does not hold: each keeps a place."""
        accounts = self.accounts
        return sum(
            (account := accounts.get(login.account_id)) is None
            or account.assigned_worker_id != worker_id
            for login in self.logins.find("worker", worker_id)
        )

    def keeper_of(self, account_id: str) -> str | None:
        """Return the worker that keeps a place for an account's open login, or None."""
        login = self.logins.first("account", account_id)
        return login.worker_id if login is not None else None

    def list_connected(self, platform: str | None = None) -> list[Worker]:
        """Return the connected workers, or those of them that list a platform."""
        if platform is not None:
            return list(self.workers.find("platform", platform))
        return [worker for worker in self.workers.all() if worker.status is WorkerStatus.CONNECTED]

    def proxy_of(self, worker_id: str) -> Proxy | None:
        """Return the active proxy that a worker's configuration names, or None."""
        config = self.configs.get(worker_id)
        proxy = (
            self.proxies.get(config.proxy_id)
            if config is not None and config.proxy_id is not None
            else None
        )
        return proxy if proxy is not None and proxy.status == "active" else None

    # -- sockets, and the sequence -------------------------------------------------------------------------------

    def socket_of(self, worker_id: str) -> str | None:
        """Return the live socket that speaks for a worker, or None; one that this draft binds counts already."""
        draft: Draft | None = self
        while draft is not None:
            if worker_id in draft.bound:
                sid = draft.bound[worker_id]
                return sid if sid in self.memory.sessions.worker_sockets else None
            draft = draft._over
        seat = self.memory.sessions.seats.get(worker_id)
        return seat.sid if seat is not None else None

    def speaker_of(self, sid: str | None) -> str | None:
        """Return the worker that a socket speaks for, or None. Once a newer socket is bound, an older one is mute."""
        draft: Draft | None = self
        seen: set[str] = set()
        while draft is not None:
            for worker_id, bound in draft.bound.items():
                if bound == sid and worker_id not in seen:
                    return worker_id
            seen.update(draft.bound)
            draft = draft._over
        speaks_for = self.memory.sessions.worker_of_socket.get(sid) if sid is not None else None
        return None if speaks_for in seen else speaks_for

    def take_places(self, count: int) -> int:
        """Return the first of `count` new places in the clients' sequence; a place is never given twice."""
        first = self.last_seq + 1
        self.last_seq += count
        return first

    def keep(self, table: str, key: str, values: dict[str, Any]) -> None:
        """Store values that memory does not hold; secrets among them are sealed on their way."""
        self.kept.setdefault((table, key), {}).update(values)

    def has_kept(self, table: str, key: str) -> bool:
        """Tell whether something is to be stored of a row that memory does not hold."""
        return (table, key) in self.kept or (
            self._over is not None and self._over.has_kept(table, key)
        )

    def owed_to(self, worker_id: str) -> set[str]:
        """Return the accounts that a worker has lost and could not be told of."""
        draft: Draft | None = self
        while draft is not None:
            if worker_id in draft.owed:
                return draft.owed[worker_id]
            draft = draft._over
        seat = self.memory.sessions.seats.get(worker_id)
        return seat.owed if seat is not None else set()

    def owe(self, worker_id: str, account_ids: Iterable[str]) -> None:
        """Note that a worker is to be told of losses when it returns."""
        self.owed[worker_id] = {*self.owed_to(worker_id), *account_ids}

    def count_told(self, worker_id: str, size: int) -> None:
        """Note that a worker is told of about so many bytes of accounts."""
        self.told[worker_id] = self.told.get(worker_id, 0) + size
        self.told_bytes += size

    def measure_told(self, worker_id: str) -> int:
        """Return about how many bytes of accounts a worker is told by this and below."""
        below = self._over.measure_told(worker_id) if self._over is not None else 0
        return below + self.told.get(worker_id, 0)

    def touches(self, worker_id: str) -> bool:
        """Tell whether this changes a worker, what it holds, or which socket speaks for it."""
        return (
            worker_id in self.workers.changed
            or worker_id in self.bound
            or self.accounts.touches("owner", worker_id)
        )

    def gives_up(self, worker_id: str) -> bool:
        """Tell whether a worker is offline by this."""
        worker = self.workers.get(worker_id)
        return worker is not None and worker.status is WorkerStatus.OFFLINE


def changes_of(committed: Committed[R], changes: Changes[R]) -> Iterator[tuple[R | None, R | None]]:
    """Yield (before, after) of each record that a group's draft changes; one that came and went is not named."""
    for key, after in changes.changed.items():
        before = committed.get(key)
        if before is not after and not (before is None and after is None):
            yield before, after
