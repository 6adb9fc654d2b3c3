// @ts-check
/** All workers; those that are offline below the others. */
import { html } from "../html.js";
import { SaveView } from "../lazy.js";
import { Ago, Badge, Choice, Copyable, Empty, Table } from "../parts.js";
import { filter, link } from "../router.js";
import { workers } from "../store.js";
import { count, t, wordOf } from "../words.js";

const STATUSES = ["connected", "disconnected", "offline"];

/** @param {{rows: import("../store.js").Worker[], label: string}} props */
function WorkerTable({ rows, label }) {
  const columns = ["name", "status", "load", "platforms", "heard", "version"].map((one) => t(`col.${one}`));
  return html`<${Table} label=${label} columns=${columns}>${rows.map(
    (one) => html`<tr key=${one.id}>
      <th scope="row"><a href=${link(["workers", one.id])}><bdi>${one.id}</bdi></a></th>
      <td><${Badge} kind="workerIs" word=${one.status} /></td>
      <td class="num"><meter min="0" max=${one.max_accounts || 1} value=${one.assigned_accounts} aria-label=${`${t("col.load")}: ${one.id}`}></meter> ${one.assigned_accounts}/${one.max_accounts}</td>
      <td><bdi>${one.capabilities.join(", ")}</bdi></td>
      <td><${Ago} at=${one.last_heartbeat} /></td><td><bdi>${one.version ?? "—"}</bdi></td></tr>`,
  )}<//>`;
}

/** @param {{query: Record<string, string>}} props */
export function Workers({ query }) {
  const all = [...workers.value.values()].sort((a, b) => a.id.localeCompare(b.id, "en", { numeric: true }));
  const text = (query.q ?? "").toLowerCase();
  const shown = all.filter(
    (one) => (!query.status || one.status === query.status) && (!text || one.id.toLowerCase().includes(text)),
  );
  const here = shown.filter((one) => one.status !== "offline");
  const gone = shown.filter((one) => one.status === "offline");
  return html`<div class="head"><h1>${t("workers.title")}</h1>
      <span class="soft num">${t("list.total", { shown: count(shown.length), total: count(all.length) })}</span></div>
    <div class="filters">
      <label><span>${t("filter.text")}</span><input type="search" value=${query.q ?? ""} onInput=${(/** @type {any} */ event) => filter({ q: event.currentTarget.value || undefined })} /></label>
      <${Choice} label=${t("filter.status")} value=${query.status} change=${(/** @type {string} */ value) => filter({ status: value || undefined })}
        choices=${STATUSES.map((one) => [one, wordOf("workerIs", one)])} /><${SaveView} /></div>
    ${all.length === 0 && html`<${Empty}><p>${t("workers.none")}</p>
      <div class="row"><${Copyable} text=${`WORKER_ID=worker-1 MASTER_PORT=${location.port || 80} python -m simulator worker`} /></div><//>`}
    ${all.length > 0 && shown.length === 0 && html`<${Empty}><p>${t("workers.nomatch")}</p><div class="row"><a class="button" href=${link(["workers"])}>${t("do.clear")}</a></div><//>`}
    ${here.length > 0 && html`<${WorkerTable} rows=${here} label=${t("workers.title")} />`}
    ${gone.length > 0 && html`<details open=${here.length === 0}><summary>${t("workers.offline", { count: count(gone.length) })}</summary>
      <${WorkerTable} rows=${gone} label=${t("workerIs.offline")} /></details>`}`;
}
