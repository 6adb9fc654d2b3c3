// @ts-check
/** Accounts from a list: first what would come of each line, then the adding, which may be repeated. */
import { Refused, ask } from "../api.js";
import { decode, isWorkbook, parse } from "../csv.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { AccountLink, Badge, Dialog, Field, Form, Table } from "../parts.js";
import { filter } from "../router.js";
import { count, t, wordOf } from "../words.js";

const MOST_ROWS = 500; // as Master has it
const MOST_BYTES = 1_000_000;
const PORTION = 100; // what a broken connection leaves without an answer

/** @typedef {import("../csv.js").Row} Row */
/** @typedef {{code: string, message: string, details?: {field: string, message: string}[]}} Fault */
/** What is known of a line; `unsure`: it was sent, and no answer came.
 * @typedef {Row & {outcome: import("../types.js").Imported["outcome"] | "failed", id?: string | null, same?: string | null, sameLine?: number,
 *   error?: Fault | null, unsure?: boolean}} Line */

/** @param {unknown} fault */
const known = (fault) => (fault instanceof Refused ? fault : new Refused("internal", String(fault)));

/**
 * Ask Master about lines, or let it add them; return them with what it said.
 * @param {Line[]} lines @param {boolean} dryRun @returns {Promise<Line[]>}
 */
async function send(lines, dryRun) {
  const body = { rows: lines.map((one) => one.cells), dry_run: dryRun };
  const { results } = (await ask("POST", "accounts/import", body)).imported;
  return lines.map((line, at) => {
    const { outcome, id, same, same_as: earlier, error } = results[at];
    // of a line that had no answer: the attempt that was cut off has added it
    const kept = line.unsure && outcome === "exists" ? "added" : outcome;
    const sameLine = earlier === null ? undefined : lines[earlier].line;
    return { ...line, outcome: kept, id, same, sameLine, error: /** @type {Fault | null} */ (error), unsure: false };
  });
}

/** @param {string} text @param {(word: string) => void} refuse @returns {Promise<{lines: Line[], unknown: string[]} | null>} */
async function preview(text, refuse) {
  const { rows, unknown } = parse(text);
  /** @type {Line[]} */
  const open = rows.filter((one) => one.isOpen).map((one) => ({ ...one, outcome: "refused" }));
  /** @type {Line[]} */
  const lines = rows.filter((one) => !one.isOpen).map((one) => ({ ...one, outcome: "new" }));
  if (rows.length === 0) return (refuse(t("import.empty")), null);
  if (rows.length > MOST_ROWS) return (refuse(t("import.toomany", { count: count(rows.length), most: count(MOST_ROWS) })), null);
  return { lines: [...(lines.length > 0 ? await send(lines, true) : []), ...open], unknown };
}

/** @param {Record<string, any>} values @param {(word: string) => void} refuse @returns {Promise<string | null>} */
async function readText(values, refuse) {
  if (!values.file?.size) return values.text;
  if (values.file.size > MOST_BYTES) return (refuse(t("import.toolarge")), null);
  const bytes = new Uint8Array(await values.file.arrayBuffer());
  const text = isWorkbook(bytes) ? null : decode(bytes);
  if (text === null) refuse(t(isWorkbook(bytes) ? "import.workbook" : "import.notext"));
  return text;
}

/** @param {{line: Line}} props */
function Why({ line }) {
  if (line.isOpen) return html`${t("import.open")}`;
  if (line.error) {
    const { code, message, details } = line.error;
    const said = details?.length ? details.map((one) => `${one.field}: ${one.message}`).join("; ") : message;
    return html`${wordOf("code", code)} <span class="small soft"><bdi>${said}</bdi> <code>${code}</code></span>`;
  }
  if (line.outcome === "added") return html`<${AccountLink} id=${line.id ?? null} name=${line.cells.account_name} />`;
  if (line.outcome !== "exists") return null;
  if (line.sameLine) return html`${t("import.sameline", { line: count(line.sameLine) })}`;
  return html`${t(line.same === "account_id" ? "import.sameid" : "import.samename")} <${AccountLink} id=${line.id ?? null} />`;
}

/** @param {{lines: Line[]}} props */
function Lines({ lines }) {
  const wide = ["col.platform", "import.uid", "import.interval"].map((one) => t(one));
  const [platform, uid, interval] = wide;
  const columns = [t("import.line"), platform, t("col.name"), uid, interval, t("import.outcome"), t("bulk.why")];
  return html`<${Table} label=${t("import.lines")} columns=${columns} wide=${wide}>${lines.map(
    (one) => html`<tr key=${one.line}><td class="num">${count(one.line)}</td><td class="wide"><bdi>${one.cells.platform}</bdi></td>
      <th scope="row"><bdi>${one.cells.account_name}</bdi></th><td class="wide"><bdi>${one.cells.account_id}</bdi></td>
      <td class="wide num"><bdi>${one.cells.monitor_interval}</bdi></td>
      <td><${Badge} kind="imported" word=${one.outcome} /></td><td class="long"><${Why} line=${one} /></td></tr>`,
  )}<//>`;
}

/** @param {Line[]} lines */
function summarise(lines) {
  const words = ["added", "new", "exists", "refused", "failed"];
  return words.map((word) => ({ word, number: lines.filter((one) => one.outcome === word).length }))
    .filter(({ number }) => number > 0)
    .map(({ word, number }) => t(`import.count.${word}`, { count: count(number) })).join(" · ");
}

