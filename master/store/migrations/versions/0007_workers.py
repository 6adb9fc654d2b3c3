"""Workers' reports have budgets; whole profiles are sealed.

`user_info` keeps the part of a profile that people may read.
"""

from __future__ import annotations

from typing import Any

import orjson
from alembic import context, op

from master.protocol.budgets import METADATA_BYTES, USER_INFO_BYTES
from master.protocol.shown import PROFILE, render_profile

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE accounts ADD COLUMN profile BLOB",
    "CREATE INDEX idx_accounts_pinned ON accounts(pinned_worker_id) WHERE pinned_worker_id IS NOT NULL",
    "CREATE INDEX idx_login_sessions_worker ON login_sessions(worker_id)",
)

MOST_METADATA = METADATA_BYTES + 8 * 1024

CUT_METADATA = f"""
    UPDATE workers SET metadata = json_object(
        'capabilities', json_extract(metadata, '$.capabilities'),
        'maxAccounts', json_extract(metadata, '$.maxAccounts'))
    WHERE length(metadata) > {MOST_METADATA} AND json_valid(metadata)
"""  # noqa: S608 - our own names

CUT_PROFILES = f"""
    UPDATE accounts SET user_info = (
        SELECT json_group_object(key, value) FROM json_each(accounts.user_info)
        WHERE type IN ('text', 'integer', 'real') AND length(value) <= 1000
        AND key IN ({", ".join(f"'{name}'" for name in sorted(PROFILE))}))
    WHERE length(user_info) > {USER_INFO_BYTES} AND json_valid(user_info)
"""  # noqa: S608 - our own names
"""The database itself cuts an oversized profile, so that none is ever in memory whole."""


def upgrade() -> None:
    """Cut oversized values, and seal each profile that has more than people may read."""
    for statement in (*STATEMENTS, CUT_METADATA, CUT_PROFILES):
        op.execute(statement)
    connection = op.get_bind()
    vault, sealed = context.config.attributes["vault"], False
    query = "SELECT id FROM accounts WHERE user_info IS NOT NULL"
    for (account_id,) in connection.exec_driver_sql(query).all():
        sealed |= _seal_profile(connection, vault, account_id)
    if sealed:  # free pages may still have the plain text
        connection.exec_driver_sql(
            "INSERT OR REPLACE INTO counters (name, value) VALUES ('plain_text_left', 1)"
        )


def _seal_profile(connection: Any, vault: Any, account_id: str) -> bool:
    """Seal an account's profile if it has more than people may read; return whether it has."""
    row = connection.exec_driver_sql(
        "SELECT user_info FROM accounts WHERE id = ?", (account_id,)
    ).first()
    try:
        profile = orjson.loads(row[0])
    except orjson.JSONDecodeError:
        return False
    if not isinstance(profile, dict) or (shown := render_profile(profile)) == profile:
        return False
    assert vault is not None, "an old file is upgraded with keys at hand"
    content = orjson.dumps(profile)
    kept = vault.seal_with(vault.writing, "accounts.profile", account_id, content)
    connection.exec_driver_sql(
        "UPDATE accounts SET user_info = ?, profile = ? WHERE id = ?",
        (orjson.dumps(shown).decode(), kept, account_id),
    )
    return True
