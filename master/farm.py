"""The farm: what is committed of workers, accounts, open logins, proxies, configurations and devices, once, in memory.

The database is its durable form. A table keeps its indexes itself, and it changes by what is committed alone: by a
group's draft, or by being loaded anew. Whatever decides works on a draft over the farm (draft.py).
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Generic, Protocol, TypeVar

from sortedcontainers import SortedDict

from master.model import (
    OPEN_SESSION,
    Account,
    AccountStatus,
    Device,
    Login,
    Proxy,
    Worker,
    WorkerConfig,
    WorkerStatus,
)

R = TypeVar("R")
Keys = Callable[[Any], tuple[Hashable, ...]]
"""Record -> the keys under which an index holds it; none where it is not in that index."""


@dataclass(frozen=True, slots=True)
class Kind(Generic[R]):
    """What a table of the farm holds: how a record is named, found and counted.

    `unique` indexes hold one record per key; in `ordered` ones a key's records come by `rank`, in others as they came.
    `tallies` are counted per value. A record that is not `kept` leaves the farm when it is applied.
    """

    name: str
    key: Callable[[R], str] = attrgetter("id")
    groups: Mapping[str, Keys] = field(default_factory=dict)
    unique: Mapping[str, Keys] = field(default_factory=dict)
    ordered: Mapping[str, Keys] = field(default_factory=dict)
    rank: Callable[[R], Any] = attrgetter("id")
    tallies: Mapping[str, Callable[[R], str]] = field(default_factory=dict)
    is_kept: Callable[[R], bool] = lambda _: True
    indexes: tuple[tuple[str, Keys], ...] = field(init=False)
    """Every index, by its name."""

    def __post_init__(self) -> None:
        """Put the indexes together."""
        object.__setattr__(
            self, "indexes", (*self.groups.items(), *self.unique.items(), *self.ordered.items())
        )


def _owner(account: Account) -> tuple[Hashable, ...]:
    return (account.assigned_worker_id,) if account.assigned_worker_id is not None else ()


def _waits(account: Account) -> tuple[Hashable, ...]:
    if account.assigned_worker_id is not None or account.status is not AccountStatus.ACTIVE:
        return ()
    return ((account.platform, account.pinned_worker_id),)


def _name_on_platform(account: Account) -> tuple[Hashable, ...]:
    return ((account.platform, account.account_id),) if account.account_id is not None else ()


def _platforms(worker: Worker) -> tuple[Hashable, ...]:
    if worker.status is not WorkerStatus.CONNECTED:
        return ()
    return tuple(dict.fromkeys(worker.capabilities))  # an older version stored some twice


def is_open(login: Login) -> bool:
    """Tell whether a login has not ended yet, whatever its deadline says."""
    return login.status in OPEN_SESSION


WORKERS: Kind[Worker] = Kind(
    "workers",
    groups={"platform": _platforms},
    tallies={"status": attrgetter("status")},
)
ACCOUNTS: Kind[Account] = Kind(
    "accounts",
    groups={"owner": _owner},
    unique={"name": _name_on_platform},
    ordered={"waiting": _waits},
    rank=attrgetter("created_at", "id"),
    tallies={name: attrgetter(name) for name in ("status", "login_status", "platform")},
)
LOGINS: Kind[Login] = Kind(
    "login_sessions",
    groups={"worker": lambda login: (login.worker_id,) if is_open(login) else ()},
    unique={"account": lambda login: (login.account_id,) if is_open(login) else ()},
    is_kept=is_open,
)
PROXIES: Kind[Proxy] = Kind("proxies", unique={"name": lambda proxy: (proxy.name,)})
CONFIGS: Kind[WorkerConfig] = Kind(
    "worker_configs",
    key=attrgetter("worker_id"),
    groups={"proxy": lambda config: (config.proxy_id,) if config.proxy_id is not None else ()},
)
DEVICES: Kind[Device] = Kind("client_devices", key=attrgetter("device_id"))


class Table(Protocol[R]):
    """What can be asked of records, committed ones and those of a draft alike."""

    kind: Kind[R]

    def get(self, key: str) -> R | None:
        """Return one record, or None."""
        ...

    def find(self, index: str, key: Hashable, after: Any = None) -> Iterator[R]:
        """Yield the records that an index holds under a key, in its order; of an ordered one, those ranked `after`."""
        ...

    def list_groups(self, index: str) -> Iterable[Hashable]:
        """Return the keys under which an index may hold something."""
        ...

    def all(self) -> Iterator[R]:
        """Yield every record."""
        ...

    def count(self, tally: str) -> Counter[str]:
        """Return how many records there are of each value of a tally."""
        ...

    def __len__(self) -> int: ...


class Committed(Generic[R]):
    """Records as they are committed, with their indexes. Nobody changes it but the farm."""

    def __init__(self, kind: Kind[R]) -> None:
        self.kind = kind
        self._records: dict[str, R] = {}
        self._groups: dict[str, dict[Hashable, dict[str, None]]] = {
            name: {} for name in kind.groups
        }
        self._unique: dict[str, dict[Hashable, str]] = {name: {} for name in kind.unique}
        self._ordered: dict[str, dict[Hashable, Any]] = {name: {} for name in kind.ordered}
        self._tallies: dict[str, Counter[str]] = {name: Counter() for name in kind.tallies}

    def get(self, key: str) -> R | None:
        """Return one record, or None."""
        return self._records.get(key)

    def find(self, index: str, key: Hashable, after: Any = None) -> Iterator[R]:
        """Yield the records that an index holds under a key, in its order; of an ordered one, those ranked `after`."""
        records = self._records
        if index in self._ordered:
            ranked = self._ordered[index].get(key)
            if ranked is not None:
                for rank in ranked.irange(after, inclusive=(after is None, True)):
                    yield records[ranked[rank]]
            return
        for name in self.list_keys(index, key):
            yield records[name]

    def list_keys(self, index: str, key: Hashable) -> Iterable[str]:
        """Return the keys of these records, of an index that is not ordered: a live view, or a new tuple."""
        if index in self._groups:
            return self._groups[index].get(key, ())
        found = self._unique[index].get(key)
        return () if found is None else (found,)

    def list_groups(self, index: str) -> Iterable[Hashable]:
        """Return the keys under which an index holds something."""
        return (
            self._groups.get(index) or self._unique.get(index) or self._ordered.get(index, {})
        ).keys()

    def all(self) -> Iterator[R]:
        """Yield every record."""
        return iter(self._records.values())

    def count(self, tally: str) -> Counter[str]:
        """Return how many records there are of each value of a tally."""
        return +self._tallies[tally]

    def __len__(self) -> int:
        return len(self._records)

    def put(self, record: R) -> None:
        """Insert a record, or put it in the place of the one with its key."""
        key = self.kind.key(record)
        old = self._records.get(key)
        self._records[key] = record
        self._move(key, old, record)

    def load(self, records: Iterable[R]) -> None:
        """Insert records that are all new: what an ordered index holds of many is sorted once."""
        kind, key_of, known = self.kind, self.kind.key, self._records
        ranked: dict[tuple[str, Hashable], dict[Any, str]] = {}
        for record in records:
            key = key_of(record)
            assert key not in known, "what is known is put in its place"
            known[key] = record
            for index, keys in kind.groups.items():
                for one in keys(record):
                    self._groups[index].setdefault(one, {})[key] = None
            for index, keys in kind.unique.items():
                for one in keys(record):
                    self._unique[index][one] = key
            for index, keys in kind.ordered.items():
                for one in keys(record):
                    ranked.setdefault((index, one), {})[kind.rank(record)] = key
            for tally, value in kind.tallies.items():
                self._tallies[tally][value(record)] += 1
        for (index, one), some in ranked.items():
            self._ordered[index].setdefault(one, SortedDict()).update(some)

    def remove(self, key: str) -> None:
        """Remove a record, if there is one."""
        old = self._records.pop(key, None)
        if old is not None:
            self._move(key, old, None)

    def _move(self, key: str, old: R | None, new: R | None) -> None:
        kind = self.kind
        for index, keys in kind.groups.items():
            was, now = keys(old) if old is not None else (), keys(new) if new is not None else ()
            if was != now:
                _regroup(self._groups[index], key, was, now)
        for index, keys in kind.unique.items():
            was, now = keys(old) if old is not None else (), keys(new) if new is not None else ()
            if was != now:
                table = self._unique[index]
                for one in was:
                    if table.get(one) == key:
                        del table[one]
                table.update(dict.fromkeys(now, key))
        for index, keys in kind.ordered.items():
            was, now = keys(old) if old is not None else (), keys(new) if new is not None else ()
            if was != now:
                _rerank(self._ordered[index], key, (was, old), (now, new), kind.rank)
        for tally, value in kind.tallies.items():
            was_value = value(old) if old is not None else None
            now_value = value(new) if new is not None else None
            if was_value != now_value:
                counts = self._tallies[tally]
                if was_value is not None:
                    counts[was_value] -= 1
                if now_value is not None:
                    counts[now_value] += 1


def _regroup(
    groups: dict[Hashable, dict[str, None]],
    key: str,
    was: tuple[Hashable, ...],
    now: tuple[Hashable, ...],
) -> None:
    for one in was:
        if one not in now:
            group = groups[one]
            del group[key]
            if not group:
                del groups[one]
    for one in now:
        groups.setdefault(one, {})[key] = None


def _rerank(
    ordered: dict[Hashable, Any],
    key: str,
    before: tuple[tuple[Hashable, ...], Any],
    after: tuple[tuple[Hashable, ...], Any],
    rank: Callable[[Any], Any],
) -> None:
    for one in before[0]:
        ranked = ordered[one]
        del ranked[rank(before[1])]
        if not ranked:
            del ordered[one]
    for one in after[0]:
        ranked = ordered.get(one)
        if ranked is None:
            ranked = ordered[one] = SortedDict()
        ranked[rank(after[1])] = key


@dataclass(slots=True)
class Farm:
    """Everything that decisions are made on, as committed. `last_seq` is the newest place in the clients' sequence."""

    workers: Committed[Worker] = field(default_factory=lambda: Committed(WORKERS))
    accounts: Committed[Account] = field(default_factory=lambda: Committed(ACCOUNTS))
    logins: Committed[Login] = field(default_factory=lambda: Committed(LOGINS))
    proxies: Committed[Proxy] = field(default_factory=lambda: Committed(PROXIES))
    configs: Committed[WorkerConfig] = field(default_factory=lambda: Committed(CONFIGS))
    devices: Committed[Device] = field(default_factory=lambda: Committed(DEVICES))
    last_seq: int = 0

    @property
    def tables(self) -> tuple[Committed[Any], ...]:
        """Return every table, those that others refer to first."""
        return self.workers, self.proxies, self.configs, self.accounts, self.logins, self.devices

    def replace(self, other: Farm) -> None:
        """Become what another farm is, as after a start or a doubt."""
        self.workers, self.accounts, self.logins = other.workers, other.accounts, other.logins
        self.proxies, self.configs, self.devices = other.proxies, other.configs, other.devices
        self.last_seq = other.last_seq


def share(text: str | None) -> str | None:
    """Return one object for all equal texts: the platforms and owners of a hundred thousand accounts are few."""
    return None if text is None else sys.intern(text)
