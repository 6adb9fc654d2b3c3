// @ts-check
/** The level of a log's line, in the forms in which programs write it. */

/** @type {Record<string, string>} */
const LEVELS = {
  trace: "debug", debug: "debug", info: "info", notice: "info", warn: "warn", warning: "warn",
  err: "error", error: "error", severe: "error", exception: "error", critical: "error", fatal: "error",
};
const WORD = Object.keys(LEVELS).sort((a, b) => b.length - a.length).join("|");
/** How far into a line its level is looked for: further on, such a word belongs to the message. */
const HEAD = 100;
const ESCAPES = /\u001b\[[0-9;]*m/g;
/** `[info     ]` and `level=info` in any case, and a word on its own in capitals. */
const NAMED = new RegExp(`\\[\\s*(${WORD})\\s*\\]|\\blevel=["']?(${WORD})\\b`, "i");
const ALONE = new RegExp(`(?:^|[\\s[(<|:])(${WORD.toUpperCase()})(?=$|[\\s\\])>|:,-])`);

/**
 * Return debug, info, warn or error, or "" for a line that has none.
 * @param {string} line as it was written, escape sequences and all
 */
export function levelOf(line) {
  if (/^\s*\{/.test(line)) return levelOfJson(line);
  const head = line.replace(ESCAPES, "").slice(0, HEAD);
  const found = [NAMED.exec(head), ALONE.exec(head)].filter((one) => one !== null).sort((a, b) => a.index - b.index)[0];
  const word = found?.[1] ?? found?.[2];
  return word ? LEVELS[word.toLowerCase()] : "";
}

/** @param {string} line A number is that of pino and bunyan: 30 is info. */
function levelOfJson(line) {
  let level;
  try {
    const row = JSON.parse(line);
    level = row.level ?? row.levelname ?? row.severity;
  } catch {
    return ""; // it is cut, or is no JSON after all
  }
  if (typeof level === "number") return level >= 50 ? "error" : level >= 40 ? "warn" : level >= 30 ? "info" : "debug";
  return LEVELS[String(level).toLowerCase()] ?? "";
}

/**
 * Return lines in groups, each of lines that follow one another with the same level.
 * @param {string[]} lines @returns {{level: string, lines: string[]}[]}
 */
export function groupByLevel(lines) {
  /** @type {{level: string, lines: string[]}[]} */
  const groups = [];
  for (const line of lines) {
    const level = levelOf(line);
    const last = groups[groups.length - 1];
    if (last && last.level === level) last.lines.push(line);
    else groups.push({ level, lines: [line] });
  }
  return groups;
}
