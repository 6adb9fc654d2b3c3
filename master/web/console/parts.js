// @ts-check
/** The parts that pages are made of. */
import { moment, now, second } from "./clock.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { link } from "./router.js";
import { attempt } from "./said.js";
import { filled } from "./store.js";
import { absolute, countdown, relative, t, wordOf } from "./words.js";

const TONES = {
  connected: "ok", logged_in: "ok", active: "ok", placed: "ok", success: "ok", running: "ok",
  disconnected: "warn", waiting: "warn", logging_in: "info", asking: "info", scanned: "info",
  verifying: "info", code: "warn", needs_input: "warn", needs_verification: "warn",
  restricted: "warn", high: "warn", backoff: "warn", stopping: "info", normal: "idle", low: "idle",
  added: "ok", new: "info", refused: "bad", made: "info", opened: "info", started: "info", done: "ok", revoked: "idle", login_failed: "bad", credentials_unreadable: "bad", expired: "bad", logged_out: "bad",
  error: "bad", banned: "bad", failed: "bad", urgent: "bad",
};
const MARKS = { ok: "✓", warn: "▲", bad: "✕", info: "…", idle: "○" };

/** @param {string} word */
export const toneOf = (word) => /** @type {Record<string, string>} */ (TONES)[word] ?? "idle";

/**
 * A state: a word with a mark and a colour, never a colour alone.
 * @param {{kind: string, word: string | null}} props
 */
export function Badge({ kind, word }) {
  if (!word) return null;
  const tone = toneOf(word);
  const mark = /** @type {Record<string, string>} */ (MARKS)[tone];
  return html`<span class="badge ${tone}"><span aria-hidden="true">${mark}</span>${wordOf(kind, word)}</span>`;
}

/**
 * A moment: how long ago, with the full time on hover.
 * @param {{at: number | null | undefined}} props Unix seconds
 */
export function Ago({ at }) {
  if (moment.value < 0 || !at) return html`<span class="soft">${t("time.never")}</span>`;
  return html`<time datetime=${new Date(at * 1000).toISOString()} title=${absolute(at)}>${relative(at - now())}</time>`;
}

/** @param {{until: number}} props Unix seconds */
export function Left({ until }) {
  return html`<span class="num">${second.value >= 0 && countdown(until - now())}</span>`;
}

/** @param {{id: string | null, name?: string}} props */
export function AccountLink({ id, name }) {
  return id ? html`<a href=${link(["accounts", id])}><bdi>${name || id}</bdi></a>` : null;
}

/** @param {{id: string | null}} props */
export function WorkerLink({ id }) {
  return id ? html`<a href=${link(["workers", id])}><bdi>${id}</bdi></a>` : html`<span class="soft">—</span>`;
}

/**
 * A long id: its beginning, with the whole on hover.
 * @param {{id: string}} props
 */
export function Short({ id }) {
  return id.length > 14 ? html`<bdi title=${id}>${id.slice(0, 8)}…</bdi>` : html`<bdi>${id}</bdi>`;
}

/** @param {{text: string}} props */
export function CopyButton({ text }) {
  const copy = () => attempt(t("what.copy"), () => copyText(text), t("do.copied"));
  return html`<button type="button" onClick=${copy} aria-label=${`${t("do.copy")}: ${text}`}>${t("do.copy")}</button>`;
}

/** @param {{text: string}} props */
export function Copyable({ text }) {
  return html`<span class="copyable"><code>${text}</code><${CopyButton} text=${text} /></span>`;
}

/** @param {string} text */
export async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = document.createElement("textarea"); // plain http on a network has no clipboard
  field.value = text;
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
  return undefined;
}

/**
 * A dialog: the browser keeps the focus in it and gives it back.
 * @param {{title: string, close?: () => void, children?: any}} props Without `close` it stays.
 */
export function Dialog({ title, close, children }) {
  const box = useRef(/** @type {any} */ (null));
  useEffect(() => {
    box.current.showModal();
    return () => box.current?.close();
  }, []);
  /** @param {Event} event */
  const cancel = (event) => {
    event.preventDefault();
    close?.();
  };
  return html`<dialog ref=${box} aria-labelledby="dialog-title" onCancel=${cancel}>
    <h2 id="dialog-title">${title}</h2>${children}</dialog>`;
}

/**
 * A form in a dialog or a page; Enter sends it, and a second time is one.
 * @param {{send: (values: Record<string, string>) => Promise<any>, children?: any, class?: string}} props
 */
