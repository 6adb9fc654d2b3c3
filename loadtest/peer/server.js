'use strict';
// A small Master of the source document's design: one Node process, Socket.IO with three
// namespaces, one synchronous SQLite connection. It is written as a competent Node developer would
// write it (prepared statements, one transaction per event, one encoding per broadcast) and has
// only the events that the bench uses: no logins, no tokens, no deliveries per device.

const { createServer } = require('node:http');
const { readFileSync } = require('node:fs');
const { randomUUID } = require('node:crypto');
const { join } = require('node:path');
const Database = require('better-sqlite3');
const { Server } = require('socket.io');

const PORT = Number(process.env.PORT || 3000);
const HOST = process.env.HOST || '127.0.0.1';
const HEARTBEAT_INTERVAL_S = 10;
const HEARTBEAT_TIMEOUT_S = 30;
const TITLES = { comment: '新评论', direct_message: '新私信' };

// -- database ----------------------------------------------------------------------------------

const db = new Database(process.env.DB_PATH || 'master.db');
db.pragma('journal_mode = WAL');
db.pragma('synchronous = NORMAL');
db.pragma('foreign_keys = ON');
db.exec(readFileSync(join(__dirname, 'schema.sql'), 'utf8'));

const sql = {
  putWorker: db.prepare(`
    INSERT INTO workers (id, host, port, status, last_heartbeat, started_at, version, metadata,
                         created_at, updated_at)
    VALUES (@id, @host, @port, 'connected', @now, @now, @version, @metadata, @now, @now)
    ON CONFLICT (id) DO UPDATE SET
      host = excluded.host, port = excluded.port, status = 'connected',
      last_heartbeat = excluded.last_heartbeat, started_at = excluded.started_at,
      version = excluded.version, metadata = excluded.metadata, updated_at = excluded.updated_at`),
  setLoad: db.prepare('UPDATE workers SET assigned_accounts = ? WHERE id = ?'),
  beat: db.prepare(
    "UPDATE workers SET last_heartbeat = ?, status = 'connected', updated_at = ? WHERE id = ?"),
  setStatus: db.prepare('UPDATE workers SET status = ?, updated_at = ? WHERE id = ?'),
  silent: db.prepare(
    "SELECT id FROM workers WHERE last_heartbeat < ? AND status != 'offline'"),
  freeAccounts: db.prepare(`
    SELECT id FROM accounts
    WHERE platform = ? AND status = 'active' AND assigned_worker_id IS NULL LIMIT ?`),
  assign: db.prepare('UPDATE accounts SET assigned_worker_id = ?, updated_at = ? WHERE id = ?'),
  unassign: db.prepare(
    'UPDATE accounts SET assigned_worker_id = NULL WHERE assigned_worker_id = ?'),
  accountsOf: db.prepare('SELECT * FROM accounts WHERE assigned_worker_id = ?'),
  countOf: db.prepare('SELECT COUNT(*) FROM accounts WHERE assigned_worker_id = ?').pluck(),
  dueAccounts: db.prepare(`
    SELECT * FROM accounts WHERE login_status = 'logged_in' AND status = 'active'
      AND assigned_worker_id IS NOT NULL`),
  addAccount: db.prepare(`
    INSERT INTO accounts (id, platform, account_name, account_id, monitor_interval,
                          assigned_worker_id, created_at, updated_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)`),
  addComment: db.prepare(`
    INSERT OR IGNORE INTO comments (id, account_id, platform_comment_id, content, author_name,
                                    author_id, post_id, post_title, detected_at, created_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`),
  addDirectMessage: db.prepare(`
    INSERT OR IGNORE INTO direct_messages (id, account_id, platform_message_id, content,
                                           sender_name, sender_id, direction, detected_at,
                                           created_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`),
  addNotification: db.prepare(`
    INSERT INTO notifications (id, type, account_id, related_id, title, content, data, priority,
                               is_sent, sent_at, created_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, 'normal', 1, ?, ?)`),
  countComments: db.prepare('SELECT COUNT(*) FROM comments').pluck(),
  listComments: db.prepare('SELECT * FROM comments ORDER BY detected_at DESC LIMIT ? OFFSET ?'),
};

const now = () => Math.floor(Date.now() / 1000);
const parse = (text) => (text === null ? null : JSON.parse(text));

function showAccount(row) {
  return {
    id: row.id,
    platform: row.platform,
    account_name: row.account_name,
    account_id: row.account_id,
    monitor_interval: row.monitor_interval,
    status: row.status,
    login_status: row.login_status,
    credentials: parse(row.credentials),
    fingerprint: parse(row.fingerprint),
    user_info: parse(row.user_info),
    cookies_valid_until: row.cookies_valid_until,
  };
}

