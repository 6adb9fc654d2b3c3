// @ts-check
/** Proxies: whether they work, what uses them, and their passwords, which nobody sees again. */
import { saveProxy, testProxy } from "../acts_system.js";
import { Refused, ask, askAll, segment } from "../api.js";
import { html, useState } from "../html.js";
import { Ago, Badge, Dialog, Empty, Fault, Field, Form, Table, WorkerLink, AccountLink, useFetched } from "../parts.js";
import { keep, recall } from "../prefs.js";
import { link } from "../router.js";
import { complain, tell } from "../said.js";
import { filled, may, nameOf } from "../store.js";
import { count, t, wordOf } from "../words.js";

/** @typedef {import("../types.js").Proxy} Proxy */
/** @typedef {import("../types.js").ProxyChange} Change */

/** @param {{row: Proxy}} props */
function Password({ row }) {
  if (row.password_unreadable) return html`<${Badge} kind="password" word="unreadable" />`;
  return html`<span class=${row.has_password ? "" : "soft"}>${t(row.has_password ? "password.set" : "password.none")}</span>`;
}

/** @param {{row: Proxy}} props */
function LastTest({ row }) {
  const last = row.last_trial;
  if (!last) return html`<span class="soft">${t("proxy.untested")}</span>`;
  return html`<div><${Badge} kind="trial" word=${last.reachable ? "success" : "failed"} /> <span class="small soft"><${Ago} at=${last.at} /></span></div>
    <div class="small">${last.reachable ? t("proxy.took", { ms: count(Math.round(last.latency_ms)) }) : html`<bdi>${last.error}</bdi>`} <bdi class="soft">${last.target}</bdi></div>`;
}

/** @param {{row: Proxy}} props */
function Users({ row }) {
  const { accounts, workers } = row.used_by;
  if (!accounts && !workers) return html`<span class="soft">${t("proxy.unused")}</span>`;
  return html`${accounts > 0 && html`<a href=${link(["accounts"], { proxy: row.id })}>${t("proxy.accounts", { count: count(accounts) })}</a>`}
    ${workers > 0 && html`<div>${may("operate") ? html`<a href=${link(["processes"])}>${t("proxy.workers", { count: count(workers) })}</a>` : t("proxy.workers", { count: count(workers) })}</div>`}`;
}

/** @param {{row: Proxy, close: () => void}} props */
function Test({ row, close }) {
  /** @param {Record<string, string>} values */
  const send = async ({ target }) => {
    keep("proxy_target", target.trim());
    if (await testProxy(row.id, target.trim())) close();
  };
  return html`<${Form} send=${send} class="row"><label class="unseen" for=${`target-${row.id}`}>${t("proxy.target")}</label>
    <input id=${`target-${row.id}`} name="target" required placeholder="host:443" value=${recall("proxy_target", "")} autofocus />
    <button class="main">${t("proxy.test")}</button><button type="button" onClick=${close}>${t("do.cancel")}</button><//>`;
}

/** @param {{row: Proxy | null, close: (changed: boolean) => void}} props Without a row, one is added. */
function Edit({ row, close }) {
  /** @param {Record<string, string>} values */
  const send = async (values) => {
    const { protocol, status } = /** @type {Pick<Change, "protocol" | "status">} */ (values);
    /** @type {Change} */
    const fields = { name: values.name.trim(), protocol, server: values.server.trim(), username: values.username || null, status };
    if (values.password) fields.password = values.password;
    else if (values.forget) fields.password = null;
    if (await saveProxy(row?.id ?? null, fields)) close(true);
  };
  const has = row?.has_password;
  return html`<${Dialog} title=${t(row ? "proxy.edit" : "proxy.add")} close=${() => close(false)}><${Form} send=${send}>
    <${Field} label=${t("col.name")}><input name="name" required maxlength="256" value=${row?.name ?? ""} autofocus /><//>
    <${Field} label=${t("proxy.protocol")}><select name="protocol" value=${row?.protocol ?? "http"}>${["http", "https", "socks5"].map((one) => html`<option key=${one} value=${one}>${one}</option>`)}</select><//>
    <${Field} label=${t("proxy.server")}><input name="server" required maxlength="300" placeholder="host:port" value=${row?.server ?? ""} /><//>
    <${Field} label=${t("proxy.username")}><input name="username" maxlength="256" autocomplete="off" value=${row?.username ?? ""} /><//>
    <${Field} label=${t(has ? "proxy.password.new" : "proxy.password")}><input name="password" type="password" maxlength="1024" autocomplete="new-password" /><//>
    ${has && html`<label class="field check"><input type="checkbox" name="forget" /><span>${t("proxy.password.forget")}</span></label>`}
    <${Field} label=${t("col.status")}><select name="status" value=${row?.status ?? "active"}>${["active", "inactive"].map((one) => html`<option key=${one} value=${one}>${wordOf("accountIs", one)}</option>`)}</select><//>
    <p class="small soft">${t("proxy.password.note")}</p>
    <div class="foot"><button type="button" onClick=${() => close(false)}>${t("do.cancel")}</button>
      <button class="main">${t("do.save")}</button></div><//><//>`;
}

