// @ts-check
/** All accounts, with filters that are in the address. */
import { addAccount, changeAccount, startLogin } from "../acts.js";
import { html, memo } from "../html.js";
import { SaveView, lazy } from "../lazy.js";
import { Badge, Choice, Dialog, Empty, Field, Form, Table, WorkerLink } from "../parts.js";
import { filter, go, link } from "../router.js";
import { accounts, accountsTotal, chosen, may, workers } from "../store.js";
import { count, t, wordOf } from "../words.js";

/** @typedef {import("../types.js").Account} Account */

const Bulk = lazy(() => import("./bulk.js"), "Bulk");
const Import = lazy(() => import("./imports.js"), "Import");
const Acts = lazy(() => import("./bulk.js"), "Acts");

export const STATUSES = ["active", "paused", "inactive", "error", "expired", "banned", "restricted"];
export const LOGINS = [
  "logged_in", "not_logged_in", "logging_in", "login_failed", "logged_out", "expired",
  "needs_verification", "credentials_unreadable",
];
const PLACES = ["placed", "waiting", "not_wanted"];
const REASONS = [
  "no_worker_serves", "no_worker_connected", "no_room", "pinned_worker_gone",
  "pinned_worker_disconnected", "pinned_worker_unfit", "pinned_worker_full", "being_placed",
];

/** @param {Account} one @param {Record<string, string>} query */
function matches(one, query) {
  const nick = one.user_info?.nickname ?? "";
  const text = `${one.account_name} ${one.id} ${one.account_id} ${one.platform_user_id} ${nick}`.toLowerCase();
  return (
    (!query.q || text.includes(query.q.toLowerCase())) &&
    (!query.platform || one.platform === query.platform) &&
    (!query.status || one.status === query.status) &&
    (!query.login || one.login_status === query.login) &&
    (!query.worker || one.assigned_worker_id === query.worker) &&
    (!query.unread || one.unread > 0) &&
    (!query.proxy || one.proxy_id === query.proxy) &&
    (!query.place || one.placement.state === query.place || one.placement.reason === query.place)
  );
}

const SORTS = ["created", "-unread", "unread"];

/** @param {{row: Account}} props */
function UnreadLink({ row }) {
  if (!row.unread) return html`<span class="soft num">${count(0)}</span>`;
  const label = t("unread.open", { name: row.account_name, count: count(row.unread) });
  return html`<a class="num" href=${link(["inbox"], { account: row.id, unread: "1" })} aria-label=${label}>${count(row.unread)}</a>`;
}

/** @param {{query: Record<string, string>}} props */
function UnreadFilters({ query }) {
  /** @param {any} event */
  const sort = (event) => filter({ sort: event.currentTarget.value === "created" ? undefined : event.currentTarget.value });
  /** @param {any} event */
  const check = (event) => filter({ unread: event.currentTarget.checked ? "1" : undefined });
  return html`<label><span>${t("filter.sort")}</span>
      <select value=${SORTS.includes(query.sort) ? query.sort : "created"} onChange=${sort}>
        ${SORTS.map((one) => html`<option key=${one} value=${one}>${t(`sort.${one}`)}</option>`)}</select></label>
    <label class="check"><input type="checkbox" checked=${Boolean(query.unread)} onChange=${check} /><span>${t("filter.hasunread")}</span></label>`;
}

/** Return accounts in the order that the address asks for. @param {Account[]} rows @param {string | undefined} sort */
function sortAccounts(rows, sort) {
  if (sort !== "unread" && sort !== "-unread") return rows;
  const sign = sort === "unread" ? 1 : -1;
  return [...rows].sort((a, b) => sign * (a.unread - b.unread)); // as they were, where the number is the same
}

/** The accounts as they are shown, and the one that was selected last: for ranges with shift.
 * @type {string[]} */
let order = [];
let anchor = "";
/** Whether something was selected since the start: what came of it may be left to read. */
let isUsed = false;

