// The fleet as a map: a cell for each node, in groups. Few nodes are cards; many are cells on a canvas.
//
// Must hold: what the mouse can do the keyboard and a screen reader can do. One element has the focus and lies over
// the cell that it stands for; it carries the node's name and what is known of it. The list has the same as a table.

import { html, useEffect, useLayoutEffect, useRef, useSignal } from "../lib.js";
import { plural, score as scoreText, span } from "../format.js";
import { choice, onRows, pulse, rowFor } from "../fleet/store.js";
import { KIND_WORDS } from "../fleet/cells.js";
import { neighbour } from "../fleet/layout.js";
import { Painter } from "../fleet/painter.js";
import { Age, For, Level } from "../parts/basics.js";
import { now } from "../state.js";
import { themeShown } from "../theme-choice.js";
import { FleetCards } from "./fleet-cards.js";

/** @typedef {import("../fleet/choose.js").Row} Row */

/** Up to here each node is a card with its words. */
export const CARDS_LIMIT = 60;
/** Space between a cell and what is said of it. */
const TIP_GAP = 10;

export function FleetMap() {
  const { rows, groups } = choice.value;
  if (rows.length === 0) return null;
  return rows.length <= CARDS_LIMIT ? html`<${FleetCards} groups=${groups} />` : html`<${Cells} />`;
}

/** A node in one breath. @param {Row} row */
export function spokenRow(row) {
  const { node } = row;
  const level = row.kind === row.level ? row.level : `${KIND_WORDS[row.kind]}, ${row.level}`;
  const facts = [node.display_name, level, node.score === null || row.stale ? "" : `score ${scoreText(node.score)}`, ...Object.entries(node.labels).map(([key, value]) => `${key} ${value}`)];
  const checked = node.last_check ? `Checked ${span((now.peek() - Date.parse(node.last_check)) / 1000)} ago.` : "Never checked.";
  return `${facts.filter(Boolean).join(", ")}. ${row.stale ? `Not fresh: ${row.stale}. ` : ""}${node.headline} ${checked}`;
}

/** @param {Row} row */
const hrefOf = (row) => `#/${row.id}`;

