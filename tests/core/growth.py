"""A model of the farm as plain dictionaries, and random changes as operations may make them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Hashable
from dataclasses import replace
from typing import Any, Protocol

from master.draft import Draft
from master.farm import (
    ACCOUNTS,
    CONFIGS,
    DEVICES,
    LINKS,
    LOGINS,
    PROXIES,
    WORKERS,
    Farm,
    Kind,
)
from master.login_link import OPEN_LINK, LinkState
from master.model import AccountStatus, LoginStatus, SessionStatus, WorkerStatus
from tests.records import (
    make_account,
    make_config,
    make_device,
    make_link,
    make_login,
    make_proxy,
    make_worker,
)

KINDS: tuple[Kind[Any], ...] = (WORKERS, PROXIES, CONFIGS, ACCOUNTS, LOGINS, DEVICES, LINKS)
"""In the order of the farm's tables."""

PLATFORMS = ("douyin", "xiaohongshu", "weibo")
NAMES = [f"{number}" for number in range(8)]


class Tables(Protocol):
    """The interface shared by a farm and a draft."""

    @property
    def tables(self) -> tuple[Any, ...]:
        """Return every table."""
        ...


class Model:
    """Records by table and key; the contents of indexes are computed anew each time."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Any]] = {kind.name: {} for kind in KINDS}

    def copy(self) -> Model:
        """Return an equal copy."""
        other = Model()
        other.records = {name: dict(records) for name, records in self.records.items()}
        return other

    def of(self, kind: Kind[Any]) -> dict[str, Any]:
        """Return a table's records by key."""
        return self.records[kind.name]


class Chance:
    """Draws changes that the database allows, such as one open login per account."""

    def __init__(self, seed: int, *, removes: Collection[Kind[Any]] = KINDS) -> None:
        self.random = random.Random(seed)
        self._removes = removes
        self._number = 0

    def change(self, model: Model, target: Tables | None = None) -> None:
        """Put or remove one record, in the model and in a farm or draft if there is one."""
        index = self.random.randrange(len(KINDS))
        kind = KINDS[index]
        record = self._draw(kind, model)
        if record is None:
            return
        known = model.of(kind)
        table = target.tables[index] if target is not None else None
        if (
            kind.key(record) in known
            and self.random.random() < 0.3
            and self._may_go(kind, kind.key(record), model)
        ):
            del known[kind.key(record)]
            if table is not None:
                table.remove(kind.key(record))
            return
        known[kind.key(record)] = record
        if table is not None:
            table.put(record)

    def _draw(self, kind: Kind[Any], model: Model) -> Any:
        pick = self.random.choice
        name = pick(NAMES)
        self._number += 1
        if kind is WORKERS:
            return make_worker(
                f"w{name}",
                pick(range(5)),
                status=pick(list(WorkerStatus)),
                capabilities=tuple(self.random.sample(PLATFORMS, self.random.randrange(4))),
                metadata={"number": self._number},
                version=pick([None, "1"]),
            )
        if kind is PROXIES:
            return make_proxy(f"p{name}", username=pick([None, "me"]))
        if kind is CONFIGS:
            proxies = [None, *model.of(PROXIES)]
            return make_config(
                f"w{name}", proxy_id=pick(proxies), args=("a",), env={"A": str(self._number)}
            )
        if kind is DEVICES:
            return make_device(f"d{name}", seen_seq=self._number)
        if kind is ACCOUNTS:
            return self._draw_account(f"a{name}", model)
        draw, letter = (self._draw_link, "k") if kind is LINKS else (self._draw_login, "l")
        return draw(pick([*model.of(kind), f"{letter}{self._number}"]), model)

    def _draw_account(self, account_id: str, model: Model) -> Any:
        pick = self.random.choice
        known = model.of(ACCOUNTS).get(account_id)
        # its position in every index stays the same
        if known is not None and self.random.random() < 0.3:
            return replace(known, monitor_interval=self._number)
        workers = [None, None, *model.of(WORKERS)]
        drawn = make_account(
            account_id,
            platform=pick(PLATFORMS),
            account_id=pick([None, "x", "y", "z"]),
            status=pick([*[AccountStatus.ACTIVE] * 3, AccountStatus.PAUSED]),
            login_status=pick(list(LoginStatus)),
            assigned_worker_id=pick(workers),
            pinned_worker_id=pick(workers),
            epoch=(known.epoch if known is not None else 0) + pick([0, 1]),
            created_at=known.created_at if known is not None else pick(range(3)),
            user_info=pick([None, {"number": self._number}]),
        )
        used = {
            (one.platform, one.account_id)
            for one in model.of(ACCOUNTS).values()
            if one.id != account_id
        }
        return (
            replace(drawn, account_id=None) if (drawn.platform, drawn.account_id) in used else drawn
        )

    def _draw_login(self, login_id: str, model: Model) -> Any:
        pick = self.random.choice
        known = model.of(LOGINS).get(login_id)
        if known is not None:
            if known.status not in (SessionStatus.PENDING, SessionStatus.SCANNING):
                return None
            return replace(known, status=pick(list(SessionStatus)), expires_at=self._number)
        busy = {one.account_id for one in model.of(LOGINS).values() if LOGINS.is_kept(one)}
        free = [one for one in model.of(ACCOUNTS) if one not in busy]
        workers = list(model.of(WORKERS))
        return (
            make_login(login_id, pick(free), pick(workers), expires_at=self._number)
            if free and workers
            else None
        )

    def _draw_link(self, link_id: str, model: Model) -> Any:
        pick = self.random.choice
        known = model.of(LINKS).get(link_id)
        if known is not None:
            if known.state not in OPEN_LINK:
                return None
            return replace(known, state=pick(list(LinkState)), session_id=pick([None, "l1", "l2"]))
        busy = {one.account_id for one in model.of(LINKS).values() if LINKS.is_kept(one)}
        free = [one for one in model.of(ACCOUNTS) if one not in busy]
        return make_link(link_id, pick(free)) if free else None

    def _may_go(self, kind: Kind[Any], key: str, model: Model) -> bool:
        """Tell whether the database would allow the removal: no record refers to this one."""
        if kind not in self._removes:
            return False
        if kind is WORKERS:
            named = {one.assigned_worker_id for one in model.of(ACCOUNTS).values()}
            named |= {one.pinned_worker_id for one in model.of(ACCOUNTS).values()}
            return key not in named | {one.worker_id for one in model.of(LOGINS).values()}
        if kind is PROXIES:
            return key not in {one.proxy_id for one in model.of(CONFIGS).values()}
        if kind is ACCOUNTS:
            tables = (LOGINS, LINKS)
            return key not in {one.account_id for of in tables for one in model.of(of).values()}
        return kind not in (LOGINS, LINKS)