export function Form({ send, children, class: style = "form" }) {
  const [busy, setBusy] = useState(false);
  /** @param {any} event */
  const submit = async (event) => {
    event.preventDefault();
    if (busy) return;
    const values = Object.fromEntries(new FormData(event.currentTarget));
    setBusy(true);
    try {
      await send(/** @type {Record<string, string>} */ (values));
    } finally {
      setBusy(false);
    }
  };
  return html`<form class=${style} onSubmit=${submit} aria-busy=${busy}>${children}</form>`;
}

/** @param {{label: string, children?: any}} props */
export function Field({ label, children }) {
  return html`<label class="field"><span>${label}</span>${children}</label>`;
}

/**
 * A filter of the address.
 * @param {{label: string, value: string | undefined, choices: [string, string][],
 *   change: (value: string) => void}} props
 */
export function Choice({ label, value, choices, change }) {
  /** @param {any} event */
  const note = (event) => change(event.currentTarget.value);
  return html`<label><span>${label}</span>
    <select value=${value ?? ""} onChange=${note}>
      <option value="">${t("filter.any")}</option>
      ${choices.map(([name, shown]) => html`<option key=${name} value=${name}>${shown}</option>`)}
    </select></label>`;
}

/**
 * The tabs of a row's page: the page, and the row as Master answers it. The address says which.
 * @param {{path: string[], tab: string | undefined}} props
 */
export function Tabs({ path, tab }) {
  /** @param {string | undefined} name @param {string} shown */
  const one = (name, shown) => html`<a href=${link(path, { tab: name })} aria-current=${tab === name ? "page" : undefined}>${shown}</a>`;
  return html`<nav class="tabs" aria-label=${t("tab.label")}>${one(undefined, t("tab.page"))}${one("raw", t("tab.raw"))}</nav>`;
}

/** @param {{children?: any}} props */
export function Empty({ children }) {
  return html`<div class="card empty">${children}</div>`;
}

/**
 * A table that scrolls by itself on narrow screens.
 * @param {{label: string, columns: string[], wide?: string[], children?: any}} props
 *   Columns of \`wide\` are left out on narrow screens.
 */
export function Table({ label, columns, wide = [], children }) {
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${label}>
    <table><thead><tr>${columns.map((name) => html`<th key=${name} scope="col" class=${`${name === t("col.actions") ? "end" : ""} ${wide.includes(name) ? "wide" : ""}`}>${name}</th>`)}</tr></thead>
    <tbody>${children}</tbody></table></div>`;
}

const REST_MS = 1_000;

/**
 * Fetch something for a page, again whenever `keys` change: one request at a time, and at most one
 * a second, because a busy farm changes a key faster than answers come. Where `about` changes, or
 * the connection is new, the answer that is still awaited is about something else and is dropped.
 * @template T
 * @param {() => Promise<T>} fetchIt @param {any[]} keys @param {string} about
 * @returns {[T | null, unknown, (value: T) => void]} what came, or the fault; and a way to change it
 */
export function useFetched(fetchIt, keys, about = "") {
  const [found, setFound] = useState(/** @type {T | null} */ (null));
  const [fault, setFault] = useState(/** @type {unknown} */ (null));
  const own = useRef({ fetchIt, subject: "", turn: 0, runs: false, again: false, begun: 0, timer: 0 }).current;
  own.fetchIt = fetchIt;
  const begin = () => {
    const turn = ++own.turn;
    Object.assign(own, { runs: true, again: false, begun: performance.now() });
    own.fetchIt().then(
      (value) => turn === own.turn && (setFault(null), setFound(value)),
      (trouble) => turn === own.turn && setFault(trouble),
    ).finally(() => {
      if (turn !== own.turn) return;
      own.runs = false;
      if (own.again) beginSoon();
    });
  };
  const beginSoon = () => {
    clearTimeout(own.timer);
    own.timer = setTimeout(begin, Math.max(0, own.begun + REST_MS - performance.now()));
  };
  useEffect(() => {
    const subject = `${filled.value} ${about}`;
    if (subject !== own.subject) {
      own.subject = subject;
      clearTimeout(own.timer);
      begin();
    } else if (own.runs) own.again = true;
    else beginSoon();
  }, [filled.value, about, ...keys]);
  useEffect(() => () => {
    own.turn++;
    clearTimeout(own.timer);
  }, []);
  return [found, fault, setFound];
}

/**
 * What is shown where something could not be fetched.
 * @param {{fault: any, missing: string}} props
 */
export function Fault({ fault, missing }) {
  if (fault?.status === 404) return html`<${Empty}><p>${missing}</p><//>`;
  return html`<div class="card bad"><p>${wordOf("code", fault?.code)}</p>
    <p class="small soft">${fault?.message} ${fault?.requestId}</p></div>`;
}

