"""Indexes of the few among many: accounts that wait for a worker, messages that somebody has read."""

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
    """Make them beside the source document's, which stay as they are."""
    for statement in STATEMENTS:
        op.execute(statement)
