// Written by `python -m tools.protocol --write`, as docs/protocol.md: do not change it here.
/** The types of what the console reads and sends; only checks of types read this file. */
/** The answer of a route with one object, which is there under the noun's name as well. */
export type One<N extends string, T> = { success: true; data: T; rev?: number } & { [name in N]: T };
/** The answer of a route with a list; lists of the farm have a revision. */
export interface Page<T, R = number> {
  success: true;
  data: T[];
  total: number;
  total_is_more: boolean;
  limit: number;
  offset: number;
  has_more: boolean;
  next_offset: number | null;
  next_before: string | null;
  rev: R;
}
/** What a route answers, and what it reads: its body, and the names of its query. */
export interface Route<A, B = undefined, Q extends string = never> {
  answer: A;
  body: B;
  query: { [name in Q]?: string | number | boolean | null | undefined };
}
type Bare<P extends string> = P extends `${infer R}?${string}` ? R : P;
/** The route of a method and a path, `never` if there is none; a query behind the path is left out. */
export type RouteOf<M extends string, P extends string> = Find<`${M} ${Bare<P>}`>;
export type Answer<M extends string, P extends string> = RouteOf<M, P>["answer"];
export type Body<M extends string, P extends string> = RouteOf<M, P>["body"];
export type Query<P extends string> = RouteOf<"GET", P>["query"];
/** What a request needs behind its path: its body, or what nothing is if there is no such route. */
export type Sent<M extends string, P extends string> =
  [RouteOf<M, P>] extends [never] ? [thereIsNoSuchRoute: never]
  : undefined extends Body<M, P> ? [body?: Body<M, P>] : [body: Body<M, P>];
/** A row of a list. */
export type Row<P extends string> = Answer<"GET", P> extends { data: (infer T)[] } ? T : never;
/** Events of Master with their payloads: the name tells the type. */
export type ToldOf<E extends keyof AdminEvents> = { [N in E]: [event: N, row: AdminEvents[N]] }[E];
export type Told = ToldOf<keyof AdminEvents>;

/** Members that Master passes on, each as it was sent, if it was. */
export interface Profile extends Partial<Record<
  | "account_name" | "avatar" | "avatarUrl" | "avatar_url" | "aweme_count" | "bio"
  | "birthday" | "city" | "country" | "description" | "display_name" | "douyin_id" | "fans"
  | "fans_count" | "follower_count" | "followers" | "followers_count" | "following"
  | "following_count" | "gender" | "homepage" | "id" | "ip_location" | "is_verified" | "level"
  | "likes" | "likes_count" | "location" | "name" | "nickname" | "notes_count"
  | "platform_user_id" | "posts" | "profile_url" | "province" | "red_id" | "region"
  | "sec_uid" | "short_id" | "signature" | "total_favorited" | "uid" | "unique_id" | "userId"
  | "user_id" | "username" | "verified" | "verify_info" | "video_count" | "works"
  | "works_count", any>> {}
/** Members that Master passes on, each as it was sent, if it was. */
export interface Machine extends Partial<Record<
  | "arch" | "branch" | "browser" | "browser_version" | "build" | "chrome_version" | "cluster"
  | "commit" | "cpu_count" | "cpu_model" | "cpus" | "datacenter" | "description" | "disk_mb"
  | "engine" | "environment" | "group" | "headless" | "hostname" | "image_tag" | "kernel"
  | "label" | "labels" | "language" | "locale" | "memory" | "memory_mb" | "node"
  | "nodeVersion" | "node_version" | "os" | "os_version" | "owner" | "pid" | "platform"
  | "platform_version" | "python" | "python_version" | "rack" | "region" | "release"
  | "resolution" | "role" | "runtime" | "screen" | "simulated" | "site" | "started_at"
  | "tags" | "team" | "timezone" | "total_memory" | "uptime" | "zone", any>> {}
/** Members that Master passes on, each as it was sent, if it was. */
export interface Figures extends Partial<Record<
  | "active_accounts" | "cpu_usage" | "memory_usage", any>> {}
/** Members that Master passes on, each as it was sent, if it was. */
export interface LoginWords extends Partial<Record<
  | "account_id" | "attempt" | "attempts" | "attempts_left" | "confirmed"
  | "cookies_valid_until" | "countdown" | "detail" | "details" | "epoch" | "error"
  | "error_code" | "error_message" | "error_type" | "expires_at" | "image" | "input_type"
  | "login_url" | "message" | "percent" | "platform" | "progress" | "qr_code" | "qr_code_data"
  | "qr_code_url" | "qr_url" | "qrcode" | "qrcode_data" | "qrcode_url" | "reason"
  | "remaining" | "required" | "retry_after" | "scanned" | "screenshot" | "session_id"
  | "stage" | "status" | "step" | "steps" | "timestamp" | "worker_id", any>> {}
