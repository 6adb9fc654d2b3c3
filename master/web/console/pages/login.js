// @ts-check
/** One login, drawn as what it is: steps with a deadline of Master's clock. */
import { cancelLogin, sendInput, startLogin } from "../acts.js";
import { ROOT, ask, segment } from "../api.js";
import { now, second } from "../clock.js";
import { html, useState } from "../html.js";
import { lazy } from "../lazy.js";
import { AccountLink, Badge, Fault, Field, Form, Left, Tabs, WorkerLink, useFetched } from "../parts.js";
import { link } from "../router.js";
import { ended, filled, logins, may, nameOf, session, stepOf } from "../store.js";
import { t, wordOf } from "../words.js";
import { LoginLink } from "./links.js";

const Raw = lazy(() => import("./raw.js"), "Raw");

/** @typedef {import("../store.js").Login} Row */

const SLOW_S = 45;
const ORDER = ["asking", "code", "scanned", "needs_input", "done"];

/** @param {{row: Row}} props */
function Steps({ row }) {
  const step = stepOf(row);
  const at = step === "verifying" ? "needs_input" : step === "success" ? "done" : step;
  const now = ORDER.indexOf(at);
  return html`<section class="card"><h2>${t("login.steps")}</h2><ol class="steps">${ORDER.map((name, index) => {
    const done = index < now || step === "success";
    if (name === "needs_input" && now !== index) return null;
    return html`<li key=${name} class=${done ? "done" : index === now ? "now" : ""} aria-current=${index === now && !done ? "step" : undefined}>
      <span class="mark" aria-hidden="true">${done ? "✓" : index === now ? "▸" : "○"}</span>${t(`login.s.${name}`)}</li>`;
  })}</ol></section>`;
}

/** @param {{row: Row}} props */
function Code({ row }) {
  const [failed, setFailed] = useState(-1);
  const seq = row.seq ?? 0;
  if (!may("operate")) return html`<p>${t("login.nocode")}</p>`;
  if (failed === seq) return html`<p>${t("login.noimage")}</p>`;
  return html`<div class="qr"><img src=${`${ROOT}login-sessions/${segment(row.id)}/qr.png?seq=${seq}`}
      alt=${t("login.alt")} onError=${() => setFailed(seq)} /></div><p>${t("login.scan")}</p>
    ${session.value?.demo && html`<${Scanned} row=${row} />`}`;
}

/** @param {{row: Row}} props In a demo, a visitor is the person with the phone. */
function Scanned({ row }) {
  const scan = () => sendInput(row.id, "simulated_scan", "scanned");
  return html`<div class="played"><p class="small">${t("demo.scan.how")}</p>
    <button type="button" onClick=${scan}>${t("demo.scan")}</button></div>`;
}

/** @param {{row: Row}} props */
function Ask({ row }) {
  const { type, message } = row.input ?? { type: "text", message: "" };
  const label = wordOf("input", type);
  /** @param {Record<string, string>} values */
  const send = (values) => sendInput(row.id, type, values.value.trim());
  return html`<h2>${t("login.input")}</h2><p><bdi>${message}</bdi></p>
    ${may("operate") && html`<${Form} send=${send}><${Field} label=${label}>
      <input name="value" required autofocus autocomplete=${type === "sms_code" ? "one-time-code" : "off"}
        inputmode=${type === "sms_code" ? "numeric" : undefined} /><//>
      <button class="main">${t("do.send")}</button><//>`}`;
}

/** @param {{row: Row}} props */
function Other({ row }) {
  /** @param {Record<string, string>} values */
  const send = (values) => sendInput(row.id, values.type, values.value.trim());
  const types = ["sms_code", "captcha", "phone", "text"];
  return html`<details class="card"><summary>${t("login.other")}</summary><${Form} send=${send}>
    <${Field} label=${t("filter.kind")}><select name="type">${types.map((one) => html`<option key=${one} value=${one}>${wordOf("input", one)}</option>`)}</select><//>
    <${Field} label=${t("login.value")}><input name="value" required autocomplete="off" /><//>
    <div><button>${t("do.send")}</button></div><//></details>`;
}

