"""Maps records to rows: one mapping between dataclass and table per noun, for reads and writes.

A field is stored in the column of its name, unless the mapping says otherwise. A new column needs a
field in its record and a migration.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import cached_property, reduce
from operator import add, attrgetter
from typing import Any, Generic, TypeVar, get_type_hints

from sqlalchemy import ColumnElement, Integer, Row, Select, Table, bindparam, func, select

from master.farm import share
from master.login_link import LoginLink
from master.model import (
    Account,
    Device,
    Login,
    Message,
    MessageKind,
    Notification,
    Proxy,
    Worker,
    WorkerConfig,
)
from master.protocol.budgets import METADATA_BYTES, USER_INFO_BYTES
from master.store import schema
from master.store.columns import bound_text

R = TypeVar("R")


@dataclass(frozen=True)
class Rows(Generic[R]):
    """The mapping between records of one kind and their table.

    `derived` fields are read from an expression and never written. `bounded` fields are read from
    an expression that leaves out values larger than any that Master writes. `renamed` fields are
    stored in a column of another name. `read` converts a column's value into a field's. `written`
    names, for a column that is not simply the field of its name, the fields that it depends on and
    the function that returns its value. `fixed` fields have the same value in every record of the
    table. `named_by` is the column in which no two rows may have the same name (the index "name" of
    the farm's table).
    """

    record: type[R]
    table: Table
    key: str = "id"
    derived: Mapping[str, ColumnElement[Any]] = field(default_factory=dict)
    bounded: Mapping[str, ColumnElement[Any]] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    read: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    written: Mapping[str, tuple[tuple[str, ...], Callable[[Any], Any]]] = field(
        default_factory=dict
    )
    fixed: Mapping[str, Any] = field(default_factory=dict)
    named_by: str | None = None

    @cached_property
    def _fields(self) -> list[str]:
        return [one.name for one in fields(self.record)]  # type: ignore[arg-type]

    @cached_property
    def _columns(self) -> list[ColumnElement[Any]]:
        columns: list[ColumnElement[Any]] = []
        for name in self._fields:
            if name in self.fixed:
                continue
            read = {**self.derived, **self.bounded}
            source = read.get(name, self.table.c.get(self.renamed.get(name, name)))
            if source is None:  # a field that is packed into a column of another name
                source = next(
                    self.table.c[column]
                    for column, (parts, _) in self.written.items()
                    if name in parts
                )
            columns.append(source.label(name))
        return columns

    @cached_property
    def _converters(self) -> list[tuple[int, Callable[[Any], Any]]]:
        hints = get_type_hints(self.record)
        found = []
        for index, name in enumerate(one for one in self._fields if one not in self.fixed):
            kinds = (hints[name], *getattr(hints[name], "__args__", ()))
            enum = next(
                (kind for kind in kinds if isinstance(kind, type) and issubclass(kind, StrEnum)),
                None,
            )
            convert = self.read.get(name) or (bool if hints[name] is bool else None)
            if convert is None and enum is not None:
                convert = _find_member(enum)
            if convert is not None:
                found.append((index, convert))
        return found

    @cached_property
    def columns(self) -> dict[str, tuple[tuple[str, ...], Callable[[Any], Any]]]:
        """Return the written columns: column -> its fields, and the function of its value."""
        packed = {name for parts, _ in self.written.values() for name in parts}
        plain = {
            self.renamed.get(name, name): ((name,), attrgetter(name))
            for name in self._fields
            if name not in packed and name not in self.derived and name not in self.fixed
        }
        return {**plain, **self.written}

    def name_columns(self, names: Iterable[str]) -> list[str]:
        """Return the columns of the fields `names`, as far as this table has them."""
        return [self.renamed.get(name, name) for name in names if name not in self.fixed]

    @cached_property
    def query(self) -> Select[Any]:
        """Return the query of all records."""
        return select(*self._columns)

    @cached_property
    def by_key(self) -> Select[Any]:
        """Return the query of one record; its parameter is `key`. Built once: it is often asked."""
        return self.query.where(self.table.c[self.key] == bindparam("key"))

    def to_record(self, row: Row[Any] | Sequence[Any]) -> R:
        """Return the record of a row of `query`."""
        values = list(row)
        for index, convert in self._converters:
            values[index] = convert(values[index])
        if self.fixed:
            known = iter(values)
            return self.record(
                *(self.fixed[name] if name in self.fixed else next(known) for name in self._fields)
            )
        return self.record(*values)

    def to_records(self, rows: Sequence[Row[Any]]) -> list[R]:
        """Return the records of rows of `query`."""
        return [self.to_record(row) for row in rows]

    def to_row(self, record: R) -> dict[str, Any]:
        """Return all written values of a record, by column."""
        return {column: value(record) for column, (_, value) in self.columns.items()}

    @cached_property
    def _parts(self) -> tuple[Callable[[Any], tuple[Any, ...]], tuple[str, ...]]:
        """Return the function that reads all written fields, and the column of each field."""
        pairs = [(name, column) for column, (parts, _) in self.columns.items() for name in parts]
        return attrgetter(*(name for name, _ in pairs)), tuple(column for _, column in pairs)

    def find_changed(self, old: R, new: R) -> tuple[str, ...]:
        """Return the columns whose values differ between two records."""
        read, columns = self._parts
        differing = [
            column
            for column, was, now in zip(columns, read(old), read(new), strict=True)
            if was is not now and was != now
        ]
        return tuple(dict.fromkeys(differing))


def _find_member(enum: type[StrEnum]) -> Callable[[Any], StrEnum | None]:
    """Return the function from a value to its enum member, and from None to None.

    Errors of that function: KeyError for an unknown value.
    """
    members: dict[Any, StrEnum | None] = {member.value: member for member in enum}
    return (members | {None: None}).__getitem__


def _pack_worker(worker: Worker) -> dict[str, Any]:
    return {
        **worker.metadata,
        "capabilities": list(worker.capabilities),
        "maxAccounts": worker.max_accounts,
    }


def _unpack_capabilities(stored: dict[str, Any] | None) -> tuple[str, ...]:
    return tuple(sys.intern(str(one)) for one in (stored or {}).get("capabilities") or ())


def _unpack_metadata(stored: dict[str, Any] | None) -> dict[str, Any]:
    return {
        name: value
        for name, value in (stored or {}).items()
        if name not in ("capabilities", "maxAccounts")
    }


PACKED_BYTES = 8 * 1024
"""Size of the other content of a worker's `metadata` column: at most 64 platforms, and a number."""

_METADATA = bound_text(
    schema.workers.c.metadata, METADATA_BYTES + PACKED_BYTES, "capabilities", "maxAccounts"
)

WORKERS = Rows(
    Worker,
    schema.workers,
    bounded={"capabilities": _METADATA, "max_accounts": _METADATA, "metadata": _METADATA},
    read={
        "id": share,
        "assigned_accounts": lambda stored: int(stored or 0),
        "capabilities": _unpack_capabilities,
        "max_accounts": lambda stored: int((stored or {}).get("maxAccounts") or 0),
        "metadata": _unpack_metadata,
    },
    written={"metadata": (("metadata", "capabilities", "max_accounts"), _pack_worker)},
)


def _measure_stored() -> ColumnElement[Any]:
    sizes = [
        func.coalesce(func.length(schema.accounts.c[column]), 0)
        for column in schema.SEALED["accounts"]
    ]
    return reduce(add, sizes).cast(Integer)


ACCOUNTS = Rows(
    Account,
    schema.accounts,
    derived={
        "has_profile": schema.accounts.c.profile.is_not(None),
        "stored_bytes": _measure_stored(),
        "has_credentials": schema.accounts.c.credentials.is_not(None),
        "has_fingerprint": schema.accounts.c.fingerprint.is_not(None),
    },
    bounded={"user_info": bound_text(schema.accounts.c.user_info, USER_INFO_BYTES)},
    read={
        "platform": share,
        "assigned_worker_id": share,
        "pinned_worker_id": share,
        "tags": lambda stored: tuple(stored or ()),
    },
    written={"tags": (("tags",), lambda account: list(account.tags) or None)},
    named_by="account_id",
)
LOGINS = Rows(
    Login,
    schema.login_sessions,
    derived={"has_qr_code": schema.login_sessions.c.qr_code_data.is_not(None)},
)
PROXIES = Rows(
    Proxy,
    schema.proxies,
    derived={"has_password": schema.proxies.c.password.is_not(None)},
    named_by="name",
)
CONFIGS = Rows(
    WorkerConfig,
    schema.worker_configs,
    key="worker_id",
    # whether the seal is valid, `farm.load` finds out
    derived={"verified": schema.worker_configs.c.seal.is_not(None)},
    read={"args": lambda stored: tuple(stored or ()), "env": lambda stored: dict(stored or {})},
    written={"args": (("args",), lambda config: list(config.args))},
)
DEVICES = Rows(Device, schema.client_devices, key="device_id")
LINKS = Rows(LoginLink, schema.login_links)
NOTIFICATIONS = Rows(Notification, schema.notifications, read={"data": lambda stored: stored or {}})
COMMENTS = Rows(
    Message,
    schema.comments,
    renamed={"platform_id": "platform_comment_id"},
    fixed={"kind": MessageKind.COMMENT, "direction": None},
)
DIRECT_MESSAGES = Rows(
    Message,
    schema.direct_messages,
    renamed={
        "platform_id": "platform_message_id",
        "author_name": "sender_name",
        "author_id": "sender_id",
    },
    fixed={"kind": MessageKind.DIRECT_MESSAGE, "post_id": None, "post_title": None},
)
MESSAGES: Mapping[MessageKind, Rows[Message]] = {
    MessageKind.COMMENT: COMMENTS,
    MessageKind.DIRECT_MESSAGE: DIRECT_MESSAGES,
}
"""Two tables of one shape; each message is stored once per (account, platform id)."""

FARM: tuple[Rows[Any], ...] = (WORKERS, PROXIES, CONFIGS, ACCOUNTS, LOGINS, DEVICES, LINKS)
"""The nouns that are in memory, in the order of `Farm.tables`."""
