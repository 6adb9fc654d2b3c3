// @ts-check
/** What needs a person, on top; then how the farm is. */
import { startLogin } from "../acts.js";
import { html } from "../html.js";
import { Ago, Badge, Copyable, toneOf } from "../parts.js";
import { link } from "../router.js";
import {
  accounts, accountsTotal, may, nameOf, notifications, stepOf, unread, waiting, workers,
} from "../store.js";
import { count, t, wordOf } from "../words.js";
import { MinutesChart } from "./minutes.js";

const SICK_LOGINS = ["needs_verification", "logged_out", "expired", "login_failed", "credentials_unreadable"];
const SICK_STATUS = ["banned", "restricted", "error", "expired"];
const SHOWN = 5;
const URGENT_S = 3600;

/** @typedef {{key: string, word: string, kind: string, text: any, act: any}} Need */

/** @returns {Need[]} */
function listNeeds() {
  const all = [...accounts.value.values()];
  return [...waitingLogins(), ...unplaced(all), ...sick(all), ...lostWorkers(), ...urgent()];
}

/** @param {string} href */
const open = (href) => html`<a class="button" href=${href}>${t("do.open")}</a>`;

/** @returns {Need[]} */
function waitingLogins() {
  const shown = waiting.value.slice(0, SHOWN).map((login) => {
    const name = nameOf(login.account_id);
    const step = stepOf(login);
    const text = step === "code" ? t("need.code", { name })
      : t("need.input", { name, what: login.input?.message || t("step.needs_input") });
    return { key: login.id, kind: "step", word: step, text, act: open(link(["logins", login.id])) };
  });
  return [...shown, ...rest("step", "code", waiting.value.length - SHOWN, link(["logins"]))];
}

/** @param {import("../types.js").Account[]} all @returns {Need[]} */
function unplaced(all) {
  /** @type {Map<string, number>} */
  const reasons = new Map();
  for (const { placement } of all) {
    if (placement.state !== "waiting" || !placement.reason) continue;
    reasons.set(placement.reason, (reasons.get(placement.reason) ?? 0) + 1);
  }
  return [...reasons].map(([reason, number]) => ({
    key: reason,
    kind: "place",
    word: "waiting",
    text: t("need.unplaced", { count: count(number), reason: wordOf("reason", reason) }),
    act: open(link(["accounts"], { place: reason })),
  }));
}

/** @param {import("../types.js").Account[]} all @returns {Need[]} */
function sick(all) {
  /** @param {import("../types.js").Account} one @returns {Need} */
  const show = (one) => {
    const kind = SICK_LOGINS.includes(one.login_status) ? "loginIs" : "accountIs";
    const word = kind === "loginIs" ? one.login_status : one.status;
    const why = one.state.detail || one.state.reason;
    const text = html`<bdi>${one.account_name}</bdi>${why && html` <span class="soft small"><bdi>${why}</bdi></span>`}`;
    const act = kind === "loginIs" && may("operate")
      ? html`<button type="button" onClick=${() => startLogin(one.id)} aria-label=${`${t("do.login")}: ${one.account_name}`}>${t("do.login")}</button>`
      : open(link(["accounts", one.id]));
    return { key: one.id, kind, word, text, act };
  };
  const groups = [
    ...SICK_STATUS.map((word) => ["accountIs", word, all.filter((one) => one.status === word)]),
    ...SICK_LOGINS.map((word) => ["loginIs", word, all.filter((one) => one.login_status === word && !SICK_STATUS.includes(one.status))]),
  ];
  return groups.flatMap((group) => {
    const [kind, word, found] = /** @type {[string, string, import("../types.js").Account[]]} */ (group);
    const query = kind === "loginIs" ? { login: word } : { status: word };
    return [...found.slice(0, SHOWN).map(show), ...rest(kind, word, found.length - SHOWN, link(["accounts"], query))];
  });
}

/** @param {string} kind @param {string} word @param {number} number @param {string} href @returns {Need[]} */
function rest(kind, word, number, href) {
  if (number <= 0) return [];
  const text = t("need.more", { count: count(number), state: wordOf(kind, word) });
  return [{ key: `more ${kind} ${word}`, kind, word, text, act: open(href) }];
}

/** @returns {Need[]} */
function lostWorkers() {
  return [...workers.value.values()].filter((one) => one.status === "disconnected").map((one) => ({
    key: `worker ${one.id}`,
    kind: "workerIs",
    word: one.status,
    text: t("need.silent", { name: one.id }),
    act: open(link(["workers", one.id])),
  }));
}

