BEGIN TRANSACTION;
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
INSERT INTO "accounts" VALUES('8e573a84-2ab6-4236-b825-0b8a537cda11','douyin','a',NULL,X'76313A6B2D65643464356235633A54E4D669B7D3621D1F7079FA764AC629E23D01C384E3569E83F14B16058896736F8BF50B4FF37099250AC743ED34B1A84FC790233EAF3F','{"uid":7}',X'76313A6B2D65643464356235633A686CF8BBBBE3966AD587A1B8D105002A9CA2BE641EDE1E2EB24859FA0A119F44B56F5A','active','logged_in',20,1760000000,1760604800,'worker-1',1760000000,1760000000,1,NULL,'7');
INSERT INTO "accounts" VALUES('a32292a5-a34d-493c-b4d9-ae84366921a2','douyin','b','on-platform',NULL,NULL,NULL,'active','logging_in',20,NULL,NULL,'worker-1',1760000000,1760000000,1,NULL,NULL);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0003');
CREATE TABLE client_deliveries (
  device_id TEXT NOT NULL,
  notification_id TEXT NOT NULL,
  confirmed_at INTEGER NOT NULL,
  PRIMARY KEY (device_id, notification_id),
  FOREIGN KEY (device_id) REFERENCES client_devices(device_id) ON DELETE CASCADE,
  FOREIGN KEY (notification_id) REFERENCES notifications(id) ON DELETE CASCADE
);
CREATE TABLE client_devices (
  device_id TEXT PRIMARY KEY NOT NULL,
  device_type TEXT,
  device_name TEXT,
  seen_seq INTEGER NOT NULL,
  last_seen_at INTEGER NOT NULL,
  created_at INTEGER NOT NULL
);
INSERT INTO "client_devices" VALUES('device-1','phone',NULL,0,1760000000,1760000000);
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
INSERT INTO "comments" VALUES('3f3926fb-96b9-4796-89f7-71a0776fd8b3','8e573a84-2ab6-4236-b825-0b8a537cda11','c1','x',NULL,NULL,NULL,NULL,0,1760000000,1760000000);
CREATE TABLE counters (
  name TEXT PRIMARY KEY NOT NULL,
  value INTEGER NOT NULL
);
INSERT INTO "counters" VALUES('notification_seq',1);
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
INSERT INTO "login_sessions" VALUES('28268724-416d-4007-82e6-2a38b9f45ef7','8e573a84-2ab6-4236-b825-0b8a537cda11','worker-1','success','qrcode',NULL,NULL,NULL,1760000300,1760000000,1760000000);
INSERT INTO "login_sessions" VALUES('e620f369-7e89-44bf-885b-24ba75362f9a','a32292a5-a34d-493c-b4d9-ae84366921a2','worker-1','scanning','qrcode','data:image/png;base64,aGVsbG8=',NULL,NULL,1760000300,NULL,1760000000);
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
INSERT INTO "notifications" VALUES('f3812ce8-4f18-4bb4-8640-fca30474bb8e','comment','8e573a84-2ab6-4236-b825-0b8a537cda11','3f3926fb-96b9-4796-89f7-71a0776fd8b3','新评论','x','{"message_id":"3f3926fb-96b9-4796-89f7-71a0776fd8b3","platform_id":"c1","account_id":"8e573a84-2ab6-4236-b825-0b8a537cda11","author_name":null,"author_id":null,"detected_at":1760000000,"post_id":null,"post_title":null}','normal',0,NULL,1760000000,1);
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
INSERT INTO "proxies" VALUES('f4d4f277-a5e8-4a21-8414-95f74397eef3','p','h:1','http','me',X'76313A6B2D65643464356235633A410E279856D8AB35D7CE75A7A35FCC516EE1393761E823D52F15312B5D131E4F','active',1760000000,1760000000);
CREATE TABLE vault_keys (id TEXT PRIMARY KEY NOT NULL, proof BLOB NOT NULL);
INSERT INTO "vault_keys" VALUES('k-ed4d5b5c',X'76313A6B2D65643464356235633A509CE2E08E16EACC0582EE301EBA0D9AB12CACAD1F8684AFA426F823A853FEFDC9E75F06');
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
INSERT INTO "worker_configs" VALUES('worker-1',NULL,'["-v"]','{"A":"1"}','f4d4f277-a5e8-4a21-8414-95f74397eef3',NULL,0,0,1760000000,1760000000);
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
INSERT INTO "workers" VALUES('worker-1','127.0.0.1',4000,'connected',2,1760000000,1760000000,'1.0.0','{"region":"eu","capabilities":["douyin","xiaohongshu"],"maxAccounts":10}',1760000000,1760000000);
CREATE INDEX idx_workers_status ON workers(status);
CREATE INDEX idx_accounts_status ON accounts(status);
CREATE INDEX idx_accounts_login_status ON accounts(login_status);
CREATE INDEX idx_accounts_worker ON accounts(assigned_worker_id);
CREATE UNIQUE INDEX uq_accounts_platform_account ON accounts(platform, account_id);
CREATE INDEX idx_login_sessions_status ON login_sessions(status);
CREATE INDEX idx_login_sessions_account ON login_sessions(account_id);
CREATE UNIQUE INDEX uq_login_sessions_open ON login_sessions(account_id)
  WHERE status IN ('pending', 'scanning');
CREATE INDEX idx_comments_account ON comments(account_id);
CREATE INDEX idx_comments_detected ON comments(detected_at DESC);
CREATE UNIQUE INDEX uq_comments_platform ON comments(account_id, platform_comment_id);
CREATE INDEX idx_direct_messages_account ON direct_messages(account_id);
CREATE INDEX idx_direct_messages_detected ON direct_messages(detected_at DESC);
CREATE UNIQUE INDEX uq_direct_messages_platform ON direct_messages(account_id, platform_message_id);
CREATE INDEX idx_notifications_type ON notifications(type);
CREATE INDEX idx_notifications_account ON notifications(account_id);
CREATE INDEX idx_notifications_sent ON notifications(is_sent);
CREATE INDEX idx_notifications_created ON notifications(created_at);
CREATE UNIQUE INDEX uq_notifications_seq ON notifications(seq);
CREATE INDEX idx_client_deliveries_notification ON client_deliveries(notification_id);
CREATE UNIQUE INDEX uq_proxies_name ON proxies(name);
CREATE INDEX idx_worker_configs_proxy ON worker_configs(proxy_id);
CREATE INDEX idx_accounts_waiting ON accounts(status, created_at, id) WHERE assigned_worker_id IS NULL;
CREATE INDEX idx_comments_read ON comments(account_id) WHERE is_read = 1;
CREATE INDEX idx_direct_messages_read ON direct_messages(account_id) WHERE is_read = 1;
COMMIT;
