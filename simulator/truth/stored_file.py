"""Checks of Master's database file, read with sqlite3; only the vault opens its seals.

The rules of the HTTP lists (invariants.py), and those that only the file can prove: it is intact,
no sequence number is missing, and acknowledged logins and confirmations are stored.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from master.model import OPEN_SESSION, MessageKind, SessionStatus
from master.secret import SealBroken
from master.vault import Vault, open_vault
from simulator.truth.invariants import LISTS, Complain, Stored, check_messages, check_notifications
from simulator.truth.ledger import SECRET_MARK, Facts, Ledger
from simulator.truth.platform import Platform

TABLES = {MessageKind.COMMENT: "comments", MessageKind.DIRECT_MESSAGE: "direct_messages"}

LOST = frozenset(
    {"acknowledged_and_lost", "not_notified", "sequence_gap", "account_lost", "login_lost"}
) | {
    "wrong_credentials",
    "confirmation_lost",
}
DOUBLED = frozenset({"stored_twice", "notified_twice", "account_doubled", "two_open_logins"})
"""The meaning of broken rules: acknowledged data is missing, or data is stored more than once."""


@dataclass(slots=True)
class StoredFile:
    """The contents of the file. `logins` are in the order in which they began."""

    lists: Stored = field(default_factory=Stored)
    faults: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    last_seq: int = 0
    names: list[tuple[str, str]] = field(default_factory=list)
    logins: dict[str, tuple[str, str]] = field(default_factory=dict)
    credentials: dict[str, Any] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    confirmed: set[tuple[str, str]] = field(default_factory=set)
    loads: list[tuple[str, int, int]] = field(default_factory=list)


def read_file(path: Path, *, thorough: bool, keys: str | None = None) -> StoredFile:
    """Read a whole database file in one snapshot.

    `thorough` also looks for damage and for readable secrets. `keys` is the value of MASTER_KEYS;
    without it, the key file beside the database opens the credentials.
    """
    vault = open_vault(path, keys)
    with closing(
        sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=10)
    ) as connection:
        connection.execute("BEGIN")
        found = StoredFile()
        if thorough:
            found.faults += [
                row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"
            ]
            loose = connection.execute("PRAGMA foreign_key_check")
            found.faults += [f"{row[0]} refers to a missing row of {row[2]}" for row in loose]
            found.leaks += find_secrets(path)
        _read_lists(connection, found)
        _read_states(connection, found, vault)
        return found


def find_secrets(path: Path) -> list[str]:
    """Return a line for each of the database's files whose bytes contain a readable secret."""
    files = [path.with_name(path.name + suffix) for suffix in ("", "-wal")]
    return [
        f"a secret can be read in {file.name}"
        for file in files
        if file.exists() and SECRET_MARK.encode() in file.read_bytes()
    ]


def _read_lists(connection: sqlite3.Connection, found: StoredFile) -> None:
    for kind, table in TABLES.items():
        column = LISTS[kind][1]
        direction = "NULL" if kind is MessageKind.COMMENT else "direction"
        query = f"SELECT id, account_id, {column}, {direction} FROM {table}"  # noqa: S608
        for row_id, account_id, name, turned in connection.execute(query):
            found.lists.messages.setdefault((account_id, kind), []).append(
                {"id": row_id, column: name, "direction": turned}
            )
    query = "SELECT id, type, related_id, seq, data FROM notifications ORDER BY seq"
    found.lists.notifications = [
        {
            "id": row_id,
            "type": kind,
            "related_id": related_id,
            "seq": seq,
            "data": json.loads(data or "{}"),
        }
        for row_id, kind, related_id, seq, data in connection.execute(query)
    ]
    query = "SELECT value FROM counters WHERE name = 'notification_seq'"
    found.last_seq = connection.execute(query).fetchone()[0]


def _read_states(connection: sqlite3.Connection, found: StoredFile, vault: Vault) -> None:
    query = "SELECT id, platform, account_id, login_status, credentials, status FROM accounts"
    for row_id, platform, name, login_status, credentials, status in connection.execute(query):
        found.lists.accounts[row_id] = {
            "login_status": login_status,
            "status": status,
            "has_credentials": credentials is not None,
        }
        found.names.append((platform, name))
        found.credentials[row_id] = _open_credentials(vault, row_id, credentials)
    query = "SELECT id, account_id, status FROM login_sessions ORDER BY rowid"
    found.logins = {
        row_id: (account_id, status) for row_id, account_id, status in connection.execute(query)
    }
    device = "substr(device_id, instr(device_id, char(31)) + 1)"  # without its token's name
    seen = f"SELECT {device}, seen_seq FROM client_devices"  # noqa: S608 - our own names
    found.seen = dict(connection.execute(seen))
    confirmed = f"SELECT {device}, notification_id FROM client_deliveries"  # noqa: S608
    found.confirmed = set(connection.execute(confirmed))
    query = """SELECT id, assigned_accounts,
               (SELECT count(*) FROM accounts WHERE assigned_worker_id = workers.id)
               FROM workers"""
    found.loads = list(connection.execute(query))


