// node admin.mjs http://127.0.0.1:3000 ACCOUNT_ID [TOKEN]: an administrator logs an account in.
import { io } from "socket.io-client";

const [url, account_id, token] = process.argv.slice(2);
const socket = io(`${url}/admin`, { auth: { token } });
const ours = (act) => (event) => event.session_id === session_id && act(event);
const end = (code) => (socket.close(), process.exit(code));
let session_id;

socket.on("connect_error", (fault) => console.error(fault.message, fault.data));
socket.on("login:qrcode:ready", ours((event) => console.log("scan", event.qr_code_data)));
socket.on("login:status:update", ours((event) => console.log("the worker says", event.status)));
socket.on("login:failed", ours((event) => (console.log(event.error_message), end(1))));
socket.on("login:qrcode:expired", ours(() => (console.log("too late"), end(1))));
socket.on("login:success", ours((event) => (console.log("logged in", event.user_info), end(0))));
socket.on("notification:new", (event) => console.log(event.title, event.content));
socket.once("connect", async () => {
  session_id = crypto.randomUUID(); // our own, so that no event of it comes before we know its id
  const event = { account_id, session_id };
  const answer = await socket.timeout(10_000).emitWithAck("master:login:start", event);
  if (!answer.success) console.error(answer.error), end(1); // error.code: `no_worker`, for example
});
