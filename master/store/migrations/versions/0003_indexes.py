"""Partial indexes: accounts that wait for a worker, and read messages."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE INDEX idx_accounts_waiting ON accounts(status, created_at, id) WHERE assigned_worker_id IS NULL",
    "CREATE INDEX idx_comments_read ON comments(account_id) WHERE is_read = 1",
    "CREATE INDEX idx_direct_messages_read ON direct_messages(account_id) WHERE is_read = 1",
)


def upgrade() -> None:
    """Create them; the source document's indexes stay as they are."""
    for statement in STATEMENTS:
        op.execute(statement)
