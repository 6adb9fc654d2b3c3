// @ts-check
/** The farm as this page knows it: whole rows, replaced by those of newer events. */
import { batch, computed, signal } from "./html.js";
import { noteLink } from "./links.js";

/** @typedef {import("./types.js").Account} Account */
/** @typedef {import("./types.js").SignIn} Session */
/** @typedef {"comments" | "direct-messages"} MessageKind */
/** A worker; an event tells no figures of its last heartbeat, and what is known of them stays.
 * @typedef {import("./types.js").Worker & Partial<import("./types.js").LiveWorker>} Worker */
/** @typedef {Omit<import("./types.js").Notification, "is_sent" | "sent_at">} Notification */
/** @typedef {{type: string, message: string}} Input what a login asks a person for */
/** A login: what rows and events tell alike, and what events alone tell.
 * @typedef {Pick<import("./types.js").Login, "id" | "account_id" | "worker_id" | "status" |
 *   "has_qr_code" | "error_message" | "expires_at" | "created_at"> & {step?: string, seq?: number,
 *   input?: Input | null, error_type?: string,
 *   user_info?: import("./types.js").Profile | null}} Login */
/** @typedef {import("./types.js").ToldOf<"login:qrcode:ready" | "login:status:update" |
 *   "login:success" | "login:failed" | "login:qrcode:expired">} ToldOfLogin */
/** @typedef {{accounts: Account[], accountsTotal: number, workers: Worker[], logins: Login[],
 *   notifications: Notification[], unread: number, unreadRev: number}} Snapshot */

export const KEPT_NOTIFICATIONS = 300;
const KEPT_ENDED = 100;
const KEPT_MARKS = 5_000;
const SCOPES = ["none", "read", "operate", "admin"];

/** @type {import("@preact/signals").Signal<Session | null>} */
export const session = signal(null);
/** @type {import("@preact/signals").Signal<Map<string, Account>>} */
export const accounts = signal(new Map());
/** @type {import("@preact/signals").Signal<Map<string, Worker>>} */
export const workers = signal(new Map());
/** @type {import("@preact/signals").Signal<Map<string, Login>>} */
export const logins = signal(new Map());
/** Logins that ended while this page looked on.
 * @type {import("@preact/signals").Signal<Map<string, Login>>} */
export const ended = signal(new Map());
/** @type {import("@preact/signals").Signal<Notification[]>} */
export const notifications = signal([]);
export const accountsTotal = signal(0);
export const unread = signal(0);
/** Whether a first snapshot has arrived. */
export const isFilled = signal(false);
/** Counts snapshots: what a page has fetched itself is fetched anew after each. */
export const filled = signal(0);
/** Counts new messages, for the inbox. */
export const arrived = signal(0);
/** Accounts that are selected for an action on many.
 * @type {import("@preact/signals").Signal<Set<string>>} */
export const chosen = signal(new Set());
/** Names for pages with their filters, which Master keeps for this person.
 * @typedef {import("./types.js").View} View */
/** @type {import("@preact/signals").Signal<View[]>} by name */
export const views = signal([]);
/** Accounts that are logged in one after another (pages/lineup.js).
 * @typedef {{left: string[], open: {id: string, session: string, seen: boolean, since: number}[],
 *   total: number, failures: {id: string, name: string, code: string, message: string}[]}} Line */
/** @type {import("@preact/signals").Signal<Line | null>} */
export const lineup = signal(null);
/** Messages whose mark has changed since they were fetched: id to whether it is read.
 * @type {import("@preact/signals").Signal<Map<string, boolean>>} */
export const marks = signal(new Map());

/** The revision that the number of unread messages was read at. */
let unreadRev = 0;
/** The newest notification that is known; older ones are told again to whom they never reached. */
let lastSeq = 0;

/** Open logins, the one that ends first on top. */
export const queue = computed(() =>
  [...logins.value.values()].sort((a, b) => a.expires_at - b.expires_at),
);
/** Logins that wait for a person. */
export const waiting = computed(() => queue.value.filter((one) => needsPerson(one)));

/** @param {Login} login */
export function needsPerson(login) {
  return ["code", "needs_input"].includes(stepOf(login));
}

/** @param {Login} login */
export function stepOf(login) {
  if (["success", "failed", "expired"].includes(login.status)) return login.status;
  return login.step ?? (login.has_qr_code ? "code" : "asking");
}

/** @param {string} scope */
export function may(scope) {
  return SCOPES.indexOf(session.value?.scope ?? "none") >= SCOPES.indexOf(scope);
}

/** @param {string | null} id */
export function nameOf(id) {
  return (id && accounts.value.get(id)?.account_name) || id || "";
}

