// @ts-check
/** What is said to the person: errors, which stay until read, and short confirmations. */
import { Refused } from "./api.js";
import { signal } from "./html.js";

/** @typedef {{id: number, what: string, code: string, message: string, requestId: string}} Trouble */

/** @type {import("@preact/signals").Signal<Trouble[]>} */
export const troubles = signal([]);
export const told = signal("");
let last = 0;
let timer = 0;

/** @param {string} what @param {unknown} fault */
export function complain(what, fault) {
  const known = fault instanceof Refused ? fault : new Refused("internal", String(fault));
  if (known.status === 401) return; // the sign-in dialog says so
  const details = known.details.filter((one) => one.field).map((one) => ` ${one.field}: ${one.message}.`).join("");
  const one = {
    id: ++last,
    what,
    code: known.code,
    message: known.message + details,
    requestId: known.requestId,
  };
  troubles.value = [...troubles.value.slice(-4), one];
}

/** @param {number} id */
export function dismiss(id) {
  troubles.value = troubles.value.filter((one) => one.id !== id);
}

/** @param {string} text */
export function tell(text) {
  told.value = text;
  clearTimeout(timer);
  timer = setTimeout(() => (told.value = ""), 8000);
}

/**
 * Do what a person asked for; say what came of it. Returns the result, or undefined.
 * @template T
 * @param {string} what @param {() => Promise<T>} act @param {string} [done]
 * @returns {Promise<T | undefined>}
 */
export async function attempt(what, act, done) {
  try {
    const result = await act();
    if (done) tell(done);
    return result;
  } catch (fault) {
    complain(what, fault);
    return undefined;
  }
}
