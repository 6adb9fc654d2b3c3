// @ts-check
/** A worker's output as it is written: pause, search, wrap, download. */
import { html, memo, useEffect, useMemo, useRef, useState } from "../html.js";
import { groupByLevel } from "../levels.js";
import { Fault } from "../parts.js";
import { filled } from "../store.js";
import { Tail, showControls } from "../tail.js";
import { count, t } from "../words.js";

/** @typedef {import("../tail.js").Chunk} Chunk */

const NEAR_PX = 40;

const Block = memo(
  /** @param {{chunk: Chunk, search: string, language: string}} props */
  ({ chunk, search }) => {
    if (chunk.gap !== undefined) {
      const text = chunk.gap === null ? t("log.lost") : t("log.skipped", { count: count(chunk.gap) });
      return html`<span class="gap">${`— ${text} —\n`}</span>`;
    }
    const found = search ? chunk.lines.filter((line) => showControls(line).toLowerCase().includes(search)) : chunk.lines;
    return groupByLevel(found).map(({ level, lines }) => html`<span class=${level}>${`${lines.map(showControls).join("\n")}\n`}</span>`);
  },
);

/** @param {string} name @param {Chunk[]} chunks */
function download(name, chunks) {
  const parts = chunks.map((one) =>
    one.gap === undefined ? one.lines.join("\n") : `--- ${one.gap === null ? t("log.lost") : t("log.skipped", { count: one.gap })} ---`,
  );
  const url = URL.createObjectURL(new Blob([`${parts.join("\n")}\n`], { type: "text/plain" }));
  const anchor = document.createElement("a");
  anchor.href = url;
  anchor.download = `${name.replace(/[^\w.-]/g, "_")}.log`;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** @param {{id: string}} props */
export function Log({ id }) {
  const tail = useMemo(() => new Tail(id), [id]);
  const box = useRef(/** @type {any} */ (null));
  const [paused, setPaused] = useState(/** @type {{chunks: Chunk[], total: number} | null} */ (null));
  const [search, setSearch] = useState("");
  const [wraps, setWraps] = useState(true);
  useEffect(() => void tail.open(), [tail, filled.value]);
  useEffect(() => () => tail.close(), [tail]);
  const live = tail.chunks.value;
  const chunks = paused ? paused.chunks : live;
  useEffect(() => {
    if (!paused && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [live, paused, search, wraps]);
  const pause = () => setPaused({ chunks: tail.chunks.peek(), total: tail.total });
  const scroll = () => {
    if (!box.current) return;
    const { scrollTop, scrollHeight, clientHeight } = box.current;
    if (!paused && scrollHeight - scrollTop - clientHeight > NEAR_PX) pause(); // somebody reads further up
  };
  const fresh = paused ? tail.total - paused.total : 0;
  const fault = tail.fault.value;
  const wanted = search.trim().toLowerCase();
  const kept = chunks.reduce((sum, one) => sum + one.lines.length, 0);
  return html`<section class="card"><h2>${t("worker.log")}</h2>
    <div class="filters">
      <label><span>${t("log.search")}</span><input type="search" value=${search} onInput=${(/** @type {any} */ event) => setSearch(event.currentTarget.value)} /></label>
      <label class="check"><input type="checkbox" checked=${wraps} onChange=${() => setWraps(!wraps)} /><span>${t("log.wrap")}</span></label>
      <button type="button" aria-pressed=${paused !== null} onClick=${() => (paused ? setPaused(null) : pause())}>${paused ? t("log.follow") : t("log.pause")}</button>
      <button type="button" disabled=${kept === 0} onClick=${() => download(id, chunks)}>${t("log.download")}</button>
      <span class="soft small" role="status">${paused ? t("log.paused", { count: count(fresh) }) : t("log.kept", { count: count(kept) })}</span>
    </div>
    ${fault && html`<${Fault} fault=${fault} missing=${t("worker.noprocess")} />`}
    <pre class=${`log ${wraps ? "" : "nowrap"}`} ref=${box} onScroll=${scroll} tabindex="0" role="region" aria-label=${t("worker.log")}>${
      chunks.length ? chunks.map((chunk) => html`<${Block} key=${chunk.number} chunk=${chunk} search=${wanted} language=${t("log.pause")} />`)
        : tail.isRead.value ? t("worker.nolog") : t("list.loading")}</pre>
  </section>`;
}
