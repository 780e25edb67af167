// A sparkline: the last quarter of an hour of one series, without axes. The number stands beside it.

import { html } from "../lib.js";
import { TREND_SPAN_MS, trendOf } from "../trends.js";
import { now } from "../state.js";

const WIDTH = 96;
const HEIGHT = 24;
/** A hole wider than this share of the span is drawn as a hole. */
const HOLE_MS = 120_000;

/**
 * @param {{ resource: string, metric: string, instance?: string, max?: number }} props
 * `max` fixes the top of the scale; without it the largest value does.
 */
export function Spark({ resource, metric, instance = "", max }) {
  const { times, values } = trendOf(resource, metric, instance).value;
  if (times.length < 2) return html`<svg class="spark" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true" focusable="false"></svg>`;
  const end = Math.max(times[times.length - 1] ?? 0, now.peek());
  const top = max ?? Math.max(...values, 1e-9) * 1.08;
  let line = "";
  let area = "";
  let startX = 0;
  let lastX = 0;
  times.forEach((time, index) => {
    const x = WIDTH * (1 - (end - time) / TREND_SPAN_MS);
    if (x < 0) return;
    const y = HEIGHT - 1.5 - (HEIGHT - 3) * Math.max(0, Math.min(1, (values[index] ?? 0) / top));
    const fresh = line === "" || time - (times[index - 1] ?? 0) > HOLE_MS;
    if (fresh) {
      if (area) area += `L${lastX} ${HEIGHT}L${startX} ${HEIGHT}Z`;
      startX = Number(x.toFixed(1));
    }
    const step = `${fresh ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
    line += step;
    area += step;
    lastX = Number(x.toFixed(1));
  });
  if (area) area += `L${lastX} ${HEIGHT}L${startX} ${HEIGHT}Z`;
  return html`<svg class="spark" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true" focusable="false">
    <path class="spark-area" d=${area} /><path class="spark-line" d=${line} vector-effect="non-scaling-stroke" />
  </svg>`;
}
