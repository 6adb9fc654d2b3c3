// @ts-check
/** The page of a login link: nothing happens before a tap, and the link leaves the address. */
import { WORDS } from "./words.js";

const ZH = navigator.language.toLowerCase().startsWith("zh");
const SECRET = /^[A-Za-z0-9_-]{43}$/;
const OPEN = ["made", "opened", "started", "scanned"];
const page = /** @type {HTMLElement} */ (document.getElementById("page"));

let secret = "";
let link = "";
/** @type {any} */
let state = null;
let mode = "loading";
let trouble = "";
let drawn = "";
let ahead = 0; // Master's clock minus this one, in ms
let turn = 0;
let busy = false;
/** @type {AbortController | null} */
let waiting = null;

/** @param {string} key @param {Record<string, any>} [params] */
function t(key, params = {}) {
  const text = WORDS[key][ZH ? 1 : 0];
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(params[name] ?? whole));
}

/** @param {string} key @param {string} other */
const known = (key, other) => t(WORDS[key] ? key : other);

/**
 * @param {string} name @param {Record<string, any>} [set] @param {...(Node | string | null)} inner
 * @returns {any}
 */
function el(name, set = {}, ...inner) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(set)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value !== undefined) made.setAttribute(key, value);
  }
  made.append(...inner.filter((one) => one !== null));
  return made;
}

/** @param {string} path @param {any} [body] @param {AbortSignal} [signal] */
async function ask(path, body, signal) {
  const answer = await fetch(path, {
    method: body === undefined ? "GET" : "POST",
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
    credentials: "same-origin",
    cache: "no-store",
    signal,
  });
  const content = await answer.json();
  return answer.ok ? { data: content.data } : { code: content.error.code };
}

/** @param {number} ms */
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Follow the link's state until it ends, and again after every interruption. */
async function follow() {
  const mine = ++turn;
  let tag = "";
  for (let tries = 0; mine === turn; ) {
    waiting?.abort();
    waiting = new AbortController();
    try {
      const got = await ask(`state?link=${link}&after=${tag}`, undefined, waiting.signal);
      if (mine !== turn) return;
      if (got.data) {
        state = got.data;
        tag = state.tag;
        ahead = state.now_ms - Date.now();
        tries = 0;
        if (trouble === "offline") trouble = "";
        show("live");
        if (!OPEN.includes(state.state)) return;
      } else if (got.code === "link_closed" || got.code === "too_many_attempts") {
        show("closed");
        return;
      } else {
        await pause(2000);
      }
    } catch (fault) {
      if (mine !== turn) return;
      if (++tries > 1) {
        trouble = "offline";
        show(mode);
      }
      await pause(Math.min(10_000, 500 * 2 ** tries));
    }
  }
}

/** @param {string} path @param {any} body @param {(data: any) => void} [then] */
async function act(path, body, then) {
  if (busy) return;
  busy = true;
  page.setAttribute("aria-busy", "true");
  trouble = "";
  try {
    const got = await ask(path, body);
    if (got.code === "link_closed") mode = "closed";
    else if (got.code === "link_taken") mode = "taken";
    else if (got.code) trouble = got.code;
    else then?.(got.data);
  } catch {
    trouble = "offline";
  }
  busy = false;
  page.removeAttribute("aria-busy");
  show(mode);
}

const open = () =>
  act("open", { secret }, (data) => {
    secret = "";
    link = data.id;
    history.replaceState(null, "", `#id=${link}`);
    mode = "loading";
    void follow();
  });

const start = () => act(`start?link=${link}`, {});

/** @param {any} event @param {number} step */
function send(event, step) {
  event.preventDefault();
  const field = event.currentTarget.elements.value;
  const value = field.value.trim();
  if (value) void act(`input?link=${link}`, { value, step_id: step }, () => (field.value = ""));
}

// -- drawing ----------------------------------------------------------------------------------------

/** @param {number} at Unix seconds */
const moment = (at) =>
  new Intl.DateTimeFormat(ZH ? "zh-CN" : "en-GB", { dateStyle: "medium", timeStyle: "short" }).format(at * 1000);

function facts() {
  /** @type {[string, string][]} */
  const rows = [
    ["farm", `${state.farm} (${location.host})`],
    ["operator", state.operator],
    ["account", `${state.account} · ${state.platform}`],
    ["note", state.note ?? ""],
    ["until", moment(state.expires_at)],
  ];
  return el("dl", {}, ...rows.filter((row) => row[1]).flatMap(([key, value]) => [
    el("dt", {}, t(key)), el("dd", {}, el("bdi", {}, value)),
  ]));
}

/** @param {string} text */
const button = (text, /** @type {() => void} */ click) => el("button", { type: "button", class: "main", click }, text);

function left() {
  return el("p", { class: "time", "data-until": state.login.until });
}

