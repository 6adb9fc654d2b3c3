"""An account's own proxy, its tags and its note."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

STATEMENTS = """
ALTER TABLE accounts ADD COLUMN proxy_id TEXT REFERENCES proxies(id);
ALTER TABLE accounts ADD COLUMN tags TEXT;
ALTER TABLE accounts ADD COLUMN note TEXT;
CREATE INDEX idx_accounts_proxy ON accounts(proxy_id) WHERE proxy_id IS NOT NULL;
"""


def upgrade() -> None:
    """Add the columns and the index by which a proxy's accounts are found."""
    for statement in STATEMENTS.split(";"):
        if statement.strip():
            op.execute(statement)
