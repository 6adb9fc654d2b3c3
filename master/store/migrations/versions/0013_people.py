"""An account's proxy, tags and note; drains, maintenance; the history's number is the row number.

Row numbers need no index.
"""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

STATEMENTS = """
ALTER TABLE workers ADD COLUMN drain_since INTEGER;
ALTER TABLE workers ADD COLUMN drain_deadline INTEGER;
ALTER TABLE workers ADD COLUMN drain_reason TEXT;
ALTER TABLE workers ADD COLUMN drain_by TEXT;
ALTER TABLE workers ADD COLUMN drain_moved INTEGER NOT NULL DEFAULT 0;
ALTER TABLE workers ADD COLUMN drain_done BOOLEAN NOT NULL DEFAULT 0;
CREATE TABLE maintenance (
  id INTEGER PRIMARY KEY NOT NULL,
  since INTEGER NOT NULL,
  deadline_at INTEGER NOT NULL,
  reason TEXT,
  begun_by TEXT
);
ALTER TABLE accounts ADD COLUMN proxy_id TEXT REFERENCES proxies(id);
ALTER TABLE accounts ADD COLUMN tags TEXT;
ALTER TABLE accounts ADD COLUMN note TEXT;
CREATE INDEX idx_accounts_proxy ON accounts(proxy_id) WHERE proxy_id IS NOT NULL;

DROP INDEX idx_events_account;
DROP INDEX idx_events_worker;
DROP INDEX idx_events_person;
ALTER TABLE events RENAME TO events_before;
CREATE TABLE events (
  seq INTEGER PRIMARY KEY NOT NULL,
  at_ms BIGINT NOT NULL,
  kind TEXT NOT NULL,
  account_id TEXT,
  worker_id TEXT,
  target TEXT,
  epoch BIGINT,
  reason TEXT,
  by_kind TEXT NOT NULL,
  by_name TEXT,
  request_id TEXT,
  params TEXT
);
INSERT INTO events
  SELECT seq, at_ms, kind, account_id, worker_id, target, epoch, reason, by_kind, by_name,
    request_id, params
  FROM events_before ORDER BY seq;
DROP TABLE events_before;
CREATE INDEX idx_events_account ON events(account_id, seq) WHERE account_id IS NOT NULL;
CREATE INDEX idx_events_worker ON events(worker_id, seq) WHERE worker_id IS NOT NULL;
CREATE INDEX idx_events_person ON events(seq) WHERE by_kind IN ('admin', 'http');
"""


def upgrade() -> None:
    """Add the columns and the table, and copy the history into a table without an index more."""
    for statement in STATEMENTS.split(";"):
        if statement.strip():
            op.execute(statement)
