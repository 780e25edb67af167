// What the page knows, as signals. One writer (the functions here); views only read.
//
// Must hold: what is not fresh is never shown as well. `freshness` is the one place that decides.

import { batch, computed, signal } from "./lib.js";
import { clockOffsetMs } from "./api.js";
import { span } from "./format.js";

/** Events kept in the page; older ones are fetched when asked for. */
export const EVENT_LIMIT = 500;
/** Full details kept; beyond it only the resource on screen and its relatives keep theirs. */
const DETAIL_LIMIT = 64;
/** How far beyond its planned interval a collection may be before its values count as old. */
const LATE_FACTOR = 3;
const LATE_GRACE_SECONDS = 20;
/** Step of the coarse clock. */
const COARSE_STEP_MS = 5_000;

/** One machine, or many: what the page opens on, and what it asks of the hub. @type {Signal<"one" | "fleet">} */
export const extent = signal("one");

/** @typedef {"loading" | "live" | "reconnecting" | "denied" | "paused"} ConnectionState */

/** @type {Signal<ConnectionState>} */
export const connection = signal("loading");
/** Why the hub cannot be reached, and when the next attempt is made. @type {Signal<{ message: string, retryAt: number, attempt: number } | null>} */
export const connectionError = signal(null);
/** The hub's clock, ticking once a second. @type {Signal<number>} */
export const now = signal(Date.now());
/** The same clock in coarse steps, for what need not be judged anew every second. @type {Signal<number>} */
export const coarseNow = signal(Date.now());
/** Set once the first full answer has been shown. @type {Signal<boolean>} */
export const loaded = signal(false);
/** When something last came from the hub (hub's clock). @type {Signal<number>} */
export const lastHeard = signal(0);

/** @type {Signal<Map<string, Wire.ResourceSummary>>} */
export const summaries = signal(new Map());
/** @type {Signal<Wire.HubStatus | null>} */
export const hub = signal(null);
/** @type {Signal<Wire.SystemScore | null>} */
export const system = signal(null);
/** Newest first. @type {Signal<Wire.EventView[]>} */
export const events = signal([]);

/** @type {Map<string, Signal<Wire.ResourceDetail | null>>} */
const details = new Map();

/** The hash route: the id of the resource shown, or empty for the overview. @type {Signal<string>} */
export const route = signal("");

/** The live detail of a resource; null until it was loaded. @param {string} id */
export function detailOf(id) {
  let held = details.get(id);
  if (!held) {
    held = signal(/** @type {Wire.ResourceDetail | null} */ (null));
    details.set(id, held);
  }
  return held;
}

export function tick() {
  now.value = Date.now() + clockOffsetMs;
  if (Math.abs(now.peek() - coarseNow.peek()) >= COARSE_STEP_MS) coarseNow.value = now.peek();
}

/** Nodes first with their children below, each sorted the way a person counts. */
export const ordered = computed(() => {
  const all = [...summaries.value.values()];
  all.sort((a, b) => a.id.localeCompare(b.id, "en", { numeric: true }));
  /** @type {Map<string, Wire.ResourceSummary[]>} */
  const children = new Map();
  const tops = [];
  for (const item of all) {
    if (item.parent && summaries.value.has(item.parent)) {
      const list = children.get(item.parent);
      if (list) list.push(item);
      else children.set(item.parent, [item]);
    } else tops.push(item);
  }
  return tops.flatMap((top) => [top, ...(children.get(top.id) ?? [])]);
});

/** Resources that are part of nothing else (nodes, mostly). */
export const tops = computed(() => ordered.value.filter((item) => !item.parent || !summaries.value.has(item.parent)));

/** What is shown: the route's resource, or the only machine there is. */
export const shownId = computed(() => {
  if (route.value || extent.value === "fleet") return route.value;
  const only = tops.value;
  return only.length === 1 && only[0] ? only[0].id : "";
});

/** @param {Wire.StatusReport} status */
export function applyStatus(status) {
  batch(() => {
    summaries.value = new Map(status.resources.map((item) => [item.id, item]));
    hub.value = status.hub;
    system.value = status.system;
    for (const id of details.keys()) if (!summaries.value.has(id)) details.delete(id);
    heard();
  });
}

/** @param {Wire.ResourceDetail} detail */
export function applyResource(detail) {
  batch(() => {
    const next = new Map(summaries.value);
    next.set(detail.id, detail);
    summaries.value = next;
    if (details.has(detail.id) || details.size < DETAIL_LIMIT) detailOf(detail.id).value = detail;
    heard();
  });
}

/** @param {string} id */
export function applyRemoved(id) {
  batch(() => {
    const next = new Map(summaries.value);
    next.delete(id);
    summaries.value = next;
    const held = details.get(id);
    if (held) held.value = null;
    details.delete(id);
    heard();
  });
}

/** Takes events in any order, drops what is already known. @param {Wire.EventView[]} incoming */
export function applyEvents(incoming) {
  const known = new Set(events.value.map((event) => event.id));
  const fresh = incoming.filter((event) => !known.has(event.id));
  if (fresh.length === 0) return;
  events.value = [...fresh, ...events.value].sort((a, b) => b.id - a.id).slice(0, EVENT_LIMIT);
}

/** Lets go of every detail but that of a node and its parts: those who look at a fleet visit many. @param {string} node */
export function forgetDetails(node) {
  const mine = (/** @type {string} */ id) => id === node || id.startsWith(`gpu/${node.slice(node.indexOf("/") + 1)}/`);
  batch(() => {
    summaries.value = new Map([...summaries.value].filter(([id]) => mine(id)));
    for (const id of details.keys()) if (!mine(id)) details.delete(id);
  });
}

/** @param {Wire.HubStatus} status */
export function applyHub(status) {
  batch(() => {
    hub.value = status;
    heard();
  });
}

export function heard() {
  tick();
  lastHeard.value = now.value;
}

/**
 * Why what is shown of a resource is not fresh, or an empty text if it is.
 * @param {Pick<Wire.ResourceSummary, "stale" | "last_check"> & { interval_seconds?: number }} resource
 */
export function freshness(resource) {
  if (connection.value === "reconnecting") return "no connection to the hub";
  if (connection.value === "paused") return "live updates are paused";
  if (resource.stale) return resource.stale;
  if (!resource.last_check) return "not collected yet";
  const limit = (resource.interval_seconds ?? 60) * LATE_FACTOR + LATE_GRACE_SECONDS;
  const late = (coarseNow.value - Date.parse(resource.last_check)) / 1000;
  return late > limit ? `the last collection is ${span(late)} old` : "";
}

/** Readings by `metric|instance`, for one look-up each. @param {Wire.ResourceDetail} detail */
export function readingIndex(detail) {
  const index = new Map(detail.readings.map((reading) => [`${reading.metric}|${reading.instance}`, reading]));
  return {
    /** @param {string} metric @param {string} [instance] @returns {number | null} */
    value: (metric, instance = "") => index.get(`${metric}|${instance}`)?.value ?? null,
    /** Instances that a metric has, as a person counts. @param {string} metric */
    instances: (metric) =>
      detail.readings.filter((reading) => reading.metric === metric).map((reading) => reading.instance)
        .sort((a, b) => a.localeCompare(b, "en", { numeric: true })),
  };
}

/** @typedef {ReturnType<typeof readingIndex>} Readings */
