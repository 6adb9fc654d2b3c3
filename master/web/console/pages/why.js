// @ts-check
/** Why an account is where it is, and what happened to an account or a worker. */
import { ask, segment } from "../api.js";
import { html, useState } from "../html.js";
import { AccountLink, Ago, Empty, Fault, Table, WorkerLink, useFetched } from "../parts.js";
import { nameOf } from "../store.js";
import { count, t, wordOf } from "../words.js";

const SHOWN = 8;
const PAGE = 20;

/** @typedef {import("../types.js").AccountExplained} Explained */

/** @param {import("../types.js").ExplainedRemedy} one */
function remedy({ action, params }) {
  return t(`action.${action}`, {
    worker: params.worker_id ?? "", platform: params.platform ?? "", most: params.max_accounts ?? "",
    known: (params.known ?? []).join(", "),
  });
}

/** @param {Explained} found Its rule is a reason, or the state that the verdict is about. */
function ruleOf({ verdict, rule }) {
  if (verdict === "not_watched") return wordOf("loginIs", rule);
  if (verdict === "paused") return wordOf("accountIs", rule?.replace(/^account_/, ""));
  return wordOf("reason", rule);
}

/**
 * Every worker as a candidate for an account, with the rule that excludes it.
 * @param {{id: string, keys: any[]}} props
 */
export function Why({ id, keys }) {
  const [all, setAll] = useState(false);
  const [found, fault] = useFetched(
    async () => (await ask("GET", `accounts/${segment(id)}/explain`)).explanation,
    [id, ...keys],
  );
  if (fault) return html`<${Fault} fault=${fault} missing=${t("account.missing")} />`;
  if (!found) return null;
  const shown = all ? found.candidates : found.candidates.slice(0, SHOWN);
  return html`<section class="card"><h2>${t("why.title")}</h2>
    <p>${t(`verdict.${found.verdict}`, { worker: found.worker_id ?? "" })}${found.rule && html` <span class="soft">${ruleOf(found)}</span>`}</p>
    ${found.would_help.length > 0 && html`<p>${t("why.help")}</p><ul>${found.would_help.map(
      (one) => html`<li key=${one.action + one.params.worker_id}><bdi>${remedy(one)}</bdi></li>`,
    )}</ul>`}
    ${found.candidates.length > 0 && html`<${Table} label=${t("why.workers")} columns=${[t("col.worker"), t("why.rule"), t("col.load")]}>${shown.map(
      (one) => html`<tr key=${one.worker_id}><th scope="row"><${WorkerLink} id=${one.worker_id} /></th>
        <td>${one.rule ? t(`rule.${one.rule}`) : t(one.verdict === "owner" ? "why.owner" : "why.fits")}</td>
        <td class="num">${count(one.held)}${one.reserved > 0 && `+${count(one.reserved)}`}/${count(one.max)}</td></tr>`,
    )}<//>`}
    ${found.candidates.length > shown.length && html`<button type="button" onClick=${() => setAll(true)}>${t("why.all", { count: count(found.candidates.length) })}</button>`}</section>`;
}

/** @param {import("../types.js").Event} one An event of the history. */
function tellParams(one) {
  const params = one.params ?? {};
  if (params.action) return params.action;
  if (params.fields) return params.fields.join(", ");
  if (one.kind === "login_link_opened") return [params.agent, params.address].filter(Boolean).join(", ");
  if (one.kind === "login_link_refused") return params.device ?? "";
  if (params.from) return `${wordOf(one.kind === "status" ? "accountIs" : "loginIs", params.from)} → ${wordOf(one.kind === "status" ? "accountIs" : "loginIs", params.to)}`;
  return "";
}

/**
 * @param {{path: "accounts" | "workers", id: string, keys: any[], ofWorker?: boolean}} props
 *   Whose it is.
 */
export function Timeline({ path, id, keys, ofWorker = false }) {
  const [limit, setLimit] = useState(PAGE);
  const [found, fault] = useFetched(
    async () => (await ask("GET", `${path}/${segment(id)}/timeline?limit=${limit}`)).timeline,
    keys,
    String(limit),
  );
  if (fault) return html`<section><h2>${t("happened.title")}</h2><${Fault} fault=${fault} missing=${t("happened.none")} /></section>`;
  if (!found) return null;
  const rows = found.items;
  return html`<section><h2>${t("happened.title")}</h2>
    ${rows.length === 0 ? html`<${Empty}><p>${t("happened.none")}</p><//>`
      : html`<${Table} label=${t("happened.title")} columns=${[t("happened.when"), t("happened.what"), t(ofWorker ? "col.account" : "col.worker"), t("happened.by")]}>${rows.map(
        (one) => html`<tr key=${one.seq}><td class="small"><${Ago} at=${Math.floor(one.at_ms / 1000)} /></td>
          <th scope="row">${wordOf("happened", one.kind)} <span class="soft small"><bdi>${one.kind.endsWith(`_${one.reason}`) ? "" : wordOf(one.kind.startsWith("login_link") ? "linkEnd" : "reason", one.reason)}</bdi> <bdi>${tellParams(one)}</bdi></span></th>
          <td>${ofWorker ? one.account_id && html`<${AccountLink} id=${one.account_id} name=${nameOf(one.account_id)} />` : one.worker_id && html`<${WorkerLink} id=${one.worker_id} />`}</td>
          <td class="small"><bdi>${one.by.kind === "link" ? t("by.link") : one.by.name ?? wordOf("by", one.by.kind)}</bdi></td></tr>`,
      )}<//>`}
    ${rows.length === limit && limit < 500 && html`<button type="button" onClick=${() => setLimit(Math.min(500, limit * 5))}>${t("do.more")}</button>`}</section>`;
}
