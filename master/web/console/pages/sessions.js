// @ts-check
/** Who is signed in to the console, and the end of it. */
import { ask, segment } from "../api.js";
import { html, useState } from "../html.js";
import { Ago, Empty, Table, useFetched } from "../parts.js";
import { attempt } from "../said.js";
import { filled } from "../store.js";
import { absolute, t, wordOf } from "../words.js";

export function Sessions() {
  const [turn, setTurn] = useState(0);
  const [found] = useFetched(() => ask("GET", "console/sessions"), [filled.value, turn]);
  /** @param {string} id */
  const end = async (id) => {
    await attempt(t("what.end"), () => ask("DELETE", `console/sessions/${segment(id)}`), t("done.ended"));
    setTurn(turn + 1);
  };
  const rows = found?.data ?? [];
  return html`<div class="head"><h1>${t("sessions.title")}</h1></div><p class="soft">${t("sessions.lead")}</p>
    ${found && rows.length === 0 && html`<${Empty}><p>${t("sessions.none")}</p><//>`}
    ${rows.length > 0 && html`<${Table} label=${t("sessions.title")} columns=${["who", "from", "seen", "until", "actions"].map((one) => t(`col.${one}`))}>${rows.map(
      (/** @type {import("../types.js").Session} */ one) => html`<tr key=${one.id}>
        <th scope="row"><bdi>${one.name}</bdi> <span class="soft">${wordOf("scope", one.scope)}</span>${one.is_own && html` <span class="badge info">${t("sessions.own")}</span>`}</th>
        <td><bdi>${one.address}</bdi><div class="small soft"><bdi>${one.agent}</bdi></div></td>
        <td><${Ago} at=${one.seen_at} /></td><td>${absolute(one.expires_at)}</td>
        <td class="end"><button type="button" class="danger" onClick=${() => end(one.id)} aria-label=${`${t("do.end")}: ${one.name}`}>${t("do.end")}</button></td></tr>`,
    )}<//>`}`;
}
