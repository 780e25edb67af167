// Interfaces and latency.

import { html } from "../lib.js";
import { NONE, number, percent, withUnit } from "../format.js";
import { Section, Table } from "../parts/basics.js";
import { Spark } from "../parts/spark.js";

/** Silent interfaces that are named. */
const IDLE_NAMED = 6;

/** @param {{ detail: Wire.ResourceDetail, readings: import("../state.js").Readings }} props */
export function Network({ detail, readings }) {
  const { value } = readings;
  const all = [...(detail.inventory?.interfaces ?? [])].sort((a, b) => Number(b.default_route) - Number(a.default_route) || Number(b.physical) - Number(a.physical));
  // Bridges and pairs that are down and silent are named, not listed.
  const list = all.filter((nic) => nic.physical || nic.default_route || nic.operational_state !== "down" || value("network_receive_bytes_per_second", nic.name));
  const idle = all.filter((nic) => !list.includes(nic));
  const targets = readings.instances("latency_ms");
  const asked = new Set([...targets, ...readings.instances("latency_loss_percent")]);
  /** @param {string} metric @param {string} name */
  const rate = (metric, name) => withUnit(value(metric, name), "bytes_per_second");
  /** @param {string} what @param {string} name */
  const both = (what, name) => {
    const parts = [value(`network_receive_${what}_per_second`, name), value(`network_transmit_${what}_per_second`, name)].filter((part) => part !== null);
    return parts.length > 0 ? `${number(parts.reduce((sum, part) => sum + part, 0))}/s` : NONE;
  };
  return html`<${Section} id="network" title="Network" aside=${html`<span class="muted">${withUnit(value("tcp_established"), "count")} TCP connections, ${withUnit(value("tcp_retransmits_per_second"), "per_second")} sent again</span>`}>
    ${asked.size > 0 && html`<ul class="latency">${[...asked].map((target) => html`<li key=${target} class="panel">
      <span class="muted">Latency to <code>${target}</code></span>
      <p class="big"><b>${withUnit(value("latency_ms", target), "milliseconds")}</b><${Spark} resource=${detail.id} metric="latency_ms" instance=${target} /></p>
      <span class="muted">${percent(value("latency_loss_percent", target))} lost</span></li>`)}</ul>`}
    ${asked.size === 0 && html`<p class="muted small">No latency target: there is no default gateway, and none is configured.</p>`}
    ${list.length > 0 && html`<div class="panel flush"><h3>Interfaces</h3>
      <${Table} label="Network interfaces" head=${["Interface", "Link", { name: "Receive", right: true }, "", { name: "Send", right: true }, "", { name: "Errors", right: true }, { name: "Drops", right: true }, { name: "Speed", right: true }]}>
        ${list.map((nic) => html`<tr key=${nic.name}>
          <th scope="row"><code>${nic.name}</code>${nic.default_route && html` <span class="muted">default route</span>`}</th>
          <td class=${nic.operational_state === "down" && nic.physical ? "held" : "muted"}>${nic.operational_state || NONE}</td>
          <td class="right">${rate("network_receive_bytes_per_second", nic.name)}</td><td class="spark-cell">${value("network_receive_bytes_per_second", nic.name) !== null && html`<${Spark} resource=${detail.id} metric="network_receive_bytes_per_second" instance=${nic.name} />`}</td>
          <td class="right">${rate("network_transmit_bytes_per_second", nic.name)}</td><td class="spark-cell">${value("network_transmit_bytes_per_second", nic.name) !== null && html`<${Spark} resource=${detail.id} metric="network_transmit_bytes_per_second" instance=${nic.name} />`}</td>
          <td class="right">${both("errors", nic.name)}</td><td class="right">${both("drops", nic.name)}</td>
          <td class="right muted">${rate("network_speed_bytes_per_second", nic.name)}</td>
        </tr>`)}
      <//>
      ${idle.length > 0 && html`<p class="muted small table-note">Down, with nothing behind them: ${idle.slice(0, IDLE_NAMED).map((nic) => nic.name).join(", ")}${idle.length > IDLE_NAMED && ` and ${idle.length - IDLE_NAMED} more`}</p>`}</div>`}
  <//>`;
}
