"""Waiting accounts are found in memory: no query reads their index, but every handover wrote it."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Drop the index."""
    op.execute("DROP INDEX IF EXISTS idx_accounts_waiting")
