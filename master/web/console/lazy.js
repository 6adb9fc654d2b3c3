// @ts-check
/** Pages that few people open are loaded when one is opened, and the console starts with less. */
import { html, useEffect, useState } from "./html.js";
import { filled } from "./store.js";
import { t } from "./words.js";

/**
 * Return a component that loads its module when it is first drawn.
 * @param {() => Promise<Record<string, any>>} load @param {string} name of the component in it
 * @param {string} [title] the word that heads the page until then, if it is a page
 * @param {boolean} [isQuiet] whether nothing is shown until then
 * @returns {any}
 */
export function lazy(load, name, title, isQuiet) {
  /** @type {any} */
  let known = null;
  return (/** @type {any} */ props) => {
    const [draw, setDraw] = useState(() => known);
    const [failed, setFailed] = useState(false);
    useEffect(() => {
      if (known) return;
      load().then(
        (module) => {
          known = module[name];
          setDraw(() => known);
        },
        () => setFailed(true), // another version runs by now, or nothing does
      );
    }, [filled.value]);
    if (draw) return html`<${draw} ...${props} />`;
    if (isQuiet) return null;
    const head = title && html`<div class="head"><h1>${t(title)}</h1></div>`;
    if (!failed) return html`${head}<p class="soft">${t("list.loading")}</p>`;
    return html`${head}<div class="card bad" role="alert"><p>${t("page.notloaded")}</p>
      <button type="button" onClick=${() => location.reload()}>${t("page.reload")}</button></div>`;
  };
}

/** What saves the page that is shown as a view. */
export const SaveView = lazy(() => import("./saving.js"), "SaveView", "", true);
