// @ts-check
/**
 * How the page stays true: connect and keep events back, wait until they come, read a snapshot,
 * apply the events that came meanwhile, and go on event by event; the same again after every reconnect, for ever.
 *
 * Events carry whole rows and arrive in the order of the commits, so an event that is older than
 * the snapshot is always followed by the newer one.
 */
import { io } from "socket.io-client";
import { Refused, ask, askAll, askPage, mustSignIn } from "./api.js";
import { noteClock } from "./clock.js";
import { signal } from "./html.js";
import { Changes, KEPT_NOTIFICATIONS, fill, fillLogins, fillUnread, fillUnreadOf, fillViews, fillWaiting, hasWaiting, session } from "./store.js";
import { readCondition, watch } from "./watch.js";

/** @type {(keyof import("./types.js").AdminEvents)[]} */
const EVENTS = [
  "worker:status", "account:status", "notification:new", "login:qrcode:ready",
  "login:status:update", "login:success", "login:failed", "login:qrcode:expired", "message:read",
  "login_link:status",
];
/** @type {import("./store.js").MessageKind[]} */
const KINDS = ["comments", "direct-messages"];
const HIDDEN_MS = 30_000;
const LONGEST_WAIT_MS = 10_000;
const SOON_MS = 400;
const WAITING_MS = 1_500;

/** connecting, catching_up or live; `since` is when the page was last live (browser's clock). */
export const line = signal({ state: "connecting", since: Date.now() });

/** @type {any} */
let socket = null;
let generation = 0;
let isHeldBack = true;
/** @type {import("./types.js").Told[]} */
let heard = [];
let isScheduled = false;
let rereading = 0;
let isRereading = false;
let rereadingWaiting = 0;
/** What is read again soon: logins, unread, waiting.
 * @type {Set<string>} */
const wanted = new Set();
let hiddenAt = 0;

/** @param {string} state */
function become(state) {
  const { since, state: before } = line.peek();
  line.value = { state, since: before === "live" ? Date.now() : since };
}

/** Read who we are; without a sign-in, wait for one. */
async function readSession() {
  const sent = Date.now();
  const found = (await ask("GET", "console/session")).session;
  noteClock(found.now_ms, sent);
  session.value = found;
}

/** Begin, also after a sign-in. */
export async function start() {
  const mine = ++generation;
  for (let tries = 0; mine === generation; tries += 1) {
    try {
      await readSession();
      connect();
      return;
    } catch (fault) {
      if (mustSignIn.peek()) return;
      await pause(tries, fault);
    }
  }
}

/** End the connection: the session is over. */
export function stop() {
  generation += 1;
  socket?.disconnect();
  become("connecting");
}

function connect() {
  if (socket) {
    socket.disconnect().connect();
    return;
  }
  const path = new URL("../socket.io", location.href).pathname;
  socket = io(`${location.origin}/admin`, {
    path,
    transports: ["websocket", "polling"],
    tryAllTransports: true,
    reconnectionDelay: 500,
    reconnectionDelayMax: 5_000,
  });
  for (const event of EVENTS) socket.on(event, (/** @type {any} */ row) => hear(event, row));
  socket.on("master:condition", rereadWaiting);
  socket.onAny(watch);
  socket.on("connect", catchUp);
  socket.on("disconnect", (/** @type {string} */ reason) => {
    generation += 1;
    become("connecting");
    if (reason === "io server disconnect") void start(); // the session may have ended
  });
  socket.on("connect_error", () => {
    become("connecting");
    if (!socket.active) void pause(2).then(start); // refused: it does not try again by itself
  });
}

/** Read everything that the page shows, and go live. */
export async function catchUp() {
  const mine = ++generation;
  isHeldBack = true;
  heard = [];
  become("catching_up");
  for (let tries = 0; mine === generation; tries += 1) {
    try {
      await readSession();
      // events reach this socket once Master has greeted it, and it answers this only after that
      await emit("admin:status:request", {});
      const [snapshot, kept] = await Promise.all([readAll(), readViews()]);
      if (mine !== generation) return; // a newer connection reads anew
      fillViews(kept);
      fill(snapshot);
      isHeldBack = false;
      flush(true);
      become("live");
      return;
    } catch (fault) {
      if (mustSignIn.peek()) return;
      await pause(tries, fault);
    }
  }
}

/** @returns {Promise<import("./store.js").Snapshot>} */
async function readAll() {
  const [accounts, workers, logins, notices, unread] = await Promise.all([
    askAll("accounts"),
    askAll("workers"),
    readLogins(),
    askPage("notifications", { limit: Math.min(100, KEPT_NOTIFICATIONS) }),
    countUnread(),
    readCondition(() => ask("GET", "condition")),
  ]);
  return {
    accounts: accounts.rows,
    accountsTotal: accounts.total,
    workers: workers.rows,
    logins,
    notifications: notices.data,
    ...unread,
  };
}

