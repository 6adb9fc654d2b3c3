// @ts-check
/** The sign-in: a dialog over the page, which then goes on where it was. */
import { Refused, ask, mustSignIn } from "../api.js";
import { html, signal } from "../html.js";
import { start } from "../live.js";
import { Copyable, Dialog, Field, Form } from "../parts.js";
import { t, wordOf } from "../words.js";

const trouble = signal(/** @type {Refused | null} */ (null));
const linkFailed = signal(false);

/** Use a sign-in link of the address up, and take it out of the browser's history. */
export async function takeLink() {
  const secret = /^#signin=(.+)$/.exec(location.hash)?.[1];
  if (!secret) return;
  history.replaceState(null, "", "#/overview");
  window.dispatchEvent(new Event("hashchange"));
  try {
    await ask("POST", "console/session", { link: secret });
  } catch {
    linkFailed.value = true;
  }
}

/** @param {Record<string, string>} values */
async function signIn(values) {
  try {
    await ask("POST", "console/session", { token: values.token });
    trouble.value = null;
    linkFailed.value = false;
    mustSignIn.value = false;
    await start();
  } catch (fault) {
    trouble.value = /** @type {Refused} */ (fault);
  }
}

export function SignIn() {
  const fault = trouble.value;
  return html`<${Dialog} title=${t("signin.title")}>
    <${Form} send=${signIn}>
      <div role="alert">
        ${linkFailed.value && html`<p class="trouble">${t("signin.stale")}</p>`}
        ${fault && html`<div class="trouble"><div><strong>${wordOf("code", fault.code)}</strong>
          <div class="small">${fault.message} <code>${fault.code}</code> <code>${fault.requestId}</code></div></div></div>`}
      </div>
      <${Field} label=${t("signin.token")}>
        <input type="password" name="token" required autocomplete="current-password" autofocus /><//>
      <div class="small soft"><p>${t("signin.hint")}</p><${Copyable} text="python -m master console signin" /></div>
      <div class="foot"><button class="main">${t("do.signin")}</button></div>
    <//><//>`;
}
