// @ts-check
/** What /admin hears, as it comes: a look at the stream, and no log. */
import { html, useState } from "../html.js";
import { SaveView } from "../lazy.js";
import { Choice, Empty } from "../parts.js";
import { filter } from "../router.js";
import { attempt } from "../said.js";
import { nameOf } from "../store.js";
import { copyText } from "../parts.js";
import { KEPT_EVENTS, heardCount, listHeard } from "../watch.js";
import { count, t, time } from "../words.js";

/** @typedef {import("../watch.js").Heard} Heard */

const SHOWN = 200;

/** @param {Heard} one */
const accountOf = (one) => (one.event === "account:status" ? one.row?.id : one.row?.account_id) ?? "";
/** @param {Heard} one */
const workerOf = (one) => (one.event === "worker:status" ? one.row?.id : (one.row?.worker_id ?? one.row?.assigned_worker_id)) ?? "";

/** @param {Heard} one @param {Record<string, string>} query */
function fits(one, query) {
  const account = `${accountOf(one)} ${nameOf(accountOf(one))}`.toLowerCase();
  return (
    (!query.kind || one.event === query.kind) &&
    (!query.account || account.includes(query.account.toLowerCase())) &&
    (!query.worker || String(workerOf(one)).includes(query.worker))
  );
}

/** @param {{one: Heard}} props */
function Row({ one }) {
  const [open, setOpen] = useState(false);
  const text = open ? JSON.stringify(one.row, null, 2) : "";
  return html`<li class="event"><details onToggle=${(/** @type {any} */ event) => setOpen(event.currentTarget.open)}>
    <summary><span class="soft num small">${time(one.at)}</span> <code>${one.event}</code> <bdi class="small">${nameOf(accountOf(one))} ${workerOf(one)}</bdi></summary>
    ${open && html`<pre tabindex="0" role="region" aria-label=${one.event}>${text}</pre>
      <button type="button" onClick=${() => copy([one])}>${t("events.copy")}</button>`}</details></li>`;
}

/** @param {Heard[]} shown */
function copy(shown) {
  const rows = shown.map(({ at, event, row }) => ({ at: new Date(at * 1000).toISOString(), event, payload: row }));
  return attempt(t("what.copy"), () => copyText(JSON.stringify(rows.length === 1 ? rows[0] : rows, null, 2)), t("do.copied"));
}

/** @param {{query: Record<string, string>}} props */
export function Events({ query }) {
  const [paused, setPaused] = useState(/** @type {Heard[] | null} */ (null));
  const [most, setMost] = useState(SHOWN);
  const last = heardCount.value;
  const kept = paused ?? listHeard();
  const found = kept.filter((one) => fits(one, query)).reverse();
  const fresh = paused ? last - (paused[paused.length - 1]?.number ?? 0) : 0;
  const kinds = [...new Set(kept.map((one) => one.event))].sort();
  /** @param {string} name */
  const type = (name) => (/** @type {any} */ event) => filter({ [name]: event.currentTarget.value || undefined });
  return html`<div class="head"><h1>${t("nav.events")}</h1><span class="soft num">${t("list.total", { shown: count(found.length), total: count(kept.length) })}</span></div>
    <p class="soft">${t("events.lead", { count: count(KEPT_EVENTS) })}</p>
    <div class="filters">
      <${Choice} label=${t("filter.kind")} value=${query.kind} change=${(/** @type {string} */ value) => filter({ kind: value || undefined })}
        choices=${[...new Set([...kinds, ...(query.kind ? [query.kind] : [])])].map((one) => [one, one])} />
      <label><span>${t("filter.account")}</span><input type="search" value=${query.account ?? ""} onInput=${type("account")} /></label>
      <label><span>${t("filter.worker")}</span><input type="search" value=${query.worker ?? ""} onInput=${type("worker")} /></label>
      <button type="button" aria-pressed=${paused !== null} onClick=${() => setPaused(paused ? null : listHeard())}>${t(paused ? "events.resume" : "events.pause")}</button>
      <button type="button" disabled=${found.length === 0} onClick=${() => copy(found)}>${t("events.copyall", { count: count(found.length) })}</button>
      <${SaveView} />
      <span class="soft small" role="status">${paused && t("log.paused", { count: count(fresh) })}</span></div>
    ${found.length === 0 ? html`<${Empty}><p>${t(kept.length ? "events.nomatch" : "events.none")}</p><//>`
      : html`<ul class="list">${found.slice(0, most).map((one) => html`<${Row} key=${one.number} one=${one} />`)}</ul>`}
    ${found.length > most && html`<button type="button" onClick=${() => setMost(most + SHOWN)}>${t("do.more")}</button>`}`;
}
