// @ts-check
/** A worker's process: its state, and what can be done to it. */
import { runProcess } from "../acts.js";
import { ask } from "../api.js";
import { html, useEffect, useState } from "../html.js";
import { Ago, Badge, Dialog } from "../parts.js";
import { filled, may } from "../store.js";
import { fillProcesses, processes } from "../watch.js";
import { count, t } from "../words.js";

/** @typedef {import("../types.js").Config} Config */

/** Read the states of all processes, once per connection; events tell the changes. */
export function useProcesses() {
  useEffect(() => {
    ask("GET", "processes?limit=500").then((found) => fillProcesses(found.data), () => undefined);
  }, [filled.value]);
  return processes.value;
}

/** @param {number} code A negative one is the number of a signal. */
export function wordExit(code) {
  if (code === -9) return t("process.killed", { code });
  return code < 0 ? t("process.signal", { code: -code }) : t("worker.exit", { code });
}

/** @param {{process: import("../types.js").Process, updated?: Config["updated_at"]}} props */
export function ProcessState({ process, updated }) {
  const outdated = process.state === "running" && updated !== undefined && process.config_updated_at !== updated;
  return html`<span class="row"><${Badge} kind="process" word=${process.state} />
    ${process.pid && html`<span class="soft num">PID ${process.pid}</span>`}
    ${process.started_at && html`<span class="soft small"><${Ago} at=${process.started_at} /></span>`}
    ${process.restarts > 0 && html`<span class="soft">${t("worker.restarts", { count: process.restarts })}</span>`}
    ${process.exit_code !== null && html`<span class="soft">${wordExit(process.exit_code)}</span>`}
    ${outdated && html`<span class="badge warn"><span aria-hidden="true">▲</span>${t("process.outdated")}</span>`}</span>`;
}

/** @param {{id: string, state: string, number: number}} props `number` of accounts that it watches */
export function ProcessButtons({ id, state, number }) {
  const [asked, setAsked] = useState(/** @type {"" | "stop" | "restart"} */ (""));
  if (!may("operate")) return null;
  /** @param {"start" | "stop" | "restart"} action */
  const run = async (action) => {
    setAsked("");
    await runProcess(id, action);
  };
  const runs = state !== "stopped" && state !== "failed";
  /** @param {string} action */
  const name = (action) => `${t(`do.${action}`)}: ${id}`;
  return html`<span class="row">
    ${!runs && html`<button type="button" aria-label=${name("start")} onClick=${() => run("start")}>${t("do.start")}</button>`}
    ${runs && html`<button type="button" aria-label=${name("restart")} onClick=${() => setAsked("restart")}>${t("do.restart")}</button>
      <button type="button" class="danger" aria-label=${name("stop")} onClick=${() => setAsked("stop")}>${t("do.stop")}</button>`}</span>
    ${asked && html`<${Dialog} title=${t("worker.stop.title", { action: t(`do.${asked}`), name: id })} close=${() => setAsked("")}>
      <p>${t("worker.stop.loses", { count: count(number) })}</p>
      <div class="foot"><button type="button" onClick=${() => setAsked("")}>${t("do.cancel")}</button>
        <button type="button" class="danger" onClick=${() => run(asked)}>${t(`do.${asked}`)}</button></div><//>`}`;
}
