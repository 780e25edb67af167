// One series over a range of time, with its summary in words and its numbers as a table.

import { html, useComputed, useEffect, useRef, useSignal } from "../lib.js";
import { getHistory } from "../api.js";
import { clockTime, plural, withUnit, words } from "../format.js";
import { Empty, Section, Table } from "../parts/basics.js";
import { Chart } from "../parts/chart.js";
import { connection } from "../state.js";
import { themeShown } from "../theme-choice.js";

/** @type {[string, string, number][]} label, what the API is asked for, seconds */
const RANGES = [["15 m", "-15m", 900], ["1 h", "-1h", 3600], ["6 h", "-6h", 21_600], ["24 h", "-24h", 86_400], ["7 d", "-7d", 604_800], ["30 d", "-30d", 2_592_000]];
const MAX_POINTS = 600;
/** Rows of the table; the newest ones. */
const TABLE_LIMIT = 200;
/** How often an open chart is asked for again, at most and at least. */
const REFRESH_MIN_SECONDS = 5;
const REFRESH_MAX_SECONDS = 120;
const VERDICTS = ["score", "readiness_percent"];

/** @param {{ detail: Wire.ResourceDetail, resource?: string, fixedInstance?: string }} props */
export function HistorySection({ detail, resource = detail.id, fixedInstance }) {
  const wanted = fixedInstance === undefined ? "cpu_used_percent" : "gpu_utilization_percent";
  const metric = useSignal(detail.readings.some((reading) => reading.metric === wanted) ? wanted : "score");
  const instance = useSignal(fixedInstance ?? "");
  const range = useSignal(1);
  const history = useSignal(/** @type {Wire.History | null} */ (null));
  const error = useSignal("");
  const hover = useSignal("");
  const visible = useSignal(false);
  const host = useRef(/** @type {HTMLDivElement | null} */ (null));

  const metrics = [...new Set([...(fixedInstance === undefined ? VERDICTS : []), ...detail.readings.map((reading) => reading.metric)])];
  const instances = fixedInstance === undefined ? instancesOf(detail, metric.value) : [];
  if (fixedInstance === undefined && !instances.includes(instance.peek())) instance.value = instances[0] ?? "";

  useEffect(() => {
    if (!host.current) return undefined;
    const observer = new IntersectionObserver((entries) => {
      visible.value = entries.some((entry) => entry.isIntersecting);
    }, { rootMargin: "300px" });
    observer.observe(host.current);
    return () => observer.disconnect();
  }, []);

  const [, from, seconds] = RANGES[range.value] ?? ["1 h", "-1h", 3600];
  const live = connection.value === "live";
  useEffect(() => {
    if (!visible.value || !live) return undefined;
    const controller = new AbortController();
    const load = async () => {
      try {
        history.value = await getHistory({ resource, metric: metric.value, instance: instance.value, from, maxPoints: MAX_POINTS, signal: controller.signal });
        error.value = "";
      } catch (reason) {
        if (!controller.signal.aborted) error.value = reason instanceof Error ? reason.message : String(reason);
      }
    };
    void load();
    const every = Math.min(REFRESH_MAX_SECONDS, Math.max(REFRESH_MIN_SECONDS, seconds / 300));
    const timer = setInterval(load, every * 1000);
    return () => {
      controller.abort();
      clearInterval(timer);
    };
  }, [resource, metric.value, instance.value, range.value, visible.value, live]);

  const shown = useComputed(() => {
    const held = history.value;
    return held && held.metric === metric.value && held.instance === instance.value ? held : null;
  }).value;
  const title = instance.value && fixedInstance === undefined ? `${words(metric.value)}, ${instance.value}` : words(metric.value);

  return html`<${Section} id="history" title="History">
    <div class="history" ref=${host}>
      <div class="controls">
        <label for="history-metric">Metric</label><select id="history-metric" value=${metric.value} onChange=${(/** @type {any} */ event) => (metric.value = event.target.value)}>
          ${families(metrics).map(([family, names]) => html`<optgroup key=${family} label=${family}>${names.map((name) => html`<option key=${name} value=${name} selected=${name === metric.value}>${optionText(name, metrics)}</option>`)}</optgroup>`)}
        </select>
        ${instances.length > 1 && html`<label for="history-instance">Of</label><select id="history-instance" value=${instance.value} onChange=${(/** @type {any} */ event) => (instance.value = event.target.value)}>
          ${instances.map((name) => html`<option key=${name} value=${name} selected=${name === instance.value}>${name}</option>`)}</select>`}
        <div class="segmented" role="group" aria-label="Time range">${RANGES.map(([label], index) => html`<button key=${label} type="button" aria-pressed=${index === range.value}
          onClick=${() => (range.value = index)}>${label}</button>`)}</div>
      </div>
      ${error.value && html`<p class="held" role="status">The history could not be read: ${error.value}</p>`}
      ${shown && shown.points.length > 0
        ? html`<div class="readout" aria-hidden="true"><b>${title}</b><span>${hover.value || (shown.resolution === "raw" ? "every reading" : `min, mean and max per ${shown.step_seconds >= 60 ? plural(Math.round(shown.step_seconds / 60), "minute") : plural(shown.step_seconds, "second")}`)}</span></div>
          <${Chart} history=${shown} theme=${themeShown.value} onHover=${(/** @type {string} */ text) => (hover.value = text)} label=${`Chart of ${title}`} describedBy="history-words" />
          <p id="history-words" class="muted small">${summary(shown)}</p>
          <details><summary>Show as a table</summary><${Numbers} history=${shown} /></details>`
        : shown ? html`<${Empty} icon="unknown">Nothing was measured in this range.<//>` : !error.value && html`<div class="chart loading" aria-busy="true"></div>`}
    </div>
  <//>`;
}

