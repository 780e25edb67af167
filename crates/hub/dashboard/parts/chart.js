// One series over time: mean as a line, minimum to maximum as a band. uPlot draws; this part loads it on
// first use, feeds it, and gives it the page's colours.

import { html, useEffect, useRef } from "../lib.js";
import { clockTime, withUnit } from "../format.js";

const HEIGHT = 240;
/** A distance between points above this multiple of their usual one is drawn as a hole. */
const HOLE_FACTOR = 3.5;

/** @type {Promise<any> | null} */
let library = null;
function loadLibrary() {
  library ??= (async () => {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = "vendor/uplot.css";
    document.head.append(link);
    return (await import("../vendor/uplot.js")).default;
  })();
  return library;
}

/**
 * Columns for uPlot: times in seconds, mean, min, max; null where nothing was measured.
 * @param {Wire.History} history
 * @returns {[number[], (number | null)[], (number | null)[], (number | null)[]]}
 */
export function columns(history) {
  const times = history.points.map((point) => Date.parse(point.at) / 1000);
  const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0)).sort((a, b) => a - b);
  // Raw readings come at their own pace (5 to 60 s): what is usual is taken from the data itself.
  const usual = history.step_seconds || gaps[Math.floor(gaps.length * 0.75)] || 60;
  /** @type {[number[], (number | null)[], (number | null)[], (number | null)[]]} */
  const out = [[], [], [], []];
  history.points.forEach((point, index) => {
    const time = times[index] ?? 0;
    const before = times[index - 1];
    if (before !== undefined && time - before > usual * HOLE_FACTOR) {
      out[0].push(before + usual);
      for (const column of out.slice(1)) column.push(/** @type {any} */ (null));
    }
    out[0].push(time);
    out[1].push(point.mean);
    out[2].push(point.min);
    out[3].push(point.max);
  });
  return out;
}

/** @param {string} name */
const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/**
 * @param {{ history: Wire.History, theme: string, onHover: (text: string) => void, label: string, describedBy: string }} props
 */
export function Chart({ history, theme, onHover, label, describedBy }) {
  const host = useRef(/** @type {HTMLDivElement | null} */ (null));
  const plot = useRef(/** @type {any} */ (null));
  const shape = `${history.unit}|${theme}|${history.metric}|${history.instance}|${history.resource}`;
  const from = Date.parse(history.from) / 1000;
  const to = Date.parse(history.to) / 1000;
  const limits = useRef([from, to]);
  limits.current = [from, to];
  const latest = useRef(history);
  latest.current = history;

  useEffect(() => {
    let alive = true;
    /** @type {ResizeObserver | undefined} */
    let observer;
    loadLibrary().then((UPlot) => {
      if (!alive || !host.current) return;
      plot.current = new UPlot(options(latest.current, host.current.clientWidth, () => limits.current, onHover), columns(latest.current), host.current);
      observer = new ResizeObserver(() => host.current && plot.current?.setSize({ width: host.current.clientWidth, height: HEIGHT }));
      observer.observe(host.current);
    });
    return () => {
      alive = false;
      observer?.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [shape]);

  useEffect(() => {
    plot.current?.setData(columns(history));
  }, [history]);

  return html`<div class="chart" ref=${host} role="img" aria-label=${label} aria-describedby=${describedBy}></div>`;
}

/**
 * @param {Wire.History} history @param {number} width @param {() => number[]} limits @param {(text: string) => void} onHover
 */
function options(history, width, limits, onHover) {
  const line = token("--data-1");
  const font = `11px ${token("--sans")}`;
  const axis = { stroke: token("--muted"), font, grid: { stroke: token("--grid"), width: 1 }, ticks: { show: false } };
  /** @param {any} plot @param {number | null} index */
  const readout = (plot, index) => {
    const time = index === null || index === undefined ? undefined : plot.data[0][index];
    const mean = index === null || index === undefined ? null : plot.data[1][index];
    if (time === undefined || mean === null) return "";
    const low = plot.data[2][index ?? 0];
    const high = plot.data[3][index ?? 0];
    const band = low === high ? "" : ` (${withUnit(low, history.unit)} to ${withUnit(high, history.unit)})`;
    return `${clockTime(time * 1000)}  ${withUnit(mean, history.unit)}${band}`;
  };
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    padding: [12, 12, 0, 0],
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7, fill: line } },
    scales: {
      x: { time: true, range: () => limits() },
      y: {
        range: (/** @type {any} */ _plot, /** @type {number | null} */ low, /** @type {number | null} */ high) => {
          if (history.unit === "percent" || history.metric === "score") return [0, 100];
          if (low === null || high === null) return [0, 1];
          if (history.unit === "celsius") return [Math.min(low, 20), high + 5];
          return low >= 0 ? [0, high > 0 ? high * 1.12 : 1] : [low * 1.12, high * 1.12];
        },
      },
    },
    axes: [
      { ...axis, size: 30, space: 70, values: timeLabels },
      { ...axis, size: 72, space: 44, values: (/** @type {any} */ _plot, /** @type {number[]} */ ticks) => ticks.map((tick) => withUnit(tick, history.unit)) },
    ],
    series: [
      {},
      { stroke: line, width: 1.6, points: { show: history.points.length < 3, size: 6, fill: line } },
      { stroke: "transparent", points: { show: false } },
      { stroke: "transparent", points: { show: false } },
    ],
    bands: [{ series: [3, 2], fill: token("--data-1-band") }],
    hooks: { setCursor: [(/** @type {any} */ plot) => onHover(readout(plot, plot.cursor.idx))] },
  };
}

/** @param {any} _plot @param {number[]} ticks @param {number} _axis @param {number} _space @param {number} step */
function timeLabels(_plot, ticks, _axis, _space, step) {
  return ticks.map((tick) => {
    const text = clockTime(tick * 1000, tick * 1000);
    const date = new Date(tick * 1000);
    const day = date.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
    if (step >= 86_400) return day;
    if (step < 60) return text;
    return date.getHours() === 0 && date.getMinutes() === 0 ? day : text.slice(0, 5);
  });
}
