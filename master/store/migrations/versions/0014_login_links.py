"""Login links: an account's owner logs it in on a phone; what they do is part of the audit."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE TABLE login_links (
  id TEXT PRIMARY KEY NOT NULL,
  account_id TEXT NOT NULL REFERENCES accounts(id),
  state TEXT NOT NULL,
  secret_hash TEXT NOT NULL,
  note TEXT,
  require_uid TEXT,
  made_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  device_hash TEXT,
  device_address TEXT,
  device_agent TEXT,
  opened_at INTEGER,
  session_id TEXT,
  starts INTEGER NOT NULL,
  outcome TEXT,
  refused INTEGER NOT NULL,
  ended_at INTEGER,
  end_reason TEXT
);
CREATE INDEX idx_login_links_account ON login_links(account_id, created_at);
CREATE INDEX idx_login_links_created ON login_links(created_at);
CREATE UNIQUE INDEX uq_login_links_secret ON login_links(secret_hash);

DROP INDEX idx_events_person;
CREATE INDEX idx_events_person ON events(seq) WHERE by_kind IN ('admin', 'http', 'link');
"""


def upgrade() -> None:
    """Add the table, and the owners' events to the index of the audit."""
    for statement in STATEMENTS.split(";"):
        if statement.strip():
            op.execute(statement)
