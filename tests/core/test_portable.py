"""The store's statements are portable SQLAlchemy Core: each one also compiles for PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.schema import CreateIndex, CreateTable

from master.draft import Draft
from master.keys import make_key
from master.memory import Memory
from master.model import (
    Account,
    AccountStatus,
    Device,
    Direction,
    Login,
    LoginStatus,
    Message,
    MessageKind,
    Notification,
    NotificationType,
    Priority,
    Proxy,
    SessionStatus,
    Worker,
    WorkerConfig,
    WorkerStatus,
)
from master.protocol.lists import (
    AccountsQuery,
    CommentsQuery,
    LoginsQuery,
    NotificationsQuery,
    write_cursor,
)
from master.record import change
from master.secret import Secret
from master.store import (
    accounts,
    farm,
    holders,
    logins,
    messages,
    notifications,
    proxies,
    views,
)
from master.store import counters as kept_counters
from master.store.comparison import find_difference, touch
from master.store.many import _prepared
from master.store.schema import counters, metadata
from master.vault import Vault

POSTGRESQL = postgresql.dialect()


class Store:
    """A file, its farm, and the statements executed."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.memory = Memory()
        self.compiled: list[str] = []

    def note(self, connection: Any, clause: Any, *_: Any) -> None:
        """Compile a statement for PostgreSQL. Errors: CompileError."""
        self.compiled.append(str(clause.compile(dialect=POSTGRESQL)))

    async def commit(self, decide: Callable[[Draft], None]) -> None:
        """Store a draft, apply it to the farm, and check that the file equals the farm."""
        draft, known = Draft(self.memory), self.memory.farm
        decide(draft)
        async with self.engine.begin() as connection:
            await farm.write(connection, known, draft)
        for table, changes in zip(known.tables, draft.tables, strict=True):
            for key, record in changes.changed.items():
                if record is None or not table.kind.is_kept(record):
                    table.remove(key)
                else:
                    table.put(record)
        known.last_seq = draft.last_seq
        async with self.engine.begin() as connection:
            stored = await farm.load(connection)
            assert await find_difference(connection, known) is None
        for mine, theirs in zip(known.tables, stored.tables, strict=True):
            assert sorted(map(repr, mine.all())) == sorted(map(repr, theirs.all()))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    vault = Vault(os.urandom)
    vault.use([make_key(os.urandom)])
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{tmp_path / 'm.db'}", execution_options={"vault": vault}
    )
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
        await connection.execute(insert(counters).values(name=farm.SEQUENCE, value=0))
    store = Store(engine)
    event.listen(engine.sync_engine, "before_execute", store.note)
    yield store
    await engine.dispose()


def worker(number: int) -> Worker:
    return Worker(
        f"w{number}", "h", 1, WorkerStatus.CONNECTED, ("douyin",), 10, 0, 1, None, {"a": 1}, 1, 1
    )


def account(number: int) -> Account:
    status, login = AccountStatus.ACTIVE, LoginStatus.NOT_LOGGED_IN
    return Account(
        f"a{number}", "douyin", "n", f"p{number}", False, False, {"x": 1}, status, login,
        20, None, None, None, None, None, 0, 1, 1,
    )  # fmt: skip


def login(number: int) -> Login:
    return Login(
        f"s{number}", "a1", "w1", SessionStatus.PENDING, "qrcode", False, None, 99, None, 1
    )


async def test_what_a_farm_is_stored_and_loaded_with_is_understood(store: Store) -> None:
    def begin(draft: Draft) -> None:
        for number in range(5):
            draft.workers.put(worker(number))
            draft.signs[f"w{number}"] = 5
        for number in range(10):
            draft.accounts.put(account(number))
            draft.assign(account(number), f"w{number % 5}", 7)
        draft.proxies.put(Proxy("p", "p", "h:1", "http", None, True, "active", 1, 1))
        draft.keep("proxies", "p", {"password": Secret("x")})
        draft.configs.put(
            WorkerConfig("w1", None, ("a",), {"E": "1"}, "p", None, False, True, 1, 1)
        )
        draft.devices.put(Device("d", "t", "n", 0, 1, 1))

    def go_on(draft: Draft) -> None:
        mine = draft.accounts.get("a1")
        assert mine is not None
        draft.keep("accounts", "a1", {"credentials": Secret({"cookies": [1]}), "fingerprint": None})
        draft.accounts.put(change(mine, has_credentials=True, login_status=LoginStatus.LOGGING_IN))
        draft.logins.put(login(1))
        draft.signs["w1"] = 9
        for name in ("a2", "a3"):
            one = draft.accounts.get(name)
            assert one is not None
            draft.release(one, 8)
        draft.accounts.remove("a3")
        draft.last_seq += 3

    def end(draft: Draft) -> None:
        draft.logins.put(change(login(1), status=SessionStatus.FAILED, error_message="x"))
        draft.logins.put(login(2))

    for decide in (begin, go_on, end):
        await store.commit(decide)
    many = [str(statement.compile(dialect=POSTGRESQL)) for statement, _ in list(_prepared.values())]
    assert any(text.startswith("UPDATE accounts") for text in many)


