// @ts-check
/** One worker: its accounts, its figures, and its process if Master runs it. */
import { cancelDrain } from "../acts.js";
import { ask, segment } from "../api.js";
import { moment } from "../clock.js";
import { html } from "../html.js";
import { lazy } from "../lazy.js";
import { AccountLink, Ago, Badge, Empty, Fault, Table, Tabs, useFetched } from "../parts.js";
import { filter } from "../router.js";
import { accounts, filled, may, workers } from "../store.js";
import { count, t, wordOf } from "../words.js";
import { ProcessButtons, ProcessState, useProcesses } from "./process.js";
import { Timeline } from "./why.js";

const DrainDialog = lazy(() => import("./drain.js"), "DrainDialog");
const Log = lazy(() => import("./log.js"), "Log");
const Raw = lazy(() => import("./raw.js"), "Raw");

/** @param {{id: string, number: number}} props */
function Process({ id, number }) {
  const live = useProcesses().get(id);
  const [status, fault] = useFetched(
    async () => (await ask("GET", `workers/${segment(id)}/lifecycle/status`)).data,
    [id, filled.value],
  );
  if (fault && !live) return html`<section class="card"><h2>${t("worker.process")}</h2><p class="soft">${t("worker.noprocess")}</p></section>`;
  const process = live ?? status;
  if (!process) return null;
  return html`<section class="card"><h2>${t("worker.process")}</h2>
    <p><${ProcessState} process=${process} /></p>
    <${ProcessButtons} id=${id} state=${process.state} number=${number} /></section>
    ${may("operate") && html`<${Log} id=${id} key=${id} />`}`;
}

/** @param {{row: import("../store.js").Worker, asking: boolean}} props Taking a worker out of service, and how far that is. */
function Drain({ row, asking }) {
  const drained = row.draining;
  const mayAsk = may("operate") && row.status !== "offline" && !drained;
  const reasons = drained ? [...new Set(drained.unplaceable.map((one) => wordOf("reason", one.rule)))].join("; ") : "";
  return html`${drained && html`<p role="status">${t(drained.state === "done" ? "drain.done" : "drain.draining", { left: count(drained.left), moved: count(drained.moved) })}
      ${drained.unplaceable.length > 0 && html` ${t("drain.stays", { count: count(drained.unplaceable.length), reasons })}`}
      ${drained.waiting_login > 0 && html` ${t("drain.logins", { count: count(drained.waiting_login) })}`}</p>`}
    ${may("operate") && row.status !== "offline" && (drained
      ? html`<button type="button" onClick=${() => cancelDrain(row.id)}>${t("drain.cancel")}</button>`
      : html`<button type="button" onClick=${() => filter({ drain: "1" })}>${t("drain.begin")}</button>`)}
    ${asking && mayAsk && html`<${DrainDialog} row=${row} close=${() => filter({ drain: undefined })} />`}`;
}

/** @param {{id: string, query?: Record<string, string>}} props */
export function Worker({ id, query = {} }) {
  const row = workers.value.get(id);
  const [more, fault] = useFetched(
    async () => (await ask("GET", `workers/${segment(id)}`)).data,
    [id, filled.value, row?.status, row?.assigned_accounts],
  );
  if (!row) {
    return html`<div class="head"><h1><bdi>${id}</bdi></h1></div>${fault ? html`<${Fault} fault=${fault} missing=${t("worker.missing")} /><${Process} id=${id} number=${0} />`
      : html`<p class="soft">${t("list.loading")}</p>`}`;
  }
  const own = [...accounts.value.values()].filter((one) => one.assigned_worker_id === id);
  const stats = more?.stats ?? {};
  return html`<div class="head"><h1><bdi>${id}</bdi></h1><${Badge} kind="workerIs" word=${row.status} /><${Tabs} path=${["workers", id]} tab=${query.tab} /></div>
    ${query.tab === "raw" ? html`<${Raw} path="workers" id=${id} keys=${[filled.value, row, moment.value]} missing=${t("worker.missing")} />` : html`
    <div class="columns"><div>
      <section class="card"><h2>${t("worker.figures")}</h2><dl class="facts">
        <dt>${t("col.load")}</dt><dd class="num">${row.assigned_accounts}/${row.max_accounts}</dd>
        <dt>${t("col.heard")}</dt><dd><${Ago} at=${row.last_heartbeat} /></dd>
        <dt>${t("worker.started")}</dt><dd><${Ago} at=${row.started_at} /></dd>
        <dt>${t("col.platforms")}</dt><dd><bdi>${row.capabilities.join(", ")}</bdi></dd>
        <dt>${t("worker.host")}</dt><dd><bdi>${row.host}:${row.port}</bdi></dd>
        <dt>${t("col.version")}</dt><dd><bdi>${row.version ?? "—"}</bdi></dd>
        ${stats.memory_usage != null && html`<dt>${t("worker.memory")}</dt><dd class="num">${count(stats.memory_usage)} MB</dd>`}
        ${stats.cpu_usage != null && html`<dt>${t("worker.cpu")}</dt><dd class="num">${count(stats.cpu_usage)} %</dd>`}
      </dl><${Drain} row=${row} asking=${Boolean(query.drain)} /></section>
      <${Process} id=${id} number=${row.assigned_accounts} /></div>
    <section><h2>${t("worker.accounts")}</h2>
      ${own.length === 0 ? html`<${Empty}><p>${t("worker.noaccounts")}</p><//>`
        : html`<${Table} label=${t("worker.accounts")} columns=${["name", "status", "login"].map((one) => t(`col.${one}`))}>${own.map(
          (one) => html`<tr key=${one.id}><th scope="row"><${AccountLink} id=${one.id} name=${one.account_name} /></th>
            <td><${Badge} kind="accountIs" word=${one.status} /></td><td><${Badge} kind="loginIs" word=${one.login_status} /></td></tr>`,
        )}<//>`}</section></div>
    <${Timeline} path="workers" id=${id} ofWorker keys=${[filled.value, row]} />`}`;
}
