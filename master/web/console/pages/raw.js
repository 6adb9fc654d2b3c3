// @ts-check
/** A row as Master answers it: JSON that is read again whenever the row changes. */
import { ask, segment } from "../api.js";
import { html } from "../html.js";
import { Fault, copyText, useFetched } from "../parts.js";
import { attempt } from "../said.js";
import { t } from "../words.js";

/**
 * Characters that are not seen, or turn a line's direction, become visible, as JSON writes them.
 * @param {string} json
 */
function escapeHidden(json) {
  return json.replace(
    /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/**
 * @param {{path: "accounts" | "workers" | "login-sessions", id: string, keys: any[],
 *   missing: string}} props `missing` says that there is no such row
 */
export function Raw({ path, id, keys, missing }) {
  const [row, fault] = useFetched(async () => (await ask("GET", `${path}/${segment(id)}`)).data, [path, id, ...keys]);
  if (fault) return html`<${Fault} fault=${fault} missing=${missing} />`;
  if (!row) return html`<p class="soft">${t("list.loading")}</p>`;
  const text = escapeHidden(JSON.stringify(row, null, 2));
  const copy = () => attempt(t("what.copy"), () => copyText(text), t("do.copied"));
  return html`<section class="card"><div class="row"><h2>${t("tab.raw.title")}</h2><span class="spring"></span>
      <button type="button" onClick=${copy}>${t("tab.raw.copy")}</button></div>
    <p class="soft small"><code>GET /api/v1/${path}/${segment(id)}</code></p>
    <pre class="raw" tabindex="0" role="region" aria-label=${t("tab.raw.title")}>${text}</pre></section>`;
}
