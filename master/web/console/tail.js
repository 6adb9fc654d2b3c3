// @ts-check
/** The end of a worker's output: read once, then followed, with every gap marked. */
import { Refused, ask, segment } from "./api.js";
import { signal } from "./html.js";
import { emit } from "./live.js";
import { logListeners } from "./watch.js";

/** @typedef {{number: number, lines: string[], gap: number | null | undefined}} Chunk */
/** @typedef {import("./types.js").LogPart} Part */

export const KEPT_LINES = 5_000;
const CHUNK_LINES = 100;
const RETRY_MS = 2_000;

export class Tail {
  /** @param {string} workerId */
  constructor(workerId) {
    this.workerId = workerId;
    /** @type {import("@preact/signals").Signal<Chunk[]>} */
    this.chunks = signal([]);
    /** @type {import("@preact/signals").Signal<unknown>} why it cannot be followed */
    this.fault = signal(null);
    this.isRead = signal(false);
    /** Lines since the beginning, those that are no longer kept included. */
    this.total = 0;
    this.position = "";
    this.numbers = 0;
    this.isReading = false;
    /** What was told while something was read: the position to be reached, or "" for an unknown one.
     * @type {string | null} */
    this.told = null;
    this.isWanted = true;
    this.listen = this.hear.bind(this);
  }

  /** Follow from now on; again after each connection: what came meanwhile is read first. */
  async open() {
    logListeners.add(this.listen);
    try {
      await emit("admin:follow", { worker_id: this.workerId });
      await this.catchUp();
    } catch (fault) {
      this.fault.value = fault;
    }
  }

  close() {
    this.isWanted = false;
    logListeners.delete(this.listen);
    if (logListeners.size === 0) emit("admin:follow", { worker_id: null }).catch(() => undefined);
  }

  /** Read what is behind the known position, again if events tell of more meanwhile. */
  async catchUp() {
    if (this.isReading || !this.isWanted) return;
    this.isReading = true;
    const after = this.position ? `&after=${this.position}` : "";
    const query = `lines=${this.position ? KEPT_LINES : 500}${after}`;
    try {
      this.take((await ask("GET", `workers/${segment(this.workerId)}/lifecycle/output?${query}`)).data);
      this.fault.value = null;
      this.isRead.value = true;
    } catch (fault) {
      this.fault.value = fault;
      const again = fault instanceof Refused && fault.retryable;
      if (again) setTimeout(() => void this.catchUp(), RETRY_MS);
    } finally {
      this.isReading = false;
    }
    const told = this.told;
    this.told = null;
    // nothing may follow that would tell of it again
    if (told !== null && !this.fault.peek() && !isKnown(told, this.position)) void this.catchUp();
  }

  /** @param {import("./watch.js").ToldOfLog} told */
  hear([event, row]) {
    if (row.worker_id !== this.workerId) return;
    const part = event === "process:log" ? row : null;
    if (this.isReading) this.told = part?.after ?? "";
    else if (!this.position) return;
    else if (part && part.before === this.position) this.take(part);
    else if (!isKnown(part?.after, this.position)) void this.catchUp();
  }

  /** @param {Part} part */
  take(part) {
    const chunks = this.chunks.peek().slice();
    if (this.position && part.skipped !== 0) {
      chunks.push({ number: ++this.numbers, lines: [], gap: part.skipped });
      this.total += part.skipped ?? 0;
    }
    this.position = part.after;
    let rest = part.lines;
    while (rest.length) {
      const last = chunks[chunks.length - 1];
      if (!last || last.gap !== undefined || last.lines.length >= CHUNK_LINES) {
        chunks.push({ number: ++this.numbers, lines: [], gap: undefined });
        continue;
      }
      const taken = rest.slice(0, CHUNK_LINES - last.lines.length);
      rest = rest.slice(taken.length);
      chunks[chunks.length - 1] = { ...last, lines: [...last.lines, ...taken] };
    }
    this.total += part.lines.length;
    let kept = chunks.reduce((sum, one) => sum + one.lines.length, 0);
    while (kept > KEPT_LINES) kept -= chunks.shift()?.lines.length ?? kept;
    this.chunks.value = chunks;
  }
}

/**
 * Tell whether a position is not behind another one of the same file.
 * @param {string | undefined} position @param {string} known
 */
function isKnown(position, known) {
  if (!position) return false;
  const [file, at] = position.split(".");
  const [knownFile, knownAt] = known.split(".");
  return file === knownFile && Number(at) <= Number(knownAt);
}

/**
 * Escape sequences and control characters become visible.
 * @param {string} text
 */
export function showControls(text) {
  return text.replace(
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (sign) => `\\x${sign.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}