def check(tables: Tables, model: Model) -> None:
    """Check that every query of these tables agrees with the model."""
    for kind, table in zip(KINDS, tables.tables, strict=True):
        check_table(table, kind, model.of(kind))


def check_table(table: Any, kind: Kind[Any], known: dict[str, Any]) -> None:
    """Check that every query of one table agrees with these records."""
    assert len(table) == len(known)
    assert {kind.key(one): one for one in table.all()} == known
    assert len(list(table.all())) == len(known), "each once"
    for key in [*known, "nobody"]:
        assert table.get(key) == known.get(key)
    for tally, value in kind.tallies.items():
        assert table.count(tally) == Counter(value(one) for one in known.values())
    for index, keys in kind.indexes:
        wanted: dict[Hashable, list[Any]] = {}
        for one in known.values():
            for key in keys(one):
                wanted.setdefault(key, []).append(one)
        groups = set(table.list_groups(index))
        assert groups >= set(wanted)
        for key in [*groups, "nobody"]:
            found, expected = list(table.find(index, key)), wanted.get(key, [])
            if index in kind.ordered:
                expected = sorted(expected, key=kind.rank)
                assert found == expected
                for at, after in enumerate(expected):
                    assert list(table.find(index, key, kind.rank(after))) == expected[at + 1 :]
            assert sorted(found, key=kind.key) == sorted(expected, key=kind.key)


def fill(farm: Farm, model: Model) -> None:
    """Put the model's records into an empty farm."""
    for kind, table in zip(KINDS, farm.tables, strict=True):
        for record in model.of(kind).values():
            table.put(record)


def assign(draft: Draft, farm: Farm) -> None:
    """Apply a draft to a farm, as a commit does."""
    for table, changes in zip(farm.tables, draft.tables, strict=True):
        for key, record in changes.changed.items():
            if record is None:
                table.remove(key)
            else:
                table.put(record)
