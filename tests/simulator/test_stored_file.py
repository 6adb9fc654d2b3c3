"""Every rule about the database file can fail: each receives a file that breaks it."""

# ruff: noqa: S608 - the names are our own

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from master.clock import ManualClock
from master.model import MessageKind
from master.store.sqlite.keyring import prepare_database
from master.vault import Vault
from simulator.scenario import Scenario
from simulator.truth.ledger import SECRET_MARK, Ledger
from simulator.truth.platform import Platform
from simulator.truth.stored_file import DOUBLED, LOST, check_file, compare_owners, read_file

ACCOUNT, LOGIN, DEVICE, WORKER = "account-1", "login-1", "device-1", "worker-1"
FEED = (ACCOUNT, MessageKind.COMMENT)


class Run:
    """A finished sound run: one account, one login, two comments, one device, all in the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        clock = ManualClock()
        self.ledger = Ledger(clock)
        self.platform = Platform(Scenario(), clock, "run")
        self.platform.enroll(ACCOUNT, "handle")
        self.ledger.note_account(ACCOUNT)
        self.ledger.note_sent(FEED, [1, 2])
        self.ledger.note_acknowledged(FEED, [1, 2], 2, 0)
        self.ledger.note_login_sent(LOGIN, ACCOUNT, [{"name": "cookie"}])
        self.ledger.note_login_acknowledged(LOGIN)
        self.ledger.note_confirmed(DEVICE, "notification-1")
        vault = Vault()
        prepare_database(path, vault, None)
        sealed = vault.seal("accounts.credentials", ACCOUNT, {"cookies": [{"name": "cookie"}]})
        self.change(
            f"""INSERT INTO workers (id, host, port, assigned_accounts, started_at, created_at,
                                     updated_at)
                VALUES ('{WORKER}', 'localhost', 4000, 1, 0, 0, 0);
                INSERT INTO accounts (id, platform, account_name, account_id, assigned_worker_id,
                                      login_status, credentials, created_at, updated_at)
                VALUES ('{ACCOUNT}', 'douyin', 'name', 'a', '{WORKER}', 'logged_in',
                        x'{sealed.hex()}', 0, 0);
                INSERT INTO login_sessions (id, account_id, worker_id, status, created_at,
                                            expires_at)
                VALUES ('{LOGIN}', '{ACCOUNT}', '{WORKER}', 'success', 0, 0);
                UPDATE counters SET value = 2 WHERE name = 'notification_seq';
                INSERT INTO client_devices (device_id, seen_seq, last_seen_at, created_at)
                VALUES ('{DEVICE}', 0, 0, 0);"""
        )
        for number in (1, 2):
            self.add_comment(number, f"comment-{number}")
            self.add_notification(number, f"comment-{number}")
        self.change(f"INSERT INTO client_deliveries VALUES ('{DEVICE}', 'notification-1', 0)")

    def change(self, statements: str) -> None:
        with closing(sqlite3.connect(self.path)) as connection:
            connection.executescript(statements)

    def add_comment(self, number: int, row_id: str) -> None:
        name = self.platform.name_item(ACCOUNT, MessageKind.COMMENT, number)
        self.change(
            f"""INSERT INTO comments (id, account_id, platform_comment_id, content, detected_at,
                                      created_at)
                VALUES ('{row_id}', '{ACCOUNT}', '{name}', 'text', 0, 0)"""
        )

    def add_notification(self, seq: int, row_id: str) -> None:
        self.change(
            f"""INSERT INTO notifications (id, seq, type, related_id, account_id, title, content,
                                           created_at)
                VALUES ('notification-{seq}', {seq}, 'comment', '{row_id}', '{ACCOUNT}',
                        't', 'c', 0)"""
        )

    def judge(self) -> list[str]:
        complaints = []
        found = read_file(self.path, thorough=True)
        facts = self.ledger.freeze()
        check_file(
            found, facts, self.ledger, self.platform, lambda rule, _: complaints.append(rule)
        )
        return complaints


@pytest.fixture
def run(tmp_path) -> Iterator[Run]:
    return Run(tmp_path / "master.db")


def test_a_file_that_contains_what_was_acknowledged_is_in_order(run):
    assert run.judge() == []


BROKEN = [
    (
        "DELETE FROM comments WHERE id = 'comment-1'; DELETE FROM notifications WHERE seq = 1",
        "acknowledged_and_lost",
    ),
    ("DELETE FROM notifications WHERE seq = 2", "not_notified"),
    ("UPDATE counters SET value = 3", "sequence_gap"),
    ("UPDATE counters SET value = 1", "sequence_gap"),
    ("UPDATE login_sessions SET status = 'scanning'", "login_lost"),
    ("DELETE FROM login_sessions", "login_lost"),
    ("UPDATE accounts SET credentials = NULL", "wrong_credentials"),
    ("UPDATE accounts SET credentials = zeroblob(99)", "wrong_credentials"),
    ("DELETE FROM client_deliveries", "confirmation_lost"),
    ("UPDATE workers SET assigned_accounts = 2", "load_differs"),
    ("UPDATE accounts SET assigned_worker_id = NULL", "load_differs"),
    ("UPDATE accounts SET id = 'another'", "account_lost"),
    ("UPDATE comments SET account_id = 'nobody'", "file_damaged"),
    (f"UPDATE accounts SET user_info = '{SECRET_MARK}.1'", "secret_in_file"),
    (
        "INSERT INTO login_sessions (id, account_id, status, created_at) VALUES ('login-2', "
        "'account-1', 'success', 0)",
        "login_invented",
    ),
    (
        "DROP INDEX uq_comments_platform;"
        "INSERT INTO comments (id, account_id, platform_comment_id, created_at) "
        "SELECT 'comment-3', account_id, platform_comment_id, created_at FROM comments "
        "WHERE id = 'comment-1'",
        "stored_twice",
    ),
    (
        "INSERT INTO notifications (id, seq, type, related_id, title, content, created_at)"
        "VALUES ('again', 3, 'comment', 'comment-1', 't', 'c', 0); UPDATE counters SET value = 3",
        "notified_twice",
    ),
    (
        "DROP INDEX uq_accounts_platform_account;"
        "INSERT INTO accounts (id, platform, account_name, account_id, created_at, updated_at)"
        "VALUES ('account-2', 'douyin', 'name', 'a', 0, 0)",
        "account_doubled",
    ),
    (
        "DROP INDEX uq_login_sessions_open;"
        "INSERT INTO login_sessions (id, account_id, created_at) VALUES ('o1', 'account-1', 0), "
        "('o2', 'account-1', 0)",
        "two_open_logins",
    ),
]


@pytest.mark.parametrize(("statements", "rule"), BROKEN)
def test_a_file_that_lost_or_doubled_something_is_found_out(run, statements, rule):
    run.change(statements)
    assert rule in run.judge()


def test_what_counts_as_lost_or_doubled_are_rules_that_can_be_broken():
    assert {rule for _, rule in BROKEN} >= LOST | DOUBLED


def test_accounts_whose_owner_is_another_than_believed_are_named():
    stored = {"1": "a", "2": "a", "3": None, "4": None}
    believed = {"1": ["a"], "2": ["b"], "3": ["a"], "5": ["b"]}
    assert [line[0] for line in compare_owners(stored, believed)] == ["2", "3", "5"]


def test_a_device_that_has_passed_a_notification_has_confirmed_it(run):
    run.change(
        f"DELETE FROM client_deliveries; UPDATE client_devices SET seen_seq = 1 WHERE device_id = "
        f"'{DEVICE}'"
    )
    assert run.judge() == []
