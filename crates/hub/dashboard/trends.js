// Short-term trends for sparklines: seeded once from history, then grown by live readings.
// Only series that some view shows are kept.

import { getHistory } from "./api.js";
import { signal } from "./lib.js";

/** How far back a sparkline reaches. */
export const TREND_SPAN_MS = 15 * 60_000;
/** Points kept per series. */
const POINT_LIMIT = 200;
/** Series kept; beyond it a new one starts empty and is not seeded. */
const SERIES_LIMIT = 160;
/** History requests under way at once. */
const SEED_PARALLEL = 3;

/** @typedef {{ times: number[], values: number[] }} Trend */

/** @type {Map<string, Signal<Trend>>} */
const series = new Map();
/** @type {(() => Promise<void>)[]} */
const waiting = [];
let underWay = 0;

/** @param {string} resource @param {string} metric @param {string} instance */
const keyOf = (resource, metric, instance) => `${resource}|${metric}|${instance}`;

/** The trend of a series; starts to be kept with the first call. @param {string} resource @param {string} metric @param {string} instance */
export function trendOf(resource, metric, instance) {
  const key = keyOf(resource, metric, instance);
  const known = series.get(key);
  if (known) return known;
  const fresh = signal(/** @type {Trend} */ ({ times: [], values: [] }));
  if (series.size >= SERIES_LIMIT) return fresh;
  series.set(key, fresh);
  waiting.push(async () => {
    const history = await getHistory({ resource, metric, instance, from: "-15m", maxPoints: 90 });
    const first = fresh.peek().times[0] ?? Infinity;
    const old = history.points.filter((point) => Date.parse(point.at) < first);
    fresh.value = {
      times: [...old.map((point) => Date.parse(point.at)), ...fresh.peek().times],
      values: [...old.map((point) => point.mean), ...fresh.peek().values],
    };
  });
  void seed();
  return fresh;
}

async function seed() {
  if (underWay >= SEED_PARALLEL) return;
  const job = waiting.shift();
  if (!job) return;
  underWay += 1;
  try {
    await job();
  } catch {
    // A sparkline without its past grows from now on; the history section reports the failure.
  } finally {
    underWay -= 1;
    void seed();
  }
}

/** Adds a resource's newest readings. @param {Wire.ResourceDetail} detail */
export function growTrends(detail) {
  const at = Date.parse(detail.last_check ?? "");
  if (!Number.isFinite(at)) return;
  for (const reading of detail.readings) {
    const held = series.get(keyOf(detail.id, reading.metric, reading.instance));
    if (!held) continue;
    const { times, values } = held.peek();
    if ((times[times.length - 1] ?? 0) >= at) continue;
    const young = times.findIndex((time) => time >= at - TREND_SPAN_MS);
    const cut = Math.max(young < 0 ? times.length : young, times.length + 1 - POINT_LIMIT);
    held.value = { times: [...times.slice(cut), at], values: [...values.slice(cut), reading.value] };
  }
}