/** An account, without its secrets. */
export interface Account {
  id: string;
  platform: string;
  account_name: string;
  account_id: string | null;
  platform_user_id: string | null;
  user_info: Profile | null;
  status: "active" | "inactive" | "paused" | "error" | "expired" | "banned" | "restricted";
  login_status: "not_logged_in" | "logging_in" | "logged_in" | "login_failed" | "credentials_unreadable" | "expired" | "logged_out" | "needs_verification";
  monitor_interval: number;
  last_login_time: number | null;
  cookies_valid_until: number | null;
  has_credentials: boolean;
  assigned_worker_id: string | null;
  pinned_worker_id: string | null;
  epoch: number;
  created_at: number;
  updated_at: number;
  state: State;
  placement: Placement;
  proxy_id: string | null;
  tags: string[];
  note: string | null;
  unread: number;
}
/** Changes to an account; absent fields keep their values. */
export interface AccountChange {
  platform?: string | null;
  account_name?: string | null;
  account_id?: string | null;
  monitor_interval?: number | null;
  status?: "active" | "inactive" | "paused" | "error" | "expired" | "banned" | "restricted" | null;
  assigned_worker_id?: string | null;
  pinned_worker_id?: string | null;
  proxy_id?: string | null;
  tags?: string[] | null;
  note?: string | null;
  epoch?: number | null;
  updated_at?: number | null;
}
/** An account's row after it changed, without secrets. */
export interface AccountChanged extends Account {
  rev: number;
}
/** Why an account is where it is. */
export interface AccountExplained {
  account_id: string;
  verdict: "watched" | "not_watched" | "logging_in" | "nowhere" | "paused";
  worker_id: string | null;
  rule: string | null;
  since: number | null;
  sentence: Record<string, any>;
  starts_in_ms: number;
  candidates: ExplainedCandidate[];
  would_help: ExplainedRemedy[];
}
/** An account, with its worker and the statistics of its messages. */
export interface AccountStatus {
  id: string;
  platform: string;
  account_name: string;
  account_id: string | null;
  platform_user_id: string | null;
  user_info: Profile | null;
  status: "active" | "inactive" | "paused" | "error" | "expired" | "banned" | "restricted";
  login_status: "not_logged_in" | "logging_in" | "logged_in" | "login_failed" | "credentials_unreadable" | "expired" | "logged_out" | "needs_verification";
  monitor_interval: number;
  last_login_time: number | null;
  cookies_valid_until: number | null;
  has_credentials: boolean;
  assigned_worker_id: string | null;
  pinned_worker_id: string | null;
  epoch: number;
  created_at: number;
  updated_at: number;
  state: State;
  placement: Placement;
  proxy_id: string | null;
  tags: string[];
  note: string | null;
  unread: number;
  worker: LiveWorker | null;
  runtime_stats: Record<string, number | null>;
}
/** One action on up to 200 accounts; each succeeds or is refused by itself. */
export interface ActOnAccounts {
  ids: string[];
  change?: Record<string, any> | null;
  delete?: boolean;
}
/** The outcome for one account: `error` is that of a refusal, null if it was done. */
export interface Acted {
  id: string;
  ok: boolean;
  error: Record<string, any> | null;
}
/** The outcome of an action, in the order of the ids; `done` counts those without an error. */
export interface Acts {
  results: Acted[];
  done: number;
}
/** A request was refused: `error` is the code, `message` explains it. */
export interface AdminError {
  error: string;
  message: string;
}
/** A page of the events of people, the newest first; `before` as in a timeline. */
export interface Audit {
  items: Event[];
  before: number | null;
}
/** An administrator authenticates. */
export interface Auth {
  token?: string | null;
  userId?: string | null;
}
/** The token is wrong. */
export interface AuthFailed {
  error: string;
}
/** The administrator is authenticated. */
export interface AuthSuccess {
  userId: string;
  timestamp: number;
}
/** The newest backup that `python -m master db backup` has made of this database. */
export interface Backup {
  at: number;
  file: string;
}
/** Begin a maintenance of the farm, which ends by itself after `deadline_s`. */
export interface BeginMaintenance {
  deadline_s: number;
  reason?: string | null;
}
/** The brake: until it ends, no silent worker loses its accounts. */
export interface Brake {
  since: number;
  until: number;
  silent: string[];
  silent_count: number;
}
/** End an open login. */
export interface CancelLogin {
  session_id: string;
}
/** One check of Master's health: whether it is passed, since when, and why not. */
export interface Check {
  name: string;
  ok: boolean;
  since: number;
  detail: string | null;
}
/** A detected comment; `reported_by` is the worker that reported it first. */
export interface Comment {
  content_type: string | null;
  edited_at: number | null;
  earlier_content: string | null;
  is_read: boolean;
  id: string;
  account_id: string;
  platform_comment_id: string;
  content: string | null;
  author_name: string | null;
  author_id: string | null;
  post_id: string | null;
  post_title: string | null;
  reported_by: string | null;
  detected_at: number;
  created_at: number;
}
/** The condition of Master: everything that is wrong or out of the ordinary. */
export interface Condition {
  brake: Brake | null;
  storage: Trouble | null;
  stopping: boolean;
  maintenance: Maintenance;
}
/** Master's condition, whenever it changes. */
export interface ConditionChanged {
  brake: Brake | null;
  storage: Trouble | null;
  stopping: boolean;
  maintenance: Maintenance;
}
/** A worker's process: `env` has names only. `id` and `worker_id` are the same. */
export interface Config {
  id: string;
  worker_id: string;
  command: string | null;
  args: string[];
  env: string[];
  proxy_id: string | null;
  max_accounts: number | null;
  auto_start: boolean;
  auto_restart: boolean;
  verified: boolean;
  created_at: number;
  updated_at: number;
}
/** The database: its file, the sizes of file and write-ahead log, and its newest backup. */
export interface Database {
  path: string;
  version: string;
  bytes: number;
  wal_bytes: number;
  rev: number;
  last_backup: Backup | null;
}
/** The device that a link is bound to: its address, and its browser as people call it. */
export interface Device {
  address: string | null;
  agent: string | null;
}
/** A detected direct message; `reported_by` is the worker that reported it first. */
export interface DirectMessage {
  content_type: string | null;
  edited_at: number | null;
  earlier_content: string | null;
  is_read: boolean;
  id: string;
  account_id: string;
  platform_message_id: string;
  content: string | null;
  sender_name: string | null;
  sender_id: string | null;
  direction: "inbound" | "outbound" | null;
  reported_by: string | null;
  detected_at: number;
  created_at: number;
}
/** How far a worker is taken out of service; `state` is `draining` or `done`. */
export interface Drain {
  state: string;
  since: number;
  by: string | null;
  deadline_at: number;
  reason: string | null;
  left: number;
  moved: number;
  waiting_login: number;
  unplaceable: Stay[];
}
/** A worker is taken out of service: begin, progress or end. */
export interface DrainChanged {
  worker_id: string;
  state: "begun" | "moved" | "done" | "cancelled" | "deadline" | "offline";
  left: number;
  moved: number;
  unplaceable: Stay[];
  rev: number;
}
/** Take a worker out of service; after `deadline_s` what is left stays with it. */
export interface DrainWorker {
  deadline_s: number;
  reason?: string | null;
}
/** No content is needed; any content is ignored. */
export interface Empty {}
/** An event of the history; `seq` grows, `target` is the id of a login or a proxy. */
export interface Event {
  seq: number;
  at_ms: number;
  kind: string;
  by: Who;
  account_id: string | null;
  worker_id: string | null;
  target: string | null;
  epoch: number | null;
  reason: string | null;
  params: Record<string, any>;
  request_id: string | null;
}
/** A worker as a candidate for an account: `owner`, `fits`, or `excluded` by `rule`. */
export interface ExplainedCandidate {
  worker_id: string;
  verdict: string;
  rule: "not_connected" | "platform_not_supported" | "pinned_elsewhere" | "draining" | "full" | null;
  connected: boolean;
  platform: boolean;
  pinned: boolean;
  held: number;
  reserved: number;
  max: number;
}
/** A remedy: an action that would help, and its values. */
export interface ExplainedRemedy {
  action: "log_in" | "activate" | "unpin" | "raise_max_accounts" | "connect_worker" | "end_drain" | "end_maintenance" | "add_worker" | "check_platform";
  params: Record<string, any>;
}
/** An account that waits for a worker, and why this one cannot have it; null: it can. */
export interface ExplainedWaiting {
  account_id: string;
  platform: string;
  rule: "not_connected" | "platform_not_supported" | "pinned_elsewhere" | "draining" | "full" | null;
}
/** Follow a worker's output from now on, instead of another's; null: follow none. */
export interface FollowLog {
  worker_id?: string | null;
}
/** The worker whose output this socket follows now; null: none. */
export interface FollowReply {
  worker_id: string | null;
}
/** A time without an owner, or a worker's without a connection, in ms; `to` is null if it lasts. */
export interface Gap {
  from: number;
  to: number | null;
  reason: string | null;
}
/** The outcome of an import, in the order of the rows, and how many rows had each outcome. */
export interface Import {
  dry_run: boolean;
  results: Imported[];
  added: number;
  exists: number;
  refused: number;
}
/** Up to 500 accounts; each is added, is there already, or is refused by itself. */
export interface ImportAccounts {
  rows: Record<string, any>[];
  dry_run?: boolean;
}
/** The outcome of a row; `id` is the account that it added or that was there before it. */
export interface Imported {
  outcome: "added" | "new" | "exists" | "refused";
  id: string | null;
  same: string | null;
  same_as: number | null;
  error: Record<string, any> | null;
}
/** The ids of the vault's keys, never the keys; `writing` seals new values. */
export interface Keys {
  writing: string;
  known: string[];
  source: string;
}
/** The newest trial of a proxy since Master's start; `error` is why it failed. */
export interface LastTrial {
  at: number;
  reachable: boolean;
  latency_ms: number;
  target: string;
  error: string | null;
}
/** Settings that the console counts with, in seconds. */
export interface Limits {
  login_ttl_s: number;
  login_max_s: number;
  heartbeat_timeout_s: number;
}
/** A login link, without its secret. */
export interface Link {
  id: string;
  account_id: string;
  state: "made" | "opened" | "started" | "scanned" | "done" | "revoked" | "expired";
  note: string | null;
  require_uid: string | null;
  made_by: string;
  created_at: number;
  expires_at: number;
  device: Device | null;
  opened_at: number | null;
  session_id: string | null;
  starts: number;
  outcome: string | null;
  refused: number;
  ended_at: number | null;
  end_reason: "cancelled" | "replaced" | "time" | "used_up" | "account_deleted" | null;
}
/** A login link went a step further, has ended, or has refused another device. */
export interface LinkChanged {
  id: string;
  account_id: string;
  state: "made" | "opened" | "started" | "scanned" | "done" | "revoked" | "expired";
  device: Device | null;
  session_id: string | null;
  starts: number;
  outcome: string | null;
  refused: number;
  expires_at: number;
  end_reason: string | null;
  at: number;
  rev: number;
}
/** A login session; while it is `scanning`, its code too, for a caller with scope `operate`. */
export interface ListedLogin {
  id: string;
  session_id: string;
  account_id: string;
  worker_id: string | null;
  status: "pending" | "scanning" | "success" | "failed" | "expired";
  login_method: string;
  has_qr_code: boolean;
  error_message: string | null;
  expires_at: number;
  logged_in_at: number | null;
  created_at: number;
  qr_code_data: string | null;
  qr_code_url: string | null;
}
/** A worker, `stats` of its last heartbeat, and `health` with `state`, `reason` and `since`. */
export interface LiveWorker {
  id: string;
  host: string;
  port: number;
  status: "connected" | "disconnected" | "offline";
  capabilities: string[];
  max_accounts: number;
  assigned_accounts: number;
  last_heartbeat: number | null;
  started_at: number;
  version: string | null;
  metadata: Machine;
  created_at: number;
  updated_at: number;
  draining: Drain | null;
  stats: Figures;
  health: Record<string, any>;
}
/** Lines of a worker's output; `skipped` lines before them are left out. */
export interface LogPart {
  lines: string[];
  before: string;
  after: string;
  skipped: number | null;
}
/** A login session, without its QR code. `id` and `session_id` are the same. */
export interface Login {
  id: string;
  session_id: string;
  account_id: string;
  worker_id: string | null;
  status: "pending" | "scanning" | "success" | "failed" | "expired";
  login_method: string;
  has_qr_code: boolean;
  error_message: string | null;
  expires_at: number;
  logged_in_at: number | null;
  created_at: number;
}
/** The login ended without success. */
export interface LoginFailed {
  session_id: string;
  account_id: string;
  worker_id: string | null;
  error_message: string;
  error_type: string;
  rev: number;
}
/** Login sessions, the newest first. */
export interface LoginList {
  sessions: ListedLogin[];
  timestamp: number;
  rev: number;
}
/** The login was sent to the worker. */
export interface LoginStarted {
  account_id: string;
  worker_id: string;
  session_id: string;
  status: string;
  expires_at: number;
  timestamp: number;
}
/** A worker's login report; its own keys that docs/security.md lists become further fields. */
export interface LoginStatusUpdate extends LoginWords {
  session_id: string;
  account_id: string;
  worker_id: string | null;
  status: string;
  rev: number;
}
/** The account is logged in. */
export interface LoginSucceeded {
  session_id: string;
  account_id: string;
  worker_id: string | null;
  user_info: Profile | null;
  logged_in_at: number;
  rev: number;
}
/** A new login link, with its secret for this once, in the fragment of `url`. */
export interface MadeLink {
  id: string;
  account_id: string;
  state: "made" | "opened" | "started" | "scanned" | "done" | "revoked" | "expired";
  note: string | null;
  require_uid: string | null;
  made_by: string;
  created_at: number;
  expires_at: number;
  device: Device | null;
  opened_at: number | null;
  session_id: string | null;
  starts: number;
  outcome: string | null;
  refused: number;
  ended_at: number | null;
  end_reason: "cancelled" | "replaced" | "time" | "used_up" | "account_deleted" | null;
  url: string;
}
/** Whether the farm is under maintenance, and until when. */
export interface Maintenance {
  active: boolean;
  since: number | null;
  deadline_at: number | null;
  reason: string | null;
  by: string | null;
}
/** A maintenance of the farm has begun or ended; its row as it is now. */
export interface MaintenanceChanged extends Maintenance {
  rev: number;
}
/** The messages to mark: those that `ids` names, or those of one account. */
export interface MarkMessages {
  ids?: MessageName[] | null;
  account_id?: string | null;
  kind?: "comment" | "direct_message" | null;
  before?: number | null;
}
/** How many messages have changed, and how many unread ones each account has left. */
export interface Marks {
  changed: number;
  unread: UnreadOf[];
  missing: Record<string, string>[];
  continues: boolean;
}
/** One message. */
export interface MessageName {
  kind: "comment" | "direct_message";
  id: string;
}
/** A person has marked messages of an account as read (or unread: `is_read` is false). */
export interface MessagesRead {
  account_id: string;
  kind: "comment" | "direct_message";
  ids: string[];
  is_read: boolean;
  by: string;
  unread: number;
  rev: number;
}
/** How many messages were stored in each of the last 60 minutes, the present one last. */
export interface Minutes {
  stored: (number | null)[];
  ends_at: number;
  since: number;
  last_seq: number;
}
/** An account to watch; `monitor_interval` is in seconds. */
export interface NewAccount {
  platform: string;
  account_name: string;
  account_id?: string | null;
  monitor_interval?: number;
  status?: "active" | "inactive" | "paused" | "error" | "expired" | "banned" | "restricted";
  assigned_worker_id?: string | null;
  proxy_id?: string | null;
  tags?: string[];
  note?: string | null;
}
/** Start a QR login of the account that the path names. */
export interface NewLogin {
  worker_id?: string | null;
  session_id?: string | null;
  accept_identity?: boolean;
}
/** Make a login link of the account that the path names; an open one of it ends. */
export interface NewLoginLink {
  ttl_s?: number;
  note?: string | null;
  require_uid?: string | null;
}
/** A notification. `created_at` is seconds, `timestamp` milliseconds. */
export interface NewNotification {
  id: string;
  notification_id: string;
  seq: number;
  type: "comment" | "direct_message" | "system" | "account_status";
  account_id: string | null;
  related_id: string | null;
  title: string;
  content: string;
  data: Record<string, any>;
  priority: "low" | "normal" | "high" | "urgent";
  created_at: number;
  timestamp: number;
  rev: number;
}
/** A proxy; `server` is host:port. */
export interface NewProxy {
  name: string;
  server: string;
  protocol?: "http" | "https" | "socks5";
  username?: string | null;
  password?: string | null;
  status?: "active" | "inactive";
}
/** Save a view of the console. */
export interface NewView {
  name: string;
  url: string;
}
/** How to run the worker `worker_id`. */
export interface NewWorkerConfig {
  command?: string | null;
  args?: string[];
  env?: Record<string, string>;
  proxy_id?: string | null;
  max_accounts?: number | null;
  auto_start?: boolean;
  auto_restart?: boolean;
  worker_id: string;
}
/** A notification; `id` and `notification_id` are the same. `timestamp` is milliseconds. */
export interface Notification {
  id: string;
  notification_id: string;
  seq: number;
  type: "comment" | "direct_message" | "system" | "account_status";
  account_id: string | null;
  related_id: string | null;
  title: string;
  content: string;
  data: Record<string, any>;
  priority: "low" | "normal" | "high" | "urgent";
  created_at: number;
  timestamp: number;
  is_sent: boolean;
  sent_at: number | null;
}
/** A device has confirmed a notification. */
export interface NotificationConfirmed {
  notification_id: string;
  confirmed_by: string;
  confirmed_at: number;
}
/** Where an account is: `placed`, `waiting` for a worker, or `not_wanted` by its status. */
export interface Placement {
  state: string;
  reason: string | null;
  since: number | null;
}
/** Moves of a plan, and accounts that cannot; `is_complete` is false if more would follow. */
export interface PlacementPlan {
  moves: PlannedMove[];
  stay: PlannedStay[];
  is_complete: boolean;
}
/** A plan: workers out of service or with another `max_accounts`, accounts pinned or unpinned. */
export interface PlanWishes {
  drain?: string[];
  max_accounts?: Record<string, number>;
  pin?: Record<string, string | null>;
}
/** None */
export interface PlannedMove {
  account_id: string;
  from: string | null;
  to: string | null;
}
/** An account that would have no worker, or whose pin would be refused, with the rule. */
export interface PlannedStay {
  account_id: string;
  rule: string;
}
/** A worker's process; a negative `exit_code` is the number of a signal. */
export interface Process {
  worker_id: string;
  state: string;
  pid: number | null;
  started_at: number | null;
  restarts: number;
  exit_code: number | null;
  log_path: string | null;
  config_updated_at: number | null;
}
/** The state of a worker's process has changed. */
export interface ProcessChanged extends Process {}
/** A worker's process has written; sent to the sockets that follow it (`admin:follow`). */
export interface ProcessLog {
  worker_id: string;
  lines: string[];
  before: string;
  after: string;
  skipped: number | null;
}
/** This socket reads too slowly to follow a worker's output: it reads it over HTTP instead. */
export interface ProcessLogBehind {
  worker_id: string;
}
/** A proxy, without its password. */
export interface Proxy {
  id: string;
  name: string;
  server: string;
  protocol: string;
  username: string | null;
  has_password: boolean;
  password_unreadable: boolean;
  status: string;
  created_at: number;
  updated_at: number;
  used_by: ProxyUsers;
  last_trial: LastTrial | null;
}
/** Changes to a proxy; absent fields keep their values. */
export interface ProxyChange {
  name?: string;
  server?: string;
  protocol?: "http" | "https" | "socks5";
  username?: string | null;
  password?: string | null;
  status?: "active" | "inactive";
}
/** A trial of a proxy; `target` is host:port of a server of your own. */
export interface ProxyTrial {
  target: string;
  timeout_s?: number;
}
/** How many accounts and worker configurations use a proxy. */
export interface ProxyUsers {
  accounts: number;
  workers: number;
}
/** The login's deadline has passed. */
export interface QrCodeExpired {
  session_id: string;
  account_id: string;
  worker_id: string | null;
  rev: number;
}
/** A QR code is ready to be scanned until `expires_at` (seconds). */
export interface QrCodeReady {
  session_id: string;
  account_id: string;
  worker_id: string | null;
  qr_code_data: string;
  qr_code_url?: string;
  expires_at: number;
  rev: number;
}
/** A worker's process; `draining` if its accounts leave it first. */
export interface Restart {
  worker_id: string;
  state: string;
  pid: number | null;
  started_at: number | null;
  restarts: number;
  exit_code: number | null;
  log_path: string | null;
  config_updated_at: number | null;
  draining?: Drain | null;
}
/** Restart a worker's process; with `drain_s`, its accounts leave it first. */
export interface RestartWorker {
  drain_s?: number | null;
  reason?: string | null;
}
/** A session of the console; `sockets` counts its live ones, `is_own` tells the caller's. */
export interface Session {
  id: string;
  name: string;
  scope: string;
  address: string;
  agent: string;
  created_at: number;
  seen_at: number;
  expires_at: number;
  sockets: number;
  is_own: boolean;
}
/** A setting as it is in effect; `value` of a secret one is null, and `is_set` tells of it. */
export interface Setting {
  name: string;
  value: string | null;
  is_secret: boolean;
  is_set: boolean;
  source: string;
  default: string;
  allowed: string;
  description: string;
}
/** The caller, what it may do, and which Master this is; `now_ms` is Master's clock. */
export interface SignIn {
  name: string;
  scope: string;
  guarded: boolean;
  version: string;
  started_at: number;
  demo: boolean;
  demo_label: string | null;
  now_ms: number;
  expires_at: number | null;
  limits: Limits;
}
/** Start a QR login; without `worker_id` Master chooses the worker. */
export interface StartLogin {
  account_id: string;
  worker_id?: string | null;
  session_id?: string | null;
  accept_identity?: boolean;
}
/** A login that was sent to its worker. `timestamp` is milliseconds. */
export interface StartedLogin {
  account_id: string;
  worker_id: string;
  session_id: string;
  status: string;
  expires_at: number;
  timestamp: number;
}
/** Since when and why `status` and `login_status` are as they are; null: never told. */
export interface State {
  since: number | null;
  reason: string | null;
  detail: string | null;
}
/** Counts of everything, by state, kind and type. */
export interface Statistics {
  workers: Record<string, number>;
  accounts: Record<string, any>;
  login_sessions: Record<string, any>;
  messages: Record<string, any>;
  notifications: Record<string, any>;
  proxies: Record<string, number>;
  worker_configs: Record<string, number>;
}
/** Version, start and uptime of Master, counts of everything, and the farm's maintenance. */
export interface Status {
  version: string;
  started_at: number;
  uptime_s: number;
  workers: Record<string, number>;
  accounts: Record<string, number>;
  loginSessions: Record<string, number>;
  platforms: Record<string, number>;
  maintenance: Maintenance;
}
/** Counts of everything, by state. `timestamp` is milliseconds. */
export interface StatusResponse {
  workers: Record<string, number>;
  accounts: Record<string, number>;
  loginSessions: Record<string, number>;
  platforms: Record<string, number>;
  timestamp: number;
}
/** An account that cannot leave its worker; `rule` is why, as a reason to wait or `pinned`. */
export interface Stay {
  account_id: string;
  rule: string;
}
/** A periodic check: its interval, when it last ran, and what it has found since the start. */
export interface Sweep {
  name: string;
  interval_s: number;
  last_run: number | null;
  found: number;
}
/** Stands for notifications up to `last_seq` that were too many to push; fetch them. */
export interface SyncHint {
  last_seq: number;
}
/** Everything that Master knows of itself; no secret is among it. */
export interface System {
  version: string;
  started_at: number;
  uptime_s: number;
  now_ms: number;
  condition: Condition;
  checks: Check[];
  queues: Record<string, number>;
  sockets: Record<string, number>;
  sweeps: Sweep[];
  database: Database;
  vault: Keys;
  versions: Version[];
}
/** A text to draw as a QR code, such as the address of a login link. */
export interface TextToDraw {
  text: string;
}
/** A page of events, the newest first, with the gaps that begin in it. */
export interface Timeline {
  items: Event[];
  gaps: Gap[];
  before: number | null;
}
/** Whether a proxy reached its target; if not, `error` gives the reason. */
export interface Trial {
  reachable: boolean;
  latency_ms: number;
  target: string;
  error?: string;
}
/** Why nothing can be stored, and since when. */
export interface Trouble {
  since: number;
  reason: string;
}
/** How many unread messages an account has. */
export interface UnreadOf {
  account_id: string;
  unread: number;
}
/** A person's input for a login (an SMS code, say); it is relayed, never stored or logged. */
export interface UserInput {
  session_id: string;
  input_type: string;
  value: string;
}
/** The typed input was sent to the worker. */
export interface UserInputRelayed {
  session_id: string;
  timestamp: number;
}
/** A program or library that Master runs with. */
export interface Version {
  name: string;
  version: string;
}
/** A saved view of the console. */
export interface View {
  id: string;
  name: string;
  url: string;
  created_at: number;
  updated_at: number;
}
/** Changes to a saved view. */
export interface ViewChange {
  name?: string;
  url?: string;
}
/** The cause of an event: `kind` is worker, admin, http, client, or sweep for Master itself. */
export interface Who {
  kind: string;
  name: string | null;
  scope: string | null;
}
/** A worker; `last_heartbeat` is when it was last heard. */
export interface Worker {
  id: string;
  host: string;
  port: number;
  status: "connected" | "disconnected" | "offline";
  capabilities: string[];
  max_accounts: number;
  assigned_accounts: number;
  last_heartbeat: number | null;
  started_at: number;
  version: string | null;
  metadata: Machine;
  created_at: number;
  updated_at: number;
  draining: Drain | null;
}
/** A worker's row after it or its `health` changed. */
export interface WorkerChanged extends Worker {
  rev: number;
  health?: Record<string, any>;
}
/** Changes to a worker's configuration; absent fields keep their values. */
export interface WorkerConfigChange {
  command?: string | null;
  args?: string[];
  env?: Record<string, string>;
  proxy_id?: string | null;
  max_accounts?: number | null;
  auto_start?: boolean;
  auto_restart?: boolean;
}
/** The load of a worker, and the reason for which it is not given the accounts that wait. */
export interface WorkerExplained {
  worker_id: string;
  verdict: string;
  held: number;
  reserved: number;
  max: number;
  platforms: string[];
  waiting: ExplainedWaiting[];
  waiting_total: number;
}
/** A worker, with the first of its accounts and the figures of its last heartbeat. */
export interface WorkerWithAccounts {
  id: string;
  host: string;
  port: number;
  status: "connected" | "disconnected" | "offline";
  capabilities: string[];
  max_accounts: number;
  assigned_accounts: number;
  last_heartbeat: number | null;
  started_at: number;
  version: string | null;
  metadata: Machine;
  created_at: number;
  updated_at: number;
  draining: Drain | null;
  stats: Figures;
  health: Record<string, any>;
  accounts: Account[];
}
type Find<Q extends string> =
  Q extends `GET workers/${string}/lifecycle/logs` ? Route<One<"logs", string[]>, undefined, "lines"> :
  Q extends `GET workers/${string}/lifecycle/output` ? Route<One<"log_part", LogPart>, undefined, "after" | "lines"> :
  Q extends `POST workers/${string}/lifecycle/restart` ? Route<One<"process", Restart>, RestartWorker | undefined> :
  Q extends `POST workers/${string}/lifecycle/start` ? Route<One<"process", Process>> :
  Q extends `GET workers/${string}/lifecycle/status` ? Route<One<"process", Process>> :
  Q extends `POST workers/${string}/lifecycle/stop` ? Route<One<"process", Process>> :
  Q extends `DELETE accounts/${string}/login-links/${string}` ? Route<One<"login_link", Link>> :
  Q extends `POST messages/${string}/${string}/read` ? Route<One<"message", Comment | DirectMessage>> :
  Q extends `POST messages/${string}/${string}/unread` ? Route<One<"message", Comment | DirectMessage>> :
  Q extends `GET accounts/status/all` ? Route<Page<AccountStatus>, undefined, "limit" | "offset" | "sort" | "q" | "platform" | "status" | "login_status" | "assigned_worker_id" | "unassigned" | "tag" | "unread"> :
  Q extends `GET accounts/${string}/explain` ? Route<One<"explanation", AccountExplained>> :
  Q extends `POST accounts/${string}/login` ? Route<One<"login_session", StartedLogin>, NewLogin | undefined> :
  Q extends `GET accounts/${string}/login-links` ? Route<Page<Link>, undefined, "limit" | "offset"> :
  Q extends `POST accounts/${string}/login-links` ? Route<One<"login_link", MadeLink>, NewLoginLink | undefined> :
  Q extends `GET accounts/${string}/timeline` ? Route<One<"timeline", Timeline>, undefined, "limit" | "before"> :
  Q extends `DELETE console/sessions/${string}` ? Route<{ success: true }> :
  Q extends `DELETE console/views/${string}` ? Route<One<"view", View>> :
  Q extends `PATCH console/views/${string}` ? Route<One<"view", View>, ViewChange> :
  Q extends `PUT console/views/${string}` ? Route<One<"view", View>, ViewChange> :
  Q extends `POST login-sessions/${string}/cancel` ? Route<One<"login_session", Login>> :
  Q extends `POST proxies/${string}/test` ? Route<One<"result", Trial>, ProxyTrial> :
  Q extends `DELETE workers/${string}/drain` ? Route<One<"worker", LiveWorker>> :
  Q extends `POST workers/${string}/drain` ? Route<One<"worker", LiveWorker>, DrainWorker> :
  Q extends `GET workers/${string}/explain` ? Route<One<"explanation", WorkerExplained>> :
  Q extends `GET workers/${string}/timeline` ? Route<One<"timeline", Timeline>, undefined, "limit" | "before"> :
  Q extends `POST accounts/actions` ? Route<One<"acted", Acts>, ActOnAccounts> :
  Q extends `POST accounts/import` ? Route<One<"imported", Import>, ImportAccounts> :
  Q extends `DELETE console/session` ? Route<{ success: true }> :
  Q extends `GET console/session` ? Route<One<"session", SignIn>> :
  Q extends `POST console/session` ? Route<One<"session", SignIn>, { token: string } | { link: string }> :
  Q extends `GET console/sessions` ? Route<{ success: true; data: Session[]; total: number }> :
  Q extends `GET console/views` ? Route<Page<View>, undefined, "limit" | "offset"> :
  Q extends `POST console/views` ? Route<One<"view", View>, NewView> :
  Q extends `POST messages/read` ? Route<One<"marked", Marks>, MarkMessages> :
  Q extends `POST messages/unread` ? Route<One<"marked", Marks>, MarkMessages> :
  Q extends `POST placement/plan` ? Route<One<"plan", PlacementPlan>, PlanWishes> :
  Q extends `GET statistics/minutes` ? Route<One<"minutes", Minutes>> :
  Q extends `DELETE accounts/${string}` ? Route<One<"account", Account>> :
  Q extends `GET accounts/${string}` ? Route<One<"account", Account>> :
  Q extends `PATCH accounts/${string}` ? Route<One<"account", Account>, AccountChange> :
  Q extends `PUT accounts/${string}` ? Route<One<"account", Account>, AccountChange> :
  Q extends `GET login-sessions/${string}` ? Route<One<"login_session", Login>> :
  Q extends `DELETE proxies/${string}` ? Route<One<"proxy", Proxy>> :
  Q extends `GET proxies/${string}` ? Route<One<"proxy", Proxy>> :
  Q extends `PATCH proxies/${string}` ? Route<One<"proxy", Proxy>, ProxyChange> :
  Q extends `PUT proxies/${string}` ? Route<One<"proxy", Proxy>, ProxyChange> :
  Q extends `DELETE worker-configs/${string}` ? Route<One<"worker_config", Config>> :
  Q extends `GET worker-configs/${string}` ? Route<One<"worker_config", Config>> :
  Q extends `PATCH worker-configs/${string}` ? Route<One<"worker_config", Config>, WorkerConfigChange> :
  Q extends `PUT worker-configs/${string}` ? Route<One<"worker_config", Config>, WorkerConfigChange> :
  Q extends `DELETE workers/${string}` ? Route<One<"worker", Worker>> :
  Q extends `GET workers/${string}` ? Route<One<"worker", WorkerWithAccounts>> :
  Q extends `GET accounts` ? Route<Page<Account>, undefined, "limit" | "offset" | "sort" | "q" | "platform" | "status" | "login_status" | "assigned_worker_id" | "unassigned" | "tag" | "unread"> :
  Q extends `POST accounts` ? Route<One<"account", Account>, NewAccount> :
  Q extends `GET audit` ? Route<One<"audit", Audit>, undefined, "limit" | "before" | "by" | "action" | "target"> :
  Q extends `GET comments` ? Route<Page<Comment>, undefined, "limit" | "offset" | "sort" | "q" | "account_id" | "is_read" | "since" | "before"> :
  Q extends `GET condition` ? Route<One<"condition", Condition>> :
  Q extends `GET direct-messages` ? Route<Page<DirectMessage>, undefined, "limit" | "offset" | "sort" | "q" | "account_id" | "is_read" | "since" | "before" | "direction"> :
  Q extends `GET login-sessions` ? Route<Page<Login>, undefined, "limit" | "offset" | "sort" | "status" | "account_id" | "worker_id" | "before"> :
  Q extends `DELETE maintenance` ? Route<One<"maintenance", Maintenance>> :
  Q extends `GET maintenance` ? Route<One<"maintenance", Maintenance>> :
  Q extends `POST maintenance` ? Route<One<"maintenance", Maintenance>, BeginMaintenance> :
  Q extends `GET notifications` ? Route<Page<Notification>, undefined, "limit" | "offset" | "sort" | "type" | "account_id" | "is_sent" | "priority" | "after_seq" | "before"> :
  Q extends `GET processes` ? Route<Page<Process, null>, undefined, "limit" | "offset"> :
  Q extends `GET proxies` ? Route<Page<Proxy>, undefined, "limit" | "offset"> :
  Q extends `POST proxies` ? Route<One<"proxy", Proxy>, NewProxy> :
  Q extends `GET settings` ? Route<One<"settings", Setting[]>> :
  Q extends `GET statistics` ? Route<One<"statistics", Statistics>> :
  Q extends `GET status` ? Route<One<"status", Status>> :
  Q extends `GET system` ? Route<One<"system", System>> :
  Q extends `GET worker-configs` ? Route<Page<Config>, undefined, "limit" | "offset"> :
  Q extends `POST worker-configs` ? Route<One<"worker_config", Config>, NewWorkerConfig> :
  Q extends `GET workers` ? Route<Page<LiveWorker>, undefined, "limit" | "offset" | "sort" | "q" | "status"> :
  never;
