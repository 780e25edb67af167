// The fleet: how the whole is, what to look at, and every node as a map or a list.

import { html, useEffect, useRef, useSignal } from "../lib.js";
import { number, plural } from "../format.js";
import { choice, counts, labels, totals, want, wish } from "../fleet/store.js";
import { ANYTHING, LEVELS, NO_GROUP, isNarrow } from "../fleet/wish.js";
import { sprites, stamp } from "../fleet/cells.js";
import { Empty } from "../parts/basics.js";
import { Icon } from "../parts/icon.js";
import { Composition, Dial } from "../parts/score.js";
import { connection } from "../state.js";
import { themeShown } from "../theme-choice.js";
import { Events } from "./events.js";
import { FleetList } from "./fleet-list.js";
import { FleetMap } from "./fleet-map.js";
import { Hub } from "./hub.js";

/** The orders in words. @type {[string, string][]} */
const ORDERS = [["name", "by name"], ["level", "worst first"], ["score", "lowest score first"], ["since", "newest change first"], ["last_check", "oldest check first"]];
/** A field in which a key press means text. */
export const SEARCH_ID = "fleet-search";
/** Side of a cell in a chip, CSS pixels. */
const SWATCH = 16;

export function FleetPage() {
  if (counts.value.total === 0) return html`<${Empty} icon="unknown">No machine is watched. Add one: <code>sickbay add node NAME</code>.<//><${Events} /><${Hub} />`;
  return html`
    <${Doubt} />
    <${Head} />
    <${Tools} />
    <${Result} />
    ${wish.value.view === "list" ? html`<${FleetList} />` : html`<${FleetMap} />`}
    <${Stragglers} />
    <${Events} />
    <${Hub} />`;
}

/** Below the fold, so it comes after the first paint. */
function Stragglers() {
  const part = useSignal(/** @type {typeof import("./stragglers.js") | null} */ (null));
  useEffect(() => {
    import("./stragglers.js").then((module) => (part.value = module), () => {});
  }, []);
  return part.value && html`<${part.value.Stragglers} />`;
}

/** Said before all else: while the hub doubts itself, what it cannot reach may be its own fault. */
function Doubt() {
  const doubt = totals.value?.doubt;
  if (!doubt) return null;
  return html`<div class="doubt" role="alert"><${Icon} name="degraded" size=${20} /><p><b>The hub doubts itself.</b> ${doubt} Nodes that do not answer are not blamed meanwhile.</p></div>`;
}

function Head() {
  const whole = totals.value?.system;
  const { total, idle } = counts.value;
  const old = connection.value === "reconnecting" || connection.value === "paused";
  if (!whole) return null;
  /** @type {Wire.ScoreCard} */
  const card = {
    score: whole.score, level: whole.level, uncapped: whole.score ?? 0, caps: [], unknown_reason: "no node has been judged yet",
    contributions: whole.parts.map(({ name, ...part }) => ({ component: name, ...part })),
  };
  return html`<section class="hero fleet-head" data-level=${old ? "unknown" : whole.level} data-stale=${old ? "yes" : "no"} aria-labelledby="hero-title">
    <${Dial} card=${card} level=${whole.level} stale=${old} />
    <div class="fleet-words">
      <h1 id="hero-title" tabindex="-1">${plural(total, "node")}</h1>
      <p><b>${number(total - idle)}</b> ready for work</p>
      ${idle > 0 && html`<p class="muted">${number(idle)} not ready</p>`}
    </div>
    <${Composition} card=${card} />
  </section>`;
}

/** A cell as it is on the map: the legend and the chips cannot differ from it. @param {{ kind: string }} props */
export function Swatch({ kind }) {
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const theme = themeShown.value;
  useEffect(() => {
    const pen = canvas.current?.getContext("2d");
    if (!pen || !canvas.current) return;
    const from = sprites(SWATCH, theme);
    canvas.current.width = canvas.current.height = Math.ceil(SWATCH * from.scale);
    stamp(pen, from, kind, 0, 0);
  }, [kind, theme]);
  return html`<canvas class="swatch" ref=${canvas} aria-hidden="true"></canvas>`;
}

/** @param {{ kind: string, name: string, count: number, on: boolean, onClick: () => void, title?: string }} props */
function Chip({ kind, name, count, on, onClick, title }) {
  return html`<button type="button" class="chip" data-kind=${kind} aria-pressed=${on} disabled=${count === 0 && !on} title=${title} onClick=${onClick}>
    ${kind && html`<${Swatch} kind=${kind} />`}<b>${number(count)}</b> ${name}</button>`;
}

