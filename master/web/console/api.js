// @ts-check
/** Requests to Master's HTTP API. */
import { signal } from "./html.js";

export const ROOT = new URL("../api/v1/", location.href).href;

/** Whether Master asks for a sign-in: a dialog over the page, which then goes on where it was. */
export const mustSignIn = signal(false);

/** What a refusal says of one field, or of one row that is in its way.
 * @typedef {{field?: string, message?: string, worker_id?: string, account_id?: string}} Detail */

/** A request that Master refused, or that did not reach it (`code` is then `unreachable`). */
export class Refused extends Error {
  /**
   * @param {string} code @param {string} message
   * @param {{status?: number, requestId?: string, retryable?: boolean, retryAfterMs?: number,
   *   details?: Detail[]}} [more]
   */
  constructor(code, message, more = {}) {
    super(message);
    this.code = code;
    this.status = more.status ?? 0;
    this.requestId = more.requestId ?? "";
    this.retryable = more.retryable ?? false;
    this.retryAfterMs = more.retryAfterMs ?? 0;
    this.details = more.details ?? [];
  }
}

/**
 * Send a request; return the answer's object. Throws Refused.
 * @template {string} M @template {string} P
 * @param {M} method @param {P} path @param {import("./types.js").Sent<M, P>} sent its body, if it has one
 * @returns {Promise<import("./types.js").Answer<M, P>>}
 */
export async function ask(method, path, ...[body]) {
  let answer;
  let content;
  try {
    answer = await fetch(ROOT + path, {
      method,
      credentials: "same-origin",
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    content = await answer.json();
  } catch (fault) {
    throw new Refused("unreachable", String(fault), { retryable: true, retryAfterMs: 1000 });
  }
  if (answer.ok) return content;
  const error = content.error ?? { code: "internal", message: `status ${answer.status}` };
  if (answer.status === 401 && path !== "console/session?signin") mustSignIn.value = true;
  throw new Refused(error.code, error.message, {
    status: answer.status,
    requestId: answer.headers.get("X-Request-Id") ?? "",
    retryable: error.retryable,
    retryAfterMs: error.retry_after_ms,
    details: error.details,
  });
}

/**
 * Return every row of a list, page by page, up to `most`; `total` counts all of them.
 * @template {string} P
 * @param {P} path @param {import("./types.js").Query<P>} [query] @param {number} [most]
 * @returns {Promise<{rows: import("./types.js").Row<P>[], total: number}>}
 */
export async function askAll(path, query = {}, most = 5000) {
  const rows = [];
  let offset = 0;
  for (;;) {
    /** @type {any} a page, as every list has */
    const page = await askPage(path, { ...query, limit: 500, offset });
    rows.push(...page.data);
    if (!page.has_more || rows.length >= most) return { rows, total: page.total };
    offset = page.next_offset ?? 0;
  }
}

/**
 * Return one page of a list; parameters without a value are left out.
 * @template {string} P
 * @param {P} path @param {import("./types.js").Query<P>} query
 * @returns {Promise<import("./types.js").Answer<"GET", P>>}
 */
export function askPage(path, query) {
  const known = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") known.set(name, String(value));
  }
  return /** @type {any} */ (ask)("GET", `${path}?${known}`);
}

/** @param {string} id */
export const segment = (id) => encodeURIComponent(id);
