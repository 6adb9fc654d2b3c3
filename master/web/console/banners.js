// @ts-check
/** What every page says on top: what this Master is, and what is wrong with it. */
import { endMaintenance } from "./acts_system.js";
import { moment } from "./clock.js";
import { effect, html } from "./html.js";
import { line } from "./live.js";
import { accounts, accountsTotal, isFilled, may, session } from "./store.js";
import { condition } from "./watch.js";
import { absolute, count, t, wordOf } from "./words.js";

/** Mark the page and its icon in a demo, so that no screenshot passes for a real farm. */
export function markDemo() {
  const icons = { real: new URL("icon.svg", import.meta.url), demo: new URL("icon-demo.svg", import.meta.url) };
  effect(() => {
    const demo = Boolean(session.value?.demo);
    document.documentElement.toggleAttribute("data-demo", demo);
    const icon = /** @type {HTMLLinkElement | null} */ (document.querySelector("link[rel=icon]"));
    if (icon) icon.href = (demo ? icons.demo : icons.real).href;
  });
}

function Brake() {
  const brake = condition.value?.brake;
  if (!brake || moment.value < 0) return null;
  const names = brake.silent.slice(0, 5).join(", ");
  return html`<div class="banner warn">${t("banner.brake", { count: count(brake.silent_count), time: absolute(brake.until) })}
    ${names && html` <bdi>${names}</bdi>${brake.silent_count > 5 ? " …" : ""}`}</div>`;
}

function Maintenance() {
  const now = condition.value?.maintenance;
  if (!now?.active) return null;
  return html`<div class="banner line"><span>${t("banner.maintenance", { time: absolute(now.deadline_at ?? 0), by: wordOf("by", now.by) })}
      ${now.reason && html` <bdi>${now.reason}</bdi>`}</span>
    ${may("operate") && html` <button type="button" onClick=${endMaintenance}>${t("maintenance.end")}</button>`}</div>`;
}

export function Banners() {
  const { state, since } = line.value;
  const time = absolute(since / 1000);
  const shown = accounts.value.size;
  const storage = condition.value?.storage;
  return html`<section class="banners" aria-label=${t("banner.label")}>
    ${session.value?.guarded === false && html`<div class="banner open">${t("banner.open")}</div>`}
    ${session.value?.demo && html`<div class="banner demo">${t("banner.demo")}
      ${session.value.demo_label && html` <bdi>${t("banner.demo.of", { label: session.value.demo_label, time: absolute(session.value.started_at) })}</bdi>`}</div>`}
    ${shown < accountsTotal.value && html`<div class="banner open">${t("banner.many", { shown: count(shown), total: count(accountsTotal.value) })}</div>`}
    <div role="status"><${Brake} />
      ${storage && html`<div class="banner bad">${t("banner.storage", { time: absolute(storage.since) })} <bdi>${storage.reason}</bdi></div>`}
      ${condition.value?.stopping && html`<div class="banner bad">${t("banner.stopping")}</div>`}
      <${Maintenance} />
      ${isFilled.value && state !== "live" && html`<div class="banner line">${t(`line.${state}`, { time })}</div>`}</div>
  </section>`;
}
