// @ts-check
/** The place in the console: `#/accounts?login=expired`. Every filter is in it. */
import { signal } from "./html.js";

/** @typedef {{path: string[], query: Record<string, string>}} Place */

/** @returns {Place} */
function read(hash = location.hash) {
  const [path, query] = hash.replace(/^#\/?/, "").split("?");
  const parts = path.split("/").filter(Boolean).map(decode);
  return { path: parts, query: Object.fromEntries(new URLSearchParams(query ?? "")) };
}

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const place = signal(read());

/**
 * Return the address of a place.
 * @param {string[]} path @param {Record<string, string | undefined>} [query]
 */
export function link(path, query = {}) {
  const set = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  const shown = new URLSearchParams(/** @type {[string, string][]} */ (set)).toString();
  return `#/${path.map(encodeURIComponent).join("/")}${shown && `?${shown}`}`;
}

/** What an address says beside filters: a dialog that is open, how many rows are loaded. */
const PASSING = ["add", "delete", "drain", "import", "show"];

/**
 * Return the address of a page with its filters, the same whatever order they came in.
 * @param {Place} shown
 */
export function addressOf({ path, query }) {
  const kept = Object.entries(query).filter(([name]) => !PASSING.includes(name));
  return link(path, Object.fromEntries(kept.sort(([a], [b]) => (a < b ? -1 : 1))));
}

/** @param {string} address */
export const plainAddress = (address) => addressOf(read(address));

/** @param {string} address */
export const pageOf = (address) => address.replace(/^#\//, "").split("?")[0];

/** @param {string[]} path @param {Record<string, string | undefined>} [query] */
export function go(path, query) {
  location.hash = link(path, query);
}

/**
 * Change filters in the address, without a new entry in the browser's history.
 * @param {Record<string, string | undefined>} changes
 */
export function filter(changes) {
  const { path, query } = place.peek();
  history.replaceState(null, "", link(path, { ...query, ...changes }));
  place.value = read();
}

export function startRouter() {
  window.addEventListener("hashchange", () => (place.value = read()));
}