/** @param {string[]} ids @param {boolean} on */
function choose(ids, on) {
  isUsed = true;
  const next = new Set(chosen.peek());
  for (const id of ids) on ? next.add(id) : next.delete(id);
  chosen.value = next;
}

/** @param {any} event A click, or the space bar, on the box of an account. */
function pick(event) {
  const { checked, value } = event.currentTarget;
  const ends = [order.indexOf(anchor), order.indexOf(value)].sort((a, b) => a - b);
  const range = event.shiftKey && ends[0] >= 0 ? order.slice(ends[0], ends[1] + 1) : [value];
  anchor = value;
  choose(range, checked);
}

const Row = memo(
  /** @param {{row: Account, operate: boolean, picked: boolean, language: string}} props */
  ({ row, operate, picked }) => {
    const paused = row.status === "paused";
    const change = () => changeAccount(row.id, { status: paused ? "active" : "paused" });
    const { state, reason } = row.placement;
    return html`<tr>
      ${operate && html`<td class="pick"><input type="checkbox" value=${row.id} checked=${picked} onClick=${pick} aria-label=${t("bulk.one", { name: row.account_name })} /></td>`}
      <th scope="row"><a href=${link(["accounts", row.id])}><bdi>${row.account_name}</bdi></a></th>
      <td class="wide"><bdi>${row.platform}</bdi></td>
      <td><${Badge} kind="accountIs" word=${row.status} /></td>
      <td><${Badge} kind="loginIs" word=${row.login_status} /></td>
      <td>${state === "placed" ? html`<${WorkerLink} id=${row.assigned_worker_id} />`
        : html`<span class=${state === "waiting" ? "" : "soft"}>${state === "waiting" ? wordOf("reason", reason) : t("place.not_wanted")}</span>`}</td>
      <td><${UnreadLink} row=${row} /></td>
      <td class="end">${operate && html`<span class="row">
        <button type="button" onClick=${() => startLogin(row.id)} aria-label=${`${t("do.login")}: ${row.account_name}`}>${t("do.login")}</button>
        ${(paused || row.status === "active") && html`<button type="button" onClick=${change} aria-label=${`${t(paused ? "do.resume" : "do.pause")}: ${row.account_name}`}>${t(paused ? "do.resume" : "do.pause")}</button>`}
      </span>`}</td></tr>`;
  },
);

function Add() {
  const close = () => filter({ add: undefined });
  const known = [...new Set([...workers.value.values()].flatMap((one) => one.capabilities))].sort();
  /** @param {Record<string, string>} values */
  const send = async (values) => {
    const done = await addAccount({
      platform: values.platform.trim(),
      account_name: values.account_name.trim(),
      account_id: values.account_id.trim() || null,
      monitor_interval: Number(values.monitor_interval),
    });
    if (done) go(["accounts", done.data.id]);
  };
  return html`<${Dialog} title=${t("do.add")} close=${close}><${Form} send=${send}>
    <${Field} label=${t("form.platform")}><input name="platform" required maxlength="64" list="platforms" value=${known.length === 1 ? known[0] : ""} autofocus /><//>
    <datalist id="platforms">${known.map((one) => html`<option key=${one} value=${one} />`)}</datalist>
    <${Field} label=${t("form.name")}><input name="account_name" required maxlength="256" /><//>
    <${Field} label=${t("form.uid")}><input name="account_id" maxlength="128" /><//>
    <${Field} label=${t("form.interval")}><input name="monitor_interval" type="number" min="1" max="86400" value="20" required /><//>
    <div class="foot"><button type="button" onClick=${close}>${t("do.cancel")}</button>
      <button class="main">${t("do.save")}</button></div><//><//>`;
}