/**
 * Replace everything by a snapshot. What only events tell of a login (its step) is kept.
 * @param {Snapshot} snapshot
 */
export function fill(snapshot) {
  batch(() => {
    accounts.value = byId(snapshot.accounts);
    accountsTotal.value = snapshot.accountsTotal;
    workers.value = byId(snapshot.workers);
    logins.value = byId(snapshot.logins.map(remember));
    notifications.value = snapshot.notifications;
    lastSeq = Math.max(0, ...snapshot.notifications.map((one) => one.seq));
    fillUnread(snapshot);
    marks.value = new Map();
    isFilled.value = true;
    filled.value += 1;
  });
}

/** @param {Login} row @returns {Login} */
function remember(row) {
  const known = logins.peek().get(row.id);
  return known ? { ...row, step: known.step, seq: known.seq, input: known.input } : row;
}

/** @template {{id: string}} R @param {R[]} rows @returns {Map<string, R>} */
function byId(rows) {
  return new Map(rows.map((row) => [row.id, row]));
}

/**
 * Put rows of open logins in the place of those that were known of the same accounts.
 * @param {Login[]} rows
 */
export function fillLogins(rows) {
  logins.value = byId(rows.map(remember));
}

/** Whether an account waits for a worker: why it does changes with the workers, and is not told. */
export const hasWaiting = () => [...accounts.peek().values()].some((one) => one.placement.state === "waiting");

/** @param {Account[]} rows Accounts without a worker, as they were just read. */
export function fillWaiting(rows) {
  const next = new Map(accounts.peek());
  for (const row of rows) if (!dropped.has(row.id)) next.set(row.id, row);
  accountsTotal.value += Math.max(0, next.size - accounts.peek().size);
  accounts.value = next;
}

/** @param {{unread: number, unreadRev: number}} read */
export function fillUnread(read) {
  unread.value = read.unread;
  unreadRev = read.unreadRev;
}

/** @param {Account[]} rows The accounts that have unread messages, as they were just read. */
export function fillUnreadOf(rows) {
  const numbers = new Map(rows.map((row) => [row.id, row.unread]));
  const next = new Map(accounts.peek());
  for (const [id, row] of next) {
    const number = numbers.get(id) ?? 0;
    if (row.unread !== number) next.set(id, { ...row, unread: number });
  }
  accounts.value = next;
}

/** @param {View[]} rows */
export function fillViews(rows) {
  views.value = [...rows].sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
}

/** Accounts that this page has deleted: an event that was on its way does not bring one back. */
const dropped = new Set();

/** @param {string} id */
export function dropAccount(id) {
  dropped.add(id);
  const next = new Map(accounts.value);
  if (next.delete(id)) accountsTotal.value -= 1;
  accounts.value = next;
}

/** Changes of one flush: each map is copied once, however many events it has. */
export class Changes {
  /** @param {boolean} late Whether these events came while what they change was being read. */
  constructor(late = false) {
    this.late = late;
    /** Whether the number of unread messages must be read again: it may have them already. */
    this.unreadUnsure = false;
    this.accounts = new Map(accounts.peek());
    this.workers = new Map(workers.peek());
    this.logins = new Map(logins.peek());
    this.ended = new Map(ended.peek());
    /** @type {Notification[]} */
    this.fresh = [];
    this.messages = 0;
    this.unread = 0;
    /** @type {Map<string, boolean>} */
    this.marked = new Map();
    /** Whether open logins must be read again: an event told less than a row has. */
    this.loginsUnsure = false;
    /** @type {Set<string>} */
    this.touched = new Set();
  }

  /** @param {import("./types.js").Told} told */
  apply(told) {
    const [event, row] = told;
    if (event === "worker:status") {
      this.workers.set(row.id, { ...this.workers.get(row.id), ...row });
      this.touched.add("workers");
    } else if (event === "account:status") {
      if (dropped.has(row.id)) return;
      this.accounts.set(row.id, row);
      this.touched.add("accounts");
      const known = [...this.logins.values()].some((one) => one.account_id === row.id);
      if (row.login_status === "logging_in" && !known) this.loginsUnsure = true;
    } else if (event === "notification:new") {
      this.note(row);
    } else if (event === "message:read") {
      // the numbers of the snapshot have what happened before it
      if (row.rev > unreadRev) this.unread += row.is_read ? -row.ids.length : row.ids.length;
      this.unreadUnsure ||= this.late;
      for (const id of row.ids) this.marked.set(id, row.is_read);
      const known = this.accounts.get(row.account_id);
      if (known) this.accounts.set(row.account_id, { ...known, unread: row.unread });
      this.touched.add("accounts");
    } else if (event === "login_link:status") {
      noteLink(row);
    } else if (event.startsWith("login:")) {
      this.applyLogin(/** @type {ToldOfLogin} */ (told));
    }
  }

