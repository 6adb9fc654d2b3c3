// @ts-check
/** What saves a page with its filters as a view, and renames and deletes that. */
import { deleteView, renameView, saveView } from "./acts.js";
import { html, useRef, useState } from "./html.js";
import { Dialog, Field, Form } from "./parts.js";
import { addressOf, place, plainAddress } from "./router.js";
import { views } from "./store.js";
import { t } from "./words.js";

/** @typedef {import("./store.js").View} View */

const LONGEST = 60;

/**
 * @param {{title: string, known?: string, note: (name: string) => string,
 *   send: (name: string) => Promise<any>, close: () => void}} props
 */
function Naming({ title, known = "", note, send, close }) {
  const [name, setName] = useState(known);
  const submit = async () => {
    if (await send(name.trim())) close();
  };
  return html`<${Dialog} title=${title} close=${close}><${Form} send=${submit}>
    <${Field} label=${t("views.name")}><input name="name" required maxlength=${LONGEST} pattern=".*\\S.*" value=${name} autofocus
      onInput=${(/** @type {any} */ event) => setName(event.currentTarget.value)} /><//>
    <p class="soft" role="status">${note(name.trim())}</p>
    <div class="foot"><button type="button" onClick=${close}>${t("do.cancel")}</button>
      <button class="main">${t("do.save")}</button></div><//><//>`;
}

/** @param {{view: View, close: () => void}} props */
function Deleting({ view, close }) {
  const send = async () => {
    if (await deleteView(view)) close();
  };
  return html`<${Dialog} title=${t("views.delete.title", { name: view.name })} close=${close}><${Form} send=${send}>
    <p>${t("views.delete.how")}</p>
    <div class="foot"><button type="button" onClick=${close}>${t("do.cancel")}</button>
      <button class="danger">${t("views.delete")}</button></div><//><//>`;
}

/** What stands beside the filters of a list: the view that is shown, or what saves it as one. */
export function SaveView() {
  const [opened, setOpened] = useState("");
  const box = useRef(/** @type {any} */ (null));
  const close = () => {
    setOpened("");
    // the button that opened the dialog may be gone with what it did
    requestAnimationFrame(() => box.current?.querySelector("button")?.focus());
  };
  const address = addressOf(place.value);
  const view = views.value.find((one) => plainAddress(one.url) === address);
  const isKnown = (/** @type {string} */ name) => views.value.some((one) => one.name === name);
  return html`<span class="row view" ref=${box}>
    ${view ? html`<span class="soft small"><bdi>${t("views.this", { name: view.name })}</bdi></span>
      <button type="button" onClick=${() => setOpened("rename")} aria-label=${`${t("views.rename")}: ${view.name}`}>${t("views.rename")}</button>
      <button type="button" onClick=${() => setOpened("delete")} aria-label=${`${t("views.delete")}: ${view.name}`}>${t("views.delete")}</button>`
      : html`<button type="button" onClick=${() => setOpened("save")}>${t("views.save")}</button>`}
    ${opened === "save" && html`<${Naming} title=${t("views.save.title")} close=${close} send=${(/** @type {string} */ name) => saveView(name, address)}
      note=${(/** @type {string} */ name) => t(isKnown(name) ? "views.replaces" : "views.save.how")} />`}
    ${opened === "rename" && view && html`<${Naming} title=${t("views.rename.title", { name: view.name })} known=${view.name} close=${close}
      send=${(/** @type {string} */ name) => renameView(view.id, name)} note=${() => ""} />`}
    ${opened === "delete" && view && html`<${Deleting} view=${view} close=${close} />`}</span>`;
}
