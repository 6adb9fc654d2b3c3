-- The source document's tables, as far as the bench uses them. Column types and defaults are the
-- document's. Two indexes are added because a developer would add them after the first load test:
-- uq_comments_platform makes INSERT OR IGNORE find duplicates, idx_accounts_free finds accounts
-- without a worker without a table scan.
CREATE TABLE IF NOT EXISTS accounts (
  id TEXT PRIMARY KEY,
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
  FOREIGN KEY (assigned_worker_id) REFERENCES workers(id)
);
CREATE INDEX IF NOT EXISTS idx_accounts_status ON accounts(status);
CREATE INDEX IF NOT EXISTS idx_accounts_login_status ON accounts(login_status);
CREATE INDEX IF NOT EXISTS idx_accounts_worker ON accounts(assigned_worker_id);
CREATE INDEX IF NOT EXISTS idx_accounts_free ON accounts(platform)
  WHERE assigned_worker_id IS NULL AND status = 'active';

CREATE TABLE IF NOT EXISTS workers (
  id TEXT PRIMARY KEY,
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
CREATE INDEX IF NOT EXISTS idx_workers_status ON workers(status);

CREATE TABLE IF NOT EXISTS comments (
  id TEXT PRIMARY KEY,
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
CREATE INDEX IF NOT EXISTS idx_comments_account ON comments(account_id);
CREATE INDEX IF NOT EXISTS idx_comments_detected ON comments(detected_at DESC);
CREATE UNIQUE INDEX IF NOT EXISTS uq_comments_platform
  ON comments(account_id, platform_comment_id);

CREATE TABLE IF NOT EXISTS direct_messages (
  id TEXT PRIMARY KEY,
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
CREATE INDEX IF NOT EXISTS idx_direct_messages_account ON direct_messages(account_id);
CREATE INDEX IF NOT EXISTS idx_direct_messages_detected ON direct_messages(detected_at DESC);
CREATE UNIQUE INDEX IF NOT EXISTS uq_direct_messages_platform
  ON direct_messages(account_id, platform_message_id);

CREATE TABLE IF NOT EXISTS notifications (
  id TEXT PRIMARY KEY,
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
  FOREIGN KEY (account_id) REFERENCES accounts(id)
);
CREATE INDEX IF NOT EXISTS idx_notifications_type ON notifications(type);
CREATE INDEX IF NOT EXISTS idx_notifications_account ON notifications(account_id);
CREATE INDEX IF NOT EXISTS idx_notifications_sent ON notifications(is_sent);
