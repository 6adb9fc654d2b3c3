"""Saved views of the console: what an administrator keeps, wherever they sign in."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE TABLE console_views (
  id TEXT PRIMARY KEY NOT NULL,
  owner TEXT NOT NULL,
  name TEXT NOT NULL,
  url TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX uq_console_views_name ON console_views(owner, name);
"""


def upgrade() -> None:
    """Add the table."""
    for statement in STATEMENTS.split(";"):
        if statement.strip():
            op.execute(statement)
