"""A stored batch loads as the same farm; writes by others to the file are noticed."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from master.draft import Draft
from master.farm import ACCOUNTS, CONFIGS, DEVICES, PROXIES, WORKERS
from master.model import Notification, NotificationType, Priority, SessionStatus
from master.secret import Secret
from master.store import sealing
from master.store.accounts import read_account_secrets
from master.store.farm import MemoryOutdated
from master.vault import Vault
from tests.core.growth import KINDS, Chance, Model, check
from tests.core.store import model_of
from tests.records import (
    make_account,
    make_config,
    make_device,
    make_login,
    make_proxy,
    make_worker,
)
from tests.stored import check_farm, describe_farm, describe_file

REMOVED = (ACCOUNTS, CONFIGS, DEVICES, PROXIES)
"""Kinds that an operation may remove while others of its batch change references to them."""


def forget_ended(model: Model) -> None:
    for kind in KINDS:
        records = model.of(kind)
        for key in [key for key, record in records.items() if not kind.is_kept(record)]:
            del records[key]


@pytest.mark.parametrize("seed", [*range(6), 12])
async def test_what_is_loaded_is_what_was_written_whatever_it_was(store, seed):
    chance, model = Chance(seed, removes=REMOVED), Model()
    for _ in range(25):
        draft = Draft(store.memory)
        for _ in range(chance.random.randrange(1, 5)):
            item, decided = draft.begin(), model.copy()
            for _ in range(chance.random.randrange(1, 4)):
                chance.change(decided, item)
            if chance.random.random() < 0.8:
                draft.absorb(item)
                model = decided
        for worker in list(model.of(WORKERS).values()):
            load = sum(one.assigned_worker_id == worker.id for one in model.of(ACCOUNTS).values())
            model.of(WORKERS)[worker.id] = replace(worker, assigned_accounts=load)
            draft.workers.put(model.of(WORKERS)[worker.id])
        draft.allocate_seqs(chance.random.randrange(3))
        await store.commit(draft)
        forget_ended(model)
        check(store.memory.farm, model)
        assert describe_farm(store.memory.farm) == describe_file(store.path)
    check(await store.load(), model)


async def test_every_field_of_every_noun_comes_back_from_the_file(filled):
    changed = Draft(filled.memory)
    changed.workers.put(
        make_worker(
            "w1",
            1,
            capabilities=("a", "b"),
            max_accounts=7,
            metadata={"x": [1]},
            version="2",
            port=9,
        )
    )
    changed.configs.put(
        make_config(
            "w1",
            command="run",
            args=("-v", "x"),
            env={"A": "1"},
            proxy_id="p",
            max_accounts=3,
            auto_start=True,
        )
    )
    changed.accounts.put(
        make_account(
            "held",
            account_id="on-platform",
            user_info={"uid": 7},
            monitor_interval=99,
            last_login_time=5,
            cookies_valid_until=6,
            assigned_worker_id="w1",
            pinned_worker_id="w2",
            platform_user_id="7",
            epoch=4,
            updated_at=8,
        )
    )
    changed.logins.put(
        make_login("login", "held", "w1", status=SessionStatus.SCANNING, expires_at=900)
    )
    changed.devices.put(
        make_device("d", device_type="phone", device_name="n", seen_seq=12, last_seen_at=3)
    )
    changed.proxies.put(make_proxy("p", server="other:1", username="me", status="inactive"))
    await filled.commit(changed)
    loaded = await filled.load()
    for table, known in zip(loaded.tables, filled.memory.farm.tables, strict=True):
        assert sorted(table.all(), key=repr) == sorted(known.all(), key=repr)
    check_farm(filled.memory.farm, filled.path)


@pytest.mark.parametrize(
    ("elsewhere", "decide"),
    [
        (
            "UPDATE accounts SET epoch = epoch + 1, assigned_worker_id = 'w2' WHERE id = 'held'",
            lambda draft: draft.accounts.put(
                replace(draft.accounts.get("held"), monitor_interval=99)
            ),
        ),
        (
            "DELETE FROM accounts WHERE id = 'waits'",
            lambda draft: draft.assign(draft.accounts.get("waits"), "w2", 0),
        ),
        (
            "UPDATE accounts SET epoch = 9 WHERE id = 'waits'",
            lambda draft: draft.accounts.remove("waits"),
        ),
        (
            "UPDATE login_sessions SET status = 'failed'",
            lambda draft: draft.logins.put(
                make_login("login", "held", "w1", status=SessionStatus.SUCCESS)
            ),
        ),
        (
            "DELETE FROM client_devices",
            lambda draft: draft.devices.put(make_device("d", seen_seq=5)),
        ),
        (
            "UPDATE counters SET value = value + 1 WHERE name = 'notification_seq'",
            lambda draft: draft.allocate_seqs(1),
        ),
    ],
    ids=[
        "account moved",
        "account gone",
        "account not as it was",
        "login ended",
        "device gone",
        "sequence went on",
    ],
)
async def test_a_condition_that_misses_says_that_somebody_else_wrote_and_nothing_is_stored(
    filled, elsewhere, decide
):
    draft = Draft(filled.memory)
    draft.workers.put(make_worker("w1", 1, version="not to be stored"))
    decide(draft)
    filled.ask_file(elsewhere)
    with pytest.raises(MemoryOutdated):
        await filled.commit(draft)
    assert filled.ask_file("SELECT count(*) FROM workers WHERE version IS NOT NULL") == [(0,)]


async def test_secrets_are_sealed_on_their_way_and_opened_on_their_way_out(filled):
    draft = Draft(filled.memory)
    cookies, agent = {"cookies": [{"value": "planted-cookie"}]}, {"agent": "planted-agent"}
    draft.keep("accounts", "held", {"credentials": Secret(cookies)})
    draft.begin().keep("accounts", "waits", {"credentials": Secret("thrown away")})
    item = draft.begin()
    item.keep("accounts", "held", {"fingerprint": Secret(agent)})
    item.keep("proxies", "p", {"password": Secret("planted-password")})
    draft.absorb(item)
    await filled.commit(draft)
    stored = filled.ask_file("SELECT credentials, fingerprint FROM accounts WHERE id = 'held'")
    stored += filled.ask_file("SELECT password FROM proxies")
    assert all(value.startswith(b"v1:") for row in stored for value in row)
    assert (
        b"planted"
        not in filled.path.read_bytes() + filled.path.with_name("master.db-wal").read_bytes()
    )
    async with filled.database.read() as connection:
        found = await read_account_secrets(connection, ("held", "waits"))
    assert found["held"].opened == {"credentials": cookies, "fingerprint": agent, "profile": None}
    assert found["waits"].opened == {"credentials": None, "fingerprint": None, "profile": None}
    loaded = await filled.load()
    held = loaded.accounts.get("held")
    assert (held.has_credentials, held.has_fingerprint, loaded.proxies.get("p").has_password) == (
        True,
        True,
        True,
    )
    assert not loaded.accounts.get("waits").has_credentials


async def test_others_run_while_many_secrets_are_opened(store, monkeypatch):
    names = [f"a-{number:03}" for number in range(350)]
    draft = Draft(store.memory)
    for name in names:
        draft.accounts.put(make_account(name, account_name=name, has_credentials=True))
        draft.keep("accounts", name, {"credentials": Secret({"cookies": []})})
    await store.commit(draft)
    passes, opened, real = 0, Counter(), Vault.open

    async def pass_by() -> None:
        nonlocal passes
        while True:
            passes += 1
            await asyncio.sleep(0)

    def count(*asked):
        opened[passes] += 1
        return real(*asked)

    monkeypatch.setattr(Vault, "open", count)
    others = asyncio.create_task(pass_by())
    async with store.database.read() as connection:
        found = await read_account_secrets(connection, tuple(names))
    others.cancel()
    assert [secrets.opened["credentials"] for secrets in found.values()] == [{"cookies": []}] * 350
    assert sum(opened.values()) == 350
    assert max(opened.values()) <= sealing.AT_ONCE


async def test_a_value_that_is_no_secret_does_not_go_where_secrets_go(filled):
    draft = Draft(filled.memory)
    draft.keep("accounts", "held", {"credentials": {"cookies": []}})
    with pytest.raises(AssertionError, match="stores secrets only"):
        await filled.commit(draft)


async def test_an_account_is_removed_with_all_that_belongs_to_it(filled):
    filled.ask_file(
        "INSERT INTO comments (id, account_id, platform_comment_id, content, detected_at, "
        "created_at) "
        "VALUES ('c', 'held', 'x', 'text', 0, 0)"
    )
    filled.ask_file(
        "INSERT INTO notifications (id, seq, type, account_id, title, content, created_at) "
        "VALUES ('n', 1, 'comment', 'held', 't', 'c', 0)"
    )
    filled.ask_file("INSERT INTO client_deliveries VALUES ('d', 'n', 0)")
    draft = Draft(filled.memory)
    account = draft.release(draft.accounts.get("held"), 1)
    draft.logins.remove("login")
    draft.accounts.remove(account.id)
    await filled.commit(draft)
    for table in ("comments", "notifications", "login_sessions", "client_deliveries"):
        assert filled.ask_file(f"SELECT count(*) FROM {table}") == [(0,)], table  # noqa: S608
    assert filled.ask_file("SELECT id FROM accounts") == [("waits",)]
    check_farm(filled.memory.farm, filled.path)


async def test_signs_of_life_never_go_back_in_the_file(filled):
    for at, expected in ((100, 100), (90, 100), (110, 110)):
        draft = Draft(filled.memory)
        draft.signs["w1"] = at
        await filled.commit(draft)
        assert filled.ask_file("SELECT last_heartbeat FROM workers WHERE id = 'w1'") == [
            (expected,)
        ]
    newcomer = Draft(filled.memory)
    newcomer.workers.put(make_worker("w3"))
    newcomer.signs["w3"] = 120
    await filled.commit(newcomer)
    assert filled.ask_file("SELECT last_heartbeat FROM workers WHERE id = 'w3'") == [(120,)]


async def test_notifications_and_their_seqs_are_stored_together(filled):
    draft = Draft(filled.memory)
    seq = draft.allocate_seqs(2)
    draft.notes += [
        Notification(
            f"n{number}",
            number,
            NotificationType.SYSTEM,
            None,
            None,
            "t",
            "c",
            {"a": 1},
            Priority.URGENT,
            False,
            None,
            0,
        )
        for number in (seq, seq + 1)
    ]
    await filled.commit(draft)
    assert filled.ask_file("SELECT seq, data FROM notifications") == [
        (seq, '{"a":1}'),
        (seq + 1, '{"a":1}'),
    ]
    assert (await filled.load()).last_seq == seq + 1 == filled.memory.farm.last_seq


async def test_of_a_thousand_rows_none_is_lost_where_the_file_is_read_in_portions(
    store, monkeypatch
):
    monkeypatch.setattr("master.store.farm.CHUNK", 7)
    draft = Draft(store.memory)
    draft.workers.put(make_worker("w"))
    for number in range(50):
        draft.accounts.put(make_account(f"{number:03}"))
        draft.logins.put(
            make_login(f"l{number}", f"{number:03}", "w", status=list(SessionStatus)[number % 5])
        )
    await store.commit(draft)
    loaded = await store.load()
    assert (len(loaded.accounts), len(loaded.logins)) == (50, 20)
    check(loaded, model_of(store.memory.farm))


async def test_what_workers_hold_is_counted_whatever_somebody_else_wrote(filled):
    filled.ask_file("UPDATE accounts SET assigned_worker_id = 'w2' WHERE id = 'held'")
    filled.ask_file("UPDATE workers SET assigned_accounts = 7 WHERE id = 'w1'")
    filled.memory.farm.replace(await filled.load())
    assert [filled.memory.farm.workers.get(name).assigned_accounts for name in ("w1", "w2")] == [
        0,
        1,
    ]
    assert await filled.difference() is None, "or the farm would be reloaded forever"
    draft = Draft(filled.memory)
    draft.assign(draft.accounts.get("waits"), "w1", 0)
    await filled.commit(draft)
    assert filled.ask_file("SELECT assigned_accounts FROM workers WHERE id = 'w1'") == [(1,)]


@pytest.mark.parametrize(
    ("elsewhere", "said"),
    [
        ("UPDATE workers SET status = 'offline' WHERE id = 'w2'", "workers"),
        ("UPDATE accounts SET assigned_worker_id = 'w2' WHERE id = 'held'", "accounts of"),
        ("UPDATE accounts SET epoch = 9 WHERE id = 'waits'", "accounts of"),
        (
            "INSERT INTO accounts (id, platform, account_name, created_at, updated_at) VALUES "
            "('x', 'y', 'z', 0, 0)",
            "accounts of ['None']",
        ),
        ("UPDATE login_sessions SET status = 'failed'", "open logins"),
        ("UPDATE login_sessions SET expires_at = 1", "open logins"),
    ],
)
async def test_an_audit_finds_in_what_the_file_was_changed_by_somebody_else(
    filled, elsewhere, said
):
    assert await filled.difference() is None
    filled.ask_file(elsewhere)
    assert said in str(await filled.difference())
