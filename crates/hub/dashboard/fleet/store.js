// The nodes of the fleet, and which of them are shown. News are gathered and applied once a frame.
//
// Must hold: a row that changes costs one cell, not the page. The choice (filter, order, groups) is made anew only
// when a row enters or leaves it or changes its place, and then a few times a second at most.

import { batch, computed, effect, signal } from "../lib.js";
import { coarseNow, connection, freshness } from "../state.js";
import { comparer, countingOrder, grouped, isLiveOrder, kindOf, matcher, usualGroup } from "./choose.js";
import { ANYTHING, LEVELS, readWish, writeWish } from "./wish.js";

/** @typedef {import("./choose.js").Row} Row */
/** @typedef {import("./choose.js").Group} Group */

/** The choice is not made anew more often than this while news come in. */
const CHOOSE_EVERY_MS = 400;

/** @type {Map<string, Row>} */
const rows = new Map();
/** @type {Map<string, Wire.FleetNode>} */
const waiting = new Map();
let frame = 0;

/** The fleet's numbers as the hub says them. @type {Signal<Pick<Wire.FleetView, "system" | "ready" | "total" | "breakers" | "doubt"> | null>} */
export const totals = signal(null);
/** Which labels there are, and how many nodes have each value; changes only when it differs. @type {Signal<Wire.FleetView["labels"]>} */
export const labels = signal({});
/** How many rows are shown as each kind and each level; of all rows. @type {Signal<Counts>} */
export const counts = signal(emptyCounts());
/** What a person wants to see. @type {Signal<import("./wish.js").Wish>} */
export const wish = signal(ANYTHING);
/** Counts up when the choice must be made anew. @type {Signal<number>} */
const cause = signal(0);
/** The newest row of the node that is looked at. @type {Signal<number>} */
export const pulse = signal(0);

/** @typedef {{ total: number, levels: Record<string, number>, open: number, idle: number }} Counts */

/** @returns {Counts} */
function emptyCounts() {
  return { total: 0, levels: Object.fromEntries(LEVELS.map((level) => [level, 0])), open: 0, idle: 0 };
}

/** What a row counts for. @param {Counts} into @param {Row} row @param {1 | -1} step */
function count(into, row, step) {
  into.total += step;
  into.levels[row.level] = (into.levels[row.level] ?? 0) + step;
  if (row.kind === "open" || row.kind === "half_open") into.open += step;
  if (!row.node.ready || row.stale) into.idle += step;
}

/** @param {Wire.FleetNode} node @returns {Row} */
function rowOf(node) {
  const row = { id: node.id, node, stale: "", level: "", kind: "", order: countingOrder(node.display_name), text: "" };
  refresh(row);
  return row;
}

/** Works out anew what depends on the clock and the connection. @param {Row} row */
function refresh(row) {
  row.stale = freshness(row.node);
  row.level = row.stale ? "unknown" : row.node.level;
  row.kind = kindOf(row.node, row.level);
}

/** The nodes that match, in their order, in their groups. */
export const choice = computed(() => {
  cause.value;
  const wanted = wish.value;
  const matches = matcher(wanted);
  const sort = wanted.sort || (wanted.view === "list" ? "level" : "name");
  const shown = [];
  for (const row of rows.values()) if (matches(row)) shown.push(row);
  shown.sort(comparer(sort));
  const by = wanted.group || usualGroup(labels.value, rows.size);
  return { rows: shown, ids: new Set(shown.map((row) => row.id)), matches, sort, by, groups: wanted.view === "map" ? grouped(shown, by, isLiveOrder(sort)) : [] };
});

/** @type {Set<(changed: Row[]) => void>} */
const listeners = new Set();

