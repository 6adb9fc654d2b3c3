// @ts-check
/** The place in the console: `#/accounts?login=expired`. Every filter is in it. */
import { signal } from "./html.js";

/** @typedef {{path: string[], query: Record<string, string>}} Place */

/** @returns {Place} */
function read() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
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
