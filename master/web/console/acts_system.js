// @ts-check
/** What a person can do to Master itself and to what it runs. */
import { ask, segment } from "./api.js";
import { attempt } from "./said.js";
import { condition } from "./watch.js";
import { t } from "./words.js";

/** @typedef {import("./types.js").NewProxy} NewProxy */
/** @typedef {import("./types.js").NewWorkerConfig} NewWorkerConfig */

/** @param {{data: import("./types.js").Maintenance} | undefined} found */
function noteMaintenance(found) {
  const known = condition.peek();
  if (found && known) condition.value = { ...known, maintenance: found.data };
  return found;
}

/** @param {number} seconds @param {string} reason */
export const beginMaintenance = async (seconds, reason) =>
  noteMaintenance(
    await attempt(
      t("what.maintenance"),
      () => ask("POST", "maintenance", { deadline_s: seconds, reason: reason || null }),
      t("done.changed"),
    ),
  );

export const endMaintenance = async () =>
  noteMaintenance(
    await attempt(t("what.maintenance"), () => ask("DELETE", "maintenance"), t("done.changed")),
  );

/** @param {string | null} id Null adds one. @param {import("./types.js").ProxyChange | NewProxy} fields */
export const saveProxy = (id, fields) =>
  attempt(
    t("what.proxy"),
    async () => (id === null ? ask("POST", "proxies", /** @type {NewProxy} */ (fields)) : ask("PATCH", `proxies/${segment(id)}`, fields)),
    t("done.changed"),
  );

/** @param {string} id @param {string} target */
export const testProxy = (id, target) =>
  attempt(t("what.test"), () => ask("POST", `proxies/${segment(id)}/test`, { target }));

/** @param {string | null} id Null adds one. @param {import("./types.js").WorkerConfigChange | NewWorkerConfig} fields */
export const saveConfig = (id, fields) =>
  attempt(
    t("what.config"),
    async () => (id === null ? ask("POST", "worker-configs", /** @type {NewWorkerConfig} */ (fields)) : ask("PATCH", `worker-configs/${segment(id)}`, fields)),
    t("done.changed"),
  );

/** @param {string} id */
export const removeConfig = (id) =>
  attempt(t("what.config"), () => ask("DELETE", `worker-configs/${segment(id)}`), t("done.changed"));
