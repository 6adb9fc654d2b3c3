// @ts-check
/**
 * Rows about Master itself and what it runs (docs/protocol.md has all fields).
 *
 * @typedef {{active: boolean, since: number | null, deadline_at: number | null,
 *   reason: string | null, by: string | null}} Maintenance
 * @typedef {{brake: {since: number, until: number, silent: string[], silent_count: number} | null,
 *   storage: {since: number, reason: string} | null, stopping: boolean,
 *   maintenance: Maintenance}} Condition
 * @typedef {{worker_id: string, state: string, pid: number | null, started_at: number | null,
 *   restarts: number, exit_code: number | null, log_path: string | null,
 *   config_updated_at: number | null}} Process
 * @typedef {{id: string, worker_id: string, command: string | null, args: string[], env: string[],
 *   proxy_id: string | null, max_accounts: number | null, auto_start: boolean,
 *   auto_restart: boolean, verified: boolean, updated_at: number}} Config
 * @typedef {{at: number, reachable: boolean, latency_ms: number, target: string,
 *   error: string | null}} Trial
 * @typedef {{id: string, name: string, server: string, protocol: string, username: string | null,
 *   has_password: boolean, password_unreadable: boolean, status: string,
 *   used_by: {accounts: number, workers: number}, last_trial: Trial | null}} Proxy
 * @typedef {{name: string, ok: boolean, since: number, detail: string | null}} Check
 * @typedef {{name: string, value: string | null, is_secret: boolean, is_set: boolean,
 *   source: string, default: string, allowed: string, description: string}} Setting
 * @typedef {{lines: string[], before: string, after: string, skipped: number | null}} LogPart
 */
export {};
