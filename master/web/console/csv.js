// @ts-check
/** Lists of accounts as spreadsheets save them: what a file says is judged by Master alone. */

/** @typedef {{line: number, cells: Record<string, string>, isOpen: boolean}} Row
 *   isOpen: a quotation mark of it is never closed */
/** @typedef {{rows: Row[], unknown: string[]}} List unknown: columns that are left out */

const FIELDS = ["platform", "account_name", "account_id", "monitor_interval"];
/** Headings, without blanks, signs and what is in brackets. @type {Record<string, string>} */
const HEADINGS = {
  platform: "platform", 平台: "platform", 平台名称: "platform",
  accountname: "account_name", name: "account_name", account: "account_name", nickname: "account_name",
  账号: "account_name", 账号名: "account_name", 账号名称: "account_name", 名称: "account_name", 昵称: "account_name",
  accountid: "account_id", id: "account_id", uid: "account_id", platformid: "account_id", idontheplatform: "account_id",
  账号id: "account_id", 平台id: "account_id", 平台账号id: "account_id", 用户id: "account_id", 平台内id: "account_id",
  monitorinterval: "monitor_interval", interval: "monitor_interval", secondsbetweenchecks: "monitor_interval",
  间隔: "monitor_interval", 监控间隔: "monitor_interval", 检查间隔: "monitor_interval", 间隔秒数: "monitor_interval", 检查间隔秒: "monitor_interval",
};
const SEPARATORS = [",", ";", "\t"];

/** @param {Uint8Array} bytes @param {number[]} start */
const begins = (bytes, ...start) => start.every((one, at) => bytes[at] === one);

/**
 * Return a file's text, or null if it is none: UTF-8, UTF-16 with its mark, or GB18030.
 * @param {Uint8Array} bytes
 */
export function decode(bytes) {
  const marked = begins(bytes, 0xff, 0xfe) ? "utf-16le" : begins(bytes, 0xfe, 0xff) ? "utf-16be" : null;
  for (const encoding of marked ? [marked] : ["utf-8", "gb18030"]) {
    try {
      const text = new TextDecoder(encoding, { fatal: true }).decode(bytes);
      if (!text.includes("\0")) return text;
    } catch {
      // another one
    }
  }
  return null;
}

/** Whether a file is a spreadsheet's own, such as .xlsx or .xls. @param {Uint8Array} bytes */
export const isWorkbook = (bytes) => begins(bytes, 0x50, 0x4b, 3, 4) || begins(bytes, 0xd0, 0xcf, 0x11, 0xe0);

/** The separator that the first line has most of, outside of quotation marks. @param {string} text */
function findSeparator(text) {
  const [line] = text.trimStart().replace(/"[^"]*"/g, "").split(/[\r\n]/, 1);
  const counts = SEPARATORS.map((one) => line.split(one).length);
  return SEPARATORS[counts.indexOf(Math.max(...counts))];
}

/**
 * Return the records of a text, each with the line where it begins; blank ones are left out.
 * @param {string} text
 */
function readRecords(text) {
  const separator = findSeparator(text);
  /** @type {{line: number, cells: string[], isOpen: boolean}[]} */
  const records = [];
  let cells = /** @type {string[]} */ ([]);
  let [cell, line, start, isQuoted] = ["", 1, 1, false];
  const end = () => {
    cells.push(cell.trim());
    if (cells.some(Boolean)) records.push({ line: start, cells, isOpen: isQuoted });
    [cells, cell, start] = [[], "", line];
  };
  for (let at = 0; at < text.length; at += 1) {
    const sign = text[at];
    const isEnd = sign === "\n" || (sign === "\r" && text[at + 1] !== "\n");
    if (isEnd) line += 1;
    if (isQuoted) {
      if (sign !== '"') cell += sign;
      else if (text[at + 1] === '"') cell += text[(at += 1)];
      else isQuoted = false;
    } else if (sign === '"' && cell.trim() === "") [cell, isQuoted] = ["", true];
    else if (sign === separator) [cells, cell] = [[...cells, cell.trim()], ""];
    else if (isEnd) end();
    else if (sign !== "\r") cell += sign;
  }
  end();
  return records;
}

/** @param {string} cell */
const readHeading = (cell) =>
  HEADINGS[cell.toLowerCase().replace(/[(（].*?[)）]/g, "").replaceAll("帐", "账").replace(/[\s_\-.:：]/g, "")];

/**
 * Return the rows of a list; without a heading its columns are in the order of FIELDS.
 * @param {string} text @returns {List}
 */
export function parse(text) {
  const records = readRecords(text);
  const known = records[0]?.cells.map(readHeading) ?? [];
  const hasHeading = known.includes("platform") || known.filter(Boolean).length > 1;
  /** @type {string[]} */
  const unknown = [];
  /** @type {(string | null)[]} */
  let fields = FIELDS;
  if (hasHeading) {
    fields = known.map((field, at) => (field && known.indexOf(field) === at ? field : null));
    unknown.push(...records[0].cells.filter((cell, at) => cell && !fields[at]));
  }
  const rows = records.slice(hasHeading ? 1 : 0).map(({ line, cells, isOpen }) => {
    /** @type {Record<string, string>} */
    const named = {};
    cells.forEach((cell, at) => {
      const field = at < fields.length ? fields[at] : `column ${at + 1}`; // which Master refuses
      if (cell && field) named[field] = cell;
    });
    return { line, cells: named, isOpen };
  });
  return { rows, unknown };
}