// -- sockets -----------------------------------------------------------------------------------

const server = createServer(serveHttp);
const io = new Server(server, {
  cors: { origin: ['http://localhost:3001', 'http://localhost:3000'], credentials: true },
  transports: ['websocket', 'polling'],
  maxHttpBufferSize: 16 * 1024 * 1024,
});
const workerNamespace = io.of('/worker');
const adminNamespace = io.of('/admin');
io.of('/client');

/** Worker id -> {socket, platforms, maxAccounts, load}: step 3 of the document's registration. */
const workers = new Map();

const fail = (code, message) => ({ success: false, error: { code, message, retryable: false } });

/** Answer an event; an exception becomes a refusal, and the callback is optional. */
function handle(socket, event, act) {
  socket.on(event, (data, ack) => {
    let reply;
    try {
      reply = data && typeof data === 'object' ? act(socket, data) : fail('invalid', 'no object');
    } catch (fault) {
      reply = fail('internal', String(fault.message));
    }
    if (typeof ack === 'function') ack(reply);
  });
}

workerNamespace.on('connection', (socket) => {
  handle(socket, 'worker:register', registerWorker);
  handle(socket, 'worker:heartbeat', hearHeartbeat);
  handle(socket, 'worker:message:detected', keepMessages);
  socket.on('disconnect', () => {
    const worker = workers.get(socket.data.workerId);
    if (worker === undefined || worker.socket !== socket) return;
    workers.delete(socket.data.workerId);
    sql.setStatus.run('disconnected', now(), socket.data.workerId);
  });
});

// -- workers and accounts ----------------------------------------------------------------------

const storeRegistration = db.transaction((id, data, platforms, maxAccounts) => {
  const at = now();
  sql.putWorker.run({
    id,
    host: String(data.host ?? 'unknown'),
    port: Number(data.port ?? 0),
    version: data.version ?? null,
    metadata: JSON.stringify({ ...data.metadata, capabilities: platforms, maxAccounts }),
    now: at,
  });
  let room = maxAccounts - sql.countOf.get(id);
  for (const platform of platforms) {
    if (room <= 0) break;
    for (const { id: accountId } of sql.freeAccounts.all(platform, room)) {
      sql.assign.run(id, at, accountId);
      room -= 1;
    }
  }
  const accounts = sql.accountsOf.all(id);
  sql.setLoad.run(accounts.length, id);
  return accounts;
});

function registerWorker(socket, data) {
  if (typeof data.workerId !== 'string' || !data.workerId || !Array.isArray(data.capabilities)) {
    return fail('invalid', 'workerId and capabilities are needed');
  }
  const platforms = data.capabilities.map(String);
  const maxAccounts = Number(data.maxAccounts ?? 10);
  const accounts = storeRegistration(data.workerId, data, platforms, maxAccounts);
  socket.data.workerId = data.workerId;
  workers.set(data.workerId, { socket, platforms, maxAccounts, load: accounts.length });
  const reply = {
    success: true,
    workerId: data.workerId,
    heartbeatInterval: HEARTBEAT_INTERVAL_S,
    heartbeatTimeout: HEARTBEAT_TIMEOUT_S,
    accounts: accounts.map(showAccount),
    timestamp: Date.now(),
  };
  socket.emit('worker:registered', reply);
  return reply;
}

function hearHeartbeat(socket, data) {
  const at = now();
  if (!sql.beat.run(at, at, String(data.workerId)).changes) {
    return fail('not_registered', 'register first');
  }
  return { success: true, workerId: data.workerId, timestamp: Date.now() };
}

/** The document's AccountAssigner: the least loaded worker that supports the platform. */
function assignAccount(account) {
  const fitting = [...workers].filter(([, worker]) =>
    worker.platforms.includes(account.platform) && worker.load < worker.maxAccounts);
  if (!fitting.length) return;
  const [id, worker] = fitting.reduce((a, b) => (b[1].load < a[1].load ? b : a));
  sql.assign.run(id, now(), account.id);
  worker.load += 1;
  sql.setLoad.run(worker.load, id);
  worker.socket.emit('master:task:assign', { accounts: [showAccount(account)] });
}

const giveUp = db.transaction((silent) => {
  for (const { id } of silent) {
    sql.setStatus.run('offline', now(), id);
    sql.unassign.run(id);
  }
});

setInterval(() => giveUp(sql.silent.all(now() - HEARTBEAT_TIMEOUT_S)), 15_000).unref();

