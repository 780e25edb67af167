// Which nodes are shown, in which order, in which groups. Pure functions over rows.

import { LEVELS, NO_GROUP } from "./wish.js";

/**
 * A node as the page keeps it: the wire's line and what is worked out from it once.
 * @typedef {object} Row
 * @property {string} id
 * @property {Wire.FleetNode} node
 * @property {string} stale why it is not fresh, or empty
 * @property {string} level what is shown: unknown while it is not fresh
 * @property {string} kind how it is drawn: a level, `open` or `half_open`
 * @property {string} order its name in a form that sorts as a person counts
 * @property {string} text what a search looks at; empty until one looks
 */

/** @typedef {{ key: string, name: string, rows: Row[] }} Group */

const RANK = new Map(LEVELS.map((level, index) => [level, index]));

/** Numbers in a name are padded, so that plain comparison puts `gpu-9` before `gpu-10`. @param {string} name */
export const countingOrder = (name) => name.toLowerCase().replace(/\d+/g, (digits) => digits.padStart(10, "0"));

/** How a row is drawn. An open breaker says more than the level that it left behind. @param {Wire.FleetNode} node @param {string} level */
export const kindOf = (node, level) => (node.breaker === "open" || node.breaker === "half_open" ? node.breaker : level);

/** Made when somebody searches: most never do. @param {Row} row */
function textOf(row) {
  const { node } = row;
  row.text ||= `${node.id.slice(node.id.indexOf("/") + 1)}\n${node.display_name}\n${node.headline}\n${Object.entries(node.labels).map(([key, value]) => `${key}=${value}`).join("\n")}`.toLowerCase();
  return row.text;
}

/** @param {import("./wish.js").Wish} wish @returns {(row: Row) => boolean} */
export function matcher(wish) {
  const levels = wish.levels.length > 0 ? new Set(wish.levels) : null;
  /** @type {Map<string, Set<string>>} */
  const labels = new Map();
  for (const label of wish.labels) {
    const at = label.indexOf("=");
    const key = label.slice(0, at);
    const values = labels.get(key);
    if (values) values.add(label.slice(at + 1));
    else labels.set(key, new Set([label.slice(at + 1)]));
  }
  const words = wish.search.toLowerCase().split(/\s+/).filter(Boolean);
  return (row) => {
    if (levels && !levels.has(row.level)) return false;
    if (wish.open && row.kind !== "open" && row.kind !== "half_open") return false;
    if (wish.idle && row.node.ready && !row.stale) return false;
    for (const [key, values] of labels) if (!values.has(row.node.labels[key] ?? "")) return false;
    for (const word of words) if (!textOf(row).includes(word)) return false;
    return true;
  };
}

/** @param {Row} a @param {Row} b */
const byName = (a, b) => (a.order < b.order ? -1 : a.order > b.order ? 1 : a.id < b.id ? -1 : a.id > b.id ? 1 : 0);

/** Times of one form sort as texts. @param {string} a @param {string} b */
const byText = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

/** @param {Row} row */
const rank = (row) => RANK.get(row.level) ?? 0;
/** A score that is not known stands before all others. @param {Row} row */
const points = (row) => (row.stale ? -1 : row.node.score ?? -1);

/** @type {Record<string, (a: Row, b: Row) => number>} of equals the name decides */
const ORDERS = {
  name: () => 0,
  level: (a, b) => rank(a) - rank(b) || points(a) - points(b),
  score: (a, b) => points(a) - points(b),
  since: (a, b) => byText(b.node.since, a.node.since),
  last_check: (a, b) => byText(a.node.last_check ?? "", b.node.last_check ?? ""),
};

/** @param {string} sort @returns {(a: Row, b: Row) => number} */
export function comparer(sort) {
  const back = sort.startsWith("-") ? -1 : 1;
  const name = sort.replace(/^-/, "");
  const order = ORDERS[name] ?? ORDERS["name"] ?? (() => 0);
  return name === "name" ? (a, b) => back * byName(a, b) : (a, b) => back * order(a, b) || byName(a, b);
}

/** Whether news can change a row's place in this order. @param {string} sort */
export const isLiveOrder = (sort) => sort.replace(/^-/, "") !== "name";

/**
 * Groups in the order of their names; in an order other than by name, in that of their first nodes. Those that lack
 * the label come last.
 * @param {Row[]} rows in their order @param {string} by a label's key, `level` or `none` @param {boolean} byPlace
 * @returns {Group[]}
 */
export function grouped(rows, by, byPlace) {
  if (by === NO_GROUP) return rows.length > 0 ? [{ key: "", name: "", rows }] : [];
  /** @type {Map<string, Group>} */
  const groups = new Map();
  for (const row of rows) {
    const value = by === "level" ? row.level : row.node.labels[by];
    const key = value === undefined ? "" : `=${value}`;
    const group = groups.get(key);
    if (group) group.rows.push(row);
    else groups.set(key, { key, name: value ?? `no ${by}`, rows: [row] });
  }
  const all = [...groups.values()];
  if (by === "level") return all.sort((a, b) => (RANK.get(a.name) ?? 0) - (RANK.get(b.name) ?? 0));
  if (byPlace) return all;
  const sorted = all.map((group) => ({ group, order: `${group.key === "" ? 1 : 0}${countingOrder(group.name)}` }));
  return sorted.sort((a, b) => (a.order < b.order ? -1 : a.order > b.order ? 1 : 0)).map((one) => one.group);
}

/**
 * The label to group by when nobody chose: `rack`, else the one that cuts the fleet into the most sensible pieces.
 * @param {Wire.FleetView["labels"]} labels @param {number} total
 */
export function usualGroup(labels, total) {
  if (labels["rack"]) return "rack";
  const fitting = Object.entries(labels).map(([key, values]) => ({ key, pieces: Object.keys(values).length })).filter(({ pieces }) => pieces > 1 && pieces <= total / 2);
  fitting.sort((a, b) => b.pieces - a.pieces);
  return fitting[0]?.key ?? NO_GROUP;
}

/** How many of a group are not well, worst first; empty if all are. @param {Row[]} rows @returns {{ level: string, count: number }[]} */
export function troubles(rows) {
  /** @type {Map<string, number>} */
  const found = new Map();
  for (const row of rows) if (row.level !== "healthy") found.set(row.level, (found.get(row.level) ?? 0) + 1);
  return LEVELS.filter((level) => found.has(level)).map((level) => ({ level, count: found.get(level) ?? 0 }));
}
