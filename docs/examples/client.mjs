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
socket.on("connect", async () => {
  let answer = await ask("client:register", { device_id, device_type: "phone" });
  while (answer.has_more) { // more than 500 are owed: fetch the others, page by page
    answer = await ask("client:sync:request", { device_id, after_seq: lastSeq, limit: 500 });
    answer.notifications.forEach(show);
  }
});

async function show(notification) {
  lastSeq = Math.max(lastSeq, notification.seq);
  if (seen.has(notification.id)) return; // it may come twice
  seen.add(notification.id);
  console.log(notification.seq, notification.title, notification.content);
  await ask("client:notification:ack", { notification_id: notification.id }).catch(() => {});
}
