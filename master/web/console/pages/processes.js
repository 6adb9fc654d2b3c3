// @ts-check
/** Worker processes that Master runs: their configurations and how they do. */
import { removeConfig, saveConfig } from "../acts_system.js";
import { askAll } from "../api.js";
import { html, useState } from "../html.js";
import { Dialog, Empty, Fault, Field, Form, Table, WorkerLink, useFetched } from "../parts.js";
import { filled, may, workers } from "../store.js";
import { count, t, wordOf } from "../words.js";
import { ProcessButtons, ProcessState, useProcesses } from "./process.js";

/** @typedef {import("../types.js").Config} Config */

/** @type {Omit<import("../types.js").Process, "worker_id">} */
const NEVER = { state: "stopped", pid: null, started_at: null, restarts: 0, exit_code: null, log_path: null, config_updated_at: null };

/** @param {string} text */
const splitLines = (text) => text.split("\n").map((one) => one.replace(/\r$/, "")).filter((one) => one !== "");

/** @param {{words: string[]}} props A command as the system gets it: no shell reads it. */
function Argv({ words }) {
  return html`<ol class="argv">${words.map((word, index) => html`<li key=${index}><code>${word}</code></li>`)}</ol>`;
}

/** @param {{label: string, row: Config, name: "auto_start" | "auto_restart", changed: () => void}} props */
function Flag({ label, row, name, changed }) {
  const set = async () => {
    if (await saveConfig(row.id, { [name]: !row[name] })) changed();
  };
  return html`<label class="field check"><input type="checkbox" checked=${row[name]} disabled=${!may("admin")}
    aria-label=${`${label}: ${row.id}`} onChange=${set} /><span>${label}</span></label>`;
}

/**
 * Return the variables of lines such as `NAME=value`, or the line that is none.
 * @param {string} text @returns {[Record<string, string>, string]}
 */
function readEnv(text) {
  /** @type {Record<string, string>} */
  const found = {};
  for (const line of splitLines(text)) {
    const at = line.indexOf("=");
    if (at < 1) return [{}, line];
    found[line.slice(0, at).trim()] = line.slice(at + 1);
  }
  return [found, ""];
}

/** @param {{row: Config | null, close: (changed: boolean) => void}} props Without a row, one is added. */
function Edit({ row, close }) {
  const [command, setCommand] = useState(row?.command ?? "");
  const [args, setArgs] = useState((row?.args ?? []).join("\n"));
  const [wrong, setWrong] = useState("");
  const [proxies] = useFetched(() => askAll("proxies"), [filled.value]);
  /** @param {Record<string, string>} values */
  const send = async (values) => {
    const [env, bad] = readEnv(values.env);
    setWrong(bad);
    if (bad) return;
    /** @type {import("../types.js").WorkerConfigChange} */
    const fields = {
      command: values.command.trim() || null, args: splitLines(values.args),
      proxy_id: values.proxy_id || null, max_accounts: values.max_accounts ? Number(values.max_accounts) : null,
      auto_start: Boolean(values.auto_start), auto_restart: Boolean(values.auto_restart),
    };
    if (Object.keys(env).length || values.forget || !row) fields.env = env;
    const named = row ? fields : { ...fields, worker_id: values.worker_id.trim() };
    if (await saveConfig(row?.id ?? null, named)) close(true);
  };
  const preview = command.trim() ? [command.trim(), ...splitLines(args)] : ["python", "-m", "simulator", "worker", ...splitLines(args)];
  return html`<${Dialog} title=${row ? t("process.edit", { name: row.id }) : t("process.add")} close=${() => close(false)}><${Form} send=${send}>
    ${!row && html`<${Field} label=${t("col.worker")}><input name="worker_id" required maxlength="128" autocomplete="off" autofocus /><//>`}
    <${Field} label=${t("process.command")}><input name="command" maxlength="4096" autocomplete="off" value=${command} onInput=${(/** @type {any} */ event) => setCommand(event.currentTarget.value)} /><//>
    <${Field} label=${t("process.args")}><textarea name="args" value=${args} onInput=${(/** @type {any} */ event) => setArgs(event.currentTarget.value)} /><//>
    <div><span class="small soft">${t("process.preview")}</span><${Argv} words=${preview} /></div>
    <${Field} label=${row?.env.length ? t("process.env.new", { names: row.env.join(", ") }) : t("process.env")}><textarea name="env" autocomplete="off" /><//>
    ${wrong && html`<p role="alert">${t("process.env.wrong", { line: wrong })}</p>`}
    ${row && row.env.length > 0 && html`<label class="field check"><input type="checkbox" name="forget" /><span>${t("process.env.forget")}</span></label>`}
    <${Field} label=${t("process.max")}><input name="max_accounts" type="number" min="1" max="100000" value=${row?.max_accounts ?? ""} /><//>
    <${Field} label=${t("process.proxy")}><select name="proxy_id" key=${proxies ? "read" : ""} value=${row?.proxy_id ?? ""}>
      <option value="">${t("process.noproxy")}</option>${(proxies?.rows ?? []).map((one) => html`<option key=${one.id} value=${one.id}>${one.name}</option>`)}</select><//>
    <label class="field check"><input type="checkbox" name="auto_start" checked=${row?.auto_start ?? false} /><span>${t("process.autostart")}</span></label>
    <label class="field check"><input type="checkbox" name="auto_restart" checked=${row?.auto_restart ?? true} /><span>${t("process.autorestart")}</span></label>
    <div class="foot"><button type="button" onClick=${() => close(false)}>${t("do.cancel")}</button>
      <button class="main">${t("do.save")}</button></div><//><//>`;
}

