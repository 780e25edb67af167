// GPUs of a node, a row each; and the page of one GPU.

import { html } from "../lib.js";
import { NONE, bytes, percent, plural, withUnit, words } from "../format.js";
import { clockEvents } from "../gpu-words.js";
import { Empty, Facts, Level, Meter, Section } from "../parts/basics.js";
import { Spark } from "../parts/spark.js";
import { freshness, readingIndex, summaries } from "../state.js";

/** @param {{ detail: Wire.ResourceDetail, readings: import("../state.js").Readings }} props */
export function Gpus({ detail, readings }) {
  const gpus = detail.inventory?.gpus ?? [];
  if (gpus.length === 0) {
    const probes = detail.probes.filter((probe) => probe.probe === "nvidia" || probe.probe === "amd");
    const failed = probes.find((probe) => probe.outcome !== "answered" && probe.outcome !== "not_applicable");
    return html`<${Section} id="gpus" title="GPUs">
      ${failed
        ? html`<${Empty} icon="unknown">GPUs could not be asked (${failed.probe}: ${failed.outcome}). ${failed.message}<//>`
        : html`<${Empty} icon="not_applicable">No GPU was found on this machine; its share of the score went to the other parts.<//>`}
    <//>`;
  }
  const memory = gpus.reduce((sum, gpu) => sum + gpu.memory_bytes, 0);
  const models = [...new Set(gpus.map((gpu) => gpu.model))];
  const drivers = [...new Set(gpus.map((gpu) => gpu.driver_version).filter(Boolean))].join(", ");
  return html`<${Section} id="gpus" title="GPUs" aside=${html`<span class="muted">${models.length === 1 ? `${gpus.length} × ${models[0] || "GPU"}` : plural(gpus.length, "GPU")}, ${bytes(memory)}${drivers && `, driver ${drivers}`}</span>`}>
    <div class="gpu-head" aria-hidden="true"><span>GPU</span><span>Busy</span><span>Memory</span><span class="right">Temp</span><span>Power</span>
      <span class="right">Clock</span><span>Held back by</span><span class="right">Procs</span></div>
    <ul class="gpus">${gpus.map((gpu) => html`<${GpuRow} key=${gpu.index} node=${detail} gpu=${gpu} readings=${readings} name=${models.length === 1 ? gpu.pci_address : gpu.model} />`)}</ul>
  <//>`;
}

/** @param {{ node: Wire.ResourceDetail, gpu: Wire.GpuView, readings: import("../state.js").Readings, name: string }} props */
function GpuRow({ node, gpu, readings, name }) {
  const instance = String(gpu.index);
  const id = `gpu/${node.id.slice(node.id.indexOf("/") + 1)}/${gpu.index}`;
  const resource = summaries.value.get(id);
  const stale = freshness(node) !== "";
  /** @param {string} metric */
  const value = (metric) => readings.value(metric, instance);
  const power = value("gpu_power_watts");
  const limit = value("gpu_power_limit_watts");
  const temperature = value("gpu_temperature_celsius");
  const hot = node.checks.some((check) => check.instance === instance && check.status !== "healthy" && check.check.includes("temperature"));
  const events = clockEvents(value("gpu_throttle_reasons_mask"));
  const level = resource?.level ?? worst(node, instance);
  return html`<li class="gpu" data-level=${stale ? "unknown" : level}>
    <h3><a href=${`#/${id}`}><span class="gpu-index">GPU ${gpu.index}</span></a><span class="gpu-model" title=${gpu.model}>${name}</span>
      <${Level} level=${level} was=${stale} quiet /></h3>
    <dl>
      <div class="cell-busy"><dt>Busy</dt><dd><span class="figure">${percent(value("gpu_utilization_percent"))}</span>
        <${Spark} resource=${node.id} metric="gpu_utilization_percent" instance=${instance} max=${100} /></dd></div>
      <div class="cell-memory"><dt>Memory</dt><dd><span class="figure">${bytes(value("gpu_memory_used_bytes"))}</span>
        <${Meter} value=${value("gpu_memory_used_percent")} label="Memory" /></dd></div>
      <div class="cell-number"><dt>Temp</dt><dd class=${hot ? "hot" : ""}>${withUnit(temperature, "celsius")}</dd></div>
      <div class="cell-power"><dt>Power</dt><dd><span class="figure">${withUnit(power, "watts")}</span>
        <${Meter} value=${power !== null && limit ? (power / limit) * 100 : null} label="Power" text=${`${withUnit(power, "watts")} of ${withUnit(limit, "watts")}`} /></dd></div>
      <div class="cell-number"><dt>Clock</dt><dd>${withUnit(value("gpu_clock_megahertz"), "megahertz")}</dd></div>
      <div class="cell-words"><dt>Held back by</dt><dd class=${events?.worry ? "held" : "muted"}>${events?.text ?? NONE}</dd></div>
      <div class="cell-number cell-procs"><dt>Procs</dt><dd>${withUnit(value("gpu_processes"), "count")}</dd></div>
    </dl>
  </li>`;
}

/** The worst check of one GPU, where it is no resource of its own yet. @param {Wire.ResourceDetail} node @param {string} instance */
function worst(node, instance) {
  const own = node.checks.filter((check) => check.component === "gpu" && check.instance === instance);
  return own[0]?.status ?? "unknown";
}

/** Everything that is read of one GPU. @param {{ detail: Wire.ResourceDetail, node: Wire.ResourceDetail | null }} props */
export function GpuReadings({ detail, node }) {
  const instance = detail.id.slice(detail.id.lastIndexOf("/") + 1);
  const own = detail.readings.length > 0 ? detail.readings : (node?.readings ?? []).filter((reading) => reading.metric.startsWith("gpu_") && reading.instance === instance);
  const device = node?.inventory?.gpus.find((gpu) => String(gpu.index) === instance);
  const readings = readingIndex({ ...detail, readings: own.map((reading) => ({ ...reading, instance: "" })) });
  const shown = own.filter((reading) => reading.metric !== "gpu_throttle_reasons_mask");
  return html`<${Section} id="gpus" title="Readings" className="gpu-page">
    <div class="columns">
      ${device && html`<div class="panel"><h3>Device</h3><${Facts} rows=${[
        ["Model", device.model], ["PCI address", html`<code>${device.pci_address}</code>`], ["Driver", device.driver_version],
        ["Memory", bytes(device.memory_bytes)], ["Id", html`<code class="break">${device.uuid}</code>`],
        ["Held back by", clockEvents(readings.value("gpu_throttle_reasons_mask"))?.text ?? NONE],
      ]} /></div>`}
      <div class="panel span-2"><h3>Newest values</h3>
        ${shown.length === 0 ? html`<${Empty} icon="unknown">No reading has arrived.<//>` : html`<dl class="facts two">
          ${shown.map((reading) => html`<div key=${reading.metric}><dt>${words(reading.metric.replace(/^gpu_/, ""))}</dt><dd>${withUnit(reading.value, reading.unit)}</dd></div>`)}</dl>`}
      </div>
    </div>
  <//>`;
}
