// @ts-check
/** Language, colours, keys, and who is signed in. */
import { ask, mustSignIn } from "./api.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { PLACES, helpIsOpen } from "./keys.js";
import { line, stop } from "./live.js";
import { Dialog } from "./parts.js";
import { keys, language, theme } from "./prefs.js";
import { attempt } from "./said.js";
import { fillViews, isFilled, session } from "./store.js";
import { t, wordOf } from "./words.js";

async function signOut() {
  const done = await attempt(t("do.signout"), () => ask("DELETE", "console/session"));
  if (!done) return;
  stop();
  session.value = null;
  isFilled.value = false; // what was seen stays with who has seen it
  fillViews([]);
  mustSignIn.value = true;
}

/**
 * @param {{label: string, chosen: import("@preact/signals").Signal<any>,
 *   choices: [string, string][]}} props
 */
function Setting({ label, chosen, choices }) {
  /** @param {any} event */
  const choose = (event) => (chosen.value = event.currentTarget.value);
  return html`<label class="field"><span>${label}</span>
    <select value=${chosen.value} onChange=${choose}>${choices.map(
      ([value, shown]) => html`<option key=${value} value=${value}>${shown}</option>`,
    )}</select></label>`;
}

function Line() {
  const { state } = line.value;
  if (state === "live") return html`<span class="badge ok"><span aria-hidden="true">●</span>${t("line.live")}</span>`;
  return html`<span class="badge warn"><span aria-hidden="true">▲</span>${t(`line.short.${state}`)}</span>`;
}

export function Menu() {
  const [open, setOpen] = useState(false);
  const box = useRef(/** @type {any} */ (null));
  useEffect(() => {
    /** @param {any} event */
    const leave = (event) => {
      const out = event.type === "keydown" ? event.key === "Escape" : !box.current?.contains(event.target);
      if (out) setOpen(false);
    };
    document.addEventListener("click", leave);
    document.addEventListener("keydown", leave);
    return () => {
      document.removeEventListener("click", leave);
      document.removeEventListener("keydown", leave);
    };
  }, []);
  const who = session.value;
  return html`<${Line} /><div class="menu" ref=${box}>
    <button type="button" aria-expanded=${open} onClick=${() => setOpen(!open)}>${who?.name || t("nav.menu")}</button>
    ${open && html`<div>
      ${who && html`<div class="row">${who.name && html`<strong><bdi>${who.name}</bdi></strong>`}<span class="soft">${wordOf("scope", who.scope)}</span></div>`}
      <${Setting} label=${t("pref.language")} chosen=${language} choices=${[["en", "English"], ["zh", "中文"]]} />
      <${Setting} label=${t("pref.theme")} chosen=${theme} choices=${["auto", "light", "dark"].map((one) => [one, t(`pref.${one}`)])} />
      <${Setting} label=${t("pref.keys")} chosen=${keys} choices=${["on", "off"].map((one) => [one, t(`pref.${one}`)])} />
      <button type="button" onClick=${() => (setOpen(false), (helpIsOpen.value = true))}>${t("keys.title")}</button>
      ${who?.guarded && html`<button type="button" onClick=${() => (setOpen(false), void signOut())}>${t("do.signout")}</button>`}
      <span class="small soft">Master ${who?.version}</span>
    </div>`}
  </div>`;
}

export function Help() {
  if (!helpIsOpen.value) return null;
  const close = () => (helpIsOpen.value = false);
  const rows = [["/", "search"], ["n", "next"], ["e", "read"], ["?", "help"]];
  return html`<${Dialog} title=${t("keys.title")} close=${close}>
    <dl class="facts">${rows.map(([key, what]) => html`<dt><code>${key}</code></dt><dd>${t(`keys.${what}`)}</dd>`)}
      ${Object.entries(PLACES).map(([key, name]) => html`<dt><code>g</code> <code>${key}</code></dt><dd>${t(`nav.${name}`)}</dd>`)}</dl>
    <div class="foot"><button type="button" class="main" onClick=${close}>${t("do.close")}</button></div><//>`;
}