async function readUnread() {
  const [numbers, accounts] = await Promise.all([countUnread(), askAll("accounts", { unread: true })]);
  return { ...numbers, accounts: accounts.rows };
}

async function countUnread() {
  const [comments, talks] = await Promise.all(
    KINDS.map((kind) => askPage(kind, { is_read: false, limit: 1 })),
  );
  return { unread: comments.total + talks.total, unreadRev: Math.max(comments.rev, talks.rev) };
}

async function readLogins() {
  const found = await Promise.all(
    ["pending", "scanning"].map((status) => askAll("login-sessions", { status })),
  );
  return found.flatMap((one) => one.rows.map(withoutCode));
}

/** @template R @param {R & {qr_code_data?: unknown, qr_code_url?: unknown}} row */
function withoutCode({ qr_code_data, qr_code_url, ...row }) {
  return row; // the code is shown as an image, and only where somebody looks at it
}

/** @param {import("./types.js").Told} told */
function hear(...[event, row]) {
  heard.push(/** @type {import("./types.js").Told} */ ([event, withoutCode(row)]));
  if (isHeldBack || isScheduled) return;
  isScheduled = true;
  if (document.hidden) setTimeout(() => flush(), 250);
  else requestAnimationFrame(() => flush());
}

/** @param {boolean} [late] Whether the events came while the number of unread messages was read. */
function flush(late = false) {
  isScheduled = false;
  if (isHeldBack) return;
  const changes = new Changes(late);
  for (const told of heard) changes.apply(told);
  heard = [];
  changes.commit();
  if (changes.loginsUnsure) rereadLogins();
  if (changes.unreadUnsure) reread("unread");
  if (changes.touched.has("workers")) rereadWaiting();
}

export async function readViews() {
  return (await askPage("console/views", {})).data; // one page has all
}

/** Read open logins again, soon, once for many events. */
export const rereadLogins = () => reread("logins");

/** Read accounts that wait again, later: when workers come and go, many change at once. */
function rereadWaiting() {
  if (rereadingWaiting || !hasWaiting()) return;
  rereadingWaiting = setTimeout(() => {
    rereadingWaiting = 0;
    reread("waiting");
  }, WAITING_MS);
}

/** @param {string} what */
function reread(what) {
  wanted.add(what);
  if (!rereading && !isRereading) rereading = setTimeout(readAgain, SOON_MS);
}

async function readAgain() {
  rereading = 0;
  const what = new Set(wanted);
  wanted.clear();
  if (line.peek().state !== "live") return; // a snapshot is under way, which has them
  const mine = generation;
  isRereading = true;
  isHeldBack = true;
  try {
    const [rows, unread, waiting] = await Promise.all([
      what.has("logins") ? readLogins() : null,
      what.has("unread") ? readUnread() : null,
      what.has("waiting") ? askAll("accounts", { unassigned: true }) : null,
    ]);
    if (mine === generation && rows) fillLogins(rows);
    if (mine === generation && unread) {
      fillUnread(unread);
      fillUnreadOf(unread.accounts);
    }
    if (mine === generation && waiting) fillWaiting(waiting.rows);
  } catch {
    // the next event or the next connection reads them
  }
  isRereading = false;
  if (mine === generation) {
    isHeldBack = false;
    flush(what.has("unread"));
  }
  for (const one of wanted) reread(one); // it was asked for meanwhile
}

/**
 * Send an event of an administrator; return its acknowledgement. Throws Refused.
 * @template {keyof import("./types.js").AdminRequests} E
 * @param {E} event @param {import("./types.js").AdminRequests[E]["payload"]} payload
 * @returns {Promise<import("./types.js").AdminRequests[E]["reply"]>}
 */
export async function emit(event, payload) {
  let answer;
  try {
    answer = await socket.timeout(10_000).emitWithAck(event, payload);
  } catch (fault) {
    throw new Refused("unreachable", String(fault), { retryable: true });
  }
  if (answer?.success) return answer;
  throw new Refused(answer?.error?.code ?? "internal", answer?.error?.message ?? "");
}

/** @param {number} tries @param {unknown} [fault] */
function pause(tries, fault) {
  const asked = fault instanceof Refused ? fault.retryAfterMs : 0;
  const wait = Math.min(LONGEST_WAIT_MS, 500 * 2 ** Math.min(tries, 5)) * (0.5 + Math.random());
  return new Promise((resolve) => setTimeout(resolve, Math.max(asked, wait)));
}

export function watchVisibility() {
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) hiddenAt = Date.now();
    else if (Date.now() - hiddenAt > HIDDEN_MS && socket?.connected) void catchUp();
  });
}
