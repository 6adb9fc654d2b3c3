// @ts-check
/**
 * The rows of Master's answers, as far as the console reads them (docs/protocol.md has all).
 *
 * @typedef {{state: string, reason: string | null, since: number | null}} Placement
 * @typedef {{since: number | null, reason: string | null, detail: string | null}} State
 * @typedef {{id: string, platform: string, account_name: string, account_id: string | null,
 *   platform_user_id: string | null, user_info: Record<string, any> | null, status: string,
 *   login_status: string, monitor_interval: number, last_login_time: number | null,
 *   cookies_valid_until: number | null, has_credentials: boolean, assigned_worker_id: string | null,
 *   pinned_worker_id: string | null, epoch: number, created_at: number, updated_at: number,
 *   state: State, placement: Placement, unread: number,
 *   proxy_id: string | null}} Account
 * @typedef {{state: string, since: number, deadline_at: number, reason: string | null, left: number,
 *   moved: number, waiting_login: number, unplaceable: {account_id: string, rule: string}[]}} Drain
 * @typedef {{id: string, host: string, port: number, status: string, capabilities: string[],
 *   max_accounts: number, assigned_accounts: number, last_heartbeat: number | null,
 *   started_at: number, version: string | null, metadata: Record<string, any>,
 *   draining: Drain | null, stats?: Record<string, any>}} Worker
 * @typedef {{type: string, message: string}} Input
 * @typedef {{id: string, account_id: string, worker_id: string | null, status: string,
 *   has_qr_code: boolean, error_message: string | null, expires_at: number, created_at: number,
 *   logged_in_at?: number | null, step?: string, seq?: number, input?: Input | null,
 *   error_type?: string, user_info?: Record<string, any> | null}} Login
 * @typedef {{id: string, seq: number, type: string, account_id: string | null,
 *   related_id: string | null, title: string, content: string, data: Record<string, any>,
 *   priority: string, created_at: number}} Notification
 * @typedef {{id: string, account_id: string, content: string | null, author_name?: string | null,
 *   author_id?: string | null, sender_name?: string | null, sender_id?: string | null,
 *   post_id?: string | null, post_title?: string | null, direction?: string | null,
 *   edited_at: number | null, earlier_content: string | null, is_read: boolean,
 *   detected_at: number, created_at: number}} Message
 * @typedef {{name: string, scope: string, guarded: boolean, version: string, started_at: number,
 *   demo: boolean, demo_label: string | null, now_ms: number, expires_at: number | null,
 *   limits: {login_ttl_s: number, login_max_s: number, heartbeat_timeout_s: number}}} Session
 */
export {};
