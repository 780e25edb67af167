// The page of one resource: the sections in the order in which a person asks.

import { html } from "../lib.js";
import { Events } from "./events.js";
import { Findings, ReadinessSection } from "./findings.js";
import { GpuReadings, Gpus } from "./gpus.js";
import { Hero } from "./hero.js";
import { HistorySection } from "./history.js";
import { Hub } from "./hub.js";
import { NodeInFleet } from "./node.js";
import { Network } from "./network.js";
import { Processes } from "./processes.js";
import { Loading, NoSuchResource } from "./states.js";
import { System } from "./system.js";
import { missing } from "../live.js";
import { detailOf, extent, freshness, readingIndex, summaries } from "../state.js";

/** @param {{ id: string }} props */
export function ResourcePage({ id }) {
  const detail = detailOf(id).value;
  const waits = extent.value === "fleet" && missing.value !== id;
  if (!summaries.value.has(id)) return waits ? html`<${Loading} />` : html`<${NoSuchResource} id=${id} />`;
  if (!detail) return html`<${Loading} />`;
  if (detail.kind === "gpu") return html`<${GpuPage} detail=${detail} />`;
  const readings = readingIndex(detail);
  const stale = freshness(detail) !== "";
  return html`
    <${Hero} detail=${detail} />
    ${extent.value === "fleet" && html`<${NodeInFleet} detail=${detail} />`}
    <div class=${!detail.readiness ? "" : detail.finding_count > 0 ? "split" : "stacked"}>
      <${Findings} detail=${detail} />
      ${detail.readiness && detail.readiness.checks.length > 0 && html`<${ReadinessSection} readiness=${detail.readiness} stale=${stale} />`}
    </div>
    ${detail.inventory && html`<${Gpus} detail=${detail} readings=${readings} />
      <${System} detail=${detail} readings=${readings} />
      <${Network} detail=${detail} readings=${readings} />`}
    <${Processes} detail=${detail} readings=${readings} />
    <${HistorySection} key=${id} detail=${detail} />
    <${Events} resource=${id} />
    <${Hub} detail=${detail} />`;
}

/** @param {{ detail: Wire.ResourceDetail }} props */
function GpuPage({ detail }) {
  const node = detail.parent ? detailOf(detail.parent).value : null;
  const instance = detail.id.slice(detail.id.lastIndexOf("/") + 1);
  const gpuReadings = (node?.readings ?? []).filter((reading) => reading.metric.startsWith("gpu_") && reading.instance === instance);
  // A GPU's readings are kept under its node, with the GPU's index as the instance.
  const source = node ? { ...node, readings: gpuReadings } : detail;
  return html`
    <${Hero} detail=${detail} />
    <${Findings} detail=${detail} />
    <${GpuReadings} detail=${detail} node=${node} />
    ${node && gpuReadings.length > 0 && html`<${HistorySection} key=${detail.id} detail=${source} resource=${node.id} fixedInstance=${instance} />`}
    <${Events} resource=${detail.id} />`;
}
