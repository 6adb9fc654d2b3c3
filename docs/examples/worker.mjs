// node worker.mjs http://127.0.0.1:3000 [TOKEN]: a worker; look() and logIn() are yours to write.
import { io } from "socket.io-client";

const [url, token] = process.argv.slice(2);
const workerId = process.env.WORKER_ID ?? "my-worker";
const about = { workerId, capabilities: ["douyin"], maxAccounts: 10, host: "my-machine", port: 0 };
const accounts = new Map(); // id -> account with `takenAt` and `actsAt`: those that are ours
const logins = new Set(); // the session ids of the logins that we work on
let [intervalMs, timeoutMs] = [10_000, 30_000]; // until Master says so
let [registerAt, beatAt, heardAt] = [0, 0, -Infinity];
const now = () => performance.now(); // a clock that is never set
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const mayAct = () => now() < heardAt + timeoutMs * (5 / 6); // our own stop, before Master moves all

const socket = io(`${url}/worker`, { auth: { token } }); // it connects again by itself, but not:
const connectAgain = () => setTimeout(() => socket.active || socket.connect(), 5_000); // if refused
socket.on("connect_error", (fault) => (console.error(fault.message, fault.data), connectAgain()));
socket.on("disconnect", connectAgain);
socket.on("connect", register);
socket.on("worker:registered", (answer) => {
  if (!answer.success) return;
  heardAt = registerAt; // when we asked, not when we were answered
  [intervalMs, timeoutMs] = [answer.heartbeatInterval * 1000, answer.heartbeatTimeout * 1000];
  const listed = new Set(answer.accounts.map((account) => account.id));
  if (answer.accountsTotal <= listed.size) keepOnly((id) => listed.has(id)); // else more follow
  take(answer.accounts);
});
socket.on("master:task:assign", (event) => take(event.accounts));
socket.on("master:task:revoke", ({ accountIds, reason }) => {
  accountIds.forEach((id) => accounts.delete(id));
  if (reason === "registered_elsewhere") process.exit(1); // another process has our id: do not fight
});
socket.on("master:login:start", async ({ session_id, account_id, platform, proxy }) => {
  if (logins.has(session_id)) return; // sent again, because Master has seen no code yet
  logins.add(session_id);
  const login = { session_id, account_id, platform, proxy };
  await logIn(login, (event, fields) => mayAct() && logins.has(session_id) && report(event, fields));
  logins.delete(session_id);
});
socket.on("master:login:cancel", (event) => logins.delete(event.session_id));
socket.on("master:login:user_input", (event) => console.log("typed", event.input_type));
process.on("SIGTERM", async () => {
  clearInterval(ticking);
  await socket.timeout(2_000).emitWithAck("worker:goodbye", { workerId }).catch(() => {});
  process.exit(0);
});

function take(list) {
  for (const account of list) {
    const known = accounts.get(account.id);
    const isSame = known?.epoch === account.epoch; // then we act already, or wait already
    const wait = now() + (account.start_after_ms ?? 0);
    const actsAt = isSame ? Math.min(known.actsAt, wait) : wait;
    accounts.set(account.id, { lookedAt: known?.lookedAt, ...account, takenAt: now(), actsAt });
  }
}

function keepOnly(isOurs) {
  for (const [id, account] of accounts) if (!isOurs(id, account)) accounts.delete(id);
}

async function register() {
  registerAt = beatAt = now();
  const answer = await report("worker:register", about); // the event worker:registered says the same
  if (!answer.success) console.error("refused", answer.error);
}

async function beat() {
  const sent = (beatAt = now());
  const event = { workerId, stats: { activeAccounts: accounts.size } };
  const patience = socket.timeout(intervalMs / 2);
  const answer = await patience.emitWithAck("worker:heartbeat", event).catch(() => null);
  if (answer?.success) {
    heardAt = sent;
    keepOnly((id, account) => answer.accountIds.includes(id) || account.takenAt > sent);
    if (answer.accountIds.some((id) => !accounts.has(id))) await register();
  } else if (answer?.error.code === "not_registered") await register();
}

async function report(event, fields) { // a fact: again and again, until Master has it
  for (let waitMs = 1_000; ; waitMs = Math.min(2 * waitMs, 30_000)) {
    const answer = await socket.timeout(10_000).emitWithAck(event, fields).catch(() => null);
    if (answer && (answer.success || !answer.error.retryable)) return answer;
    await sleep(answer?.error.retry_after_ms ?? waitMs); // without an answer it may be stored or not
  }
}

async function watch() {
  for (const account of mayAct() ? [...accounts.values()] : []) {
    const isDue = !(now() < account.lookedAt + account.monitor_interval * 1000);
    if (account.login_status !== "logged_in" || now() < account.actsAt || !isDue) continue;
    accounts.get(account.id).lookedAt = now();
    const messages = await look(account);
    if (messages.length === 0) continue;
    report("worker:message:detected", { type: "comment", account_id: account.id, messages });
  }
}

const ticking = setInterval(() => {
  if (!mayAct()) accounts.clear(), logins.clear(); // Master did not hear us: act no more
  if (socket.connected && now() >= beatAt + intervalMs) beat();
  watch();
}, 1_000);

async function look(account) { // yours: open the page with account.credentials.cookies, read it
  return [{ platform_comment_id: `first-of-${account.id}`, content: "多少钱?", author_id: "u-7" }];
}

async function logIn(login, tell) { // yours: open the login page, through login.proxy if it is set
  const { session_id, account_id } = login;
  const qr_code_data = "data:image/png;base64,iVBORw0KGgo="; // the picture on the page
  await tell("worker:login:qrcode", { session_id, account_id, qr_code_data });
  await sleep(500); // a person scans the code
  const result = { cookies: [{ name: "sessionid", value: "1" }], user_info: { uid: account_id } };
  await tell("worker:login:status", { session_id, account_id, status: "success", ...result });
}
