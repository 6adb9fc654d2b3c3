// @ts-check
/** What people did: every command, the refused ones too, read on by place. */
import { askPage } from "../api.js";
import { html, useEffect, useState } from "../html.js";
import { SaveView } from "../lazy.js";
import { AccountLink, Choice, CopyButton, Empty, Fault, Short, Table, WorkerLink } from "../parts.js";
import { filter, link } from "../router.js";
import { filled, nameOf } from "../store.js";
import { WORDS, absolute, t, wordOf } from "../words.js";

/** @typedef {import("../types.js").Event} Event */

const PAGE = 50;
const KINDS = Object.keys(WORDS)
  .filter((key) => key.startsWith("happened.") && key.includes("_"))
  .map((key) => key.slice("happened.".length));
const ALL = [...new Set([...KINDS, "command", "refused", "pinned", "unpinned"])];

/** @param {{one: Event}} props */
function Target({ one }) {
  const target = one.target;
  const isLogin = target && (one.kind.startsWith("login_") || String(one.params.action ?? "").includes("login"));
  const isProxy = target && String(one.params.action ?? one.kind).includes("prox");
  return html`${one.account_id && html`<div><${AccountLink} id=${one.account_id} name=${nameOf(one.account_id)} /></div>`}
    ${one.worker_id && html`<div><${WorkerLink} id=${one.worker_id} /></div>`}
    ${target && html`<div class="small">${isLogin ? html`<a href=${link(["logins", target])}><${Short} id=${target} /></a>`
      : isProxy ? html`<a href=${link(["proxies"])}><${Short} id=${target} /></a>` : html`<${Short} id=${target} />`}</div>`}`;
}

/** @param {Event["params"]} params */
function tellParams(params) {
  const { action, ...rest } = params;
  const words = Object.entries(rest).map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`);
  return words.join(", ").slice(0, 300);
}

/** @param {{query: Record<string, string>}} props */
export function Audit({ query }) {
  const [rows, setRows] = useState(/** @type {Event[] | null} */ (null));
  const [before, setBefore] = useState(/** @type {number | null} */ (null));
  const [fault, setFault] = useState(/** @type {unknown} */ (null));
  const [read, setRead] = useState({ at: 0, turn: 0 });
  const { by, action, target } = query;
  /** @param {number | null} place @param {Event[]} known @param {() => boolean} isWanted */
  const load = async (place, known, isWanted = () => true) => {
    try {
      const found = (await askPage("audit", { by, action, target, before: place, limit: PAGE })).data;
      if (!isWanted()) return;
      setRows([...known, ...found.items]);
      setBefore(found.before);
      setFault(null);
      if (!known.length) setRead((one) => ({ ...one, at: Date.now() / 1000 }));
    } catch (trouble) {
      if (isWanted()) setFault(trouble);
    }
  };
  useEffect(() => {
    let wanted = true;
    void load(null, [], () => wanted);
    return () => {
      wanted = false;
    };
  }, [by, action, target, filled.value, read.turn]);
  /** @param {string} name */
  const set = (name) => (/** @type {any} */ event) => filter({ [name]: event.currentTarget.value.trim() || undefined });
  const isFiltered = Boolean(by || action || target);
  const columns = ["col.time", "col.who", "happened.what", "audit.target", "col.result", "audit.request"].map((one) => t(one));
  return html`<div class="head"><h1>${t("nav.audit")}</h1>${read.at > 0 && html`<span class="soft small">${t("audit.asof", { time: absolute(read.at) })}</span>
      <button type="button" onClick=${() => setRead((one) => ({ ...one, turn: one.turn + 1 }))}>${t("audit.newer")}</button>`}</div>
    <div class="filters">
      <label><span>${t("audit.by")}</span><input type="search" value=${by ?? ""} onChange=${set("by")} /></label>
      <${Choice} label=${t("happened.what")} value=${action} change=${(/** @type {string} */ value) => filter({ action: value || undefined })}
        choices=${ALL.map((one) => [one, wordOf("happened", one)])} />
      <label><span>${t("audit.targetid")}</span><input type="search" value=${target ?? ""} onChange=${set("target")} /></label><${SaveView} /></div>
    ${fault && html`<${Fault} fault=${fault} missing=${t("page.missing")} />`}
    ${!rows && !fault && html`<p class="soft">${t("list.loading")}</p>`}
    ${rows?.length === 0 && html`<${Empty}><p>${t(isFiltered ? "audit.nomatch" : "audit.none")}</p>
      ${isFiltered && html`<div class="row"><a class="button" href=${link(["audit"])}>${t("do.clear")}</a></div>`}<//>`}
    ${rows && rows.length > 0 && html`<${Table} label=${t("nav.audit")} columns=${columns}>${rows.map((one) => html`<tr key=${one.seq}>
      <td class="small num nowrap">${absolute(one.at_ms / 1000)}</td>
      <td><bdi>${one.by.name ?? wordOf("by", one.by.kind)}</bdi> <span class="soft small">${one.by.scope && wordOf("scope", one.by.scope)}</span></td>
      <th scope="row">${wordOf("happened", one.kind)} ${one.params.action && html`<code>${one.params.action}</code>`} <bdi class="soft small">${tellParams(one.params)}</bdi></th>
      <td class="long targets"><${Target} one=${one} /></td>
      <td>${one.kind === "refused" ? html`<span class="badge bad"><span aria-hidden="true">✕</span>${wordOf("code", one.reason)}</span>` : html`<bdi class="small">${wordOf("reason", one.reason)}</bdi>`}</td>
      <td class="small">${one.request_id && html`<span class="row request"><${Short} id=${one.request_id} /><${CopyButton} text=${one.request_id} /></span>`}</td></tr>`)}<//>`}
    ${before !== null && rows && html`<button type="button" onClick=${() => load(before, rows)}>${t("do.more")}</button>`}`;
}
