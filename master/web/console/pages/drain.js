// @ts-check
/** Before a worker is taken out of service: which accounts go where, which cannot, and why. */
import { beginDrain } from "../acts.js";
import { ask } from "../api.js";
import { html } from "../html.js";
import { AccountLink, Dialog, Fault, Field, Form, WorkerLink, useFetched } from "../parts.js";
import { accounts, filled, nameOf } from "../store.js";
import { count, t, wordOf } from "../words.js";

const NAMED = 10;

/** @param {{id: string, plan: import("../types.js").PlacementPlan}} props */
function Plan({ id, plan }) {
  const moves = plan.moves.filter((one) => one.from === id && one.to !== null);
  const stay = plan.stay.filter((one) => accounts.value.get(one.account_id)?.assigned_worker_id === id);
  /** @type {Map<string, number>} */
  const to = new Map();
  for (const { to: worker } of moves) if (worker !== null) to.set(worker, (to.get(worker) ?? 0) + 1);
  const total = moves.length + stay.length;
  if (total === 0) return html`<p>${t("plan.empty")}</p>`;
  return html`${moves.length > 0 && html`<p>${t("plan.moves", { count: count(moves.length), total: count(total) })}</p>
      <ul>${[...to].sort((a, b) => b[1] - a[1]).map(([worker, number]) => html`<li key=${worker}>${count(number)} → <${WorkerLink} id=${worker} /></li>`)}</ul>`}
    ${stay.length > 0 && html`<p class="bad">${t("plan.stay", { count: count(stay.length) })}</p>
      <ul>${stay.slice(0, NAMED).map((one) => html`<li key=${one.account_id}><${AccountLink} id=${one.account_id} name=${nameOf(one.account_id)} />: ${wordOf("reason", one.rule)}</li>`)}
        ${stay.length > NAMED && html`<li>${t("bulk.delete.and", { count: count(stay.length - NAMED) })}</li>`}</ul>`}
    ${!plan.is_complete && html`<p class="soft">${t("plan.more")}</p>`}`;
}

/** @param {{row: import("../store.js").Worker, close: () => void}} props */
export function DrainDialog({ row, close }) {
  const [plan, fault] = useFetched(
    async () => (await ask("POST", "placement/plan", { drain: [row.id] })).plan,
    [row.id, row.assigned_accounts, filled.value],
  );
  /** @param {Record<string, string>} values */
  const send = async ({ minutes, reason }) => {
    await beginDrain(row.id, Math.round(Number(minutes) * 60), reason);
    close();
  };
  return html`<${Dialog} title=${t("drain.title", { name: row.id })} close=${close}><${Form} send=${send}>
    <p>${t("drain.how", { count: count(row.assigned_accounts) })}</p>
    <section aria-labelledby="plan"><h3 id="plan">${t("plan.title")}</h3><div role="status">
      ${fault ? html`<${Fault} fault=${fault} missing=${t("worker.missing")} />` : plan ? html`<${Plan} id=${row.id} plan=${plan} />`
        : html`<p class="soft">${t("plan.asking")}</p>`}</div></section>
    <${Field} label=${t("drain.minutes")}><input name="minutes" type="number" min="1" max="1440" value="10" required autofocus /><//>
    <${Field} label=${t("drain.reason")}><input name="reason" maxlength="200" autocomplete="off" /><//>
    <div class="foot"><button type="button" onClick=${close}>${t("do.cancel")}</button>
      <button class="main" disabled=${!plan && !fault}>${t("drain.begin")}</button></div><//><//>`;
}