/** @type {Record<string, () => (Node | null)[]>} */
const STEPS = {
  asking: () => [el("p", {}, t("asking.how")), left()],
  code: () => {
    const source = `qr.png?link=${link}&seq=${state.login.seq}`;
    const broken = el("p", { hidden: "" }, t("code.broken"));
    const image = el("img", { src: source, alt: t("code.alt"), width: 280, height: 280, error: () => {
      image.parentElement.hidden = true;
      broken.hidden = false;
    } });
    const url = state.login.code_url;
    return [
      el("div", { class: "code" }, image), broken, left(), el("p", {}, t("code.how")),
      el("div", { class: "phone" }, el("p", {}, t("code.phone")),
        el("a", { class: "button", href: source, download: "code.png" }, t("code.save")),
        url ? el("a", { class: "button", href: url, rel: "noopener noreferrer nofollow" }, t("code.open")) : null),
    ];
  },
  scanned: () => [left()],
  needs_input: () => {
    const { kind, message, step_id } = state.login.question;
    const sms = kind === "sms_code";
    const field = el("input", {
      id: `step-${step_id}`, name: "value", required: "", maxlength: 200, autocomplete: sms ? "one-time-code" : "off",
      inputmode: sms ? "numeric" : undefined,
    });
    return [
      message ? el("p", {}, el("bdi", {}, message)) : null,
      el("form", { submit: (/** @type {any} */ event) => send(event, step_id) },
        el("label", {}, el("span", {}, known(`kind.${kind}`, "kind.other")), field),
        el("button", { class: "main" }, t("send"))),
      left(),
    ];
  },
  verifying: () => [left()],
};

/** @returns {[string, (Node | null)[]]} the headline and what is below it */
function body() {
  if (mode === "intro") return [t("title"), [el("p", {}, t("intro")), warning(), button(t("continue"), open)]];
  if (mode === "loading") return [t("loading"), []];
  if (mode !== "live") return [t(mode), [el("p", {}, t("askfor"))]];
  if (state.state === "done") return [t("done"), [el("p", {}, t("done.how"))]];
  if (!OPEN.includes(state.state)) return [t(state.state), [el("p", {}, outcome()), el("p", {}, t("askfor"))]];
  const step = state.login?.step;
  if (step) return [t(step), [...STEPS[step](), facts()]];
  if (state.outcome) {
    return [t("title"), [el("p", { class: "bad" }, outcome()), facts(), button(t("again", { left: state.starts_left }), start)]];
  }
  return [t("title"), [warning(), facts(), el("p", {}, t("what")), button(t("start"), start)]];
}

const warning = () => el("p", { class: "warn" }, t("expect"));
const outcome = () => (state.outcome ? known(`outcome.${state.outcome}`, "outcome.other") : "");

/** Draw, if something else is to be seen: what is being typed stays. @param {string} next */
function show(next) {
  mode = next;
  const seen = state && mode === "live" ? [state.tag] : [];
  const key = [mode, ...seen].join();
  if (key !== drawn) {
    drawn = key;
    const [headline, parts] = body();
    const before = page.querySelector("input");
    const wasHere = page.contains(document.activeElement);
    if (head.textContent !== headline) head.textContent = headline;
    inner.replaceChildren(.../** @type {Node[]} */ (parts.filter((one) => one !== null)));
    const field = page.querySelector("input");
    if (field && before?.id === field.id) field.value = before.value;
    if (field) field.focus();
    else if (wasHere) head.focus();
    document.title = headline;
  }
  said.textContent = trouble && mode !== "closed" ? known(`trouble.${trouble}`, "trouble.other") : "";
  for (const one of page.querySelectorAll("button")) one.disabled = busy;
  tick();
}

function tick() {
  const one = /** @type {HTMLElement | null} */ (page.querySelector("[data-until]"));
  if (!one) return;
  const seconds = Math.max(0, Math.ceil(Number(one.dataset.until) - (Date.now() + ahead) / 1000));
  const time = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  one.textContent = t("left", { time });
}

function begin() {
  const written = location.hash.slice(1);
  if (SECRET.test(written)) {
    secret = written;
    history.replaceState({ secret }, "", location.pathname); // a reload before the tap keeps it
  } else {
    secret = history.state?.secret ?? "";
  }
  link = /^id=([A-Za-z0-9-]{1,64})$/.exec(written)?.[1] ?? "";
  turn += 1;
  if (secret) show("intro");
  else if (link) void follow();
  else show("closed");
}

const head = el("h1", { tabindex: -1, "aria-live": "polite" });
const said = el("p", { class: "bad", role: "alert" });
const inner = el("div");
page.append(head, said, inner);
document.documentElement.lang = ZH ? "zh-CN" : "en";
show("loading");
begin();
setInterval(tick, 1000);
window.addEventListener("hashchange", begin); // another link in the same tab
const goOn = () => {
  if (!document.hidden && link && mode === "live" && OPEN.includes(state.state)) void follow();
};
document.addEventListener("visibilitychange", goOn);
window.addEventListener("online", goOn);
window.addEventListener("offline", () => {
  trouble = "offline";
  show(mode);
});
