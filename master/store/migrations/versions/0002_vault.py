"""The vault seals secrets; a table of its keys tells which ones this file needs."""

from __future__ import annotations

import orjson
from alembic import context, op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

PLACES = (("accounts", "credentials"), ("accounts", "fingerprint"), ("proxies", "password"))


def upgrade() -> None:
    """Seal the secrets that were stored in plain text."""
    op.execute("CREATE TABLE vault_keys (id TEXT PRIMARY KEY NOT NULL, proof BLOB NOT NULL)")
    vault = context.config.attributes["vault"]
    connection = op.get_bind()
    for table, column in PLACES:
        query = f"SELECT id, {column} FROM {table} WHERE {column} IS NOT NULL"  # noqa: S608
        for row_id, text in connection.exec_driver_sql(query).all():
            assert vault is not None, "an old file is upgraded with keys at hand"
            content = orjson.dumps(text) if column == "password" else text.encode()
            kept = (
                None
                if _is_empty(content)
                else vault.seal_with(vault.writing, f"{table}.{column}", row_id, content)
            )
            connection.exec_driver_sql(
                f"UPDATE {table} SET {column} = ? WHERE id = ?",  # noqa: S608
                (kept, row_id),
            )
    if not context.config.attributes["fresh"]:  # free pages may still have the plain text
        connection.exec_driver_sql(
            "INSERT INTO counters (name, value) VALUES ('plain_text_left', 1)"
        )


def _is_empty(content: bytes) -> bool:
    """Tell whether this object has no values: `{"cookies": []}` used to mean no credentials."""
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        return False
    return value is None or (isinstance(value, dict) and not any(value.values()))
