"""Former owners of accounts, and the worker that reported a message.

One index has the owners and epochs of all accounts.
"""

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
    # former owners are unknown: the empty name stands for every worker, until the last handover
    "INSERT INTO account_holders (account_id, worker_id, epoch, until) "
    "SELECT id, '', epoch, updated_at FROM accounts "
    "WHERE epoch > 1 OR (epoch = 1 AND assigned_worker_id IS NULL)",
)


def upgrade() -> None:
    """Begin to store former owners; until then, every worker's late reports are accepted."""
    for statement in STATEMENTS:
        op.execute(statement)
