// @ts-check
/** Master itself: its health, its files, its settings, and what it is made of. */
import { beginMaintenance, endMaintenance } from "../acts_system.js";
import { ask } from "../api.js";
import { moment, now, offset } from "../clock.js";
import { html, useState } from "../html.js";
import { Ago, Badge, Fault, Field, Form, Table, useFetched } from "../parts.js";
import { link } from "../router.js";
import { filled, may } from "../store.js";
import { condition } from "../watch.js";
import { absolute, count, t, wordOf } from "../words.js";

/** @typedef {import("../types.js").Check} Check */
/** @typedef {import("../types.js").Setting} Setting */

const BACKUP_S = 7 * 86_400;
const DRIFT_MS = 2_000;
const VENDOR = new URL("../vendor/", import.meta.url);

/** @param {number} bytes */
function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const step = bytes > 0 ? Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10)) : 0;
  return `${count(Math.round((bytes / 1024 ** step) * 10) / 10)} ${units[step]}`;
}

/** @param {{checks: Check[]}} props */
function Checks({ checks }) {
  const columns = ["system.check", "col.result", "system.since", "system.detail"].map((one) => t(one));
  return html`<section><h2>${t("system.health")}</h2><${Table} label=${t("system.health")} columns=${columns}>${checks.map((one) => html`<tr key=${one.name}>
    <th scope="row">${wordOf("check", one.name)}</th><td><${Badge} kind="checked" word=${one.ok ? "success" : "failed"} /></td>
    <td><${Ago} at=${one.since} /></td><td class="long"><bdi>${one.detail ?? ""}</bdi></td></tr>`)}<//></section>`;
}

function Maintenance() {
  const state = condition.value?.maintenance;
  /** @param {Record<string, string>} values */
  const send = ({ minutes, reason }) => beginMaintenance(Math.round(Number(minutes) * 60), reason.trim());
  if (!may("operate")) return null;
  return html`<section class="card"><h2>${t("maintenance.title")}</h2><p class="small">${t("maintenance.how")}</p>
    ${state?.active && html`<p role="status">${t("banner.maintenance", { time: absolute(state.deadline_at ?? 0), by: wordOf("by", state.by) })} <bdi>${state.reason ?? ""}</bdi></p>`}
    <${Form} send=${send} class="filters"><${Field} label=${t("drain.minutes")}><input name="minutes" type="number" min="1" max="1440" value="30" required /><//>
      <${Field} label=${t("drain.reason")}><input name="reason" maxlength="200" autocomplete="off" /><//>
      <button>${t(state?.active ? "maintenance.extend" : "maintenance.begin")}</button>
      ${state?.active && html`<button type="button" onClick=${endMaintenance}>${t("maintenance.end")}</button>`}<//></section>`;
}

/** @param {{system: import("../types.js").System}} props */
function Facts({ system }) {
  const { database, vault, queues, sockets } = system;
  const backup = database.last_backup;
  const isOld = !backup || now() - backup.at > BACKUP_S;
  const drift = Math.round(offset.value);
  return html`<div class="columns"><div><section class="card"><h2>${t("system.database")}</h2><dl class="facts">
      <dt>${t("system.file")}</dt><dd><bdi>${database.path}</bdi></dd>
      <dt>${t("col.version")}</dt><dd>${database.version}</dd>
      <dt>${t("system.size")}</dt><dd class="num">${size(database.bytes)}</dd>
      <dt>${t("system.wal")}</dt><dd class="num">${size(database.wal_bytes)}</dd>
      <dt>${t("system.rev")}</dt><dd class="num">${count(database.rev)}</dd>
      <dt>${t("system.backup")}</dt><dd>${backup ? html`<${Ago} at=${backup.at} /> <bdi class="small soft">${backup.file}</bdi>` : t("system.nobackup")}
        ${isOld && html` <span class="badge warn"><span aria-hidden="true">▲</span>${t("system.oldbackup")}</span>`}</dd>
      <dt>${t("system.keys")}</dt><dd><bdi>${vault.known.map((one) => (one === vault.writing ? t("system.writing", { key: one }) : one)).join(", ")}</bdi></dd>
      <dt>${t("system.keysource")}</dt><dd><bdi>${vault.source}</bdi></dd></dl></section></div>
    <div><section class="card"><h2>${t("system.now")}</h2><dl class="facts">
      <dt>${t("worker.started")}</dt><dd><${Ago} at=${system.started_at} /></dd>
      <dt>${t("system.writes")}</dt><dd class="num">${count(queues.writes)} / ${count(queues.writes_limit)}</dd>
      <dt>${t("system.outbound")}</dt><dd class="num">${size(queues.outbound_bytes)} / ${size(queues.outbound_limit_bytes)}</dd>
      <dt>${t("system.untold")}</dt><dd class="num">${count(queues.untold_accounts)}</dd>
      <dt>${t("system.sockets")}</dt><dd class="num">${["worker", "admin", "client"].map((one) => `${t(`system.of.${one}`)} ${count(sockets[one] ?? 0)}`).join(", ")}</dd>
      <dt>${t("system.drift")}</dt><dd><span class="num">${t("system.ms", { ms: count(drift) })}</span>
        ${Math.abs(drift) > DRIFT_MS && html` <span class="badge warn"><span aria-hidden="true">▲</span>${t("system.drifts")}</span>`}</dd>
      <dt>${t("nav.sessions")}</dt><dd><a href=${link(["sessions"])}>${t("system.sessions")}</a></dd>
      <dt>${t("system.links")}</dt><dd class="row">${[["metrics", "../metrics"], ["health", "../health"], ["API", "../api/v1"]].map(
        ([name, path]) => html`<a key=${name} href=${new URL(path, location.href.split("#")[0]).href} target="_blank" rel="noopener">${name}</a>`)}</dd>
    </dl></section></div></div>`;
}

