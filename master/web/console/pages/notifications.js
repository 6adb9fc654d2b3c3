// @ts-check
/** Notifications, the newest first, with where each comes from. */
import { askPage } from "../api.js";
import { html } from "../html.js";
import { SaveView } from "../lazy.js";
import { AccountLink, Ago, Badge, Choice, Empty, Table, useFetched } from "../parts.js";
import { filter, link } from "../router.js";
import { filled, nameOf, notifications } from "../store.js";
import { count, t, wordOf } from "../words.js";

const TYPES = ["comment", "direct_message", "system", "account_status"];
const PRIORITIES = ["low", "normal", "high", "urgent"];
const PAGE = 100;

/** @param {{query: Record<string, string>}} props */
export function Notifications({ query }) {
  const shown = Number(query.show) || PAGE;
  const [found] = useFetched(
    () => askPage("notifications", { type: query.type, priority: query.priority, limit: Math.min(500, shown) }),
    [],
    [query.type, query.priority, shown].join(),
  );
  const known = new Set((found?.data ?? []).map((one) => one.id));
  const fits = (/** @type {import("../store.js").Notification} */ one) =>
    (!query.type || one.type === query.type) && (!query.priority || one.priority === query.priority);
  const newest = found?.data[0]?.seq ?? 0;
  const live = notifications.value.filter((one) => !known.has(one.id) && one.seq > newest && fits(one));
  const rows = [...live, ...(found?.data ?? [])];
  /** @param {string} name */
  const set = (name) => (/** @type {string} */ value) => filter({ [name]: value || undefined });
  return html`<div class="head"><h1>${t("notices.title")}</h1>
      ${found && html`<span class="soft num">${t("list.total", { shown: count(rows.length), total: count(found.total + live.length) })}</span>`}</div>
    <div class="filters">
      <${Choice} label=${t("filter.kind")} value=${query.type} change=${set("type")} choices=${TYPES.map((one) => [one, wordOf("notice", one)])} />
      <${Choice} label=${t("filter.priority")} value=${query.priority} change=${set("priority")} choices=${PRIORITIES.map((one) => [one, wordOf("priority", one)])} /><${SaveView} /></div>
    ${!found && html`<p class="soft">${t("list.loading")}</p>`}
    ${found && rows.length === 0 && html`<${Empty}><p>${t(query.type || query.priority ? "notices.nomatch" : "notices.none")}</p>
      ${(query.type || query.priority) && html`<div class="row"><a class="button" href=${link(["notifications"])}>${t("do.clear")}</a></div>`}<//>`}
    ${rows.length > 0 && html`<${Table} label=${t("notices.title")} columns=${["time", "kind", "priority", "account", "text"].map((one) => t(one === "time" || one === "account" ? `col.${one}` : `filter.${one}`))}>${rows.map(
      (one) => html`<tr key=${one.id}><td><${Ago} at=${one.created_at} /></td><td>${wordOf("notice", one.type)}</td>
        <td><${Badge} kind="priority" word=${one.priority} /></td>
        <td><${AccountLink} id=${one.account_id} name=${nameOf(one.account_id)} /></td>
        <td><strong><bdi>${one.title}</bdi></strong> <bdi>${one.content}</bdi></td></tr>`,
    )}<//>`}
    ${found?.has_more && shown < 500 && html`<button type="button" onClick=${() => filter({ show: String(shown + PAGE) })}>${t("do.more")}</button>`}`;
}