/** @returns {Need[]} */
function urgent() {
  const newest = notifications.value[0]?.created_at ?? 0;
  return notifications.value
    .filter((one) => one.priority === "urgent" && one.created_at > newest - URGENT_S)
    .slice(0, SHOWN)
    .map((one) => ({
      key: one.id,
      kind: "priority",
      word: "urgent",
      text: html`${t("need.urgent", { title: one.title })} <span class="soft small"><bdi>${one.content}</bdi></span>`,
      act: open(link(["notifications"], { priority: "urgent" })),
    }));
}

/** @param {{number: number, word: string, to: string}} props */
function Tile({ number, word, to }) {
  return html`<li><a href=${to}><strong>${count(number)}</strong>${t(word)}</a></li>`;
}

function FirstSteps() {
  const steps = [
    ["worker", workers.value.size > 0],
    ["account", accounts.value.size > 0],
    ["login", [...accounts.value.values()].some((one) => one.has_credentials)],
  ];
  if (steps.every(([, done]) => done)) return null;
  return html`<section class="card"><h2>${t("check.title")}</h2><ol class="needs">${steps.map(
    ([name, done]) => html`<li key=${name}>
      <span class="badge ${done ? "ok" : "idle"}">${done ? "✓" : "○"} ${t(done ? "check.done" : "check.todo")}</span>
      <span class="what">${t(`check.${name}`)}
        ${name === "worker" && !done && html`<div class="small soft">${t("check.worker.how")}</div>
          <${Copyable} text=${`WORKER_ID=worker-1 MASTER_PORT=${location.port || 80} python -m simulator worker`} />`}</span>
      ${name === "account" && !done && may("operate") && html`<a class="button" href=${link(["accounts"], { add: "1" })}>${t("do.add")}</a>`}
      ${name === "login" && !done && html`<a class="button" href=${link(["accounts"])}>${t("nav.accounts")}</a>`}
    </li>`,
  )}</ol></section>`;
}

export function Overview() {
  const all = [...accounts.value.values()];
  const farm = [...workers.value.values()].sort((a, b) => a.id.localeCompare(b.id, "en", { numeric: true }));
  const watched = all.filter((one) => one.placement.state === "placed").length;
  const needs = listNeeds();
  const fine = t("need.nothing", { watched: count(watched), total: count(accountsTotal.value) });
  return html`<div class="head"><h1>${t("over.title")}</h1></div>
    <${FirstSteps} />
    <section class="card"><h2>${t("need.title")}</h2>
      ${needs.length === 0 ? html`<p class="soft">${fine}</p>` : html`<ul class="needs">${needs.map(
        (need) => html`<li key=${need.key}><${Badge} kind=${need.kind} word=${need.word} />
          <span class="what">${need.text}</span>${need.act}</li>`,
      )}</ul>`}
    </section>
    <h2 class="unseen">${t("over.farm")}</h2>
    <ul class="tiles">
      <${Tile} number=${watched} word="over.watched" to=${link(["accounts"], { place: "placed" })} />
      <${Tile} number=${all.filter((one) => one.login_status === "logged_in").length} word="over.loggedin" to=${link(["accounts"], { login: "logged_in" })} />
      <${Tile} number=${all.filter((one) => one.placement.state === "waiting").length} word="over.nowhere" to=${link(["accounts"], { place: "waiting" })} />
      <${Tile} number=${farm.filter((one) => one.status === "connected").length} word="over.workers" to=${link(["workers"], { status: "connected" })} />
      <${Tile} number=${waiting.value.length} word="over.waiting" to=${link(["logins"])} />
      <${Tile} number=${unread.value} word="over.unread" to=${link(["inbox"], { unread: "1" })} />
    </ul>
    <${MinutesChart} />
    <div class="columns">
    ${farm.length > 0 && html`<section class="card"><h2>${t("over.strip")}</h2><ul class="strip">${farm.map(
      (one) => html`<li key=${one.id}><a class=${toneOf(one.status)} href=${link(["workers", one.id])} title=${`${one.id}: ${wordOf("workerIs", one.status)}`}>
        <bdi>${one.id}</bdi><br /><span class="num">${one.assigned_accounts}/${one.max_accounts}</span> ${one.status !== "connected" && html`<span class="soft">${wordOf("workerIs", one.status)}</span>`}</a></li>`,
    )}</ul></section>`}
    <section class="card"><h2>${t("over.latest")}</h2>
      ${notifications.value.length === 0 ? html`<p class="soft">${t("notices.none")}</p>` : html`<ul class="needs">${notifications.value.slice(0, 8).map(
        (one) => html`<li key=${one.id}><span class="what"><bdi>${one.title}</bdi> <span class="soft"><bdi>${one.content}</bdi></span></span><span class="small soft"><${Ago} at=${one.created_at} /></span></li>`,
      )}</ul>`}
    </section></div>`;
}