function Cells() {
  const host = useRef(/** @type {HTMLDivElement | null} */ (null));
  const painter = useRef(/** @type {Painter | null} */ (null));
  /** The node that the keyboard is at; kept while the map changes around it. */
  const at = useSignal("");
  /** What is said, and of whom: by hover, focus or touch. @type {Signal<{ id: string, by: "mouse" | "key" | "touch" } | null>} */
  const said = useSignal(null);
  /** Counts up when cells have been laid out: what lies over them moves along. */
  const laid = useSignal(0);
  const theme = themeShown.value;
  const { rows } = choice.value;

  useEffect(() => {
    const area = host.current;
    if (!area) return undefined;
    const made = new Painter(area);
    painter.current = made;
    const resize = new ResizeObserver(() => {
      if (area.clientWidth === made.width) return;
      made.arrange();
      said.value = null;
      laid.value += 1;
    });
    resize.observe(area);
    const end = onRows((changed) => made.repaint(changed));
    return () => {
      end();
      resize.disconnect();
      made.end();
      painter.current = null;
    };
  }, []);
  useEffect(() => {
    painter.current?.show(choice.value.groups, theme);
    laid.value += 1;
    if (said.peek() && !choice.value.ids.has(said.peek()?.id ?? "")) said.value = null;
  }, [choice.value, theme]);

  const current = choice.value.ids.has(at.value) ? at.value : rows[0]?.id ?? "";
  /** @param {{ clientX: number, clientY: number }} event */
  const rowUnder = (event) => painter.current?.at(event.clientX, event.clientY) ?? null;
  /** @param {PointerEvent} event */
  const onMove = (event) => {
    if (event.pointerType === "touch") return;
    const row = rowUnder(event);
    if (row) {
      if (said.peek()?.id !== row.id) said.value = { id: row.id, by: "mouse" };
    } else if (said.peek()?.by === "mouse") said.value = null;
  };
  /** A finger is wider than a cell: the first tap says whom it met, the second goes there. @param {PointerEvent} event */
  const onClick = (event) => {
    const row = rowUnder(event);
    if (!row || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (event.pointerType === "touch" && said.peek()?.id !== row.id) said.value = { id: row.id, by: "touch" };
    else location.hash = hrefOf(row);
  };
  return html`<h2 class="sr">Map</h2><div class="map" onPointerMove=${onMove} onPointerLeave=${() => said.peek()?.by === "mouse" && (said.value = null)} onClick=${onClick}>
    <${Focus} painter=${painter} laid=${laid.value} current=${current} count=${rows.length} onAt=${(/** @type {string} */ id) => (at.value = id)} onSay=${(/** @type {string} */ id) => (said.value = id ? { id, by: "key" } : null)} />
    <${Hover} painter=${painter} said=${said.value} />
    <div class="map-area" ref=${host}></div>
    <p class="sr" id="map-help">Arrow keys go from node to node, Home and End to the first and the last, Enter opens a node. The list view has the same as a table.</p>
  </div>`;
}

/**
 * The element that has the focus. There are two that take turns, so that a screen reader reads each step.
 * @param {{ painter: { current: Painter | null }, laid: number, current: string, count: number, onAt: (id: string) => void, onSay: (id: string) => void }} props
 */
function Focus({ painter, current, count, onAt, onSay }) {
  const ends = useRef(/** @type {(HTMLAnchorElement | null)[]} */ ([null, null]));
  const turn = useRef(0);
  const held = useRef(false);
  /** @param {HTMLAnchorElement | null | undefined} end @param {string} id */
  const place = (end, id) => {
    const row = rowFor(id);
    const spot = painter.current?.spotOf(id);
    if (!end || !row || !spot) return;
    Object.assign(end.style, { left: `${spot.x - 2}px`, top: `${spot.y - 2}px`, width: `${spot.side + 4}px`, height: `${spot.side + 4}px` });
    end.href = hrefOf(row);
    end.setAttribute("aria-label", spokenRow(row));
    end.setAttribute("aria-posinset", String(spot.index + 1));
    end.dataset["node"] = id;
  };
  // At once, not after the frame: a key that comes in between has moved on, and would be taken back.
  useLayoutEffect(() => {
    place(ends.current[turn.current], current);
  });
  /** @param {KeyboardEvent} event */
  const onKeyDown = (event) => {
    const spots = painter.current?.spots();
    if (!spots || event.ctrlKey || event.metaKey || event.altKey) return;
    // A second key may come before the first has been drawn: where the focus is, says the element.
    const here = ends.current[turn.current]?.dataset["node"] ?? current;
    const from = painter.current?.spotOf(here)?.index ?? 0;
    let to = -1;
    if (event.key === "ArrowUp" || event.key === "ArrowDown" || event.key === "ArrowLeft" || event.key === "ArrowRight") to = neighbour(spots, from, event.key);
    else if (event.key === "Home") to = 0;
    else if (event.key === "End") to = spots.length - 1;
    else if (event.key === "Escape") return onSay("");
    else return;
    event.preventDefault();
    const id = choiceAt(to);
    if (!id || to === from) return;
    turn.current = 1 - turn.current;
    const next = ends.current[turn.current];
    const last = ends.current[1 - turn.current];
    place(next, id);
    held.current = true;
    next?.setAttribute("tabindex", "0");
    next?.removeAttribute("hidden");
    next?.focus({ preventScroll: true });
    last?.setAttribute("tabindex", "-1");
    last?.setAttribute("hidden", "");
    held.current = false;
    next?.scrollIntoView({ block: "nearest", inline: "nearest" });
    onAt(id);
    onSay(id);
  };
  /** @param {number} to */
  const choiceAt = (to) => painter.current?.idAt(to) ?? "";
  return html`<div class="map-focus" role="listbox" aria-label="Map of nodes" aria-describedby="map-help" aria-orientation="horizontal" onKeyDown=${onKeyDown}
    onFocusIn=${() => !held.current && onSay(current)} onFocusOut=${() => !held.current && onSay("")}>
    ${[0, 1].map((index) => html`<a key=${index} class="cell-focus" role="option" aria-selected=${index === turn.current} aria-setsize=${count} tabindex=${index === turn.current ? 0 : -1} hidden=${index !== turn.current}
      ref=${(/** @type {HTMLAnchorElement | null} */ end) => (ends.current[index] = end)}></a>`)}
  </div>`;
}

/**
 * What is said of a node, beside its cell; and a link over the cell, so that the mouse has what links have.
 * @param {{ painter: { current: Painter | null }, said: { id: string, by: "mouse" | "key" | "touch" } | null }} props
 */
function Hover({ painter, said }) {
  pulse.value;
  const tip = useRef(/** @type {HTMLDivElement | null} */ (null));
  const row = said ? rowFor(said.id) : undefined;
  const spot = row ? painter.current?.spotOf(row.id) : undefined;
  useEffect(() => {
    const box = tip.current;
    const area = box?.offsetParent;
    if (!box || !spot || !area) return;
    const frame = area.getBoundingClientRect();
    const below = frame.top + spot.y + spot.side + TIP_GAP + box.offsetHeight < innerHeight;
    box.style.left = `${Math.max(0, Math.min(spot.x + spot.side / 2 - box.offsetWidth / 2, frame.width - box.offsetWidth))}px`;
    box.style.top = `${below ? spot.y + spot.side + TIP_GAP : spot.y - TIP_GAP - box.offsetHeight}px`;
  }, [said, spot?.x, spot?.y]);
  if (!said || !row || !spot) return null;
  const { node } = row;
  return html`${said.by === "mouse" && html`<a class="cell-hover" href=${hrefOf(row)} tabindex="-1" aria-hidden="true" style=${{ left: `${spot.x}px`, top: `${spot.y}px`, width: `${spot.side}px`, height: `${spot.side}px` }}></a>`}
    <div class="tip" data-by=${said.by} ref=${tip} data-level=${row.level}>
      <p class="tip-head"><b>${node.display_name}</b><${Level} level=${node.level} was=${row.stale !== ""} /><span class="tip-score">${scoreText(node.score)}</span></p>
      <p class="tip-headline">${node.headline}</p>
      ${row.stale && html`<p class="muted">Not fresh: ${row.stale}.</p>`}
      <p class="muted tip-meta">${[
        row.kind !== row.level && KIND_WORDS[row.kind], !node.ready && row.level !== "unknown" && "not ready", node.active && "job active", node.gpus > 0 && plural(node.gpus, "GPU"),
        ...Object.entries(node.labels).slice(0, 4).map(([key, value]) => `${key} ${value}`), node.parent && `behind ${node.parent.replace(/^node\//, "")}`,
      ].filter(Boolean).map((fact) => html`<span key=${fact}>${fact}</span>`)}</p>
      <p class="muted tip-meta"><span>${row.level} for <${For} at=${node.since} /></span><span>checked <${Age} at=${node.last_check} /></span></p>
      ${said.by === "touch" && html`<a class="button primary" href=${hrefOf(row)}>Open ${node.display_name}</a>`}
    </div>`;
}
