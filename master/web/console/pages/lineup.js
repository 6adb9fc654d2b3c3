// @ts-check
/** Logging in many accounts one after another: some at a time, so that no code expires unseen. */
import { Refused, ask, segment } from "../api.js";
import { effect, html } from "../html.js";
import { rereadLogins } from "../live.js";
import { ended, filled, lineup, logins, nameOf } from "../store.js";
import { count, t } from "../words.js";
import { Failures } from "./bulk.js";

const AT_ONCE = 3;
const TRIES = 5;

/** @typedef {import("../store.js").Line} Line */

/** @param {Partial<Line>} changes */
function put(changes) {
  const known = lineup.peek();
  if (known) lineup.value = { ...known, ...changes };
}

/** @param {string} id @param {string} code @param {string} message */
function fail(id, code, message) {
  const known = lineup.peek();
  if (!known) return;
  put({ failures: [...known.failures, { id, name: nameOf(id), code, message }] });
}

/** Take note of logins that have ended, and open as many. */
function settle() {
  const known = lineup.peek();
  if (!known) return;
  const open = known.open.filter((one) => {
    if (!one.session) return true; // it is being started
    const end = ended.peek().get(one.session);
    if (end && end.status !== "success") {
      fail(one.id, end.error_type ?? "", end.error_message ?? t(end.status === "expired" ? "login.expired" : "lineup.ended"));
    }
    if (end) return false;
    if (logins.peek().has(one.session)) one.seen = true;
    else if (one.seen || filled.peek() > one.since) {
      void learnEnd(one);
      return false;
    }
    return true;
  });
  const room = Math.max(0, AT_ONCE - open.length);
  const next = known.left.slice(0, room).map((id) => ({ id, session: "", seen: false, since: filled.peek() }));
  if (open.length === known.open.length && next.length === 0) return;
  put({ open: [...open, ...next], left: known.left.slice(room) });
  for (const one of next) void start(one);
}

/**
 * Read how a login ended that no event has told of: it came while no page was connected, or comes later.
 * @param {Line["open"][number]} one
 */
async function learnEnd({ id, session }) {
  try {
    const row = (await ask("GET", `login-sessions/${segment(session)}`)).data;
    if (row.status === "failed" || row.status === "expired") {
      fail(id, "", row.error_message ?? t(row.status === "expired" ? "login.expired" : "lineup.ended"));
    }
  } catch {
    // its row says how it ended, wherever it is shown
  }
}

/** @param {Line["open"][number]} one */
async function start(one) {
  const going = [...logins.peek().values()].find((login) => login.account_id === one.id);
  if (going) one.session = going.id; // a login that is open is not replaced
  for (let tries = 1; !one.session; tries += 1) {
    try {
      one.session = (await ask("POST", `accounts/${segment(one.id)}/login`, {})).data.session_id;
      one.since = filled.peek();
      rereadLogins();
    } catch (fault) {
      const known = fault instanceof Refused ? fault : new Refused("internal", String(fault));
      if (!known.retryable || known.code === "no_worker" || tries === TRIES) {
        fail(one.id, known.code, known.message);
        put({ open: lineup.peek()?.open.filter((other) => other !== one) ?? [] });
        break;
      }
      await new Promise((resolve) => setTimeout(resolve, Math.max(known.retryAfterMs, 500)));
    }
  }
  settle();
}

/** Begin with these, after those that wait already. @param {string[]} ids */
export function beginLineup(ids) {
  const known = lineup.peek();
  const goes = known && (known.left.length > 0 || known.open.length > 0);
  const waiting = new Set(goes ? [...known.left, ...known.open.map((one) => one.id)] : []);
  const fresh = ids.filter((id) => !waiting.has(id));
  const before = goes ? known : { left: [], open: [], total: 0, failures: [] };
  lineup.value = { ...before, left: [...before.left, ...fresh], total: before.total + fresh.length };
  settle();
}

effect(() => {
  void [ended.value, logins.value, filled.value];
  settle();
});

export function Lineup() {
  const known = lineup.value;
  if (!known) return null;
  const { left, open, total, failures } = known;
  const done = total - left.length - open.length;
  const numbers = { done: count(done), total: count(total), open: count(open.length), left: count(left.length) };
  const close = () => (lineup.value = null);
  const goes = left.length > 0 || open.length > 0;
  if (!goes && failures.length > 0) {
    return html`<div role="alert"><${Failures} title=${`${t("lineup.title")}: ${t("lineup.state", numbers)}`} failures=${failures} close=${close} /></div>`;
  }
  return html`<section class="card" role="group" aria-label=${t("lineup.title")}><div class="row">
      <strong>${t("lineup.title")}</strong><span role="status" class="num">${t("lineup.state", numbers)}</span><span class="spring"></span>
      ${left.length > 0 && html`<button type="button" onClick=${() => put({ left: [], total: total - left.length })}>${t("lineup.stop")}</button>`}
      ${!goes && html`<button type="button" onClick=${close}>${t("do.dismiss")}</button>`}</div></section>`;
}
