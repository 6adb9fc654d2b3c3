// @ts-check
/** Master's time: every age and countdown uses it, whatever the browser's clock says. */
import { signal } from "./html.js";

const KEPT = 5;
/** @type {number[]} */
const offsets = [];

/** Master's clock minus this browser's, in milliseconds. */
export const offset = signal(0);

/** Changes every second; for countdowns. */
export const second = signal(0);

/** Changes every fifteen seconds; for ages. */
export const moment = signal(0);

/**
 * Note what Master's clock said in an answer that took from `sent` until now.
 * @param {number} nowMs @param {number} sent
 */
export function noteClock(nowMs, sent) {
  offsets.push(nowMs - (sent + Date.now()) / 2);
  if (offsets.length > KEPT) offsets.shift();
  offset.value = [...offsets].sort((a, b) => a - b)[offsets.length >> 1];
}

/** Return Master's time in Unix seconds. */
export function now() {
  return (Date.now() + offset.peek()) / 1000;
}

export function startClock() {
  setInterval(() => {
    if (document.hidden) return;
    second.value += 1;
    if (second.peek() % 15 === 0) moment.value += 1;
  }, 1000);
}
