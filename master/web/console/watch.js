// @ts-check
/** What /admin tells beside the farm: everything that was heard, Master's condition, processes, logs. */
import { signal } from "./html.js";

/** @typedef {import("./types.js").Condition} Condition */
/** @typedef {import("./types.js").Process} Process */
/** @typedef {import("./types.js").ToldOf<"process:log" | "process:log:behind">} ToldOfLog */
/** @typedef {{number: number, at: number, event: string, row: any}} Heard an event of any name */

export const KEPT_EVENTS = 2_000;
const SECRET_FIELDS = ["qr_code_data", "qr_code_url"];

/** @type {Heard[]} the newest last */
const ring = [];
let last = 0;
let isTold = false;
/** Counts the events that were heard; pages look at `listHeard()`. */
export const heardCount = signal(0);
/** @type {import("@preact/signals").Signal<Condition | null>} */
export const condition = signal(null);
let conditionsHeard = 0;
/** @type {import("@preact/signals").Signal<Map<string, Process>>} */
export const processes = signal(new Map());
/** Who shows the output of a process now.
 * @type {Set<(told: ToldOfLog) => void>} */
export const logListeners = new Set();

export function listHeard() {
  return ring.slice();
}

/**
 * Take an event as it arrives. Codes are left out: the ring is what people look at and copy.
 * @param {import("./types.js").Told} told
 */
export function watch(...told) {
  const [event, row] = told;
  if (event === "process:log" || event === "process:log:behind") {
    for (const listen of logListeners) listen(/** @type {ToldOfLog} */ (told));
    return; // a log is followed on its worker's page, and would drive everything else out
  }
  if (event === "master:condition") {
    conditionsHeard += 1;
    condition.value = row;
  } else if (event === "farm:maintenance") {
    const known = condition.peek();
    conditionsHeard += 1;
    if (known) condition.value = { ...known, maintenance: row };
  } else if (event === "process:status") {
    processes.value = new Map([...processes.peek(), [row.worker_id, row]]);
  }
  /** @type {any} */
  const shown = row && typeof row === "object" ? { ...row } : row;
  for (const name of SECRET_FIELDS) if (shown && name in shown) delete shown[name];
  ring.push({ number: ++last, at: Date.now() / 1000, event, row: shown });
  if (ring.length > KEPT_EVENTS) ring.shift();
  if (isTold) return;
  isTold = true;
  setTimeout(() => {
    isTold = false;
    heardCount.value = last; // four times a second at most, however many events there are
  }, 250);
}

/**
 * Read the condition, unless an event that arrives meanwhile tells a newer one.
 * @param {() => Promise<{data: Condition}>} fetchIt
 */
export async function readCondition(fetchIt) {
  const before = conditionsHeard;
  const found = (await fetchIt()).data;
  if (before === conditionsHeard) condition.value = found;
}

/** @param {Process[]} rows */
export function fillProcesses(rows) {
  processes.value = new Map(rows.map((row) => [row.worker_id, row]));
}