/**
 * Add lines, some at once, and tell after each portion. The first that gets no answer ends it.
 * @param {Line[]} lines @param {(done: Line[]) => void} note
 */
async function addAll(lines, note) {
  for (let begin = 0; begin < lines.length; begin += PORTION) {
    const some = lines.slice(begin, begin + PORTION);
    try {
      note((await send(some, false)).map((one) => (one.error ? { ...one, outcome: "failed" } : one)));
    } catch (fault) {
      const { code, message, status } = known(fault);
      /** @param {boolean} unsure @returns {(one: Line) => Line} */
      const fail = (unsure) => (one) => ({ ...one, outcome: "failed", error: { code, message }, unsure: unsure || one.unsure });
      note([...some.map(fail(status === 0)), ...lines.slice(begin + PORTION).map(fail(false))]);
      return;
    }
  }
}

/** @param {{found: {lines: Line[], unknown: string[]}, back: () => void, close: () => void, hold: (on: boolean) => void}} props */
function Preview({ found, back, close, hold }) {
  const [lines, setLines] = useState([...found.lines].sort((a, b) => a.line - b.line));
  const [isRunning, setRunning] = useState(false);
  const [isPart, setPart] = useState(false);
  const main = useRef(/** @type {any} */ (null));
  const fresh = lines.filter((one) => one.outcome === "new");
  const failed = lines.filter((one) => one.outcome === "failed");
  const isDone = !isRunning && fresh.length === 0;
  useEffect(() => main.current?.focus(), [isDone, isRunning]); // the button before it is gone
  /** @param {Line[]} some */
  const add = async (some) => {
    if (isRunning) return;
    setRunning(true);
    hold(true);
    await addAll(some, (done) => {
      const changed = new Map(done.map((one) => [one.line, one]));
      setLines((all) => all.map((one) => changed.get(one.line) ?? one));
    });
    setRunning(false);
    hold(false);
  };
  const others = lines.filter((one) => !["new", "added"].includes(one.outcome));
  return html`<div class="lines">
    <p class="num" role="status"><strong>${isRunning ? t("import.running") : ""} ${summarise(lines)}</strong></p>
    ${found.unknown.length > 0 && html`<p class="small soft">${t("import.unknown", { names: found.unknown.join(", ") })}</p>`}
    ${others.length > 0 && others.length < lines.length && html`<label class="field check"><input type="checkbox" checked=${isPart} onClick=${() => setPart(!isPart)} /><span>${t("import.others")}</span></label>`}
    <${Lines} lines=${isPart && others.length > 0 ? others : lines} />
    <div class="foot">
      ${!isRunning && !lines.some((one) => ["added", "failed"].includes(one.outcome)) && html`<button type="button" onClick=${back}>${t("import.back")}</button>`}
      ${failed.length > 0 && html`<button type="button" class="main" disabled=${isRunning} onClick=${() => add(failed)}>${t("import.retry", { count: count(failed.length) })}</button>`}
      ${fresh.length > 0 && html`<button type="button" class="main" ref=${main} disabled=${isRunning} onClick=${() => add(fresh)}>${t("import.add", { count: count(fresh.length) })}</button>`}
      <button type="button" ref=${isDone ? main : undefined} disabled=${isRunning} onClick=${close}>${t("do.close")}</button>
    </div></div>`;
}

/** The dialog: a file or pasted text, the preview, and what came of it. */
export function Import() {
  const close = () => filter({ import: undefined });
  const [text, setText] = useState("");
  const [fault, setFault] = useState("");
  const [found, setFound] = useState(/** @type {{lines: Line[], unknown: string[]} | null} */ (null));
  const [isHeld, hold] = useState(false);
  /** @param {Record<string, any>} values */
  const read = async (values) => {
    setFault("");
    try {
      const given = await readText(values, setFault);
      if (given !== null) setFound(await preview(given, setFault));
    } catch (trouble) {
      const { code, message } = known(trouble);
      setFault(`${wordOf("code", code)} ${message}`);
    }
  };
  /** @param {any} event */
  const take = (event) => event.currentTarget.files.length > 0 && event.currentTarget.form.requestSubmit();
  /** @param {any} event */
  const type = (event) => setText(event.currentTarget.value);
  return html`<${Dialog} title=${t("import.title")} close=${isHeld ? undefined : close}>
    ${found ? html`<${Preview} found=${found} back=${() => setFound(null)} close=${close} hold=${hold} />` : html`<${Form} send=${read}>
      <p class="small soft">${t("import.how")}</p>
      <${Field} label=${t("import.file")}><input type="file" name="file" accept=".csv,.tsv,.txt,text/csv,text/plain" onChange=${take} autofocus /><//>
      <${Field} label=${t("import.text")}><textarea name="text" rows="6" spellcheck=${false} value=${text} onInput=${type} placeholder="platform,account_name,account_id,monitor_interval" /><//>
      <div role="alert">${fault && html`<p class="fault">${fault}</p>`}</div>
      <div class="foot"><button type="button" onClick=${close}>${t("do.cancel")}</button>
        <button class="main">${t("import.preview")}</button></div><//>`}<//>`;
}