async def test_what_memory_does_not_have_is_asked_for_in_words_that_are_understood(
    store: Store,
) -> None:
    await store.commit(lambda draft: draft.workers.put(worker(1)))
    await store.commit(lambda draft: draft.accounts.put(account(1)))
    await store.commit(lambda draft: draft.devices.put(Device("d", None, None, 0, 1, 1)))
    device = store.memory.farm.devices.get("d")
    assert device is not None
    async with store.engine.begin() as connection:
        await ask_for_messages(connection)
        await ask_for_notifications(connection, device)
        await ask_for_views(connection)
        for sort in (*accounts.ORDERS, "unread", "-unread"):
            await accounts.list_accounts(
                connection,
                AccountsQuery(
                    platform=["douyin", "xhs"], q="a%", tag=["b_"], unassigned=False, sort=sort
                ),
            )
        found = await accounts.list_accounts(connection, AccountsQuery(unread=True), {"a1": 2})
        assert [one.id for one in found.records] == ["a1"]
        await accounts.read_account_secrets(connection, ("a1",))
        assert await accounts.find_unreadable_accounts(connection) == set()
        assert await proxies.find_unreadable_proxies(connection) == set()
        await proxies.read_proxy_secrets(connection, "p")
        await logins.list_logins(
            connection,
            LoginsQuery(status=["failed"], before=write_cursor("-created", [9, "s"]), limit=5),
        )
        await logins.read_codes(connection, ["s1"])
        assert await logins.find_login(connection, "s1") is None
        await logins.remove_old_logins(connection, 5, 10)
        await accounts.has_much(connection, "a1")
        await accounts.remove_some(connection)
        await logins.count_logins(connection)
        await farm.read_last_heartbeats(connection)
        await touch(connection)
        assert await holders.find_former_holders(connection, ["a1"], 0) == set()
        assert await holders.remove_old_holders(connection, 5, 10) == 0
    assert len(store.compiled) > 30


async def ask_for_messages(connection: AsyncConnection) -> None:
    new = [
        Message("m1", "a1", MessageKind.COMMENT, "x", "c", "n", "i", "p", "t", None, False, 1, 1),
        Message(
            "m2",
            "a1",
            MessageKind.DIRECT_MESSAGE,
            "x",
            "c",
            "n",
            "i",
            None,
            None,
            Direction.INBOUND,
            False,
            1,
            1,
        ),
    ]
    assert await messages.keep_messages(connection, new) == (new, [])
    again = [change(one, id=one.id + "-again", author_name="renamed") for one in new]
    assert await messages.keep_messages(connection, again) == ([], [])
    differing = [change(one, content="new") for one in again]
    assert await messages.keep_messages(connection, differing) == ([], differing)
    for kind, message in zip(MessageKind, new, strict=True):
        assert await messages.find_with_ids(connection, kind, differing) == [message]
    edited = [change(one, content="new", edited_at=5, earlier_content="c") for one in new]
    await messages.store_edits(connection, edited)
    for kind, message in zip(MessageKind, edited, strict=True):
        assert await messages.find_with_ids(connection, kind, differing) == [message]
    others = [change(one, id=f"{one.id}-other", variant="j ") for one in new]
    assert await messages.keep_messages(connection, others) == (others, [])
    await messages.summarise_messages(connection, ["a1"])
    for kind in MessageKind:
        asked = CommentsQuery(account_id="a1", is_read=False, since=1, q="/_", sort="detected")
        cursor = write_cursor("detected", [0, 0, "m"])
        asked = asked.model_copy(update={"before": cursor})
        found = await messages.list_messages(connection, kind, asked)
        assert (found.records, found.total) == ([], 0)
        portion = messages.Portion("a1", 2, [1, 1, "m"], 2, 5)
        marks, rest = await messages.find_marks_of(connection, kind, portion, is_read=False)
        assert ([one.position for one in marks][-1], len(marks)) == (rest, 2)
        assert (await messages.tally_messages(connection))["a1", kind] == (2, 2)
    comment = MessageKind.COMMENT
    await messages.mark_messages(connection, comment, ["m1"], is_read=True)
    assert (await messages.tally_messages(connection))["a1", comment] == (2, 1)
    read = change(edited[0], is_read=True)
    assert await messages.find_message(connection, comment, "m1") == read
    assert [one.is_read for one in await messages.find_marks(connection, comment, ["m1"])] == [True]