/** @param {{sweeps: import("../types.js").Sweep[]}} props */
function Sweeps({ sweeps }) {
  const columns = ["system.sweep", "system.interval", "system.lastrun", "system.found"].map((one) => t(one));
  return html`<details class="card"><summary>${t("system.sweeps", { count: count(sweeps.length) })}</summary>
    <${Table} label=${t("system.sweep")} columns=${columns}>${sweeps.map((one) => html`<tr key=${one.name}><th scope="row">${wordOf("sweep", one.name)}</th>
      <td class="num">${t("system.s", { s: count(one.interval_s) })}</td><td><${Ago} at=${one.last_run} /></td><td class="num">${count(one.found)}</td></tr>`)}<//></details>`;
}

/** @param {{one: Setting}} props */
function Value({ one }) {
  if (one.is_secret) return html`<${Badge} kind="setting" word=${one.is_set ? "set" : "notset"} />`;
  return html`<code><bdi>${one.value}</bdi></code>`;
}

function Settings() {
  const [found, fault] = useFetched(async () => (await ask("GET", "settings")).data, [filled.value]);
  const [q, setQ] = useState("");
  const rows = (found ?? []).filter((one) => `${one.name} ${one.description}`.toLowerCase().includes(q.toLowerCase()));
  const columns = ["system.setting", "system.value", "system.source"].map((one) => t(one));
  return html`<section><h2>${t("system.settings")}</h2>${fault && html`<${Fault} fault=${fault} missing=${t("page.missing")} />`}
    <div class="filters"><label><span>${t("filter.text")}</span><input type="search" value=${q} onInput=${(/** @type {any} */ event) => setQ(event.currentTarget.value)} /></label></div>
    <${Table} label=${t("system.settings")} columns=${columns}>${rows.map((one) => html`<tr key=${one.name}>
      <th scope="row"><code>${one.name}</code><div class="small soft" lang="en">${one.description}</div></th>
      <td class="long"><${Value} one=${one} /></td><td>${wordOf("source", one.source === ".env" ? "file" : one.source)}</td></tr>`)}<//></section>`;
}

/** @param {{versions: import("../types.js").Version[]}} props */
function Made({ versions }) {
  const [vendor] = useFetched(async () => (await fetch(new URL("vendor.lock.json", VENDOR))).json(), []);
  return html`<details class="card"><summary>${t("system.versions")}</summary><dl class="facts">${versions.map(
      (one) => html`<dt>${one.name}</dt><dd>${one.version}</dd>`)}</dl>
    <h3>${t("system.vendor")}</h3><ul>${(vendor ?? []).map((/** @type {any} */ one) => html`<li key=${one.file}>${one.package} ${one.version}:
      <a href=${new URL(one.licence_file, VENDOR).href} target="_blank" rel="noopener">${one.licence}</a></li>`)}</ul></details>`;
}

export function System() {
  const [system, fault] = useFetched(async () => (await ask("GET", "system")).data, [filled.value, moment.value, condition.value]);
  return html`<div class="head"><h1>${t("nav.system")}</h1>${system && html`<span class="soft small">${t("audit.asof", { time: absolute(system.now_ms / 1000) })}</span>`}</div>
    ${fault && html`<${Fault} fault=${fault} missing=${t("page.missing")} />`}
    ${!system && !fault && html`<p class="soft">${t("list.loading")}</p>`}
    ${system && html`<${Checks} checks=${system.checks} /><${Maintenance} /><${Facts} system=${system} /><${Sweeps} sweeps=${system.sweeps} />
      ${may("admin") && html`<${Settings} />`}<${Made} versions=${system.versions} />`}`;
}
