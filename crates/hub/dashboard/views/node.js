// A node as part of the fleet: whether it is asked, behind what it stands, its labels; and the way to ask it again.

import { html, useSignal } from "../lib.js";
import { resetBreaker } from "../api.js";
import { clockTime, plural, span } from "../format.js";
import { fleetHref, pulse, rowFor } from "../fleet/store.js";
import { ANYTHING, writeWish } from "../fleet/wish.js";
import { For } from "../parts/basics.js";
import { Icon } from "../parts/icon.js";
import { loadDetail } from "../live.js";
import { now } from "../state.js";

const STATES = { closed: "closed: the node is asked as planned", open: "open: the node is not asked", half_open: "half-open: the node is asked once, to see whether it is back" };

/** @param {{ detail: Wire.ResourceDetail }} props */
export function NodeInFleet({ detail }) {
  pulse.value;
  const row = rowFor(detail.id);
  const breaker = detail.breaker;
  // The fleet's line is newer than the detail when the breaker has just moved.
  const state = row?.node.breaker ?? breaker?.state ?? null;
  const parent = detail.parent ?? row?.node.parent ?? null;
  const labels = Object.entries(detail.labels);
  return html`<section class="node-facts" aria-label="In the fleet">
    <dl>
      <div class="node-breaker" data-breaker=${state ?? "none"}><dt>Breaker</dt>
        <dd>${state === null
          ? html`<span class="muted">none: this is the hub's own machine</span>`
          : html`<${Breaker} state=${state} breaker=${breaker?.state === state ? breaker : null} /><${AskAgain} id=${detail.id} closed=${state === "closed"} />`}</dd></div>
      ${parent && html`<div><dt>Behind</dt><dd><a href=${`#/${parent.includes("/") ? parent : `node/${parent}`}`}>${parent.replace(/^node\//, "")}</a></dd></div>`}
      ${labels.length > 0 && html`<div><dt>Labels</dt><dd class="labels">${labels.map(([key, value]) => html`<a key=${key} class="label" href=${`#/${writeWish({ ...ANYTHING, labels: [`${key}=${value}`] })}`}
        title=${`Every node with ${key}=${value}`}><span class="muted">${key}</span> ${value}</a>`)}</dd></div>`}
      <div class="node-back"><dt class="sr">Back</dt><dd><a href=${fleetHref.value}><${Icon} name="grid" /> Fleet</a></dd></div>
    </dl>
  </section>`;
}

/** @param {{ state: string, breaker: Wire.BreakerView | null }} props */
function Breaker({ state, breaker }) {
  const wait = breaker?.probe_at ? (Date.parse(breaker.probe_at) - now.value) / 1000 : null;
  return html`<span class="breaker-state" data-level=${state === "closed" ? "healthy" : "unknown"}><${Icon} name=${state === "closed" ? "passed" : "barred"} /> ${STATES[/** @type {keyof typeof STATES} */ (state)] ?? state}</span>
    ${breaker && state !== "closed" && html`<span class="muted">${breaker.since && html`since <${For} at=${breaker.since} />, `}${plural(breaker.failures, "failure")} in a row${wait !== null && state === "open"
      ? wait > 0 ? html`, next try in <span title=${clockTime(breaker.probe_at ?? 0)}>${span(wait)}</span>` : ", next try is due" : null}</span>`}
    ${breaker?.last_failure && html`<span class="last-failure">${breaker.last_failure}</span>`}`;
}

/** @param {{ id: string, closed: boolean }} props */
function AskAgain({ id, closed }) {
  const said = useSignal("");
  const failed = useSignal(false);
  const busy = useSignal(false);
  const ask = async () => {
    busy.value = true;
    said.value = "";
    try {
      await resetBreaker(id.slice(id.indexOf("/") + 1));
      failed.value = false;
      said.value = "The breaker is closed; the node is being asked.";
      await loadDetail(id).catch(() => undefined);
    } catch (reason) {
      failed.value = true;
      said.value = reason instanceof Error ? reason.message : String(reason);
    }
    busy.value = false;
  };
  return html`${!closed || busy.value ? html`<button type="button" class="button small" disabled=${busy.value} onClick=${ask}>Ask again</button>` : null}
    <span role="status" class=${failed.value ? "held" : "muted"}>${said.value}</span>`;
}