def _open_credentials(vault: Vault, row_id: str, stored: bytes | None) -> Any:
    """Return an account's credentials: None without any, the fault's text if the seal is broken."""
    try:
        return None if stored is None else vault.open("accounts.credentials", row_id, stored)
    except SealBroken as fault:
        return str(fault)


def check_file(
    found: StoredFile, facts: Facts, ledger: Ledger, platform: Platform, complain: Complain
) -> None:
    """Compare the file with earlier acknowledgements; complain about every difference."""
    for fault in found.faults:
        complain("file_damaged", fault)
    for leak in found.leaks:
        complain("secret_in_file", leak)
    for feed in sorted({*found.lists.messages, *facts.acknowledged}):
        listed = [str(row[LISTS[feed[1]][1]]) for row in found.lists.messages.get(feed, [])]
        check_messages(feed, listed, ledger.show_told(feed, facts), platform, complain)
    check_notifications(found.lists, complain)
    check_sequence([row["seq"] for row in found.lists.notifications], found.last_seq, complain)
    check_accounts(found, facts, complain)
    check_logins(found, facts, ledger, complain)
    ledger.states.compare(found.lists.accounts, facts.states)
    check_confirmations(found, facts, complain)
    for worker_id, told, counted in found.loads:
        if told != counted:
            complain(
                "load_differs", f"{worker_id} counts {told} assigned accounts and owns {counted}"
            )


def check_sequence(seqs: list[int], last_seq: int, complain: Complain) -> None:
    """Check that every sequence number from 1 to the last one assigned is stored, once."""
    times = Counter(seqs)
    for seq in sorted({*times, *range(1, last_seq + 1)}):
        if times[seq] != 1 or seq > last_seq:
            complain(
                "sequence_gap",
                f"sequence number {seq} of {last_seq} is stored {times[seq]} times",
            )


def check_accounts(found: StoredFile, facts: Facts, complain: Complain) -> None:
    """Check that every acknowledged account is stored, and none twice."""
    for account_id in sorted(facts.accounts - set(found.lists.accounts)):
        complain("account_lost", f"{account_id} was created and is not in the file")
    for (platform, name), times in Counter(found.names).items():
        if times > 1:
            complain("account_doubled", f"{name} of {platform} is stored {times} times")


def compare_owners(
    stored: Mapping[str, str | None], believed: Mapping[str, Sequence[str]]
) -> list[str]:
    """Return a line for each account whose stored owner is not its only believed owner."""
    lines = []
    for account_id in sorted({*stored, *believed}):
        owner, holders = stored.get(account_id), list(believed.get(account_id, ()))
        if holders != [name for name in (owner,) if name]:
            lines.append(
                f"{account_id} belongs to {owner}, claimed by {', '.join(holders) or None}"
            )
    return lines


def check_logins(found: StoredFile, facts: Facts, ledger: Ledger, complain: Complain) -> None:
    """Check that every acknowledged login is stored as a success.

    Each account must have the cookies of its last success, and at most one open login.
    """
    for session_id in sorted(facts.logins):
        status = found.logins.get(session_id, ("", "missing"))[1]
        if status != SessionStatus.SUCCESS:
            complain("login_lost", f"{session_id} was acknowledged as a success and is {status}")
    newest: dict[str, str] = {}
    opened: Counter[str] = Counter()
    for session_id, (account_id, status) in found.logins.items():
        if status == SessionStatus.SUCCESS:
            newest[account_id] = session_id
        opened[account_id] += status in OPEN_SESSION
    for account_id, session_id in newest.items():
        sent = ledger.logins.get(session_id)
        if sent is None:
            complain("login_invented", f"{session_id} is a success that no worker reported")
        elif found.credentials.get(account_id) != {"cookies": sent.cookies}:
            complain(
                "wrong_credentials",
                f"{account_id} does not have the cookies of its last login {session_id}",
            )
    for account_id, count in opened.items():
        if count > 1:
            complain("two_open_logins", f"{account_id} has {count} open logins")


def check_confirmations(found: StoredFile, facts: Facts, complain: Complain) -> None:
    """Check that every acknowledged confirmation is stored, or that the device has passed it."""
    seq_of = {row["id"]: row["seq"] for row in found.lists.notifications}
    for device_id, notification_id in sorted(facts.confirmations - found.confirmed):
        if (
            seq_of.get(notification_id, 0) > found.seen.get(device_id, -1)
            or notification_id not in seq_of
        ):
            complain(
                "confirmation_lost",
                f"{device_id} confirmed {notification_id}, and no confirmation is stored",
            )