  /** @param {Notification} row Those of the snapshot may come again. */
  note(row) {
    const isMessage = row.type === "comment" || row.type === "direct_message";
    if (isMessage) this.unreadUnsure ||= this.late;
    if (row.seq <= lastSeq) return;
    lastSeq = row.seq;
    this.fresh.push(row);
    if (!isMessage) return;
    this.messages += 1;
    // an edit of an unread message is told as well, and a message may be new and edited at once
    if (row.data?.edited_at !== undefined) {
      this.unreadUnsure = true;
      return;
    }
    this.unread += 1;
    const known = this.accounts.get(row.account_id ?? "");
    if (!known) return;
    this.accounts.set(known.id, { ...known, unread: known.unread + 1 });
    this.touched.add("accounts");
  }

  /** @param {ToldOfLogin} told */
  applyLogin([event, row]) {
    const known = this.logins.get(row.session_id);
    this.touched.add("logins");
    if (event === "login:qrcode:ready") {
      this.put(row, known, {
        status: "scanning", step: "code", has_qr_code: true, expires_at: row.expires_at,
        seq: (known?.seq ?? 0) + 1, input: null,
      });
    } else if (event === "login:status:update") {
      const step = readStep(row.status);
      if (!known) this.loginsUnsure = true;
      if (!step) return;
      const input = step === "needs_input" ? readInput(row) : null;
      this.put(row, known, { step, input });
      this.loginsUnsure = true; // its deadline has moved
    } else {
      const done = event === "login:success" ? row : null;
      const failed = event === "login:failed" ? row : null;
      this.logins.delete(row.session_id);
      /** @type {Partial<Login>} */
      const rest = { status: done ? "success" : failed ? "failed" : "expired",
        error_message: failed?.error_message ?? null, error_type: failed?.error_type,
        user_info: done?.user_info, input: null, step: undefined };
      this.ended.set(row.session_id, { ...blank(row), ...known, ...rest });
      if (this.ended.size > KEPT_ENDED) this.ended.delete([...this.ended.keys()][0]);
      this.touched.add("ended");
    }
  }

  /** @param {OfLogin} row @param {Login | undefined} known @param {Partial<Login>} changes */
  put(row, known, changes) {
    if (!known) this.loginsUnsure = true;
    this.logins.set(row.session_id, { ...(known ?? blank(row)), ...changes });
  }

  commit() {
    batch(() => {
      if (this.touched.has("accounts")) {
        accountsTotal.value += Math.max(0, this.accounts.size - accounts.peek().size);
        accounts.value = this.accounts;
      }
      if (this.touched.has("workers")) workers.value = this.workers;
      if (this.touched.has("logins")) logins.value = this.logins;
      if (this.touched.has("ended")) ended.value = this.ended;
      if (this.fresh.length) {
        const known = new Set(notifications.peek().map((one) => one.id));
        const fresh = this.fresh.filter((one) => !known.has(one.id)).reverse();
        notifications.value = [...fresh, ...notifications.peek()].slice(0, KEPT_NOTIFICATIONS);
      }
      if (this.unread) unread.value = Math.max(0, unread.value + this.unread);
      if (this.marked.size) marks.value = new Map([...marks.peek(), ...this.marked].slice(-KEPT_MARKS));
      if (this.messages) arrived.value += this.messages;
    });
  }
}

/** @typedef {{session_id: string, account_id: string, worker_id: string | null, expires_at?: number}} OfLogin */

/** @param {OfLogin} row @returns {Login} */
function blank(row) {
  return {
    id: row.session_id, account_id: row.account_id, worker_id: row.worker_id, status: "pending",
    has_qr_code: false, error_message: null, expires_at: row.expires_at ?? 0, created_at: 0,
  };
}

/** @param {string} status A worker's word. */
function readStep(status) {
  const word = status.trim().toLowerCase().replace(/[- ]/g, "_");
  if (["scanned", "confirming", "confirmed"].includes(word)) return "scanned";
  if (/(required|needed)$/.test(word)) return "needs_input";
  if (["verifying", "logging_in", "input_submitted"].includes(word)) return "verifying";
  return null;
}

/** @param {import("./types.js").LoginStatusUpdate} row @returns {Input} */
function readInput(row) {
  const word = String(row.input_type ?? row.step ?? row.status);
  const type = /sms/.test(word) ? "sms_code" : /captcha/.test(word) ? "captcha" : word;
  return { type, message: typeof row.message === "string" ? row.message : "" };
}
