// @ts-check
/** One account: where it is and why, what it wrote, how it was logged in. */
import { askPage } from "../api.js";
import { changeAccount, deleteAccount, startLogin } from "../acts.js";
import { html, useState } from "../html.js";
import { lazy } from "../lazy.js";
import { Ago, Badge, Copyable, Dialog, Empty, Field, Form, Tabs, WorkerLink, useFetched } from "../parts.js";
import { filter, go, link } from "../router.js";
import { accounts, arrived, ended, filled, logins, may, queue, workers } from "../store.js";
import { absolute, count, t, wordOf } from "../words.js";
import { Messages } from "./messages.js";
import { LoginLink } from "./links.js";
import { LoginTable } from "./logins.js";
import { Timeline, Why } from "./why.js";

const Raw = lazy(() => import("./raw.js"), "Raw");

/** @typedef {import("../types.js").Account} Account */
/** @type {import("../store.js").MessageKind[]} */
const KINDS = ["comments", "direct-messages"];

/** @param {{row: Account}} props */
function State({ row }) {
  const { state, reason, since } = row.placement;
  const nick = row.user_info?.nickname;
  return html`<section class="card"><h2>${t("account.state")}</h2><dl class="facts">
    <dt>${t("col.status")}</dt><dd><${Badge} kind="accountIs" word=${row.status} /></dd>
    <dt>${t("col.login")}</dt><dd><${Badge} kind="loginIs" word=${row.login_status} />
      ${row.state.since && html` <span class="soft small"><${Ago} at=${row.state.since} /></span>`}
      ${(row.state.reason || row.state.detail) && html`<div class="small"><bdi>${wordOf("reason", row.state.reason)}</bdi> <bdi>${row.state.detail}</bdi></div>`}</dd>
    <dt>${t("col.place")}</dt><dd>${state === "placed" ? html`<${WorkerLink} id=${row.assigned_worker_id} />`
      : t(state === "waiting" ? "account.waiting" : "account.notwanted", { reason: wordOf("reason", reason) })}
      ${since && html` <span class="soft small"><${Ago} at=${since} /></span>`}
      <div class="small soft">${row.pinned_worker_id ? t("account.pinned", { worker: row.pinned_worker_id }) : t("account.unpinned")}</div></dd>
    <dt>${t("col.platform")}</dt><dd><bdi>${row.platform}</bdi> <span class="soft"><bdi>${row.account_id}</bdi></span></dd>
    ${nick && html`<dt>${t("col.who")}</dt><dd>${t("account.nick", { nick })} <span class="soft"><bdi>${row.platform_user_id}</bdi></span></dd>`}
    ${row.last_login_time && html`<dt>${t("filter.login")}</dt><dd>${t("account.lastlogin", { time: absolute(row.last_login_time) })}
      ${row.cookies_valid_until && html`<div class="small soft">${t("account.cookies", { time: absolute(row.cookies_valid_until) })}</div>`}</dd>`}
    <dt>ID</dt><dd><${Copyable} text=${row.id} /></dd>
  </dl></section>`;
}

/** @param {{row: Account, close: () => void}} props */
function Delete({ row, close }) {
  const [typed, setTyped] = useState("");
  const [found] = useFetched(
    () => Promise.all(KINDS.map((path) => askPage(path, { account_id: row.id, limit: 1 }))),
    [row.id],
  );
  const open = [...logins.value.values()].some((one) => one.account_id === row.id);
  const send = async () => {
    if (await deleteAccount(row.id, row.account_name)) go(["accounts"]);
    else close();
  };
  const numbers = { comments: found ? count(found[0].total) : "…", talks: found ? count(found[1].total) : "…" };
  return html`<${Dialog} title=${t("delete.title", { name: row.account_name })} close=${close}><${Form} send=${send}>
    <p>${t("delete.loses", numbers)} ${open && t("delete.login")}</p>
    <${Field} label=${t("delete.type", { name: row.account_name })}>
      <input value=${typed} onInput=${(/** @type {any} */ event) => setTyped(event.currentTarget.value)} autocomplete="off" autofocus /><//>
    <div class="foot"><button type="button" onClick=${close}>${t("do.cancel")}</button>
      <button class="danger" disabled=${typed !== row.account_name || !found}>${t("do.delete")}</button></div><//><//>`;
}

