// @ts-check
/** Texts in two languages, from one table each; a name in braces is a parameter. */
import { language } from "./prefs.js";
import { ACTS } from "./words_acts.js";
import { CODES, STATES } from "./words_codes.js";
import { HISTORY } from "./words_history.js";
import { LINKS } from "./words_links.js";
import { PAGES } from "./words_pages.js";
import { SYSTEM } from "./words_system.js";

/** @type {Record<string, [string, string]>} */
export const WORDS = { ...PAGES, ...STATES, ...CODES, ...HISTORY, ...LINKS, ...SYSTEM, ...ACTS };

/**
 * Return a text in the person's language.
 * @param {string} key @param {Record<string, any>} [params]
 */
export function t(key, params = {}) {
  const pair = WORDS[key];
  if (!pair) return key;
  const text = pair[language.value === "zh" ? 1 : 0];
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(params[name] ?? whole));
}

/**
 * Return the word of a state or a code; words of workers are shown as they are.
 * @param {string} kind @param {string | null | undefined} word
 */
export function wordOf(kind, word) {
  if (!word) return "";
  return WORDS[`${kind}.${word}`] ? t(`${kind}.${word}`) : word;
}

/** @param {number} number */
export function count(number) {
  return new Intl.NumberFormat(language.value === "zh" ? "zh-CN" : "en").format(number);
}

/**
 * Return how long ago or ahead something is, in words.
 * @param {number} seconds Below 0 is the past.
 */
export function relative(seconds) {
  const format = new Intl.RelativeTimeFormat(language.value === "zh" ? "zh-CN" : "en", {
    numeric: "auto",
    style: "short",
  });
  const size = Math.abs(seconds);
  if (size < 45) return seconds > 0 ? format.format(Math.round(seconds), "second") : t("time.now");
  if (size < 45 * 60) return format.format(Math.round(seconds / 60), "minute");
  if (size < 22 * 3600) return format.format(Math.round(seconds / 3600), "hour");
  return format.format(Math.round(seconds / 86400), "day");
}

/**
 * Return a moment in full, in this browser's time zone.
 * @param {number} at Unix seconds
 */
export function absolute(at) {
  return new Intl.DateTimeFormat(language.value === "zh" ? "zh-CN" : "en-GB", {
    dateStyle: "medium",
    timeStyle: "medium",
  }).format(at * 1000);
}

/** @param {number} seconds */
export function countdown(seconds) {
  const left = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
}

/** @param {number} at Unix seconds */
export function time(at) {
  return new Intl.DateTimeFormat(language.value === "zh" ? "zh-CN" : "en-GB", { timeStyle: "medium" }).format(at * 1000);
}
