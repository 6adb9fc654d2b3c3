// node client.mjs http://127.0.0.1:3000 [TOKEN]: a device that shows every notification once.
import { io } from "socket.io-client";

const [url, token] = process.argv.slice(2);
const device_id = "my-phone"; // keep these three over restarts
const seen = new Set();
let lastSeq = 0;
const socket = io(`${url}/client`, { auth: { token } });
const ask = (event, fields) => socket.timeout(10_000).emitWithAck(event, fields);

socket.on("connect_error", (fault) => console.error(fault.message, fault.data));
socket.on("notification:new", show); // those that this device is owed follow its registration
socket.on("client:sync", () => fetchSince(lastSeq)); // stands for too many to push one by one
socket.on("connect", async () => {
  const before = lastSeq; // while we wait, one that came after a gap may be pushed
  const answer = await ask("client:register", { device_id, device_type: "phone" }).catch(report);
  if (answer?.has_more) fetchSince(before); // more than 500 are owed
});

async function fetchSince(after_seq) { // page by page; each request confirms the page before
  for (let more = true; more; ) {
    const event = { device_id, after_seq, limit: 500 };
    const page = await ask("client:sync:request", event).catch(report);
    page?.notifications.forEach(show);
    after_seq = page?.last_seq;
    more = page?.has_more;
  }
}

function report(fault) { // after a lost connection, all that is owed follows the next registration
  console.error(fault.message);
}

async function show(notification) {
  lastSeq = Math.max(lastSeq, notification.seq);
  if (seen.has(notification.id)) return; // it may come twice
  seen.add(notification.id);
  console.log(notification.seq, notification.title, notification.content);
  await ask("client:notification:ack", { notification_id: notification.id }).catch(() => {});
}