/** @param {{row: Proxy, close: (changed: boolean) => void}} props */
function Remove({ row, close }) {
  const [users, setUsers] = useState(/** @type {import("../api.js").Detail[] | null} */ (null));
  const remove = async () => {
    try {
      await ask("DELETE", `proxies/${segment(row.id)}`);
      tell(t("done.deleted", { name: row.name }));
      close(true);
    } catch (fault) {
      if (fault instanceof Refused && fault.code === "conflict" && fault.details.length) setUsers(fault.details);
      else complain(t("what.delete"), fault);
    }
  };
  return html`<${Dialog} title=${t("delete.title", { name: row.name })} close=${() => close(false)}>
    ${users === null ? html`<p>${t("proxy.remove")}</p>`
      : html`<div role="alert"><p>${t("proxy.inuse")}</p><ul>${users.map((one) => html`<li key=${one.worker_id ?? one.account_id}>${
        one.worker_id ? html`<${WorkerLink} id=${one.worker_id} />` : html`<${AccountLink} id=${one.account_id} name=${nameOf(one.account_id ?? null)} />`}</li>`)}</ul></div>`}
    <div class="foot"><button type="button" onClick=${() => close(false)}>${t(users ? "do.close" : "do.cancel")}</button>
      ${users === null && html`<button type="button" class="danger" onClick=${remove}>${t("do.delete")}</button>`}</div><//>`;
}

export function Proxies() {
  const [turn, setTurn] = useState(0);
  const [asked, setAsked] = useState(/** @type {{what: string, row: Proxy | null} | null} */ (null));
  const [found, fault] = useFetched(() => askAll("proxies"), [filled.value, turn]);
  const admin = may("admin");
  const close = (changed = true) => {
    setAsked(null);
    if (changed) setTurn(turn + 1);
  };
  const columns = ["col.name", "proxy.server", "proxy.password", "col.status", "proxy.users", "proxy.last", ...(admin ? ["col.actions"] : [])].map((one) => t(one));
  const rows = found?.rows ?? [];
  return html`<div class="head"><h1>${t("nav.proxies")}</h1>${found && html`<span class="soft num">${count(found.total)}</span>`}<span class="spring"></span>
      ${admin && html`<button type="button" class="main" onClick=${() => setAsked({ what: "edit", row: null })}>${t("proxy.add")}</button>`}</div>
    ${fault && html`<${Fault} fault=${fault} missing=${t("page.missing")} />`}
    ${!found && !fault && html`<p class="soft">${t("list.loading")}</p>`}
    ${found && rows.length === 0 && html`<${Empty}><p>${t("proxy.none")}</p><//>`}
    ${rows.length > 0 && html`<${Table} label=${t("nav.proxies")} columns=${columns}>${rows.map((row) => html`<tr key=${row.id}>
      <th scope="row"><bdi>${row.name}</bdi></th>
      <td class="long"><bdi>${row.protocol}://${row.username ? `${row.username}@` : ""}${row.server}</bdi></td>
      <td><${Password} row=${row} /></td><td><${Badge} kind="accountIs" word=${row.status} /></td>
      <td><${Users} row=${row} /></td><td class="long"><${LastTest} row=${row} /></td>
      ${admin && html`<td class="end">${asked?.what === "test" && asked.row?.id === row.id ? html`<${Test} row=${row} close=${close} />`
        : html`<span class="row">${["test", "edit", "remove"].map((what) => html`<button type="button" key=${what} class=${what === "remove" ? "danger" : ""}
            aria-label=${`${t(`proxy.do.${what}`)}: ${row.name}`} onClick=${() => setAsked({ what, row })}>${t(`proxy.do.${what}`)}</button>`)}</span>`}</td>`}</tr>`)}<//>`}
    ${asked?.what === "edit" && html`<${Edit} row=${asked.row} close=${close} />`}
    ${asked?.what === "remove" && asked.row && html`<${Remove} row=${asked.row} close=${close} />`}`;
}
