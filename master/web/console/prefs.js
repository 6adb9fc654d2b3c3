// @ts-check
/** What a person has chosen in this browser: language, colours, keys. */
import { effect, signal } from "./html.js";

/** @param {string} name @param {string} usual */
export function recall(name, usual) {
  try {
    return localStorage.getItem(`master.${name}`) ?? usual;
  } catch {
    return usual; // storage is off: the choice lasts as long as the page
  }
}

/** @param {string} name @param {string} value */
export function keep(name, value) {
  try {
    localStorage.setItem(`master.${name}`, value);
  } catch {
    // as above
  }
}

/** @type {import("@preact/signals").Signal<"en" | "zh">} */
export const language = signal(
  /** @type {any} */ (recall("language", navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en")),
);
/** @type {import("@preact/signals").Signal<string>} auto, light or dark */
export const theme = signal(recall("theme", "auto"));
/** @type {import("@preact/signals").Signal<string>} on or off */
export const keys = signal(recall("keys", "on"));

export function startPrefs() {
  effect(() => {
    keep("language", language.value);
    document.documentElement.lang = language.value === "zh" ? "zh-CN" : "en";
  });
  effect(() => {
    keep("theme", theme.value);
    document.documentElement.dataset.theme = theme.value;
  });
  effect(() => keep("keys", keys.value));
}
