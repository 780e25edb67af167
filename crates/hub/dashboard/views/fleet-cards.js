// A small fleet: a card for each node, with its words.

import { html } from "../lib.js";
import { plural, score as scoreText } from "../format.js";
import { pulse } from "../fleet/store.js";
import { KIND_WORDS } from "../fleet/cells.js";
import { neighbour } from "../fleet/layout.js";
import { Age } from "../parts/basics.js";
import { Icon } from "../parts/icon.js";

/** @typedef {import("../fleet/choose.js").Row} Row */

/** @param {{ groups: import("../fleet/choose.js").Group[] }} props */
export function FleetCards({ groups }) {
  pulse.value;
  /** @param {KeyboardEvent & { currentTarget: HTMLElement }} event */
  const onKeyDown = (event) => {
    if (event.key !== "ArrowUp" && event.key !== "ArrowDown" && event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    const links = /** @type {HTMLElement[]} */ ([...event.currentTarget.querySelectorAll(".card")]);
    const from = links.findIndex((link) => link === document.activeElement);
    if (from < 0) return;
    event.preventDefault();
    const points = links.map((link) => link.getBoundingClientRect());
    links[neighbour(points, from, event.key)]?.focus();
  };
  return html`<h2 class="sr">Nodes</h2><div class="cards" onKeyDown=${onKeyDown}>${groups.map((group) => html`<section key=${group.key} class="card-group" aria-label=${group.name || "Nodes"}>
    ${group.name && html`<h3 class="rack-head"><span class="rack-name">${group.name}</span><span class="rack-count">${group.rows.length}</span></h3>`}
    <ul>${group.rows.map((row) => html`<li key=${row.id}><${Card} row=${row} /></li>`)}</ul></section>`)}</div>`;
}

/** @param {{ row: Row }} props */
function Card({ row }) {
  const { node } = row;
  return html`<a class="card" href=${`#/${row.id}`} data-level=${row.level} data-kind=${row.kind}>
    <span class="card-head"><${Icon} name=${row.kind === row.level ? row.level : "barred"} size=${18} /><b class="card-name">${node.display_name}</b><span class="card-level">${row.stale && node.level !== "unknown" ? `was ${node.level}` : row.level}</span><span class="card-score">${row.stale ? "" : scoreText(node.score)}</span></span>
    <span class="card-headline">${row.stale ? `Not fresh: ${row.stale}.` : node.headline}</span>
    <span class="card-meta muted">${row.kind !== row.level && html`<span>${KIND_WORDS[row.kind]}</span>`}${node.gpus > 0 && html`<span>${plural(node.gpus, "GPU")}</span>`}${node.active && html`<span>job active</span>`}${!node.ready && row.level !== "unknown" && html`<span>not ready</span>`}<span>checked <${Age} at=${node.last_check} /></span></span>
  </a>`;
}
