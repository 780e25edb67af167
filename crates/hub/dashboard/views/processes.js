// Training processes, the largest consumers, and what is stuck.

import { html } from "../lib.js";
import { NONE, bytes, percent, plural, withUnit } from "../format.js";
import { Empty, Section, Table } from "../parts/basics.js";

/** @param {{ detail: Wire.ResourceDetail, readings: import("../state.js").Readings }} props */
export function Processes({ detail, readings: { value } }) {
  const view = detail.processes;
  if (!view) return null;
  const count = value("processes");
  return html`<${Section} id="processes" title="Processes" aside=${count !== null && html`<span class="muted">${withUnit(count, "count")} in all</span>`}>
    ${view.missing_patterns.length > 0 && html`<p class="held">Expected, but nothing matches: ${view.missing_patterns.map((pattern) => html`<code key=${pattern}>${pattern}</code> `)}</p>`}
    ${view.training.length > 0
      ? html`<${List} title="Training" processes=${view.training} gpu />`
      : html`<${Empty} icon="not_applicable">No training process: none is on a GPU, and none matches a configured pattern.<//>`}
    ${view.blocked.length > 0 && html`<${List} title=${`Stuck: ${plural(view.blocked.length, "process", "processes")} in uninterruptible sleep`} processes=${view.blocked} />`}
    ${view.zombies.length > 0 && html`<${List} title=${plural(view.zombies.length, "zombie")} processes=${view.zombies} />`}
    ${view.top.length > 0 && html`<${List} title="Largest consumers" processes=${view.top} />`}
  <//>`;
}

/** @param {{ title: string, processes: Wire.ProcessView[], gpu?: boolean }} props */
function List({ title, processes, gpu = false }) {
  const head = ["Name", { name: "PID", right: true }, { name: "CPU", right: true }, { name: "Memory", right: true },
    ...(gpu ? ["GPUs", { name: "GPU memory", right: true }] : []), "State", { name: "Command", wide: true }];
  return html`<div class="panel flush"><h3>${title}</h3>
    <${Table} label=${title} head=${head}>
      ${processes.map((process) => html`<tr key=${process.pid}>
        <th scope="row">${process.name}</th><td class="right muted">${process.pid}</td>
        <td class="right">${percent(process.cpu_percent)}</td><td class="right">${bytes(process.resident_bytes)}</td>
        ${gpu && html`<td>${process.gpus.length > 0 ? ranges(process.gpus) : NONE}</td><td class="right">${bytes(process.gpu_memory_bytes)}</td>`}
        <td class=${process.state === "D" || process.state === "Z" ? "held" : "muted"}>${process.state}</td>
        <td class="wide muted command" title=${process.command}><code>${process.command}</code></td>
      </tr>`)}
    <//></div>`;
}

/** `0–3, 6`. @param {number[]} indices */
export function ranges(indices) {
  const sorted = [...indices].sort((a, b) => a - b);
  /** @type {string[]} */
  const out = [];
  for (let at = 0; at < sorted.length; at += 1) {
    const from = sorted[at] ?? 0;
    let to = from;
    while (sorted[at + 1] === to + 1) {
      at += 1;
      to += 1;
    }
    out.push(from === to ? `${from}` : `${from}–${to}`);
  }
  return out.join(", ");
}
