// The page while there is nothing to show yet: loading, no hub, no such resource, login.

import { html, useSignal } from "../lib.js";
import { openSession } from "../api.js";
import { Icon } from "../parts/icon.js";
import { connectionError } from "../state.js";
import { reconnect } from "../live.js";

/** Shapes of what comes, without moving. */
export function Loading() {
  return html`<div class="skeleton" aria-busy="true"><p class="sr" role="status">Loading…</p><div class="bone hero-bone"></div><div class="bones"><div class="bone"></div><div class="bone"></div><div class="bone"></div></div></div>`;
}

/** The hub has never answered since the page was opened. */
export function NoHub() {
  return html`<section class="state" aria-labelledby="hero-title"><${Icon} name="plug" size=${32} />
    <h1 id="hero-title">The hub does not answer</h1>
    <p>${connectionError.value?.message} Start it on this machine with <code>sickbay up</code>, or look at <code>sickbay daemon status</code>. This page connects by itself.</p>
    <button type="button" class="button" onClick=${reconnect}>Try now</button></section>`;
}

/** @param {{ id: string }} props */
export function NoSuchResource({ id }) {
  return html`<section class="state" aria-labelledby="hero-title"><${Icon} name="unknown" size=${32} />
    <h1 id="hero-title">Nothing called ${id} is watched</h1>
    <p>It may have been removed, or the address was mistyped.</p><a class="button" href="#/">To the overview</a></section>`;
}

export function Login() {
  const token = useSignal("");
  const error = useSignal("");
  const busy = useSignal(false);
  /** @param {SubmitEvent} event */
  const submit = async (event) => {
    event.preventDefault();
    busy.value = true;
    error.value = "";
    try {
      await openSession(token.value.trim());
      token.value = "";
      reconnect();
    } catch (reason) {
      error.value = reason instanceof Error ? reason.message : String(reason);
    }
    busy.value = false;
  };
  return html`<section class="state" aria-labelledby="hero-title"><${Icon} name="lock" size=${32} />
    <h1 id="hero-title">This hub asks for its token</h1>
    <p>It is what <code>SICKBAY_TOKEN</code> or <code>token</code> in the configuration holds. It stays in a cookie that scripts cannot read.</p>
    <form onSubmit=${submit}>
      <label for="token">Token</label>
      <input id="token" type="password" autocomplete="current-password" required value=${token.value} aria-invalid=${error.value !== ""} aria-describedby="token-error" onInput=${(/** @type {any} */ event) => (token.value = event.target.value)} />
      <button class="button primary" disabled=${busy.value || token.value.trim() === ""}>Open</button>
      <p id="token-error" class="held" role="alert">${error.value}</p>
    </form></section>`;
}
