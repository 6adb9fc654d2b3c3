// Usage: node drive.mjs URL TRANSPORTS - uses the protocol and prints what it received as one line of JSON.
import { Peer } from "./peer.mjs";

const [url, transportList] = process.argv.slice(2);
const transports = transportList.split(",");
const tag = transports.join("-");
const workerId = `js-${tag}`;
const platform = `js_${transports.length}${transports[0]}`; // its own platform: only this worker gets its accounts
const results = {};

async function http(method, path, body) {
  const response = await fetch(url + path, {
    method,
    headers: { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
}

const comment = (id, content = `comment ${id}`) => ({
  platform_comment_id: `${tag}-${id}`,
  content,
  author_name: "作者",
  author_id: "author-1",
  post_id: "post-1",
  post_title: "title",
});

async function register(worker) {
  const created = await http("POST", "/api/v1/accounts", { platform, account_name: `账号 ${tag}` });
  const accountId = created.body.account?.id;
  const ack = await worker.ask("worker:register", {
    workerId,
    capabilities: [platform],
    maxAccounts: 10,
    host: "127.0.0.1",
    port: "4000",
    version: "1.0.0",
  });
  const registered = await worker.wait("worker:registered");
  const heartbeat = await worker.ask("worker:heartbeat", {
    workerId,
    stats: { activeAccounts: 1, memoryUsage: 256.5, cpuUsage: 10 },
    timestamp: Date.now(),
  });
  results.register = { created, accountId, ack, registered, heartbeat, transport: worker.transport };
  return accountId;
}

async function login(worker, admin, accountId) {
  const start = await admin.ask("master:login:start", { account_id: accountId, worker_id: workerId });
  const session_id = start.session_id;
  const mine = (data) => data.session_id === session_id;
  const startAck = await admin.wait("admin:login:start:ack", mine);
  const asked = await worker.wait("master:login:start", mine);
  const qrAck = await worker.ask("worker:login:qrcode", {
    session_id,
    account_id: accountId,
    qr_code_data: "data:image/png;base64,iVBORw0KGgo=",
  });
  const ready = await admin.wait("login:qrcode:ready", mine);
  const scanning = await http("GET", `/api/v1/login-sessions/${session_id}`);
  const typedAck = await admin.ask("master:login:user_input", { session_id, input_type: "sms_code", value: "123456" });
  const typed = await worker.wait("master:login:user_input", mine);
  const done = await worker.ask("worker:login:status", {
    session_id,
    status: "success",
    cookies: [{ name: "sessionid", value: "interop-secret" }],
    user_info: { nickname: "昵称 😀", uid: "u-1" },
    fingerprint: { userAgent: "interop" },
  });
  const success = await admin.wait("login:success", mine);
  const update = await admin.wait("login:status:update", mine);
  const assigned = await worker.wait("master:task:assign", (data) =>
    data.accounts.some((account) => account.id === accountId && account.credentials.cookies.length === 1),
  );
  const account = await http("GET", `/api/v1/accounts/${accountId}`);
  const again = await worker.ask("worker:login:status", { session_id, status: "failed", error_message: "too late" });
  Object.assign((results.login = {}), {
    start, startAck, asked, qrAck, ready, scanning, typedAck, typed, done, success, update, assigned, account, again,
  });
}

async function messages(worker, admin, device, accountId) {
  const registered = await device.ask("client:register", { device_id: `device-${tag}`, device_type: "test" });
  await device.wait("client:register:success");
  const report = (type, items) => worker.ask("worker:message:detected", { type, account_id: accountId, messages: items });
  const first = await report("comment", [comment("c1", "one"), comment("c2", "two")]);
  const second = await report("comment", [comment("c2", "two"), comment("c3", "one"), { content: "no id" }]);
  const direct = await report("direct_message", [
    { platform_message_id: `${tag}-d1`, content: "hello", sender_name: "发送者", sender_id: "s1", direction: "inbound" },
  ]);
  const ids = ["c1", "c2", "c3", "d1"].map((id) => `${tag}-${id}`);
  const heard = (peer) =>
    Promise.all(ids.map((id) => peer.wait("notification:new", (data) => data.data.platform_id === id)));
  const atAdmin = await heard(admin);
  const atDevice = await heard(device);
  const seen = await device.ask("client:notification:ack", {
    notification_id: atDevice[0].id,
    client_id: `device-${tag}`,
    timestamp: Date.now(),
  });
  const confirmed = await admin.wait("notification:confirmed", (data) => data.notification_id === atDevice[0].id);
  const after_seq = Math.min(...atDevice.map((one) => one.seq)) - 1;
  const sync = await device.ask("client:sync:request", { device_id: `device-${tag}`, after_seq, limit: 500 });
  const response = await device.wait("client:sync:response");
  const rest = await device.ask("client:sync:request", { device_id: `device-${tag}`, after_seq: sync.last_seq });
  const listed = await http("GET", `/api/v1/comments?account_id=${accountId}`);
  Object.assign((results.messages = {}), {
    registered, first, second, direct, atAdmin, atDevice, seen, confirmed, sync, response, rest, listed,
    repeated: atDevice.length !== new Set(atDevice.map((one) => one.id)).size,
  });
}

async function malformed(worker, admin, device, accountId) {
  const answers = {};
  const tryOut = async (peer, name, event, ...args) => {
    answers[`${peer.namespace} ${name}`] = await peer.ask(event, ...args).catch((fault) => String(fault));
  };
  for (const [peer, event] of [
    [worker, "worker:register"],
    [worker, "worker:message:detected"],
    [worker, "worker:login:status"],
    [admin, "master:login:start"],
    [device, "client:register"],
    [device, "client:sync:request"],
  ]) {
    await tryOut(peer, `${event} nothing`, event);
    await tryOut(peer, `${event} null`, event, null);
    await tryOut(peer, `${event} text`, event, "text");
    await tryOut(peer, `${event} number`, event, 42);
    await tryOut(peer, `${event} list`, event, [1, 2, 3]);
    await tryOut(peer, `${event} bytes`, event, new Uint8Array([1, 2, 3]));
    await tryOut(peer, `${event} wrong`, event, {
      workerId: { no: 1 }, account_id: [], session_id: 1.5, messages: "x", device_id: {}, after_seq: -1,
    });
  }
  await tryOut(worker, "unknown event", "worker:no:such:event", { workerId });
  await tryOut(admin, "unknown event", "admin:no:such:event", {});
  await tryOut(device, "unknown event", "client:no:such:event", {});
  await tryOut(worker, "unknown account", "worker:message:detected", {
    type: "comment", account_id: "nobody", messages: [comment("x")],
  });
  await tryOut(admin, "unknown account", "master:login:start", { account_id: "nobody" });
  const unregistered = new Peer(url, "/worker", transports);
  await unregistered.connect();
  await tryOut(unregistered, "stranger's heartbeat", "worker:heartbeat", { workerId: `nobody-${tag}`, stats: {} });
  unregistered.close();
  const big = Array.from({ length: 60 }, (_, number) => comment(`big-${number}`, "文".repeat(30_000)));
  const large = await worker.ask("worker:message:detected", { type: "comment", account_id: accountId, messages: big });
  const heartbeat = await worker.ask("worker:heartbeat", { workerId, stats: {}, timestamp: Date.now() });
  const status = await admin.ask("admin:status:request");
  results.malformed = {
    answers, large, heartbeat, status, connected: [worker, admin, device].map((peer) => peer.connected),
  };
}

const worker = new Peer(url, "/worker", transports);
const admin = new Peer(url, "/admin", transports);
const device = new Peer(url, "/client", transports);
try {
  await Promise.all([worker, admin, device].map((peer) => peer.connect()));
  const accountId = await register(worker);
  await login(worker, admin, accountId);
  await messages(worker, admin, device, accountId);
  await malformed(worker, admin, device, accountId);
} catch (fault) {
  results.fault = String(fault?.stack ?? fault);
} finally {
  [worker, admin, device].forEach((peer) => peer.close());
}
// Exit by force: a long poll that Master still holds would keep the process alive until its next ping.
process.stdout.write(JSON.stringify(results) + "\n", () => process.exit(0));
