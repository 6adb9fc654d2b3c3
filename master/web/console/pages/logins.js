// @ts-check
/** The queue of logins: those that end first on top, then what came of the others. */
import { askPage } from "../api.js";
import { html } from "../html.js";
import { nextWaiting } from "../keys.js";
import { SaveView, lazy } from "../lazy.js";
import { AccountLink, Ago, Badge, Empty, Left, Table, WorkerLink, useFetched } from "../parts.js";
import { link } from "../router.js";
import { ended, filled, lineup, nameOf, queue, stepOf, waiting } from "../store.js";
import { t } from "../words.js";

const Lineup = lazy(() => import("./lineup.js"), "Lineup");

/** @param {{rows: import("../store.js").Login[], withAccount?: boolean}} props */
export function LoginTable({ rows, withAccount = false }) {
  const names = [...(withAccount ? ["account"] : []), "result", "worker", "time"];
  return html`<${Table} label=${t("logins.recent")} columns=${names.map((one) => t(`col.${one}`))}>${rows.map(
    (one) => html`<tr key=${one.id}>
      ${withAccount && html`<td><${AccountLink} id=${one.account_id} name=${nameOf(one.account_id)} /></td>`}
      <td><a href=${link(["logins", one.id])}><${Badge} kind="step" word=${one.status} /></a>
        ${one.error_message && html`<div class="small soft"><bdi>${one.error_message}</bdi></div>`}</td>
      <td><${WorkerLink} id=${one.worker_id} /></td><td><${Ago} at=${one.created_at} /></td></tr>`,
  )}<//>`;
}

export function Logins() {
  const open = queue.value;
  const [past] = useFetched(
    () => Promise.all(["success", "failed", "expired"].map((status) => askPage("login-sessions", { status, limit: 20 }))),
    [filled.value, ended.value],
  );
  const rows = (past ?? []).flatMap((page) => page.data).sort((a, b) => b.created_at - a.created_at).slice(0, 20);
  const columns = ["account", "step", "worker", "left", "actions"].map((one) => t(`col.${one}`));
  return html`<div class="head"><h1>${t("logins.title")}</h1><${SaveView} /><span class="spring"></span>
      ${waiting.value.length > 0 && html`<button type="button" class="main" onClick=${nextWaiting}>${t("logins.next")}</button>`}</div>
    ${lineup.value && html`<${Lineup} />`}
    <h2>${t("logins.open")}</h2>
    ${open.length === 0 ? html`<${Empty}><p>${t("logins.none")}</p><div class="row"><a class="button" href=${link(["accounts"])}>${t("nav.accounts")}</a></div><//>`
      : html`<${Table} label=${t("logins.open")} columns=${columns}>${open.map(
        (one) => html`<tr key=${one.id}>
          <th scope="row"><${AccountLink} id=${one.account_id} name=${nameOf(one.account_id)} /></th>
          <td><${Badge} kind="step" word=${stepOf(one)} /></td><td><${WorkerLink} id=${one.worker_id} /></td>
          <td><${Left} until=${one.expires_at} /></td>
          <td class="end"><a class="button" href=${link(["logins", one.id])} aria-label=${`${t("do.open")}: ${nameOf(one.account_id)}`}>${t("do.open")}</a></td></tr>`,
      )}<//>`}
    <h2>${t("logins.recent")}</h2>
    ${rows.length > 0 ? html`<${LoginTable} rows=${rows} withAccount />` : past ? html`<${Empty}><p>${t("logins.norecent")}</p><//>` : html`<p class="soft">${t("list.loading")}</p>`}`;
}
