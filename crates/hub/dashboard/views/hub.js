// The hub itself: what it costs, whether it keeps what it sees, how the last collection went.

import { html } from "../lib.js";
import { bytes, milliseconds, number, percent, plural, span } from "../format.js";
import { Age, Facts, Level, Section, Table } from "../parts/basics.js";
import { Icon } from "../parts/icon.js";
import { hub, now } from "../state.js";

/** @param {{ detail?: Wire.ResourceDetail | null }} props */
export function Hub({ detail = null }) {
  const status = hub.value;
  if (!status) return null;
  const { store, cost, schedule, tasks } = status;
  const troubled = tasks.filter((task) => task.state === "restarting" || task.state === "failed");
  const restarts = tasks.reduce((sum, task) => sum + task.restarts, 0);
  const perSample = store.samples > 0 ? store.history_bytes / store.samples : null;
  const uptime = Math.max(0, (now.value - Date.parse(status.started_at)) / 1000);
  return html`<${Section} id="hub" title="The monitor itself" aside=${html`<span class="muted">Sickbay ${status.version}</span>`}>
    ${!status.ready && html`<p class="note" data-level="degraded"><${Icon} name="degraded" /><span>Not ready: ${status.not_ready_reasons.join("; ") || "starting"}.</span></p>`}
    ${status.config_error && html`<p class="note" data-level="degraded"><${Icon} name="degraded" /><span>The newest configuration was refused, the one before stays in force: ${status.config_error}</span></p>`}
    <div class="columns">
      <div class="panel"><h3>Cost</h3><${Facts} rows=${[
        ["CPU since start", html`${percent(cost.cpu_percent)} <span class="muted">of one core</span>`],
        ["Memory", bytes(cost.resident_bytes)], ["Memory of probes", bytes(cost.children_resident_bytes)],
        ["Open files", number(cost.open_files)], ["Running for", span(uptime)], ["Process id", String(status.pid)],
      ]} /></div>
      <div class="panel"><h3>Store</h3>
        <p class="store-line"><${Level} level=${store.status} /><span class="muted">${store.message}</span></p>
        <${Facts} rows=${[
          ["On disk", bytes(store.file_bytes)],
          ["Readings kept raw", html`${number(store.samples)}${perSample !== null && html` <span class="muted">${perSample.toFixed(2)} B each</span>`}`],
          ["Waiting / given up", `${number(store.queued)} / ${number(store.dropped)}`],
          ["Folder", html`<code class="break">${status.data_dir}</code>`],
        ]} /></div>
      <div class="panel"><h3>Work</h3><${Facts} rows=${[
        ["Watched", plural(schedule.targets, "target")], ["Collections", number(schedule.started_total)],
        ["Skipped, last one still ran", number(schedule.skipped_total)], ["Behind schedule", milliseconds(schedule.lag_ms)],
        ["Tasks", troubled.length > 0 ? html`<span class="held">${troubled.map((task) => `${task.name} ${task.state}`).join(", ")}</span>`
          : `${tasks.length} run${restarts > 0 ? `, ${plural(restarts, "restart")}` : ""}`],
        ["Configuration", status.config_file ? html`<code class="break">${status.config_file}</code>` : "defaults"],
      ]} /></div>
    </div>
    ${detail && detail.probes.length > 0 && html`<details class="all-checks"><summary>How the last collection went: ${plural(detail.probes.length, "probe")}</summary>
      <${Table} label="Probes" head=${["Probe", "Outcome", { name: "Why", wide: true }, { name: "Took", right: true }, { name: "When", right: true }]}>
        ${detail.probes.map((probe) => html`<tr key=${probe.probe}><th scope="row"><code>${probe.probe}</code></th>
          <td class=${probe.outcome === "answered" || probe.outcome === "not_applicable" ? "muted" : "held"}>${probe.outcome.replaceAll("_", " ")}</td>
          <td class="wide muted">${probe.message}</td><td class="right">${milliseconds(probe.took_ms)}</td><td class="right muted"><${Age} at=${probe.at} /></td></tr>`)}
      <//></details>`}
  <//>`;
}
