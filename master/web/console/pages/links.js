// @ts-check
/** The login link of one account: made, shown once, followed, revoked. */
import { html, useState } from "../html.js";
import { changes, isOpen, makeLink, readLink, revokeLink } from "../links.js";
import { Badge, Copyable, Dialog, Field, Form, useFetched } from "../parts.js";
import { link as address } from "../router.js";
import { accounts, filled, logins, may } from "../store.js";
import { absolute, count, t, wordOf } from "../words.js";

/** @typedef {import("../links.js").Link} Link */
/** @typedef {{url: string, picture: string}} Made */

const TIMES = [900, 3600, 86400];

/** @param {{url: string, picture: string, close: () => void}} props */
function Once({ url, picture, close }) {
  return html`<${Dialog} title=${t("links.title")} close=${close}>
    <p>${t("links.once")}</p><p class="soft">${t("links.first")}</p>
    <p aria-label=${t("links.url")} role="group"><${Copyable} text=${url} /></p>
    ${picture && html`<div class="qr"><img src=${picture} alt=${t("links.qr")} /></div>`}
    <div class="foot"><button type="button" class="main" onClick=${close} autofocus>${t("do.close")}</button></div><//>`;
}

/** @param {{id: string, replaces: boolean, uid: string | null, done: (made: Made) => void, close: () => void}} props */
function Make({ id, replaces, uid, done, close }) {
  /** @param {Record<string, string>} values */
  const send = async (values) => {
    const only = uid ? values.only && uid : values.uid.trim();
    const made = await makeLink(id, {
      ttl_s: Number(values.ttl), note: values.note.trim() || null, require_uid: only || null,
    });
    if (made) done(made);
    else close();
  };
  return html`<${Dialog} title=${t("links.make")} close=${close}><p>${t("links.what")}</p>
    ${replaces && html`<p>${t("links.replaces")}</p>`}
    <${Form} send=${send}>
      <${Field} label=${t("links.ttl")}><select name="ttl">${TIMES.map((one) => html`<option key=${one} value=${one}>${t(`links.ttl.${one}`)}</option>`)}</select><//>
      <${Field} label=${t("links.note")}><input name="note" maxlength="300" autocomplete="off" /><//>
      ${uid ? html`<label class="row"><input type="checkbox" name="only" defaultChecked /><bdi>${t("links.uid.known", { uid })}</bdi></label>`
        : html`<${Field} label=${t("links.uid")}><input name="uid" maxlength="128" autocomplete="off" /><//>`}
      <div class="foot"><button type="button" onClick=${close}>${t("do.cancel")}</button>
        <button class="main">${t("links.make")}</button></div><//><//>`;
}

/** @param {{row: Link}} props */
function Facts({ row }) {
  const { address: from, agent } = row.device ?? {};
  const why = row.state === "done" ? null : row.outcome;
  return html`<dl class="facts">
    <dt>${t("links.state")}</dt><dd><div role="status"><${Badge} kind="linkIs" word=${row.state} /> ${row.end_reason && html`<span class="small">${wordOf("linkEnd", row.end_reason)}</span>`}
      ${why && html`<div class="small"><bdi>${t("links.outcome", { why: wordOf("linkOut", why) })}</bdi></div>`}
      ${row.refused > 0 && html`<div class="small"><strong>${t("links.refused", { count: count(row.refused) })}</strong></div>`}</div></dd>
    ${row.made_by && html`<dt>${t("links.by")}</dt><dd><bdi>${row.made_by}</bdi></dd>`}
    ${row.note && html`<dt>${t("links.note")}</dt><dd><bdi>${row.note}</bdi></dd>`}
    ${row.require_uid && html`<dt>${t("links.uid")}</dt><dd><bdi>${row.require_uid}</bdi></dd>`}
    ${row.device && html`<dt>${t("links.device")}</dt><dd><bdi>${[agent, from].filter(Boolean).join(", ")}</bdi></dd>`}
    ${row.starts > 0 && html`<dt>${t("links.starts")}</dt><dd>${t("links.starts.of", { count: count(row.starts) })}</dd>`}
    ${isOpen(row) && html`<dt>${t("links.until")}</dt><dd>${absolute(row.expires_at)}</dd>`}</dl>`;
}

/**
 * The newest link of an account, live, and what can be done with it.
 * @param {{id: string}} props
 */
export function LoginLink({ id }) {
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState(/** @type {Made | null} */ (null));
  const known = [...changes.value.values()].filter((one) => one.account_id === id);
  const [found] = useFetched(
    () => (may("operate") ? readLink(id) : Promise.resolve(null)),
    [id, filled.value, known.map((one) => one.id).join()],
  );
  if (!may("operate") || !found) return null;
  const told = found.link && changes.value.get(found.link.id);
  const row = /** @type {Link | null} */ (told && told.rev > found.rev ? { ...found.link, ...told } : found.link);
  const open = row !== null && isOpen(row);
  const uid = accounts.value.get(id)?.platform_user_id ?? null;
  const login = open && row.session_id && logins.value.get(row.session_id);
  /** @param {Made} one */
  const done = (one) => {
    setMaking(false);
    setMade(one);
  };
  return html`<section class="card"><h2>${t("links.title")}</h2>
    ${row ? html`<h3>${t(open ? "links.open" : "links.last")}</h3><${Facts} row=${row} />` : html`<p class="soft">${t("links.what")}</p>`}
    <div class="row"><button type="button" onClick=${() => setMaking(true)}>${t(row ? "links.again" : "links.make")}</button>
      ${open && html`<button type="button" class="danger" onClick=${() => revokeLink(row)}>${t("links.revoke")}</button>`}
      ${login && html`<a class="button" href=${address(["logins", login.id])}>${t("links.login")}</a>`}</div>
    ${making && html`<${Make} id=${id} replaces=${open} uid=${uid} done=${done} close=${() => setMaking(false)} />`}
    ${made && html`<${Once} url=${made.url} picture=${made.picture} close=${() => setMade(null)} />`}</section>`;
}
