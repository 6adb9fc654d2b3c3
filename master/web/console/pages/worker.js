// @ts-check
/** One worker: its accounts, its figures, and its process if Master runs it. */
import { beginDrain, cancelDrain, runProcess } from "../acts.js";
import { ask, segment } from "../api.js";
import { html, useState } from "../html.js";
import { AccountLink, Ago, Badge, Dialog, Empty, Fault, Field, Form, Table, useFetched } from "../parts.js";
import { accounts, filled, may, workers } from "../store.js";
import { attempt } from "../said.js";
import { count, t, wordOf } from "../words.js";
import { Timeline } from "./why.js";

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

/** @param {{row: import("../types.js").Worker}} props Taking a worker out of service, and how far that is. */
function Drain({ row }) {
  const [asking, setAsking] = useState(false);
  const drained = row.draining;
  /** @param {Record<string, string>} values */
  const send = async ({ minutes, reason }) => {
    await beginDrain(row.id, Math.round(Number(minutes) * 60), reason);
    setAsking(false);
  };
  const reasons = drained ? [...new Set(drained.unplaceable.map((one) => wordOf("reason", one.rule)))].join("; ") : "";
  return html`${drained && html`<p role="status">${t(drained.state === "done" ? "drain.done" : "drain.draining", { left: count(drained.left), moved: count(drained.moved) })}
      ${drained.unplaceable.length > 0 && html` ${t("drain.stays", { count: count(drained.unplaceable.length), reasons })}`}
      ${drained.waiting_login > 0 && html` ${t("drain.logins", { count: count(drained.waiting_login) })}`}</p>`}
    ${may("operate") && row.status !== "offline" && (drained
      ? html`<button type="button" onClick=${() => cancelDrain(row.id)}>${t("drain.cancel")}</button>`
      : html`<button type="button" onClick=${() => setAsking(true)}>${t("drain.begin")}</button>`)}
    ${asking && html`<${Dialog} title=${t("drain.title", { name: row.id })} close=${() => setAsking(false)}><${Form} send=${send}>
      <p>${t("drain.how", { count: count(row.assigned_accounts) })}</p>
      <${Field} label=${t("drain.minutes")}><input name="minutes" type="number" min="1" max="1440" value="10" required autofocus /><//>
      <${Field} label=${t("drain.reason")}><input name="reason" maxlength="200" autocomplete="off" /><//>
      <div class="foot"><button type="button" onClick=${() => setAsking(false)}>${t("do.cancel")}</button>
        <button class="main">${t("drain.begin")}</button></div><//><//>`}`;
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
      </dl><${Drain} row=${row} /></section>
      <${Process} id=${id} number=${row.assigned_accounts} /></div>
    <section><h2>${t("worker.accounts")}</h2>
      ${own.length === 0 ? html`<${Empty}><p>${t("worker.noaccounts")}</p><//>`
        : html`<${Table} label=${t("worker.accounts")} columns=${["name", "status", "login"].map((one) => t(`col.${one}`))}>${own.map(
          (one) => html`<tr key=${one.id}><th scope="row"><${AccountLink} id=${one.id} name=${one.account_name} /></th>
            <td><${Badge} kind="accountIs" word=${one.status} /></td><td><${Badge} kind="loginIs" word=${one.login_status} /></td></tr>`,
        )}<//>`}</section></div>
    <${Timeline} path="workers" id=${id} ofWorker keys=${[filled.value, row]} />`;
}
