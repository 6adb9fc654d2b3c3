// @ts-check
/** What a person can do to the farm. */
import { ask, segment } from "./api.js";
import { emit, readViews, rereadLogins } from "./live.js";
import { go } from "./router.js";
import { attempt } from "./said.js";
import { dropAccount, fillViews, views } from "./store.js";
import { t } from "./words.js";

/**
 * Start a login and show it.
 * @param {string} accountId @param {import("./types.js").NewLogin} [more]
 */
export async function startLogin(accountId, more = {}) {
  const done = await attempt(t("what.login"), () => ask("POST", `accounts/${segment(accountId)}/login`, more));
  if (!done) return;
  rereadLogins();
  go(["logins", done.data.session_id]);
}

/** @param {string} id */
export const cancelLogin = (id) =>
  attempt(t("what.cancel"), () => ask("POST", `login-sessions/${segment(id)}/cancel`));

/** @param {string} id @param {string} type @param {string} value */
export const sendInput = (id, type, value) =>
  attempt(
    t("what.send"),
    () => emit("master:login:user_input", { session_id: id, input_type: type, value }),
    t("done.sent"),
  );

/** @param {string} id @param {import("./types.js").AccountChange} changes */
export const changeAccount = (id, changes) =>
  attempt(t("what.change"), () => ask("PATCH", `accounts/${segment(id)}`, changes), t("done.changed"));

/** @param {string} id @param {string} name */
export async function deleteAccount(id, name) {
  const done = await attempt(t("what.delete"), () => ask("DELETE", `accounts/${segment(id)}`), t("done.deleted", { name }));
  if (done) dropAccount(id);
  return done;
}

/** @param {import("./types.js").NewAccount} fields */
export async function addAccount(fields) {
  const done = t("done.added", { name: fields.account_name });
  return attempt(t("what.add"), () => ask("POST", "accounts", fields), done);
}

/** @param {import("./store.js").MessageKind} kind @param {string} id */
export const markRead = (kind, id) =>
  attempt(t("what.read"), () => ask("POST", `messages/${kind}/${segment(id)}/read`));

/** @param {string} id @param {"start" | "stop" | "restart"} action */
export const runProcess = (id, action) =>
  attempt(
    t("what.process"),
    () => ask("POST", `workers/${segment(id)}/lifecycle/${action}`),
    t("done.changed"),
  );

/** @param {string} id @param {number} seconds @param {string} reason */
export const beginDrain = (id, seconds, reason) =>
  attempt(
    t("what.drain"),
    () => ask("POST", `workers/${segment(id)}/drain`, { deadline_s: seconds, reason: reason || null }),
    t("done.changed"),
  );

/** @param {string} id */
export const cancelDrain = (id) =>
  attempt(
    t("what.drain"),
    () => ask("DELETE", `workers/${segment(id)}/drain`),
    t("done.changed"),
  );

/**
 * Save an address under a name; a view of that name gets the address.
 * @param {string} name @param {string} url
 */
export function saveView(name, url) {
  const known = views.peek().find((one) => one.name === name);
  return changeViews(
    async () => known ? ask("PATCH", `console/views/${segment(known.id)}`, { url }) : ask("POST", "console/views", { name, url }),
    t("done.view.saved", { name }),
  );
}

/** @param {string} id @param {string} name */
export const renameView = (id, name) =>
  changeViews(() => ask("PATCH", `console/views/${segment(id)}`, { name }), t("done.view.saved", { name }));

/** @param {import("./store.js").View} view */
export const deleteView = (view) =>
  changeViews(() => ask("DELETE", `console/views/${segment(view.id)}`), t("done.view.deleted", { name: view.name }));

/**
 * Change the views, and read them again, also after a refusal: another browser may have made others.
 * @param {() => Promise<any>} change @param {string} done
 */
async function changeViews(change, done) {
  const result = await attempt(t("what.view"), change, done);
  try {
    fillViews(await readViews());
  } catch {
    // they are read with everything else as soon as Master can be reached
  }
  return result;
}
