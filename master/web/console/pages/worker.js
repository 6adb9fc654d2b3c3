// @ts-check
/** One worker: its accounts, its figures, and its process if Master runs it. */
import { runProcess } from "../acts.js";
import { ask, segment } from "../api.js";
import { html, useState } from "../html.js";
import { AccountLink, Ago, Badge, Dialog, Empty, Fault, Table, useFetched } from "../parts.js";
import { accounts, filled, may, workers } from "../store.js";
import { attempt } from "../said.js";
import { count, t } from "../words.js";

/** @param {{id: string, number: number}} props */
function Process({ id, number }) {
  const [asked, setAsked] = useState("");
  const [turn, setTurn] = useState(0);
  const [status, fault] = useFetched(
    async () => (await ask("GET", `workers/${segment(id)}/lifecycle/status`)).data,
    [id, filled.value, turn, workers.value.get(id)?.status],
  );
  if (fault) return html`<section class="card"><h2>${t("worker.process")}</h2><p class="soft">${t("worker.noprocess")}</p></section>`;
  if (!status) return null;
  /** @param {string} action */
  const run = async (action) => {
    setAsked("");
    await runProcess(id, action);
    setTurn(turn + 1);
  };
  const runs = status.state !== "stopped" && status.state !== "failed";
  return html`<section class="card"><h2>${t("worker.process")}</h2>
    <p class="row"><${Badge} kind="process" word=${status.state} />
      ${status.pid && html`<span class="soft num">PID ${status.pid}</span>`}
      ${status.restarts > 0 && html`<span class="soft">${t("worker.restarts", { count: status.restarts })}</span>`}
      ${status.exit_code !== null && html`<span class="soft">${t("worker.exit", { code: status.exit_code })}</span>`}</p>
    ${may("operate") && html`<div class="row">
      ${!runs && html`<button type="button" onClick=${() => run("start")}>${t("do.start")}</button>`}
      ${runs && html`<button type="button" onClick=${() => setAsked("restart")}>${t("do.restart")}</button>
        <button type="button" class="danger" onClick=${() => setAsked("stop")}>${t("do.stop")}</button>`}</div><${Log} id=${id} />`}
    ${asked && html`<${Dialog} title=${t("worker.stop.title", { action: t(`do.${asked}`), name: id })} close=${() => setAsked("")}>
      <p>${t("worker.stop.loses", { count: count(number) })}</p>
      <div class="foot"><button type="button" onClick=${() => setAsked("")}>${t("do.cancel")}</button>
        <button type="button" class="danger" onClick=${() => run(asked)}>${t(`do.${asked}`)}</button></div><//>`}
  </section>`;
}

/** @param {{id: string}} props */
function Log({ id }) {
  const [lines, setLines] = useState(/** @type {string[] | null} */ (null));
  const read = async () => {
    const found = await attempt(t("worker.readlog"), () => ask("GET", `workers/${segment(id)}/lifecycle/logs?lines=500`));
    if (found) setLines(found.data);
  };
  return html`<p></p><button type="button" onClick=${read}>${t("worker.readlog")}</button>
    ${lines && html`<pre class="log" tabindex="0" role="region" aria-label=${t("worker.log")}>${lines.length ? lines.map(showControls).join("\n") : t("worker.nolog")}</pre>`}`;
}

/** @param {string} text Escape sequences and control characters become visible. */
function showControls(text) {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, (sign) => `\\x${sign.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

/** @param {{id: string}} props */
export function Worker({ id }) {
  const row = workers.value.get(id);
  const [more, fault] = useFetched(
    async () => (await ask("GET", `workers/${segment(id)}`)).data,
    [id, filled.value, row?.status, row?.assigned_accounts],
  );
  if (!row) {
    return html`<div class="head"><h1><bdi>${id}</bdi></h1></div>${fault ? html`<${Fault} fault=${fault} missing=${t("worker.missing")} />`
      : html`<p class="soft">${t("list.loading")}</p>`}`;
  }
  const own = [...accounts.value.values()].filter((one) => one.assigned_worker_id === id);
  const stats = more?.stats ?? {};
  return html`<div class="head"><h1><bdi>${id}</bdi></h1><${Badge} kind="workerIs" word=${row.status} /></div>
    <div class="columns"><div>
      <section class="card"><h2>${t("worker.figures")}</h2><dl class="facts">
        <dt>${t("col.load")}</dt><dd class="num">${row.assigned_accounts}/${row.max_accounts}</dd>
        <dt>${t("col.heard")}</dt><dd><${Ago} at=${row.last_heartbeat} /></dd>
        <dt>${t("worker.started")}</dt><dd><${Ago} at=${row.started_at} /></dd>
        <dt>${t("col.platforms")}</dt><dd><bdi>${row.capabilities.join(", ")}</bdi></dd>
        <dt>${t("worker.host")}</dt><dd><bdi>${row.host}:${row.port}</bdi></dd>
        <dt>${t("col.version")}</dt><dd><bdi>${row.version ?? "—"}</bdi></dd>
        ${stats.memoryUsage != null && html`<dt>${t("worker.memory")}</dt><dd class="num">${count(stats.memoryUsage)} MB</dd>`}
        ${stats.cpuUsage != null && html`<dt>${t("worker.cpu")}</dt><dd class="num">${count(stats.cpuUsage)} %</dd>`}
      </dl></section>
      <${Process} id=${id} number=${row.assigned_accounts} /></div>
    <section><h2>${t("worker.accounts")}</h2>
      ${own.length === 0 ? html`<${Empty}><p>${t("worker.noaccounts")}</p><//>`
        : html`<${Table} label=${t("worker.accounts")} columns=${["name", "status", "login"].map((one) => t(`col.${one}`))}>${own.map(
          (one) => html`<tr key=${one.id}><th scope="row"><${AccountLink} id=${one.id} name=${one.account_name} /></th>
            <td><${Badge} kind="accountIs" word=${one.status} /></td><td><${Badge} kind="loginIs" word=${one.login_status} /></td></tr>`,
        )}<//>`}</section></div>`;
}
