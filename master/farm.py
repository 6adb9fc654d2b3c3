"""The farm: committed workers, accounts, open logins and links, proxies, configurations, devices.

It exists once, in memory; the database is its durable form. A table maintains its own indexes, and
changes only by a batch's committed draft or by a reload. Decisions work on a draft over the farm
(draft.py).
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Generic, Protocol, TypeVar

from sortedcontainers import SortedDict

from master.login_link import OPEN_LINK, LoginLink
from master.model import (
    OPEN_SESSION,
    Account,
    Device,
    Login,
    Proxy,
    Worker,
    WorkerConfig,
    WorkerStatus,
)
from master.tallies import Tallies

R = TypeVar("R")
Keys = Callable[[Any], tuple[Hashable, ...]]
"""Record -> its keys in an index; empty if the record is not in that index."""


@dataclass(frozen=True, slots=True)
class Kind(Generic[R]):
    """A type of record in the farm: its key, its indexes and its tallies.

    `unique` indexes have one record per key. `ordered` indexes sort the records of a key by `rank`;
    others keep the order of insertion. `tallies` count the records per value. A record that is not
    `kept` leaves the farm when it is applied.
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
    """Every index as (name, keys)."""

    def __post_init__(self) -> None:
        """Collect the indexes."""
        object.__setattr__(
            self, "indexes", (*self.groups.items(), *self.unique.items(), *self.ordered.items())
        )


def _owner(account: Account) -> tuple[Hashable, ...]:
    return (account.assigned_worker_id,) if account.assigned_worker_id is not None else ()


def _waits(account: Account) -> tuple[Hashable, ...]:
    if account.assigned_worker_id is not None or not account.is_served:
        return ()
    return ((account.platform, account.pinned_worker_id),)


def _person(account: Account) -> tuple[Hashable, ...]:
    user_id = account.platform_user_id
    return ((account.platform, user_id),) if user_id is not None else ()


def _proxy(record: Account | WorkerConfig) -> tuple[Hashable, ...]:
    return (record.proxy_id,) if record.proxy_id is not None else ()


def _name_on_platform(account: Account) -> tuple[Hashable, ...]:
    return ((account.platform, account.account_id),) if account.account_id is not None else ()


def _title(account: Account) -> tuple[Hashable, ...]:
    return ((account.platform, account.account_name),)


def _platforms(worker: Worker) -> tuple[Hashable, ...]:
    if worker.status is not WorkerStatus.CONNECTED:
        return ()
    return tuple(dict.fromkeys(worker.capabilities))  # an older version stored duplicates


def is_open(login: Login) -> bool:
    """Return whether a login is open, regardless of its deadline."""
    return login.status in OPEN_SESSION


def is_open_link(link: LoginLink) -> bool:
    """Return whether a login link may still be used, regardless of its deadline."""
    return link.state in OPEN_LINK


WORKERS: Kind[Worker] = Kind(
    "workers",
    groups={"platform": _platforms},
    tallies={"status": attrgetter("status")},
)
ACCOUNTS: Kind[Account] = Kind(
    "accounts",
    groups={"owner": _owner, "person": _person, "proxy": _proxy, "title": _title},
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
    groups={"proxy": _proxy},
)
LINKS: Kind[LoginLink] = Kind(
    "login_links",
    groups={"session": lambda link: (link.session_id,) if link.session_id is not None else ()},
    unique={
        "account": lambda link: (link.account_id,) if is_open_link(link) else (),
        "secret": lambda link: (link.secret_hash,),
    },
    is_kept=is_open_link,
)
DEVICES: Kind[Device] = Kind("client_devices", key=attrgetter("device_id"))


class Table(Protocol[R]):
    """The read interface of committed tables and of a draft's tables."""

    kind: Kind[R]

    def get(self, key: str) -> R | None:
        """Return one record, or None."""
        ...

    def find(self, index: str, key: Hashable, after: Any = None) -> Iterator[R]:
        """Yield a key's records in index order; if the index is ordered, those past `after`."""
        ...

    def list_groups(self, index: str) -> Iterable[Hashable]:
        """Return the keys under which an index may have records."""
        ...

    def all(self) -> Iterator[R]:
        """Yield every record."""
        ...

    def count(self, tally: str) -> Counter[str]:
        """Return the number of records per value of a tally."""
        ...

    def __len__(self) -> int: ...


