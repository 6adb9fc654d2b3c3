// @ts-check
/** The frame of every page: banners, search, pages, settings; and the start. */
import { mustSignIn } from "./api.js";
import { Banners, markDemo } from "./banners.js";
import { startClock } from "./clock.js";
import { Command } from "./command.js";
import { effect, html, render, useEffect, useLayoutEffect, useRef } from "./html.js";
import { startKeys } from "./keys.js";
import { lazy } from "./lazy.js";
import { line, start, watchVisibility } from "./live.js";
import { Menu, Help } from "./menu.js";
import { Account } from "./pages/account.js";
import { Accounts } from "./pages/accounts.js";
import { Inbox } from "./pages/inbox.js";
import { Login } from "./pages/login.js";
import { Logins } from "./pages/logins.js";
import { Overview } from "./pages/overview.js";
import { SignIn, takeLink } from "./pages/signin.js";
import { Worker } from "./pages/worker.js";
import { Workers } from "./pages/workers.js";
import { startPrefs } from "./prefs.js";
import { addressOf, link, pageOf, place, plainAddress, startRouter } from "./router.js";
import { dismiss, told, troubles } from "./said.js";
import { isFilled, may, session, unread, views, waiting } from "./store.js";
import { count, t, wordOf } from "./words.js";

/** @type {[string, any, any, string?][]} a page's name, its list, its page of one row, its scope */
const PAGES = [
  ["overview", Overview, null],
  ["inbox", Inbox, null],
  ["logins", Logins, Login],
  ["accounts", Accounts, Account],
  ["workers", Workers, Worker],
  ["notifications", lazy(() => import("./pages/notifications.js"), "Notifications", "nav.notifications"), null],
  ["proxies", lazy(() => import("./pages/proxies.js"), "Proxies", "nav.proxies"), null],
  ["processes", lazy(() => import("./pages/processes.js"), "Processes", "nav.processes"), null, "operate"],
  ["events", lazy(() => import("./pages/events.js"), "Events", "nav.events"), null],
  ["audit", lazy(() => import("./pages/audit.js"), "Audit", "nav.audit"), null, "admin"],
  ["system", lazy(() => import("./pages/system.js"), "System", "nav.system"), null, "operate"],
  ["sessions", lazy(() => import("./pages/sessions.js"), "Sessions", "nav.sessions"), null],
];

const ICON = new URL("icon.svg", import.meta.url).href;

const MOST_VIEWS = 10; // of one page; the box on top finds the others

/** The views that a person has saved of a page. @param {{page: string}} props */
function Views({ page }) {
  const mine = views.value.filter((one) => pageOf(one.url) === page);
  if (mine.length === 0) return null;
  const here = addressOf(place.value);
  const more = mine.length - MOST_VIEWS;
  return html`<ul class="views" aria-label=${t("views.label", { page: t(`nav.${page}`) })}>
    ${mine.slice(0, MOST_VIEWS).map((one) => html`<li key=${one.id}>
      <a href=${one.url} aria-current=${plainAddress(one.url) === here ? "true" : undefined} title=${one.name}><bdi>${one.name}</bdi></a></li>`)}
    ${more > 0 && html`<li class="soft small">${t("views.more", { count: count(more) })}</li>`}</ul>`;
}

function Nav() {
  const here = place.value.path[0] ?? "overview";
  /** @type {Record<string, number>} */
  const numbers = { inbox: unread.value, logins: waiting.value.length };
  const box = useRef(/** @type {any} */ (null));
  useEffect(() => { // on a narrow screen the list is longer than the line
    box.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [here]);
  return html`<nav class="nav" aria-label=${t("nav.label")} ref=${box}><ul>${PAGES.filter(([, , , scope]) => may(scope ?? "read")).map(
    ([name]) => html`<li key=${name}>
      <a href=${link([name])} aria-current=${here === name ? "page" : undefined}>
        ${t(`nav.${name}`)}${numbers[name] > 0 && html`<span class="number">${count(numbers[name])}</span>`}
      </a><${Views} page=${name} /></li>`,
  )}</ul></nav>`;
}

function Troubles() {
  return html`<div role="alert">${troubles.value.map(
    (one) => html`<div class="trouble" key=${one.id}>
      <div><strong>${t("error.title", { what: one.what })}: ${wordOf("code", one.code)}</strong>
        <div class="small">${one.message} <code>${one.code}</code> ${one.requestId && html`<code>${t("error.request", { id: one.requestId })}</code>`}</div></div>
      <button type="button" onClick=${() => dismiss(one.id)}>${t("do.dismiss")}</button>
    </div>`,
  )}</div>`;
}

function Page() {
  const [name = "overview", id] = place.value.path;
  const known = PAGES.find((one) => one[0] === name);
  const draw = id === undefined ? known?.[1] : known?.[2];
  if (!draw) return html`<h1>${t("page.missing")}</h1>`;
  const scope = known?.[3];
  if (scope && session.value && !may(scope)) {
    return html`<h1>${t(`nav.${name}`)}</h1><p>${t("page.forbidden", { scope: wordOf("scope", scope), own: wordOf("scope", session.value.scope) })}</p>`;
  }
  if (!isFilled.value) return html`<h1>${t(`nav.${name}`)}</h1><p class="soft">${t("list.loading")}</p>`;
  return html`<${draw} key=${`${name}/${id ?? ""}`} id=${id} query=${place.value.query} />`;
}

function Shell() {
  const main = useRef(/** @type {any} */ (null));
  const path = place.value.path.join("/");
  const first = useRef(true);
  useLayoutEffect(() => { // at once: later it would take the focus from a field that is typed in
    if (!first.current) main.current?.focus(); // a new page is read from its beginning
    first.current = false;
    window.scrollTo(0, 0);
  }, [path]);
  /** @param {any} event */
  const skip = (event) => {
    event.preventDefault(); // the address is the page's
    main.current?.focus();
  };
  const stale = isFilled.value && line.value.state === "connecting";
  return html`<div class="shell ${stale ? "stale" : ""}">
    <a class="skip" href="#main" onClick=${skip}>${t("nav.skip")}</a>
    <header class="top">
      <a class="brand" href=${link(["overview"])}><img src=${ICON} alt="" />Master</a>
      <${Command} pages=${PAGES.filter(([, , , scope]) => may(scope ?? "read")).map(([name]) => name)} /><span class="spring"></span><${Menu} />
    </header>
    <${Banners} /><${Nav} />
    <main id="main" tabindex="-1" ref=${main}><${Troubles} /><${Page} /></main>
    <div class="told" role="status">${told.value && html`<div>${told.value}</div>`}</div>
    <${Help} />${mustSignIn.value && html`<${SignIn} />`}
  </div>`;
}

startPrefs();
markDemo();
startRouter();
startClock();
startKeys();
watchVisibility();
effect(() => {
  const mark = waiting.value.length ? `(${waiting.value.length}) ` : "";
  const name = place.value.path[0] ?? "overview";
  document.title = `${mark}${t(`nav.${name}`)} - Master`;
});
render(html`<${Shell} />`, /** @type {HTMLElement} */ (document.getElementById("app")));
void takeLink().then(start);