/** @param {{row: Config, close: (changed: boolean) => void}} props */
function Remove({ row, close }) {
  const remove = async () => {
    if (await removeConfig(row.id)) close(true);
  };
  return html`<${Dialog} title=${t("delete.title", { name: row.id })} close=${() => close(false)}><p>${t("process.remove")}</p>
    <div class="foot"><button type="button" onClick=${() => close(false)}>${t("do.cancel")}</button>
      <button type="button" class="danger" onClick=${remove}>${t("do.delete")}</button></div><//>`;
}

export function Processes() {
  const [turn, setTurn] = useState(0);
  const [asked, setAsked] = useState(/** @type {{what: string, row: Config | null} | null} */ (null));
  const [found, fault] = useFetched(() => askAll("worker-configs"), [filled.value, turn]);
  const running = useProcesses();
  const admin = may("admin");
  const rows = found?.rows ?? [];
  const known = new Set(rows.map((row) => row.id));
  const left = [...running.values()].filter((one) => !known.has(one.worker_id) && !["stopped", "failed"].includes(one.state));
  const changed = () => setTurn(turn + 1);
  const close = (/** @type {boolean} */ isChanged) => {
    setAsked(null);
    if (isChanged) changed();
  };
  const columns = ["col.worker", "worker.process", "process.program", "process.envnames", "process.flags", "col.actions"].map((one) => t(one));
  /** @param {string} id */
  const number = (id) => workers.value.get(id)?.assigned_accounts ?? 0;
  return html`<div class="head"><h1>${t("nav.processes")}</h1>${found && html`<span class="soft num">${count(found.total)}</span>`}<span class="spring"></span>
      ${admin && html`<button type="button" class="main" onClick=${() => setAsked({ what: "edit", row: null })}>${t("process.add")}</button>`}</div>
    ${fault && html`<${Fault} fault=${fault} missing=${t("page.missing")} />`}
    ${!found && !fault && html`<p class="soft">${t("list.loading")}</p>`}
    ${found && rows.length + left.length === 0 && html`<${Empty}><p>${t("process.none")}</p><//>`}
    ${rows.length + left.length > 0 && html`<${Table} label=${t("nav.processes")} columns=${columns}>${rows.map((row) => {
      const process = running.get(row.id) ?? { ...NEVER, worker_id: row.id };
      return html`<tr key=${row.id}><th scope="row"><${WorkerLink} id=${row.id} /></th>
        <td><${ProcessState} process=${process} updated=${row.updated_at} />${!row.verified && html`<div class="small">${wordOf("code", "config_unverified")}</div>`}</td>
        <td class="long">${row.command ? html`<${Argv} words=${[row.command, ...row.args]} />` : html`<span class="soft">${t("process.simulated")}</span><${Argv} words=${row.args} />`}</td>
        <td class="long"><bdi class="small">${row.env.join(", ") || "—"}</bdi></td>
        <td><${Flag} label=${t("process.autostart")} row=${row} name="auto_start" changed=${changed} /><${Flag} label=${t("process.autorestart")} row=${row} name="auto_restart" changed=${changed} /></td>
        <td class="end"><${ProcessButtons} id=${row.id} state=${process.state} number=${number(row.id)} />
          ${admin && html`<span class="row">${["edit", "remove"].map((what) => html`<button type="button" key=${what} class=${what === "remove" ? "danger" : ""}
            aria-label=${`${t(`proxy.do.${what}`)}: ${row.id}`} onClick=${() => setAsked({ what, row })}>${t(`proxy.do.${what}`)}</button>`)}</span>`}</td></tr>`;
    })}${left.map((one) => html`<tr key=${one.worker_id}><th scope="row"><${WorkerLink} id=${one.worker_id} /></th>
        <td><${ProcessState} process=${one} /></td><td colspan="3" class="soft">${t("process.unconfigured")}</td>
        <td class="end"><${ProcessButtons} id=${one.worker_id} state=${one.state} number=${number(one.worker_id)} /></td></tr>`)}<//>`}
    ${asked?.what === "edit" && html`<${Edit} row=${asked.row} close=${close} />`}
    ${asked?.what === "remove" && asked.row && html`<${Remove} row=${asked.row} close=${close} />`}`;
}
