// @ts-check
/** Keys for what is done often; they work wherever the focus is but in fields, and can be off. */
import { signal } from "./html.js";
import { keys } from "./prefs.js";
import { go, place } from "./router.js";
import { waiting } from "./store.js";

/** The pages that `g` and a letter lead to.
 * @type {Record<string, string>} */
export const PLACES = {
  o: "overview", i: "inbox", l: "logins", a: "accounts", w: "workers", n: "notifications",
  p: "proxies", c: "processes", e: "events", u: "audit", s: "system",
};
const CHORD_MS = 1500;

export const helpIsOpen = signal(false);
/** What `e` does on the page that is shown.
 * @type {{current: (() => void) | null}} */
export const readKey = { current: null };
let chordSince = 0;

export function nextWaiting() {
  const here = place.peek().path[1];
  const all = waiting.peek();
  const next = all[(all.findIndex((one) => one.id === here) + 1) % (all.length || 1)];
  if (next) go(["logins", next.id]);
}

/** @param {KeyboardEvent} event */
function press(event) {
  const target = /** @type {HTMLElement} */ (event.target);
  const busy = target.matches?.("input, select, textarea, [contenteditable]") || document.querySelector("dialog[open]");
  if (keys.peek() === "off" || busy || event.ctrlKey || event.metaKey || event.altKey) return;
  const inChord = Date.now() - chordSince < CHORD_MS;
  chordSince = 0;
  if (inChord && PLACES[event.key]) go([PLACES[event.key]]);
  else if (event.key === "g") chordSince = Date.now();
  else if (event.key === "/") document.getElementById("search")?.focus();
  else if (event.key === "n") nextWaiting();
  else if (event.key === "e" && readKey.current) readKey.current();
  else if (event.key === "?") helpIsOpen.value = true;
  else return;
  event.preventDefault();
}

export function startKeys() {
  document.addEventListener("keydown", press);
}
