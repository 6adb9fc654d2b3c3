// node first-worker.mjs http://127.0.0.1:3000 [TOKEN]: the smallest worker that keeps the rules.
import { io } from "socket.io-client";

const [url, token] = process.argv.slice(2);
const workerId = process.env.WORKER_ID ?? "first-worker";
const about = { workerId, capabilities: ["douyin"], host: "my-machine", port: 0 };
const accounts = new Map(); // the accounts that are ours, by id
const socket = io(`${url}/worker`, { auth: { token } });
const ask = (event, fields) => socket.timeout(5_000).emitWithAck(event, fields).catch(() => null);
const now = () => performance.now();
let [heardAt, timeoutMs, beating] = [0, 30_000, undefined];

socket.on("connect", async function register() {
  const sentAt = now();
  const answer = await ask("worker:register", about);
  if (!answer?.success) return console.error("not registered", answer?.error);
  [heardAt, timeoutMs] = [sentAt, answer.heartbeatTimeout * 1000];
  clearInterval(beating);
  beating = setInterval(async () => {
    const [beatAt, known] = [now(), [...accounts.keys()]];
    const beat = await ask("worker:heartbeat", { workerId });
    if (beat?.success) heardAt = beatAt;
    if (beat?.success) known.filter((id) => !beat.accountIds.includes(id)).forEach(drop);
    if (beat && !beat.accountIds?.every((id) => accounts.has(id))) register(); // or not_registered
  }, answer.heartbeatInterval * 1000);
  take(answer);
});
socket.on("master:task:assign", take);
socket.on("master:task:revoke", (event) => event.accountIds.forEach(drop));
socket.on("master:login:start", async ({ session_id, account_id }) => {
  const qr_code_data = "data:image/png;base64,iVBORw0KGgo="; // the picture on the login page
  await ask("worker:login:qrcode", { session_id, qr_code_data });
  const cookies = [{ name: "sessionid", value: "1" }]; // once a person has scanned it
  await ask("worker:login:status", { session_id, account_id, status: "success", cookies });
});
setInterval(() => {
  if (now() > heardAt + timeoutMs * (5 / 6)) accounts.clear(); // Master may give them to others
  for (const { id: account_id, login_status, actsAt } of accounts.values()) {
    if (login_status !== "logged_in" || now() < actsAt) continue;
    const messages = [{ platform_comment_id: "c-1", content: "多少钱?" }]; // what the page shows
    ask("worker:message:detected", { type: "comment", account_id, messages }); // twice is no harm
  }
}, 5_000);

function take(event) {
  const wait = (account) => now() + (account.start_after_ms ?? 0); // another worker may still act
  for (const one of event.accounts) accounts.set(one.id, { ...one, actsAt: wait(one) });
}

function drop(id) {
  accounts.delete(id);
}