async def ask_for_views(connection: AsyncConnection) -> None:
    mine, other = (views.View(name, name, "Unread", "#/inbox", 1, 1) for name in ("anna", "ben"))
    for one in (mine, other):
        await views.add_view(connection, one)
    mine = replace(mine, name="All", url="#/accounts", updated_at=2)
    await views.change_view(connection, mine)
    assert await views.list_views(connection, "anna", 5, 0) == ([mine], 1)
    assert await views.find_named(connection, "anna", "Unread") is None
    assert await views.find_named(connection, "ben", "Unread") == other
    assert await views.find_view(connection, "ben", "anna") is None
    await views.remove_view(connection, "anna")
    assert await views.count_views(connection, "anna") == 0
    assert await views.find_view(connection, "ben", "ben") == other


async def ask_for_notifications(connection: AsyncConnection, device: Device) -> None:
    kind, urgency = NotificationType.COMMENT, Priority.NORMAL
    new = [
        Notification(f"n{seq}", seq, kind, "a1", None, "t", "c", {"k": 1}, urgency, False, None, 1)
        for seq in (1, 2, 3)
    ]
    await farm.add_notifications(connection, new)
    assert await notifications.find_owed(connection, device, limit=5) == (new, False)
    assert await notifications.confirm_delivery(connection, "d", "n1", 1)
    assert not await notifications.confirm_delivery(connection, "d", "n1", 1)
    assert await notifications.find_owed(
        connection, device, limit=1, accounts=["a1"], after_seq=1
    ) == ([new[1]], True)
    assert await notifications.find_first_owed(connection, device, 3, ["a1"]) == 2
    assert [await notifications.find_end(connection, 0, 3, limit) for limit in (1, 2, 3, 4)] == [
        1,
        2,
        3,
        3,
    ]
    await notifications.copy_confirmed(connection, "d", "d", 5)
    await notifications.forget_confirmed(connection, "d", 0, 2)
    await notifications.mark_passed(connection, 0, 2, 5, ["a1"])
    await notifications.mark_sent(connection, ["n1"], 5)
    assert await notifications.list_unsent(connection, limit=5) == [new[2]]
    assert await notifications.find_first_unsent(connection) == 3
    assert await notifications.find_last_of(connection, ["a1"]) == 3
    await notifications.find_since(
        connection, after_seq=1, since=0, limit=5, offset=0, accounts=["a1"]
    )
    asked = NotificationsQuery(
        type=[kind], is_sent=True, after_seq=0, before=write_cursor("-seq", [9]), limit=1
    )
    found = await notifications.list_notifications(connection, asked)
    assert ([one.seq for one in found.records], found.has_more, found.total) == ([2], True, 2)
    await notifications.count_notifications(connection)
    assert await notifications.remove_old_notifications(connection, 0, 10) == 0
    assert await notifications.remove_old_notifications(connection, 0, 10, sent=False) == 0
    assert await notifications.remove_passed_notifications(connection, 9, 2, 10) == 2
    await kept_counters.write_counter(connection, "some", 1)
    assert await kept_counters.read_counter(connection, "some") is not None


def test_the_tables_are_understood() -> None:
    for table in metadata.sorted_tables:
        assert str(CreateTable(table).compile(dialect=POSTGRESQL))
        for index in table.indexes:
            assert str(CreateIndex(index).compile(dialect=POSTGRESQL))
