// @ts-check
/** The box on top: finds accounts, workers and pages, and takes commands such as "drain worker-3". */
import { cancelDrain, changeAccount, startLogin } from "./acts.js";
import { html, useState } from "./html.js";
import { go, pageOf } from "./router.js";
import { accounts, may, views, workers } from "./store.js";
import { WORDS, count, t } from "./words.js";

/** @typedef {{kind: string, shown: string, more?: string, run: () => any}} Option */
/** @typedef {import("./types.js").Account} Account */
/** @typedef {import("./types.js").Worker} Worker */

const MOST = 6; // of one kind
const VERBS = ["login", "pause", "resume", "delete", "drain", "undrain"];
/** What a person may type for a command, beside its words.
 * @type {Record<string, string[]>} */
const ALSO = {
  login: ["log in", "login", "登录"], pause: ["pause", "暂停"], resume: ["resume", "activate", "恢复", "启用"],
  delete: ["delete", "remove", "删除"], drain: ["drain", "take out", "排空"], undrain: ["undrain", "put back", "恢复服务"],
};

/** @param {Account} one */
const tellAccount = (one) =>
  [one.account_name, one.id, one.account_id, one.platform_user_id, one.user_info?.nickname].filter(Boolean).join(" ");

/** @param {Account} one @returns {Record<string, Option>} What may be done to an account. */
function actsOfAccount(one) {
  /** @param {string} verb @param {() => any} run */
  const act = (verb, run) => ({ kind: "action", shown: t(`command.${verb}`, { name: one.account_name }), more: one.platform, run });
  if (!may("operate")) return {};
  return {
    login: act("login", () => startLogin(one.id)),
    ...(one.status === "active" && { pause: act("pause", () => changeAccount(one.id, { status: "paused" })) }),
    ...(one.status !== "active" && { resume: act("resume", () => changeAccount(one.id, { status: "active" })) }),
    ...(may("admin") && { delete: act("delete", () => go(["accounts", one.id], { delete: "1" })) }), // a dialog asks
  };
}

/** @param {Worker} one @returns {Record<string, Option>} */
function actsOfWorker(one) {
  if (!may("operate") || one.status === "offline") return {};
  const verb = one.draining ? "undrain" : "drain";
  const run = one.draining ? () => cancelDrain(one.id) : () => go(["workers", one.id], { drain: "1" }); // a dialog asks
  return { [verb]: { kind: "action", shown: t(`command.${verb}`, { name: one.id }), run } };
}

/** Return what a text finds, the best first. @param {string} typed @param {string[]} pages @returns {Option[]} */
export function find(typed, pages) {
  const text = typed.trim().toLowerCase();
  if (!text) return [];
  const all = [...accounts.value.values()];
  /** @param {string} word */
  const inAccounts = (word) => all.filter((one) => tellAccount(one).toLowerCase().includes(word));
  /** @param {string} word The one of that very name first. */
  const inWorkers = (word) => [...workers.value.values()].filter((one) => one.id.toLowerCase().includes(word))
    .sort((a, b) => Number(b.id.toLowerCase() === word) - Number(a.id.toLowerCase() === word) || a.id.localeCompare(b.id, "en", { numeric: true }));
  const commands = VERBS.flatMap((verb) => {
    const said = ALSO[verb].find((one) => text.startsWith(one));
    if (!said) return [];
    const rest = text.slice(said.length).trim();
    const rows = ["drain", "undrain"].includes(verb) ? inWorkers(rest).map(actsOfWorker) : inAccounts(rest).map(actsOfAccount);
    return rows.map((one) => one[verb]).filter(Boolean).slice(0, MOST);
  });
  const found = inAccounts(text);
  const shown = found.slice(0, MOST);
  const hosts = inWorkers(text).slice(0, MOST);
  const places = pages.filter((name) => (WORDS[`nav.${name}`] ?? []).some((word) => word.toLowerCase().startsWith(text)));
  const kept = views.value.filter((one) => one.name.toLowerCase().includes(text) && pages.includes(pageOf(one.url))).slice(0, MOST);
  const acts = [...(shown.length === 1 ? shown.map(actsOfAccount) : []), ...(hosts.length === 1 ? hosts.map(actsOfWorker) : [])];
  const list = { kind: "page", shown: t("command.list", { count: count(found.length), text: typed.trim() }), run: () => go(["accounts"], { q: typed.trim() }) };
  return [
    ...commands,
    ...(found.length > 1 ? [list] : []),
    ...places.map((name) => ({ kind: "page", shown: t(`nav.${name}`), run: () => go([name]) })),
    ...kept.map((one) => ({ kind: "view", shown: one.name, more: t(`nav.${pageOf(one.url)}`), run: () => (location.hash = one.url) })),
    ...shown.map((one) => ({ kind: "account", shown: one.account_name, more: one.platform, run: () => go(["accounts", one.id]) })),
    ...hosts.map((one) => ({ kind: "worker", shown: one.id, run: () => go(["workers", one.id]) })),
    ...acts.flatMap((one) => Object.values(one)),
  ];
}

/** @param {{pages: string[]}} props Names of the pages that this person may see. */
export function Command({ pages }) {
  const [typed, setTyped] = useState("");
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(0);
  const options = open ? find(typed, pages) : [];
  const now = Math.min(at, options.length - 1);
  const shows = open && typed.trim() !== "";
  const clear = () => (setTyped(""), setOpen(false), setAt(0));
  /** @param {Option | undefined} one */
  const run = (one) => {
    if (!one) return;
    clear();
    document.getElementById("search")?.blur();
    void one.run();
  };
  /** @param {any} event */
  const type = (event) => (setTyped(event.currentTarget.value), setOpen(true), setAt(0));
  /** @param {KeyboardEvent} event */
  const press = (event) => {
    if (event.isComposing) return; // Enter and arrows belong to the input method
    const many = options.length || 1;
    if (event.key === "ArrowDown") open ? setAt((now + 1) % many) : setOpen(true);
    else if (event.key === "ArrowUp") setAt((now - 1 + many) % many);
    else if (event.key === "Enter") run(options[now]);
    else if (event.key === "Escape") clear();
    else return;
    event.preventDefault();
  };
  const label = t("command.label");
  return html`<div class="search" role="search">
    <input id="search" type="text" autocomplete="off" spellcheck=${false} enterkeyhint="go" value=${typed}
      role="combobox" aria-autocomplete="list" aria-expanded=${shows && options.length > 0} aria-controls="found"
      aria-activedescendant=${shows && now >= 0 ? `found-${now}` : undefined} aria-label=${label} placeholder=${label}
      title=${t("command.hint")} onInput=${type} onKeyDown=${press} onFocus=${() => setOpen(true)} onBlur=${() => setOpen(false)} />
    <ul id="found" role="listbox" aria-label=${label} hidden=${!shows || options.length === 0}>${options.map(
      (one, index) => html`<li key=${index} id=${`found-${index}`} role="option" aria-selected=${index === now}
        onMouseDown=${(/** @type {Event} */ event) => event.preventDefault()} onClick=${() => run(one)}>
        <bdi>${one.shown}</bdi><span class="soft small">${one.more && html`<bdi>${one.more}</bdi> · `}${t(`command.is.${one.kind}`)}</span></li>`,
    )}</ul>
    ${shows && options.length === 0 && html`<p class="nothing">${t("command.nothing")}</p>`}
    <span class="unseen" role="status">${shows && t("command.found", { count: count(options.length) })}</span></div>`;
}