/** A choice of its own, because it is long and seldom changes. */
function LabelChoice() {
  const known = Object.entries(labels.value);
  /** @param {any} event */
  const add = (event) => {
    const label = event.target.value;
    const before = wish.peek().labels;
    if (label && !before.includes(label)) want({ labels: [...before, label] });
    event.target.value = "";
  };
  if (known.length === 0) return null;
  return html`<label class="field"><span class="sr">Only with a label</span><select value="" onChange=${add}>
    <option value="">Label…</option>${known.map(([key, values]) => html`<optgroup key=${key} label=${key}>${Object.entries(values)
      .sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }))
      .map(([value, count]) => html`<option key=${value} value=${`${key}=${value}`}>${value} (${count})</option>`)}</optgroup>`)}</select></label>`;
}

function Tools() {
  const wanted = wish.value;
  const { levels, open, idle } = counts.value;
  /** @param {string} level */
  const toggle = (level) => want({ levels: wanted.levels.includes(level) ? wanted.levels.filter((one) => one !== level) : LEVELS.filter((one) => one === level || wanted.levels.includes(one)) });
  const sort = choice.value.sort.replace(/^-/, "");
  const back = choice.value.sort.startsWith("-");
  return html`<div class="tools" role="search" aria-label="Which nodes">
    <div class="chips" role="group" aria-label="Only these">
      ${LEVELS.map((level) => html`<${Chip} key=${level} kind=${level} name=${level} count=${levels[level] ?? 0} on=${wanted.levels.includes(level)} onClick=${() => toggle(level)} />`)}
      <span class="chip-gap"></span>
      ${(open > 0 || wanted.open) && html`<${Chip} kind="open" name="not asked" count=${open} on=${wanted.open} onClick=${() => want({ open: !wanted.open })} title="Their breaker is open or half-open" />`}
      <${Chip} kind="" name="not ready" count=${idle} on=${wanted.idle} onClick=${() => want({ idle: !wanted.idle })} title="No work may be started there" />
    </div>
    <div class="tool-row">
      <label class="search-field"><span class="sr">Search name, headline and labels</span><${Icon} name="search" />
        <input id=${SEARCH_ID} type="search" placeholder="Name, words, label ( / )" autocomplete="off" spellcheck=${false} value=${wanted.search} onInput=${(/** @type {any} */ event) => want({ search: event.target.value }, { keep: true })} /></label>
      <${LabelChoice} />
      ${wanted.labels.map((label) => html`<button key=${label} type="button" class="label on" aria-label=${`Without ${label}`} onClick=${() => want({ labels: wanted.labels.filter((one) => one !== label) })}>
        <span class="muted">${label.slice(0, label.indexOf("="))}</span> ${label.slice(label.indexOf("=") + 1)} <${Icon} name="close" size=${12} /></button>`)}
      <span class="tool-gap"></span>
      ${wanted.view === "map" && html`<label class="field"><span>Group</span><select value=${choice.value.by} onChange=${(/** @type {any} */ event) => want({ group: event.target.value }, { keep: true })}>
        ${[...Object.keys(labels.value), "level", NO_GROUP].map((key) => html`<option key=${key} value=${key} selected=${key === choice.value.by}>${key === NO_GROUP ? "not at all" : `by ${key}`}</option>`)}</select></label>`}
      <label class="field"><span>Order</span><select value=${sort} onChange=${(/** @type {any} */ event) => want({ sort: event.target.value }, { keep: true })}>
        ${ORDERS.map(([key, name]) => html`<option key=${key} value=${key} selected=${key === sort}>${name}${back && key === sort ? ", reversed" : ""}</option>`)}</select></label>
      <div class="segmented" role="group" aria-label="View">
        ${/** @type {const} */ (["map", "list"]).map((view) => html`<button key=${view} type="button" aria-pressed=${wanted.view === view} onClick=${() => want({ view })}><${Icon} name=${view === "map" ? "grid" : "list"} size=${14} /> ${view === "map" ? "Map" : "List"}</button>`)}
      </div>
    </div>
  </div>`;
}

function Result() {
  const { rows } = choice.value;
  const { total } = counts.value;
  const narrow = isNarrow(wish.value);
  return html`<p class="result" role="status">${narrow && html`<span>${rows.length === 0 ? "No node matches." : `${number(rows.length)} of ${plural(total, "node")}.`}</span>
    <button type="button" class="link" onClick=${() => want({ ...ANYTHING, view: wish.value.view, group: wish.value.group, sort: wish.value.sort })}>Show all</button>`}</p>`;
}

