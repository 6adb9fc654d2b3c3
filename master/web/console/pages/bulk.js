// @ts-check
/** What is done to many accounts at once, and what came of each. */
import { Refused, ask } from "../api.js";
import { html, signal, useState } from "../html.js";
import { AccountLink, Dialog, Field, Form, Table } from "../parts.js";
import { go } from "../router.js";
import { tell } from "../said.js";
import { chosen, dropAccount, may, nameOf, workers } from "../store.js";
import { count, t, wordOf } from "../words.js";
import { beginLineup } from "./lineup.js";

const MOST = 200; // accounts of one request
const TRIES = 5;
const KEPT = 5;
const NAMED = 10;

/** @typedef {{id: string, name: string, code: string, message: string}} Failure */
/** @typedef {{id: number, what: string, done: number, total: number, failures: Failure[],
 *   runs: boolean}} Act */

/** What was done, the newest last; it stays until it is read.
 * @type {import("@preact/signals").Signal<Act[]>} */
export const acts = signal([]);
let last = 0;

/** @param {Act} act */
function note(act) {
  const others = acts.peek().filter((one) => one.id !== act.id);
  acts.value = [...others, act].sort((a, b) => a.id - b.id).slice(-KEPT);
}

/** @typedef {import("../types.js").Acted} Acted */
/** @typedef {{change?: import("../types.js").AccountChange, delete?: true}} Wanted */

/** @param {string[]} ids @param {Wanted} wanted @returns {Promise<Acted[]>} */
async function askFor(ids, wanted) {
  for (let tries = 1; ; tries += 1) {
    try {
      return (await ask("POST", "accounts/actions", { ids, ...wanted })).acted.results;
    } catch (fault) {
      const known = fault instanceof Refused ? fault : new Refused("internal", String(fault));
      // what was refused was not done; what got no answer may have been, and is not done again
      if (!known.retryable || known.status === 0 || tries === TRIES) {
        return ids.map((id) => ({ id, ok: false, error: { code: known.code, message: known.message } }));
      }
      await new Promise((resolve) => setTimeout(resolve, Math.max(known.retryAfterMs, 500)));
    }
  }
}

/**
 * Do the same to many accounts, some hundred at a time; keep what came of each.
 * @param {string} what @param {string[]} ids @param {Wanted} wanted
 */
export async function actOn(what, ids, wanted) {
  const names = new Map(ids.map((id) => [id, nameOf(id)]));
  let act = { id: ++last, what, done: 0, total: ids.length, failures: /** @type {Failure[]} */ ([]), runs: true };
  note(act);
  for (let start = 0; start < ids.length; start += MOST) {
    const results = await askFor(ids.slice(start, start + MOST), wanted);
    const failed = results.filter((one) => !one.ok);
    const done = results.length - failed.length;
    if (wanted.delete) results.filter((one) => one.ok).forEach((one) => dropAccount(one.id));
    const failures = failed.map(({ id, error }) => ({ id, name: names.get(id) ?? id, code: error?.code, message: error?.message }));
    act = { ...act, done: act.done + done, failures: [...act.failures, ...failures] };
    note(act);
  }
  note({ ...act, runs: false });
  if (act.failures.length > 0) return;
  acts.value = acts.peek().filter((one) => one.id !== act.id); // nothing to be read
  tell(t("bulk.done", { what, done: count(act.done), total: count(act.total) }));
}

/** @param {{title: string, failures: Failure[], close: () => void, children?: any}} props */
export function Failures({ title, failures, close, children }) {
  return html`<section class="card bad" role="group" aria-label=${title}>
    <div class="row"><strong>${title}</strong><span class="spring"></span>${children}
      <button type="button" onClick=${close}>${t("do.dismiss")}</button></div>
    ${failures.length > 0 && html`<${Table} label=${t("bulk.failed", { count: count(failures.length) })} columns=${[t("col.account"), t("bulk.why")]}>${failures.map(
      (one) => html`<tr key=${one.id}><th scope="row"><${AccountLink} id=${one.id} name=${one.name} /></th>
        <td>${wordOf("code", one.code)} <span class="small soft"><bdi>${one.message}</bdi> <code>${one.code}</code></span></td></tr>`,
    )}<//>`}</section>`;
}

/** What came of what was done to many, until it is read. */
export function Acts() {
  return html`<div role="alert">${acts.value.map((act) => {
    const params = { what: act.what, done: count(act.done), total: count(act.total) };
    if (act.runs) return html`<p key=${act.id} class="card">${t("bulk.under", params)}</p>`;
    const title = `${t("bulk.done", params)} ${t("bulk.failed", { count: count(act.failures.length) })}`;
    const close = () => (acts.value = acts.peek().filter((one) => one.id !== act.id));
    return html`<${Failures} key=${act.id} title=${title} failures=${act.failures} close=${close} />`;
  })}</div>`;
}

