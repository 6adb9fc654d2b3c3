// @ts-check
/** Messages in a list: texts of strangers, shown as text alone. */
import { markRead } from "../acts.js";
import { html } from "../html.js";
import { AccountLink, Ago } from "../parts.js";
import { marks, may, nameOf } from "../store.js";
import { t } from "../words.js";

/** @typedef {import("../types.js").Comment} Comment */
/** @typedef {import("../types.js").DirectMessage} Talk */
/** A comment or a direct message: what both have, and what one of them has.
 * @typedef {Pick<Comment, keyof Comment & keyof Talk> & Partial<Comment> & Partial<Talk> &
 *   {kind: import("../store.js").MessageKind}} Row */

/**
 * @param {Row[]} rows @param {Row} row @param {(rows: Row[]) => void} change
 */
export async function readOne(rows, row, change) {
  if (await markRead(row.kind, row.id)) change(rows.map((one) => (one.id === row.id ? { ...one, is_read: true } : one)));
}

/** @param {{rows: Row[], change: (rows: Row[]) => void, withAccount?: boolean}} props */
export function Messages({ rows, change, withAccount = false }) {
  return html`<ul class="list">${rows.map((fetched) => {
    const row = { ...fetched, is_read: marks.value.get(fetched.id) ?? fetched.is_read };
    const author = row.author_name ?? row.sender_name ?? row.author_id ?? row.sender_id ?? t("inbox.nobody");
    return html`<li class="message ${row.is_read ? "" : "unread"}" key=${row.id}>
      <div><strong><bdi>${author}</bdi></strong>
        ${row.direction === "outbound" && html` <span class="badge idle">${t("inbox.sent")}</span>`}
        ${!row.is_read && html` <span class="badge info">${t("inbox.unread")}</span>`}
        <span class="soft small">${withAccount && html` <${AccountLink} id=${row.account_id} name=${nameOf(row.account_id)} />`}
        ${row.post_title && html` ${t("inbox.on", { post: row.post_title })}`}</span></div>
      <span class="soft small"><${Ago} at=${row.detected_at} /></span>
      <div><p>${row.content}</p>${row.earlier_content && html`<p class="soft small">${t("inbox.edited", { text: row.earlier_content })}</p>`}</div>
      ${!row.is_read && may("operate") ? html`<button type="button" onClick=${() => readOne(rows, row, change)} aria-label=${`${t("do.read")}: ${author}`}>${t("do.read")}</button>` : html`<span></span>`}
    </li>`;
  })}</ul>`;
}
