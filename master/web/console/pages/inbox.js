// @ts-check
/** What customers wrote. New messages wait behind a bar: nothing moves under a person's cursor. */
import { askPage } from "../api.js";
import { html, useEffect, useRef } from "../html.js";
import { readKey } from "../keys.js";
import { SaveView } from "../lazy.js";
import { Choice, Empty, Fault, useFetched } from "../parts.js";
import { filter, link } from "../router.js";
import { attempt } from "../said.js";
import { accounts, arrived, filled, may } from "../store.js";
import { count, t } from "../words.js";
import { Messages, readOne } from "./messages.js";

const PAGE = 50;

/** @typedef {import("./messages.js").Row} Row */
/** @typedef {{rows: Row[], total: number, next: number | null}} Found */

/** @param {Record<string, string>} query @param {number} offset @returns {Promise<Found>} */
async function read(query, offset) {
  const kind = /** @type {import("../store.js").MessageKind} */ (query.kind || "comments");
  const page = await askPage(kind, {
    account_id: query.account, is_read: query.unread ? false : undefined, limit: PAGE, offset,
  });
  const rows = page.data.map((row) => ({ ...row, kind }));
  return { rows, total: page.total, next: page.next_offset };
}

/** @param {{query: Record<string, string>}} props */
export function Inbox({ query }) {
  const kind = query.kind || "comments";
  const other = kind === "comments" ? "direct-messages" : "comments";
  const since = useRef(arrived.value);
  const keys = [filled.value, kind, query.account, query.unread, since.current];
  const [found, fault, setFound] = useFetched(() => read(query, 0), keys, keys.join());
  const fresh = arrived.value - since.current;
  const latest = useRef(/** @type {Found | null} */ (null));
  latest.current = found;
  const change = (/** @type {Row[]} */ rows) => latest.current && setFound({ ...latest.current, rows });
  useEffect(() => {
    readKey.current = () => {
      const rows = latest.current?.rows ?? [];
      const first = rows.find((one) => !one.is_read);
      if (first && may("operate")) void readOne(rows, first, change);
    };
    return () => {
      readKey.current = null;
    };
  }, []);
  const showFresh = async () => {
    since.current = arrived.value;
    const next = await attempt(t("what.load"), () => read(query, 0));
    if (next) setFound(next);
  };
  const more = async () => {
    const next = await attempt(t("what.load"), () => read(query, found?.next ?? 0));
    if (!next || !found) return;
    const known = new Set(found.rows.map((one) => one.id)); // rows move down while others arrive
    setFound({ ...next, rows: [...found.rows, ...next.rows.filter((one) => !known.has(one.id))] });
  };
  const names = [...accounts.value.values()].map((one) => [one.id, one.account_name]).sort((a, b) => a[1].localeCompare(b[1]));
  /** @param {string} name @param {string} shown */
  const tab = (name, shown) => html`<a href=${link(["inbox"], { ...query, kind: name })} aria-current=${kind === name ? "page" : undefined}>${shown}</a>`;
  return html`<div class="head"><h1>${t("inbox.title")}</h1>
      <div class="tabs">${tab("comments", t("inbox.comments"))}${tab("direct-messages", t("inbox.talks"))}</div>
      ${found && html`<span class="soft num">${t("list.total", { shown: count(found.rows.length), total: count(found.total) })}</span>`}</div>
    <div class="filters">
      <${Choice} label=${t("filter.account")} value=${query.account} choices=${names} change=${(/** @type {string} */ value) => filter({ account: value || undefined })} />
      <label class="check"><input type="checkbox" checked=${Boolean(query.unread)} onChange=${(/** @type {any} */ event) => filter({ unread: event.currentTarget.checked ? "1" : undefined })} /><span>${t("filter.unread")}</span></label>
      <${SaveView} /></div>
    <div role="status">${fresh > 0 && html`<button type="button" class="fresh" onClick=${showFresh}>${t("inbox.new", { count: count(fresh) })}</button>`}</div>
    ${fault && html`<${Fault} fault=${fault} missing="" />`}
    ${!found && !fault && html`<p class="soft">${t("list.loading")}</p>`}
    ${found && found.rows.length === 0 && html`<${Empty}><p>${t(query.unread ? "inbox.none" : "inbox.empty")}</p>
      <div class="row"><a class="button" href=${link(["inbox"], { ...query, kind: other })}>${t(`inbox.other.${other}`)}</a></div><//>`}
    ${found && found.rows.length > 0 && html`<${Messages} rows=${found.rows} change=${change} withAccount />
      ${found.next !== null && html`<button type="button" onClick=${more}>${t("do.more")}</button>`}`}`;
}
