// @ts-check
/**
 * The messages of the last hour, minute by minute. They are read once a minute; what is told
 * between two readings is added here, and is in the next one.
 */
import { ask } from "../api.js";
import { now, offset, second } from "../clock.js";
import { computed, html } from "../html.js";
import { Table, useFetched } from "../parts.js";
import { language } from "../prefs.js";
import { filled, notifications } from "../store.js";
import { count, t } from "../words.js";

/** @typedef {import("../types.js").Minutes} Minutes */

const [WIDTH, HEIGHT, GAP] = [10, 100, 1.5];

/** Master's minute: it changes once in sixty seconds, and only while the page is looked at. */
const minute = computed(() => (second.value, offset.value, Math.floor(now() / 60)));

/** @param {number} at Unix seconds */
const clock = (at) =>
  new Intl.DateTimeFormat(language.value === "zh" ? "zh-CN" : "en-GB", { hour: "2-digit", minute: "2-digit" }).format(at * 1000);

/**
 * Return the numbers as read, and what has been told since.
 * @param {Minutes} read
 */
function countAll(read) {
  const stored = [...read.stored];
  const last = read.ends_at / 60 - 1;
  for (const one of notifications.value) {
    if (one.seq <= read.last_seq) continue; // it is counted
    const place = stored.length - 1 - (last - Math.floor(one.created_at / 60));
    const isNew = ["comment", "direct_message"].includes(one.type) && one.data?.edited_at === undefined;
    if (isNew && typeof stored[place] === "number") stored[place] += 1;
  }
  return stored.map((number, place) => ({ number, at: (last - (stored.length - 1 - place)) * 60 }));
}

/** The top of the scale: 1, 2 or 5 and zeros. @param {number} most */
function findTop(most) {
  const power = 10 ** Math.floor(Math.log10(Math.max(most, 1)));
  return [1, 2, 5, 10].map((one) => one * power).find((one) => one >= most) ?? most;
}

/** @param {{bars: {number: number | null, at: number}[], top: number, label: string}} props */
function Bars({ bars, top, label }) {
  const unknown = bars.filter((one) => one.number === null).length;
  return html`<svg viewBox=${`0 0 ${WIDTH * bars.length} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${label}>
    ${unknown > 0 && html`<rect class="unknown" width=${WIDTH * unknown} height=${HEIGHT}><title>${t("minutes.unknown")}</title></rect>`}
    ${bars.map(({ number, at }, place) => {
      if (number === null) return null;
      const height = (number / top) * HEIGHT;
      return html`<rect key=${at} class="bar" x=${place * WIDTH + GAP} y=${HEIGHT - height} width=${WIDTH - 2 * GAP} height=${height}>
        <title>${`${clock(at)}: ${count(number)}`}</title></rect>`;
    })}</svg>`;
}

/** The chart of the Overview, with its numbers as a table behind it. */
export function MinutesChart() {
  const [found] = useFetched(() => ask("GET", "statistics/minutes"), [minute.value, filled.value]);
  if (!found) return html`<section class="card minutes"><h2>${t("minutes.title")}</h2></section>`;
  const read = found.minutes;
  const bars = countAll(read);
  const numbers = bars.map((one) => one.number ?? 0);
  const most = Math.max(...numbers);
  const total = numbers.reduce((sum, one) => sum + one, 0);
  const at = clock(bars[numbers.indexOf(most)].at);
  const said = total === 0 ? t("minutes.none") : t("minutes.summary", { total: count(total), most: count(most), at });
  const top = findTop(most);
  return html`<section class="card minutes"><h2>${t("minutes.title")}</h2>
    <p>${said} ${bars[0].number === null && html`<span class="soft">${t("minutes.since", { at: clock(read.since) })}</span>`}</p>
    <div class="plot"><span class="small soft num" aria-hidden="true">${count(top)}</span><${Bars} bars=${bars} top=${top} label=${`${t("minutes.title")}: ${said}`} />
      <span class="times small soft num" aria-hidden="true">${[0, 20, 40, bars.length - 1].map((place) => html`<span key=${place}>${clock(bars[place].at)}</span>`)}</span></div>
    <details><summary>${t("minutes.table")}</summary>
      <${Table} label=${t("minutes.title")} columns=${[t("minutes.minute"), t("minutes.count")]}>${[...bars].reverse().map(
        (one) => html`<tr key=${one.at}><th scope="row" class="num">${clock(one.at)}</th><td class="num">${one.number === null ? t("minutes.unknown") : count(one.number)}</td></tr>`,
      )}<//></details></section>`;
}
