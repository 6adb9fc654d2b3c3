// @ts-check
/** Login links as they go on: the newest state of each, told by events. */
import { ask, askPage, segment, ROOT } from "./api.js";
import { signal } from "./html.js";
import { attempt } from "./said.js";
import { t } from "./words.js";

/** @typedef {import("./types.js").Link} Link */
/** @typedef {import("./types.js").LinkChanged} LinkChanged */

const KEPT = 200;

/** What events have told of links, by id.
 * @type {import("@preact/signals").Signal<Map<string, Omit<LinkChanged, "at">>>} */
export const changes = signal(new Map());

/** @param {LinkChanged} row An event `login_link:status`. */
export function noteLink(row) {
  const { at, rev, ...link } = row;
  const next = new Map(changes.peek());
  next.delete(link.id);
  next.set(link.id, { ...link, rev });
  if (next.size > KEPT) next.delete([...next.keys()][0]);
  changes.value = next;
}

/** @param {Pick<Link, "state">} link */
export const isOpen = (link) => ["made", "opened", "started", "scanned"].includes(link.state);

/**
 * Return the newest link of an account, or null.
 * @param {string} accountId @returns {Promise<{link: Link | null, rev: number}>}
 */
export async function readLink(accountId) {
  const page = await askPage(`accounts/${segment(accountId)}/login-links`, { limit: 1 });
  return { link: page.data[0] ?? null, rev: page.rev };
}

/**
 * Make a link; return its whole address and its picture, or undefined.
 * @param {string} accountId @param {import("./types.js").NewLoginLink} wanted
 * @returns {Promise<{url: string, picture: string} | undefined>}
 */
export function makeLink(accountId, wanted) {
  return attempt(t("what.link"), async () => {
    const made = await ask("POST", `accounts/${segment(accountId)}/login-links`, wanted);
    const url = new URL(`../${made.data.url}`, location.href.split("#")[0]).href;
    return { url, picture: await draw(url).catch(() => "") };
  });
}

/** @param {string} text @returns {Promise<string>} the picture as a data URL */
async function draw(text) {
  const answer = await fetch(`${ROOT}qr.png`, {
    method: "POST",
    credentials: "same-origin",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ text }),
  });
  if (!answer.ok) return "";
  const picture = await answer.blob();
  return new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.readAsDataURL(picture);
  });
}

/** @param {Pick<Link, "id" | "account_id">} link */
export const revokeLink = (link) =>
  attempt(
    t("what.revoke"),
    () => ask("DELETE", `accounts/${segment(link.account_id)}/login-links/${segment(link.id)}`),
    t("done.revoked"),
  );
