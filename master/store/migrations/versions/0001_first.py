"""The source document's six tables, and protocol.md's additions."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE TABLE workers (
  id TEXT PRIMARY KEY NOT NULL,
  host TEXT NOT NULL,
  port INTEGER NOT NULL,
  status TEXT DEFAULT 'connected',
  assigned_accounts INTEGER DEFAULT 0,
  last_heartbeat INTEGER,
  started_at INTEGER NOT NULL,
  version TEXT,
  metadata TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
);
CREATE INDEX idx_workers_status ON workers(status);

CREATE TABLE accounts (
  id TEXT PRIMARY KEY NOT NULL,
  platform TEXT NOT NULL,
  account_name TEXT NOT NULL,
  account_id TEXT,
  credentials TEXT,
  user_info TEXT,
  fingerprint TEXT,
  status TEXT DEFAULT 'active',
  login_status TEXT DEFAULT 'not_logged_in',
  monitor_interval INTEGER DEFAULT 20,
  last_login_time INTEGER,
  cookies_valid_until INTEGER,
  assigned_worker_id TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  epoch INTEGER NOT NULL DEFAULT 0,
  pinned_worker_id TEXT,
  platform_user_id TEXT,
  FOREIGN KEY (assigned_worker_id) REFERENCES workers(id),
  FOREIGN KEY (pinned_worker_id) REFERENCES workers(id)
);
CREATE INDEX idx_accounts_status ON accounts(status);
CREATE INDEX idx_accounts_login_status ON accounts(login_status);
CREATE INDEX idx_accounts_worker ON accounts(assigned_worker_id);
CREATE UNIQUE INDEX uq_accounts_platform_account ON accounts(platform, account_id);

CREATE TABLE login_sessions (
  id TEXT PRIMARY KEY NOT NULL,
  account_id TEXT NOT NULL,
  worker_id TEXT,
  status TEXT DEFAULT 'pending',
  login_method TEXT DEFAULT 'qrcode',
  qr_code_data TEXT,
  qr_code_url TEXT,
  error_message TEXT,
  expires_at INTEGER,
  logged_in_at INTEGER,
  created_at INTEGER NOT NULL,
  FOREIGN KEY (account_id) REFERENCES accounts(id),
  FOREIGN KEY (worker_id) REFERENCES workers(id)
);
CREATE INDEX idx_login_sessions_status ON login_sessions(status);
CREATE INDEX idx_login_sessions_account ON login_sessions(account_id);
CREATE UNIQUE INDEX uq_login_sessions_open ON login_sessions(account_id)
  WHERE status IN ('pending', 'scanning');

CREATE TABLE comments (
  id TEXT PRIMARY KEY NOT NULL,
  account_id TEXT NOT NULL,
  platform_comment_id TEXT,
  content TEXT,
  author_name TEXT,
  author_id TEXT,
  post_id TEXT,
  post_title TEXT,
  is_read BOOLEAN DEFAULT 0,
  detected_at INTEGER,
  created_at INTEGER NOT NULL,
  FOREIGN KEY (account_id) REFERENCES accounts(id)
);
CREATE INDEX idx_comments_account ON comments(account_id);
CREATE INDEX idx_comments_detected ON comments(detected_at DESC);
CREATE UNIQUE INDEX uq_comments_platform ON comments(account_id, platform_comment_id);

CREATE TABLE direct_messages (
  id TEXT PRIMARY KEY NOT NULL,
  account_id TEXT NOT NULL,
  platform_message_id TEXT,
  content TEXT,
  sender_name TEXT,
  sender_id TEXT,
  direction TEXT,
  is_read BOOLEAN DEFAULT 0,
  detected_at INTEGER,
  created_at INTEGER NOT NULL,
  FOREIGN KEY (account_id) REFERENCES accounts(id)
);
CREATE INDEX idx_direct_messages_account ON direct_messages(account_id);
CREATE INDEX idx_direct_messages_detected ON direct_messages(detected_at DESC);
CREATE UNIQUE INDEX uq_direct_messages_platform ON direct_messages(account_id, platform_message_id);

CREATE TABLE notifications (
  id TEXT PRIMARY KEY NOT NULL,
  type TEXT NOT NULL,
  account_id TEXT,
  related_id TEXT,
  title TEXT NOT NULL,
  content TEXT NOT NULL,
  data TEXT,
  priority TEXT DEFAULT 'normal',
  is_sent BOOLEAN DEFAULT 0,
  sent_at INTEGER,
  created_at INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  FOREIGN KEY (account_id) REFERENCES accounts(id)
);
CREATE INDEX idx_notifications_type ON notifications(type);
CREATE INDEX idx_notifications_account ON notifications(account_id);
CREATE INDEX idx_notifications_sent ON notifications(is_sent);
CREATE INDEX idx_notifications_created ON notifications(created_at);
CREATE UNIQUE INDEX uq_notifications_seq ON notifications(seq);

CREATE TABLE counters (
  name TEXT PRIMARY KEY NOT NULL,
  value INTEGER NOT NULL
);
INSERT INTO counters (name, value) VALUES ('notification_seq', 0);

CREATE TABLE client_devices (
  device_id TEXT PRIMARY KEY NOT NULL,
  device_type TEXT,
  device_name TEXT,
  seen_seq INTEGER NOT NULL,
  last_seen_at INTEGER NOT NULL,
  created_at INTEGER NOT NULL
);

CREATE TABLE client_deliveries (
  device_id TEXT NOT NULL,
  notification_id TEXT NOT NULL,
  confirmed_at INTEGER NOT NULL,
  PRIMARY KEY (device_id, notification_id),
  FOREIGN KEY (device_id) REFERENCES client_devices(device_id) ON DELETE CASCADE,
  FOREIGN KEY (notification_id) REFERENCES notifications(id) ON DELETE CASCADE
);
CREATE INDEX idx_client_deliveries_notification ON client_deliveries(notification_id);

CREATE TABLE proxies (
  id TEXT PRIMARY KEY NOT NULL,
  name TEXT NOT NULL,
  server TEXT NOT NULL,
  protocol TEXT NOT NULL,
  username TEXT,
  password TEXT,
  status TEXT NOT NULL DEFAULT 'active',
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX uq_proxies_name ON proxies(name);

CREATE TABLE worker_configs (
  worker_id TEXT PRIMARY KEY NOT NULL,
  command TEXT,
  args TEXT NOT NULL,
  env TEXT NOT NULL,
  proxy_id TEXT,
  max_accounts INTEGER,
  auto_start BOOLEAN NOT NULL DEFAULT 0,
  auto_restart BOOLEAN NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  FOREIGN KEY (proxy_id) REFERENCES proxies(id)
);
CREATE INDEX idx_worker_configs_proxy ON worker_configs(proxy_id);
"""


def upgrade() -> None:
    """Create every table and index."""
    for statement in STATEMENTS.split(";"):
        if statement.strip():
            op.execute(statement)
