"""Edits and other conversations of messages, reasons of account states, drains, and who did what.

One index serves the first page of an account's messages.
"""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

STATEMENTS = """
ALTER TABLE accounts ADD COLUMN state_since INTEGER;
ALTER TABLE accounts ADD COLUMN state_reason TEXT;
ALTER TABLE accounts ADD COLUMN state_detail TEXT;
ALTER TABLE accounts ADD COLUMN cookies_told INTEGER NOT NULL DEFAULT 0;
ALTER TABLE login_sessions ADD COLUMN accept_identity BOOLEAN NOT NULL DEFAULT 0;
ALTER TABLE login_sessions ADD COLUMN status_before TEXT;

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

ALTER TABLE comments ADD COLUMN variant TEXT NOT NULL DEFAULT '';
ALTER TABLE comments ADD COLUMN content_type TEXT;
ALTER TABLE comments ADD COLUMN edited_at INTEGER;
ALTER TABLE comments ADD COLUMN earlier_content TEXT;
DROP INDEX uq_comments_platform;
CREATE UNIQUE INDEX uq_comments_platform ON comments(account_id, platform_comment_id, variant);
DROP INDEX idx_comments_account;
CREATE INDEX idx_comments_page ON comments(account_id, detected_at DESC, created_at DESC, id);

ALTER TABLE direct_messages ADD COLUMN variant TEXT NOT NULL DEFAULT '';
ALTER TABLE direct_messages ADD COLUMN content_type TEXT;
ALTER TABLE direct_messages ADD COLUMN edited_at INTEGER;
ALTER TABLE direct_messages ADD COLUMN earlier_content TEXT;
DROP INDEX uq_direct_messages_platform;
CREATE UNIQUE INDEX uq_direct_messages_platform
  ON direct_messages(account_id, platform_message_id, variant);
DROP INDEX idx_direct_messages_account;
CREATE INDEX idx_direct_messages_page
  ON direct_messages(account_id, detected_at DESC, created_at DESC, id);

CREATE TABLE events (
  seq BIGINT PRIMARY KEY NOT NULL,
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
CREATE INDEX idx_events_account ON events(account_id, seq) WHERE account_id IS NOT NULL;
CREATE INDEX idx_events_worker ON events(worker_id, seq) WHERE worker_id IS NOT NULL;
CREATE INDEX idx_events_person ON events(seq) WHERE by_kind IN ('admin', 'http');
"""


def upgrade() -> None:
    """Add the columns, the table and the indexes."""
    for statement in STATEMENTS.split(";"):
        if statement.strip():
            op.execute(statement)
