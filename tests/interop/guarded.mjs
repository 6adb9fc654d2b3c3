// Usage: node guarded.mjs URL TRANSPORTS - authenticates in every way, and prints the results as one line of JSON.
import { io } from "socket.io-client";

const [url, transportList] = process.argv.slice(2);
const { WORKER_TOKEN, ADMIN_TOKEN } = process.env;
const options = { transports: transportList.split(","), forceNew: true, reconnection: false, timeout: 10_000 };

function join(namespace, auth, extra = {}) {
  const socket = io(url + namespace, { ...options, ...extra, auth });
  return new Promise((resolve) => {
    socket.once("connect", () => resolve({ connected: true, socket }));
    socket.once("connect_error", (error) => resolve({ connected: false, message: error.message, data: error.data }));
  });
}

const ask = (socket, event, payload) => socket.timeout(10_000).emitWithAck(event, payload);
const register = (workerId) => ({ workerId, capabilities: ["douyin"], maxAccounts: 1, host: "127.0.0.1", port: 4000 });

const nobody = await join("/worker", undefined);
const wrong = await join("/worker", { token: "a-token-that-nobody-has" });
const worker = await join("/worker", { token: WORKER_TOKEN });
const registered = await ask(worker.socket, "worker:register", register("js-worker"));
const foreign = await ask(worker.socket, "worker:register", register("another-worker"));
const admin = await join("/admin", undefined);
const early = await ask(admin.socket, "admin:status:request", {});
const authenticated = await ask(admin.socket, "admin:auth", { token: ADMIN_TOKEN, userId: "anna" });
const status = await ask(admin.socket, "admin:status:request", {});
const direct = await join("/admin", { token: ADMIN_TOKEN });

const results = { nobody, wrong, registered, foreign, early, authenticated, status, direct: direct.connected };
process.stdout.write(JSON.stringify(results) + "\n", () => process.exit(0));