/** @param {{row: Row}} props */
function Asking({ row }) {
  const waits = second.value >= 0 && row.created_at ? now() - row.created_at : 0;
  const worker = row.worker_id ?? "";
  if (waits < SLOW_S) return html`<p>${t("login.asking", { worker })}</p>`;
  return html`<p>${t("login.slow", { worker, seconds: Math.round(waits) })}</p>`;
}

/** @param {{row: Row}} props */
function End({ row }) {
  const again = (/** @type {import("../types.js").NewLogin} */ more) => () => startLogin(row.account_id, more);
  const mismatch = row.error_type === "identity_mismatch";
  const nick = row.user_info?.nickname ?? nameOf(row.account_id);
  return html`<div role="status">
    <p><${Badge} kind="step" word=${row.status} /></p>
    ${row.status === "success" && html`<p>${t("login.success", { nick })}</p>`}
    ${row.status === "expired" && html`<p>${t("login.expired")}</p>`}
    ${row.status === "failed" && (row.error_type === "superseded" ? html`<p>${t("login.superseded")}</p>`
      : mismatch ? html`<h2>${t("login.other.person")}</h2><p><bdi>${row.error_message}</bdi></p>`
      : html`<p>${t("login.failed", { reason: row.error_message ?? "" })}</p>`)}</div>
    <div class="row">
      ${may("operate") && row.status !== "success" && html`<button type="button" class="main" onClick=${again({})}>${t("login.again")}</button>`}
      ${may("operate") && mismatch && html`<button type="button" class="danger" onClick=${again({ accept_identity: true })}>${t("login.accept")}</button>`}
      <a class="button" href=${link(["accounts", row.account_id])}>${t("login.back")}</a></div>`;
}

/** @param {{row: Row}} props */
function Stage({ row }) {
  const step = stepOf(row);
  if (["success", "failed", "expired"].includes(step)) return html`<${End} row=${row} />`;
  return html`<div class="time">${html`<${Left} until=${row.expires_at} />`}</div>
    ${step === "asking" && html`<${Asking} row=${row} />`}
    ${step === "code" && html`<${Code} row=${row} key=${row.id} />`}
    ${step === "scanned" && html`<p>${t("login.scanned")}</p>`}
    ${step === "needs_input" && html`<${Ask} row=${row} key=${row.id} />`}
    ${step === "verifying" && html`<p>${t("login.verifying")}</p>`}
    ${may("operate") && html`<button type="button" onClick=${() => cancelLogin(row.id)}>${t("login.cancel")}</button>`}`;
}

/** @param {{id: string, query?: Record<string, string>}} props */
export function Login({ id, query = {} }) {
  const live = logins.value.get(id) ?? ended.value.get(id);
  const [stored, fault] = useFetched(
    async () => (live ? null : (await ask("GET", `login-sessions/${segment(id)}`)).data),
    [id, filled.value, !live],
  );
  const row = /** @type {Row | null} */ (live ?? stored);
  if (!row) {
    return html`<div class="head"><h1>${t("logins.title")}</h1></div>${fault ? html`<${Fault} fault=${fault} missing=${t("login.missing")} />`
      : html`<p class="soft">${t("list.loading")}</p>`}`;
  }
  const step = stepOf(row);
  const open = !["success", "failed", "expired"].includes(step);
  return html`<div class="head"><h1><bdi>${t("login.title", { name: nameOf(row.account_id) })}</bdi></h1>
      <div role="status"><${Badge} kind="step" word=${step} /></div><${Tabs} path=${["logins", id]} tab=${query.tab} /></div>
    ${query.tab === "raw" ? html`<${Raw} path="login-sessions" id=${id} keys=${[filled.value, live]} missing=${t("login.missing")} />` : html`
    <div class="login"><section class="card stage" aria-label=${wordOf("step", step)}><${Stage} row=${row} /></section>
      <div>${step !== "failed" && step !== "expired" && html`<${Steps} row=${row} />`}<section class="card"><dl class="facts">
        <dt>${t("col.account")}</dt><dd><${AccountLink} id=${row.account_id} name=${nameOf(row.account_id)} /></dd>
        <dt>${t("col.worker")}</dt><dd><${WorkerLink} id=${row.worker_id} /></dd></dl></section>
        ${open && may("operate") && html`<${Other} row=${row} />`}
        ${step !== "success" && html`<${LoginLink} id=${row.account_id} />`}</div></div>`}`;
}