setInterval(() => {
  const byWorker = new Map();
  for (const account of sql.dueAccounts.all()) {
    const group = byWorker.get(account.assigned_worker_id) ?? [];
    group.push(showAccount(account));
    byWorker.set(account.assigned_worker_id, group);
  }
  for (const [id, accounts] of byWorker) {
    workers.get(id)?.socket.emit('master:task:assign', { accounts });
  }
}, 30_000).unref();

// -- messages ----------------------------------------------------------------------------------

function addMessage(type, accountId, item, at) {
  const id = randomUUID();
  const seen = item.detected_at ?? at;
  const made = item.created_at ?? at;
  const result = type === 'comment'
    ? sql.addComment.run(
      id, accountId, String(item.platform_comment_id ?? item.id), item.content ?? null,
      item.author_name ?? null, item.author_id ?? null, item.post_id ?? null,
      item.post_title ?? null, seen, made)
    : sql.addDirectMessage.run(
      id, accountId, String(item.platform_message_id ?? item.id), item.content ?? null,
      item.sender_name ?? null, item.sender_id ?? null, item.direction ?? 'inbound', seen, made);
  return result.changes ? id : null;
}

const storeMessages = db.transaction((type, accountId, messages) => {
  const at = now();
  const notifications = [];
  for (const item of messages) {
    const messageId = addMessage(type, accountId, item, at);
    if (messageId === null) continue;
    const id = randomUUID();
    const content = item.content ?? '';
    const data = {
      message_id: messageId,
      platform_id: item.platform_comment_id ?? item.platform_message_id ?? item.id,
      account_id: accountId,
      author_name: item.author_name ?? item.sender_name ?? null,
      author_id: item.author_id ?? item.sender_id ?? null,
      detected_at: item.detected_at ?? at,
      post_id: item.post_id ?? null,
      post_title: item.post_title ?? null,
    };
    sql.addNotification.run(
      id, type, accountId, messageId, TITLES[type], content, JSON.stringify(data), at, at);
    notifications.push({
      id,
      notification_id: id,
      type,
      account_id: accountId,
      related_id: messageId,
      title: TITLES[type],
      content,
      data,
      priority: 'normal',
      created_at: at,
      timestamp: at * 1000,
    });
  }
  return notifications;
});

function keepMessages(socket, data) {
  if (!(data.type in TITLES) || !Array.isArray(data.messages) || !data.messages.length) {
    return fail('invalid', 'type and messages are needed');
  }
  const notifications = storeMessages(data.type, String(data.account_id), data.messages);
  for (const notification of notifications) adminNamespace.emit('notification:new', notification);
  const inserted = notifications.length;
  return { success: true, inserted, duplicates: data.messages.length - inserted };
}

// -- HTTP --------------------------------------------------------------------------------------

function send(response, status, body) {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(body));
}

async function readBody(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return JSON.parse(Buffer.concat(parts).toString('utf8'));
}

async function serveHttp(request, response) {
  const url = new URL(request.url, 'http://peer');
  const route = `${request.method} ${url.pathname}`;
  try {
    if (route === 'GET /health/ready') {
      send(response, 200, { success: true, ...versions });
    } else if (route === 'POST /api/v1/accounts') {
      const body = await readBody(request);
      const id = randomUUID();
      const at = now();
      sql.addAccount.run(
        id, body.platform, body.account_name, body.account_id ?? null,
        body.monitor_interval ?? 20, null, at, at);
      const account = {
        id, ...body, status: 'active', login_status: 'not_logged_in', credentials: null,
        fingerprint: null, user_info: null,
      };
      assignAccount(account);
      send(response, 201, { success: true, account: showAccount(account) });
    } else if (route === 'GET /api/v1/comments') {
      const limit = Math.min(Number(url.searchParams.get('limit') ?? 20), 500);
      const offset = Number(url.searchParams.get('offset') ?? 0);
      const comments = sql.listComments.all(limit, offset);
      send(response, 200, { success: true, comments, total: sql.countComments.get() });
    } else {
      send(response, 404, fail('not_found', 'no such route'));
    }
  } catch (fault) {
    send(response, 400, fail('invalid', String(fault.message)));
  }
}

const versions = {
  node: process.versions.node,
  sqlite: db.prepare('SELECT sqlite_version()').pluck().get(),
  socket_io: require('socket.io/package.json').version,
};

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, () => {
    io.disconnectSockets(true);
    server.close();
    db.close();
    process.exit(0);
  });
}

server.listen(PORT, HOST, 1024);