/** @param {{ids: string[], close: () => void}} props */
function Pin({ ids, close }) {
  const all = [...workers.value.values()].filter((one) => one.status !== "offline");
  const names = all.map((one) => one.id).sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  /** @param {Record<string, string>} values */
  const send = async ({ worker }) => {
    close();
    await actOn(t("bulk.pin.title", { count: count(ids.length) }), ids, { change: { pinned_worker_id: worker } });
  };
  return html`<${Dialog} title=${t("bulk.pin.title", { count: count(ids.length) })} close=${close}><${Form} send=${send}>
    <p>${t("bulk.pin.how")}</p>
    <${Field} label=${t("col.worker")}><select name="worker" required autofocus>${names.map((id) => html`<option key=${id} value=${id}>${id}</option>`)}</select><//>
    <div class="foot"><button type="button" onClick=${close}>${t("do.cancel")}</button>
      <button class="main" disabled=${names.length === 0}>${t("do.save")}</button></div><//><//>`;
}

/** @param {{ids: string[], close: () => void}} props */
function Interval({ ids, close }) {
  const title = t("bulk.interval.title", { count: count(ids.length) });
  /** @param {Record<string, string>} values */
  const send = async ({ seconds }) => {
    close();
    await actOn(title, ids, { change: { monitor_interval: Number(seconds) } });
  };
  return html`<${Dialog} title=${title} close=${close}><${Form} send=${send}>
    <${Field} label=${t("form.interval")}><input name="seconds" type="number" min="1" max="86400" value="20" required autofocus /><//>
    <div class="foot"><button type="button" onClick=${close}>${t("do.cancel")}</button>
      <button class="main">${t("do.save")}</button></div><//><//>`;
}

/** @param {{ids: string[], close: () => void}} props */
function Delete({ ids, close }) {
  const [typed, setTyped] = useState("");
  const named = ids.slice(0, NAMED);
  const send = async () => {
    close();
    await actOn(t("do.delete"), ids, { delete: true });
  };
  return html`<${Dialog} title=${t("bulk.delete.title", { count: count(ids.length) })} close=${close}><${Form} send=${send}>
    <ul>${named.map((id) => html`<li key=${id}><bdi>${nameOf(id)}</bdi></li>`)}
      ${ids.length > named.length && html`<li>${t("bulk.delete.and", { count: count(ids.length - named.length) })}</li>`}</ul>
    <p>${t("bulk.delete.loses")}</p>
    <${Field} label=${t("bulk.delete.type", { count: ids.length })}>
      <input value=${typed} inputmode="numeric" onInput=${(/** @type {any} */ event) => setTyped(event.currentTarget.value)} autocomplete="off" autofocus /><//>
    <div class="foot"><button type="button" onClick=${close}>${t("do.cancel")}</button>
      <button class="danger" disabled=${typed.trim() !== String(ids.length)}>${t("do.delete")}</button></div><//><//>`;
}

/**
 * The bar of what can be done to the accounts that are selected and shown.
 * @param {{ids: string[]}} props
 */
export function Bulk({ ids }) {
  const [asked, setAsked] = useState(/** @type {{what: string, ids: string[]} | null} */ (null));
  /** @param {string} what @param {import("../types.js").AccountChange} change */
  const run = (what, change) => void actOn(what, ids, { change });
  const close = () => setAsked(null);
  const logIn = () => {
    beginLineup(ids);
    chosen.value = new Set();
    go(["logins"]);
  };
  /** @param {string} what What is asked about is what was selected then. */
  const open = (what) => () => setAsked({ what, ids });
  const dialog = asked && { pin: Pin, interval: Interval, delete: Delete }[asked.what];
  return html`<section class="card bulk" role="group" aria-label=${t("bulk.label")}><div class="row">
      <strong class="num" role="status">${t("bulk.chosen", { count: count(ids.length) })}</strong>
      <button type="button" class="main" onClick=${logIn}>${t("bulk.login")}</button>
      <button type="button" onClick=${() => run(t("do.pause"), { status: "paused" })}>${t("do.pause")}</button>
      <button type="button" onClick=${() => run(t("bulk.activate"), { status: "active" })}>${t("bulk.activate")}</button>
      <button type="button" onClick=${open("pin")}>${t("bulk.pin")}</button>
      <button type="button" onClick=${() => run(t("bulk.unpin"), { pinned_worker_id: null })}>${t("bulk.unpin")}</button>
      <button type="button" onClick=${open("interval")}>${t("bulk.interval")}</button>
      ${may("admin") && html`<button type="button" class="danger" onClick=${open("delete")}>${t("bulk.delete")}</button>`}
      <button type="button" onClick=${() => (chosen.value = new Set())}>${t("bulk.none")}</button></div></section>
    ${asked && html`<${dialog} ids=${asked.ids} close=${close} />`}`;
}
