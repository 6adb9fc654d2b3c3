"""Who held an account before, and who reported a message; whose accounts are of which epoch is read off an index."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE TABLE account_holders ("
    "account_id TEXT NOT NULL REFERENCES accounts(id), worker_id TEXT NOT NULL, "
    "epoch INTEGER NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (account_id, worker_id))",
    "CREATE INDEX idx_account_holders_until ON account_holders(until)",
    "ALTER TABLE comments ADD COLUMN reported_by TEXT",
    "ALTER TABLE direct_messages ADD COLUMN reported_by TEXT",
    "DROP INDEX idx_accounts_worker",
    "CREATE INDEX idx_accounts_worker ON accounts(assigned_worker_id, epoch)",
    # who held these before nobody has written down: the empty name is anybody, until they last changed hands
    "INSERT INTO account_holders (account_id, worker_id, epoch, until) "
    "SELECT id, '', epoch, updated_at FROM accounts "
    "WHERE epoch > 1 OR (epoch = 1 AND assigned_worker_id IS NULL)",
)


def upgrade() -> None:
    """Begin to write it down; what a worker that has lost an account still has to report is taken meanwhile."""
    for statement in STATEMENTS:
        op.execute(statement)