/** @param {Wire.ResourceDetail} detail @param {string} metric */
function instancesOf(detail, metric) {
  const names = detail.readings.filter((reading) => reading.metric === metric).map((reading) => reading.instance);
  return names.length > 0 ? names.sort((a, b) => a.localeCompare(b, "en", { numeric: true })) : [""];
}

/** A metric in words, with its unit where another one has the same words. @param {string} name @param {string[]} metrics */
function optionText(name, metrics) {
  const text = words(name);
  if (metrics.filter((other) => words(other) === text).length < 2) return text;
  return `${text}, ${name.endsWith("_percent") ? "%" : (name.split("_").pop() ?? "")}`;
}

/** Metrics grouped by the first word of their name. @param {string[]} metrics @returns {[string, string[]][]} */
export function families(metrics) {
  /** @type {Map<string, string[]>} */
  const groups = new Map();
  for (const name of metrics) {
    const first = VERDICTS.includes(name) ? "verdicts" : (name.split("_")[0] ?? "");
    const family = { load: "cpu", context: "cpu", forks: "cpu", interrupts: "cpu", swap: "memory", oom: "memory", latency: "network", tcp: "network", temperature: "host", file: "host",
      uptime: "host", clock: "host", nvlink: "gpu" }[first] ?? first;
    const list = groups.get(family);
    if (list) list.push(name);
    else groups.set(family, [name]);
  }
  return [...groups].map(([family, names]) => [words(family), names]);
}

/** @param {Wire.History} history */
export function summary(history) {
  const low = Math.min(...history.points.map((point) => point.min));
  const high = Math.max(...history.points.map((point) => point.max));
  const count = history.points.reduce((sum, point) => sum + point.count, 0);
  const mean = history.points.reduce((sum, point) => sum + point.mean * point.count, 0) / Math.max(1, count);
  return `Between ${withUnit(low, history.unit)} and ${withUnit(high, history.unit)}, ${withUnit(mean, history.unit)} on average, over ${plural(count, "reading")}.`;
}

/** @param {{ history: Wire.History }} props */
function Numbers({ history }) {
  const rows = history.points.slice(-TABLE_LIMIT).reverse();
  return html`<${Table} label=${`Numbers of ${words(history.metric)}`} head=${["Time", { name: "Mean", right: true }, { name: "Min", right: true }, { name: "Max", right: true }, { name: "Readings", right: true }]}>
    ${rows.map((point) => html`<tr key=${point.at}><th scope="row">${clockTime(point.at)}</th><td class="right">${withUnit(point.mean, history.unit)}</td>
      <td class="right">${withUnit(point.min, history.unit)}</td><td class="right">${withUnit(point.max, history.unit)}</td><td class="right muted">${point.count}</td></tr>`)}
    ${history.points.length > TABLE_LIMIT && html`<tr><td colspan="5" class="muted">The newest ${TABLE_LIMIT} of ${history.points.length}. All of them: <code>sickbay history … --csv</code></td></tr>`}
  <//>`;
}