/** What Master tells administrators, by the event's name. */
export interface AdminEvents {
  "admin:auth:success": AuthSuccess;
  "admin:auth:failed": AuthFailed;
  "admin:login:start:ack": LoginStarted;
  "admin:login:user_input:ack": UserInputRelayed;
  "admin:login_sessions:list:response": LoginList;
  "admin:status:response": StatusResponse;
  "admin:error": AdminError;
  "login:qrcode:ready": QrCodeReady;
  "login:success": LoginSucceeded;
  "login:failed": LoginFailed;
  "login:qrcode:expired": QrCodeExpired;
  "login:status:update": LoginStatusUpdate;
  "notification:new": NewNotification;
  "notification:confirmed": NotificationConfirmed;
  "message:read": MessagesRead;
  "worker:status": WorkerChanged;
  "account:status": AccountChanged;
  "login_link:status": LinkChanged;
  "worker:drain": DrainChanged;
  "farm:maintenance": MaintenanceChanged;
  "process:status": ProcessChanged;
  "process:log": ProcessLog;
  "process:log:behind": ProcessLogBehind;
  "master:condition": ConditionChanged;
  "client:sync": SyncHint;
}
/** What administrators send, with its acknowledgement. */
export interface AdminRequests {
  "master:login:start": { payload: StartLogin; reply: LoginStarted & { success: true } };
  "master:login:user_input": { payload: UserInput; reply: UserInputRelayed & { success: true } };
  "master:login:cancel": { payload: CancelLogin; reply: Login & { success: true } };
  "admin:request:login-sessions": { payload: Empty; reply: LoginList & { success: true } };
  "admin:login_sessions:list": { payload: Empty; reply: LoginList & { success: true } };
  "admin:status:request": { payload: Empty; reply: StatusResponse & { success: true } };
  "admin:follow": { payload: FollowLog; reply: FollowReply & { success: true } };
  "admin:auth": { payload: Auth; reply: AuthSuccess & { success: true } };
}