class Committed(Generic[R]):
    """Committed records with their indexes. Only the farm changes them."""

    def __init__(self, kind: Kind[R]) -> None:
        self.kind = kind
        self._records: dict[str, R] = {}
        self._groups: dict[str, Groups] = {name: {} for name in kind.groups}
        self._unique: dict[str, dict[Hashable, str]] = {name: {} for name in kind.unique}
        self._ordered: dict[str, dict[Hashable, Any]] = {name: {} for name in kind.ordered}
        self._tallies: dict[str, Counter[str]] = {name: Counter() for name in kind.tallies}

    def get(self, key: str) -> R | None:
        """Return one record, or None."""
        return self._records.get(key)

    def find(self, index: str, key: Hashable, after: Any = None) -> Iterator[R]:
        """Yield a key's records in index order; if the index is ordered, those past `after`."""
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
        """Return the record keys under a key of an unordered index: a live view, or a new tuple."""
        if index in self._groups:
            group = self._groups[index].get(key, ())
            return (group,) if isinstance(group, str) else group
        found = self._unique[index].get(key)
        return () if found is None else (found,)

    def list_groups(self, index: str) -> Iterable[Hashable]:
        """Return the keys under which an index has records."""
        return (
            self._groups.get(index) or self._unique.get(index) or self._ordered.get(index, {})
        ).keys()

    def first(self, index: str, key: Hashable) -> R | None:
        """Return the first record under a key of an index, or None."""
        return next(iter(self.find(index, key)), None)

    def measure(self, index: str, key: Hashable) -> int:
        """Return the number of records under a key of an ordered index."""
        return len(self._ordered[index].get(key, ()))

    def all(self) -> Iterator[R]:
        """Yield every record."""
        return iter(self._records.values())

    def count(self, tally: str) -> Counter[str]:
        """Return the number of records per value of a tally."""
        return +self._tallies[tally]

    def __len__(self) -> int:
        return len(self._records)

    def put(self, record: R) -> None:
        """Insert a record, or replace the record with the same key."""
        key = self.kind.key(record)
        old = self._records.get(key)
        self._records[key] = record
        self._move(key, old, record)

    def load(self, records: Sequence[R]) -> None:
        """Insert new records, one index after another; an ordered index sorts them once."""
        kind = self.kind
        added = dict(zip(map(kind.key, records), records, strict=True))
        total = len(self._records) + len(records)
        self._records.update(added)
        assert len(self._records) == total, "load accepts only new records"
        for index, keys in kind.groups.items():
            for key, record in added.items():
                for one in keys(record):
                    _group(self._groups[index], one, key)
        for index, keys in kind.unique.items():
            pairs = ((one, key) for key, record in added.items() for one in keys(record))
            self._unique[index].update(pairs)
        for index, keys in kind.ordered.items():
            ranked: dict[Hashable, dict[Any, str]] = {}
            for key, record in added.items():
                for one in keys(record):
                    ranked.setdefault(one, {})[kind.rank(record)] = key
            for one, some in ranked.items():
                self._ordered[index].setdefault(one, SortedDict()).update(some)
        for tally, value in kind.tallies.items():
            self._tallies[tally].update(map(value, records))

    def remove(self, key: str) -> None:
        """Remove a record, if it exists."""
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


Groups = dict[Hashable, str | dict[str, None]]
"""The record keys under each key of an index: one as it is, since most are alone, or several."""


def _group(groups: Groups, one: Hashable, key: str) -> None:
    group = groups.setdefault(one, key)
    if isinstance(group, dict):
        group[key] = None
    elif group != key:
        groups[one] = {group: None, key: None}


def _regroup(
    groups: Groups, key: str, was: tuple[Hashable, ...], now: tuple[Hashable, ...]
) -> None:
    for one in was:
        if one not in now:
            group = groups[one]
            group = {group: None} if isinstance(group, str) else group
            del group[key]
            if not group:
                del groups[one]
    for one in now:
        _group(groups, one, key)


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


@dataclass(frozen=True, slots=True)
class Maintenance:
    """A maintenance of the whole farm. Times are Unix seconds."""

    since: int
    deadline_at: int
    reason: str | None
    by: str


@dataclass(slots=True)
class Farm:
    """All committed state that decisions read. `last_seq` is the newest sequence number.

    `messages` are the numbers of stored messages, which only people read.

    `removed_at` is when the last account was removed (Unix seconds), as it was when the farm was
    loaded; None: never.
    `last_event` is the number of the newest event of the history.
    """

    workers: Committed[Worker] = field(default_factory=lambda: Committed(WORKERS))
    accounts: Committed[Account] = field(default_factory=lambda: Committed(ACCOUNTS))
    logins: Committed[Login] = field(default_factory=lambda: Committed(LOGINS))
    proxies: Committed[Proxy] = field(default_factory=lambda: Committed(PROXIES))
    configs: Committed[WorkerConfig] = field(default_factory=lambda: Committed(CONFIGS))
    devices: Committed[Device] = field(default_factory=lambda: Committed(DEVICES))
    links: Committed[LoginLink] = field(default_factory=lambda: Committed(LINKS))
    messages: Tallies = field(default_factory=Tallies)
    last_seq: int = 0
    removed_at: int | None = None
    last_event: int = 0
    maintenance: Maintenance | None = None

    @property
    def tables(self) -> tuple[Committed[Any], ...]:
        """Return every table, referenced tables first."""
        return (
            self.workers, self.proxies, self.configs, self.accounts, self.logins, self.devices,
            self.links,
        )  # fmt: skip

    def replace(self, other: Farm) -> None:
        """Copy the content of another farm, after a start or a commit in doubt."""
        self.workers, self.accounts, self.logins = other.workers, other.accounts, other.logins
        self.proxies, self.configs, self.devices = other.proxies, other.configs, other.devices
        self.links, self.messages = other.links, other.messages
        self.last_seq, self.removed_at = other.last_seq, other.removed_at
        self.last_event = other.last_event
        self.maintenance = other.maintenance


def share(text: str | None) -> str | None:
    """Return one shared object for equal texts.

    A hundred thousand accounts have few distinct platforms and owners.
    """
    return None if text is None else sys.intern(text)