/** @param {{query: Record<string, string>}} props */
function Filters({ query }) {
  const all = [...accounts.value.values()];
  const platforms = [...new Set(all.map((one) => one.platform))].sort();
  const ids = [...workers.value.keys()].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  /** @param {string} name */
  const set = (name) => (/** @type {string} */ value) => filter({ [name]: value || undefined });
  /** @param {any} event */
  const type = (event) => filter({ q: event.currentTarget.value || undefined });
  return html`<div class="filters">
    <label><span>${t("filter.text")}</span><input type="search" value=${query.q ?? ""} onInput=${type} /></label>
    <${Choice} label=${t("filter.status")} value=${query.status} change=${set("status")} choices=${STATUSES.map((one) => [one, wordOf("accountIs", one)])} />
    <${Choice} label=${t("filter.login")} value=${query.login} change=${set("login")} choices=${LOGINS.map((one) => [one, wordOf("loginIs", one)])} />
    <${Choice} label=${t("filter.place")} value=${query.place} change=${set("place")}
      choices=${[...PLACES.map((one) => [one, wordOf("place", one)]), ...REASONS.map((one) => [one, wordOf("reason", one)])]} />
    <${Choice} label=${t("filter.platform")} value=${query.platform} change=${set("platform")} choices=${platforms.map((one) => [one, one])} />
    <${Choice} label=${t("filter.worker")} value=${query.worker} change=${set("worker")} choices=${ids.map((one) => [one, one])} />
    <${UnreadFilters} query=${query} /><${SaveView} />
  </div>`;
}

/** @param {{query: Record<string, string>}} props */
export function Accounts({ query }) {
  const all = [...accounts.value.values()];
  const shown = sortAccounts(all.filter((one) => matches(one, query)), query.sort);
  const operate = may("operate");
  const columns = [...(operate ? ["chosen"] : []), "name", "platform", "status", "login", "place", "unread", "actions"].map((one) => t(`col.${one}`));
  order = shown.map((one) => one.id);
  const picked = order.filter((id) => chosen.value.has(id)); // nothing is done to what is not shown
  return html`<div class="head"><h1>${t("accounts.title")}</h1>
      <span class="soft num">${t("list.total", { shown: count(shown.length), total: count(accountsTotal.value) })}</span>
      <span class="spring"></span>
      ${operate && html`<button type="button" onClick=${() => filter({ import: "1" })}>${t("do.import")}</button>`}
      ${operate && html`<button type="button" class="main" onClick=${() => filter({ add: "1" })}>${t("do.add")}</button>`}</div>
    <${Filters} query=${query} />
    ${operate && isUsed && html`<${Acts} />`}
    ${operate && shown.length > 0 && html`<label class="field check"><input type="checkbox" checked=${picked.length === shown.length}
      indeterminate=${picked.length > 0 && picked.length < shown.length} onClick=${(/** @type {any} */ event) => choose(order, event.currentTarget.checked)} />
      <span>${t("bulk.all", { count: count(shown.length) })}</span></label>`}
    ${operate && picked.length > 0 && html`<${Bulk} ids=${picked} />`}
    ${shown.length > 0 ? html`<${AccountTable} columns=${columns} rows=${shown} operate=${operate} />`
      : all.length === 0 ? html`<${Empty}><p>${t("accounts.none")}</p><//>`
      : html`<${Empty}><p>${t("accounts.nomatch")}</p><div class="row"><a class="button" href=${link(["accounts"])}>${t("do.clear")}</a></div><//>`}
    ${query.add && operate && html`<${Add} />`}
    ${query.import && operate && html`<${Import} />`}`;
}

/** @param {{columns: string[], rows: Account[], operate: boolean}} props */
function AccountTable({ columns, rows, operate }) {
  const language = t("filter.any"); // rows draw again in another language
  return html`<${Table} label=${t("accounts.title")} columns=${columns} wide=${[t("col.platform")]}>
    ${rows.map((row) => html`<${Row} key=${row.id} row=${row} operate=${operate} picked=${chosen.value.has(row.id)} language=${language} />`)}<//>`;
}