/** @param {{row: Account}} props */
function Pin({ row }) {
  const fitting = [...workers.value.values()].filter((one) => one.capabilities.includes(row.platform));
  const ids = new Set(fitting.map((one) => one.id).sort((a, b) => a.localeCompare(b, "en", { numeric: true })));
  if (row.pinned_worker_id) ids.add(row.pinned_worker_id);
  /** @param {any} event */
  const pin = (event) => changeAccount(row.id, { pinned_worker_id: event.currentTarget.value || null });
  return html`<label class="row"><span class="soft small">${t("account.pin")}</span>
    <select value=${row.pinned_worker_id ?? ""} onChange=${pin}><option value="">${t("account.unpinned")}</option>
      ${[...ids].map((id) => html`<option key=${id} value=${id}>${id}</option>`)}</select></label>`;
}

/** @param {{id: string, query?: Record<string, string>}} props */
export function Account({ id, query = {} }) {
  const row = accounts.value.get(id);
  const seen = [filled.value, arrived.value, id];
  const [messages, , setMessages] = useFetched(() => readMessages(id), seen);
  const [past] = useFetched(
    () => askPage("login-sessions", { account_id: id, limit: 10 }),
    [filled.value, ended.value, logins.value.size, id],
  );
  if (!row) return html`<div class="head"><h1>${t("nav.accounts")}</h1></div><${Empty}><p>${t("account.missing")}</p><//>`;
  const open = queue.value.find((one) => one.account_id === id);
  const paused = row.status === "paused";
  const ends = (past?.data ?? []).filter((one) => !["pending", "scanning"].includes(one.status));
  return html`<div class="head"><h1><bdi>${row.account_name}</bdi></h1><${Tabs} path=${["accounts", id]} tab=${query.tab} /><span class="spring"></span>
      ${may("operate") && html`<div class="row"><${Pin} row=${row} />
        <button type="button" onClick=${() => changeAccount(id, { status: paused ? "active" : "paused" })}>${t(paused ? "do.resume" : "do.pause")}</button>
        ${may("admin") && html`<button type="button" class="danger" onClick=${() => filter({ delete: "1" })}>${t("do.delete")}</button>`}
        ${open ? html`<a class="button main" href=${link(["logins", open.id])}>${t("login.goto")}</a>`
          : html`<button type="button" class="main" onClick=${() => startLogin(id)}>${t("do.login")}</button>`}</div>`}</div>
    ${query.tab === "raw" ? html`<${Raw} path="accounts" id=${id} keys=${[filled.value, row]} missing=${t("account.missing")} />` : html`
    <div class="columns"><div><${State} row=${row} />
      <${LoginLink} id=${id} />
      <${Why} id=${id} keys=${[filled.value, row]} />
      <section><h2>${t("account.logins")}</h2>
        ${ends.length > 0 ? html`<${LoginTable} rows=${ends} />` : html`<${Empty}><p>${t("account.nologins")}</p><//>`}</section></div>
    <section><h2>${t("account.messages")}</h2>
      ${messages && messages.length === 0 && html`<${Empty}><p>${t("account.nomessages")}</p><//>`}
      ${messages && messages.length > 0 && html`<${Messages} rows=${messages} change=${setMessages} />
        <a href=${link(["inbox"], { account: id })}>${t("account.all")}</a>`}</section></div>
    <${Timeline} path="accounts" id=${id} keys=${[filled.value, row, ended.value]} />`}
    ${query.delete && may("admin") && html`<${Delete} row=${row} close=${() => filter({ delete: undefined })} />`}`;
}

/** @param {string} id @returns {Promise<import("./messages.js").Row[]>} */
async function readMessages(id) {
  const found = await Promise.all(KINDS.map((kind) => askPage(kind, { account_id: id, limit: 10 })));
  return found
    .flatMap((page, index) => page.data.map((row) => ({ ...row, kind: KINDS[index] })))
    .sort((a, b) => b.detected_at - a.detected_at)
    .slice(0, 10);
}