/** Tells of rows that changed and kept their place. @param {(changed: Row[]) => void} listener @returns {() => void} ends it */
export function onRows(listener) {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/** @param {string} id */
export const rowFor = (id) => rows.get(id);
export const rowCount = () => rows.size;
/** Every row, as a person counts. */
export const allRows = () => [...rows.values()].sort(comparer("name"));

/** Takes the whole fleet as it is now. @param {Wire.FleetView} view the totals @param {Wire.FleetNode[]} nodes of all pages */
export function takeFleet(view, nodes) {
  batch(() => {
    rows.clear();
    waiting.clear();
    for (const node of nodes) rows.set(node.id, rowOf(node));
    takeTotals(view);
    recount();
    cause.value += 1;
  });
}

/** @param {Wire.FleetView} view its nodes are not looked at */
export function takeTotals(view) {
  batch(() => {
    totals.value = view;
    if (JSON.stringify(view.labels) !== JSON.stringify(labels.peek())) labels.value = view.labels;
  });
}

/** A row came in: it is shown with the next frame. @param {Wire.FleetNode} node */
export function takeRow(node) {
  waiting.set(node.id, node);
  // A page in the background draws no frames; the newest row of each node waits until it does.
  frame ||= requestAnimationFrame(applyWaiting);
}

/** @param {string} id */
export function dropRow(id) {
  waiting.delete(id);
  const row = rows.get(id);
  if (!row) return;
  rows.delete(id);
  const next = structuredClone(counts.value);
  count(next, row, -1);
  batch(() => {
    counts.value = next;
    chooseSoon();
  });
}

function applyWaiting() {
  frame = 0;
  const chosen = choice.peek();
  const live = isLiveOrder(chosen.sort) || chosen.by === "level";
  const next = structuredClone(counts.peek());
  /** @type {Row[]} */
  const changed = [];
  let anew = false;
  for (const node of waiting.values()) {
    const before = rows.get(node.id);
    const row = rowOf(node);
    if (before) count(next, before, -1);
    count(next, row, 1);
    if (!before || !sameLabels(before.node.labels, node.labels) || before.order !== row.order) anew = true;
    else if (chosen.ids.has(row.id) !== chosen.matches(row)) anew = true;
    else if (live && chosen.ids.has(row.id) && comparer(chosen.sort)(before, row) !== 0) anew = true;
    else if (live && before.level !== row.level) anew = true;
    // The same object stays: cells and groups hold it.
    const kept = before ? Object.assign(before, row) : row;
    rows.set(node.id, kept);
    changed.push(kept);
  }
  waiting.clear();
  batch(() => {
    counts.value = next;
    pulse.value += 1;
    if (anew) chooseSoon();
  });
  for (const listener of listeners) listener(changed);
}

/** @param {Record<string, string>} a @param {Record<string, string>} b */
function sameLabels(a, b) {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let chooseTimer;
function chooseSoon() {
  chooseTimer ??= setTimeout(() => {
    chooseTimer = undefined;
    cause.value += 1;
  }, CHOOSE_EVERY_MS);
}

function recount() {
  const next = emptyCounts();
  for (const row of rows.values()) count(next, row, 1);
  counts.value = next;
}

/** Rows grow old without news: looked at with the coarse clock, and when the connection comes or goes. */
effect(() => {
  coarseNow.value;
  connection.value;
  /** @type {Row[]} */
  const changed = [];
  for (const row of rows.values()) {
    const before = row.stale;
    refresh(row);
    if (before !== row.stale) changed.push(row);
  }
  if (changed.length === 0) return;
  batch(() => {
    recount();
    chooseSoon();
  });
  for (const listener of listeners) listener(changed);
});

/** The address of the fleet as it was last looked at. */
export const fleetHref = computed(() => `#/${writeWish(wish.value)}`);

/** @param {string} query of the address */
export function followAddress(query) {
  const next = readWish(query);
  if (writeWish(next) !== writeWish(wish.peek())) wish.value = next;
}

/** @param {Partial<import("./wish.js").Wish>} change @param {{ keep?: boolean }} [options] `keep`: no new entry in the browser's history */
export function want(change, { keep = false } = {}) {
  const next = { ...wish.peek(), ...change };
  wish.value = next;
  const hash = `#/${writeWish(next)}`;
  if (location.hash === hash) return;
  if (keep) history.replaceState(history.state, "", hash);
  else history.pushState(null, "", hash);
}
