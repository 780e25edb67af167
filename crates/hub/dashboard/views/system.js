// CPU, memory, pressure, temperatures, filesystems, disks.

import { html } from "../lib.js";
import { NONE, bytes, percent, plural, withUnit } from "../format.js";
import { Facts, Meter, Section, Table } from "../parts/basics.js";
import { Spark } from "../parts/spark.js";

/** Sensors shown; the hottest relative to their own limit come first. */
const SENSOR_LIMIT = 6;

/** @typedef {{ detail: Wire.ResourceDetail, readings: import("../state.js").Readings }} Props */

/** @param {Props} props */
export function System({ detail, readings }) {
  return html`<${Section} id="system" title="System">
    <div class="columns">
      <${Cpu} detail=${detail} readings=${readings} />
      <${Memory} detail=${detail} readings=${readings} />
      <${Pressure} detail=${detail} readings=${readings} />
    </div>
    <${Filesystems} detail=${detail} readings=${readings} />
    <${Disks} detail=${detail} readings=${readings} />
  <//>`;
}

/** @param {Props} props */
function Cpu({ detail, readings: { value } }) {
  return html`<div class="panel"><h3>CPU</h3>
    <p class="big"><b>${percent(value("cpu_used_percent"))}</b><${Spark} resource=${detail.id} metric="cpu_used_percent" max=${100} /></p>
    <${Facts} rows=${[
      ["User / kernel", `${percent(value("cpu_user_percent"))} / ${percent(value("cpu_system_percent"))}`],
      ["Waiting for I/O", percent(value("cpu_iowait_percent"))],
      value("cpu_steal_percent") ? ["Taken by the hypervisor", percent(value("cpu_steal_percent"))] : null,
      ["Busiest core", percent(value("cpu_busiest_core_percent"))],
      ["Load 1 / 5 / 15 min", ["load_1m", "load_5m", "load_15m"].map((name) => load(value(name))).join(" / ")],
    ]} />
  </div>`;
}

/** @param {number | null} value */
const load = (value) => (value === null ? NONE : value.toFixed(value >= 100 ? 0 : 2));

/** @param {Props} props */
function Memory({ detail, readings: { value } }) {
  const swap = value("swap_total_bytes");
  return html`<div class="panel"><h3>Memory</h3>
    <p class="big"><b>${percent(value("memory_used_percent"))}</b><${Spark} resource=${detail.id} metric="memory_used_percent" max=${100} /></p>
    <${Facts} rows=${[
      ["Available", `${bytes(value("memory_available_bytes"))} of ${bytes(value("memory_total_bytes"))}`],
      ["Cached", bytes(value("memory_cached_bytes"))],
      ["Waiting for disk", bytes(value("memory_dirty_bytes"))],
      swap ? ["Swap", `${percent(value("swap_used_percent"))} of ${bytes(swap)}`] : ["Swap", swap === 0 ? "none" : NONE],
      ["Killed for lack of memory", withUnit(value("oom_kills_total"), "count")],
    ]} />
  </div>`;
}

/** @param {Props} props */
function Pressure({ detail, readings }) {
  const { value } = readings;
  const rows = /** @type {[string, string][]} */ ([
    ["CPU", "pressure_cpu_some_percent"],
    ["Memory", "pressure_memory_some_percent"],
    ["I/O", "pressure_io_some_percent"],
  ]);
  const known = rows.some(([, metric]) => value(metric) !== null);
  const sensors = readings.instances("temperature_celsius")
    .map((sensor) => ({ sensor, at: value("temperature_celsius", sensor), limit: value("temperature_critical_celsius", sensor) }))
    .sort((a, b) => (b.at ?? 0) / (b.limit ?? 110) - (a.at ?? 0) / (a.limit ?? 110));
  return html`<div class="panel"><h3>Pressure and heat</h3>
    ${known ? html`<dl class="meters">${rows.map(([name, metric]) => html`<div key=${metric}><dt>${name} stalls</dt>
      <dd><${Meter} value=${value(metric)} label=${`${name} stalls`} /><span class="figure">${percent(value(metric))}</span></dd></div>`)}</dl>`
      : html`<p class="muted small">The kernel does not tell pressure stalls.</p>`}
    <${Facts} rows=${[
      ["File handles", `${withUnit(value("file_handles"), "count")} (${percent(value("file_handles_used_percent"))})`],
      ...sensors.slice(0, SENSOR_LIMIT).map(({ sensor, at, limit }) => /** @type {[string, any]} */ ([sensor, html`${withUnit(at, "celsius")}${limit !== null && html` <span class="muted">of ${withUnit(limit, "celsius")}</span>`}`])),
    ]} />
    ${sensors.length === 0 && html`<p class="muted small">No temperature sensor.</p>`}
    ${sensors.length > SENSOR_LIMIT && html`<p class="muted small">${plural(sensors.length - SENSOR_LIMIT, "cooler sensor")} more, in the history.</p>`}
  </div>`;
}

/** @param {Props} props */
function Filesystems({ detail, readings: { value } }) {
  const list = detail.inventory?.filesystems ?? [];
  if (list.length === 0) return null;
  return html`<div class="panel flush"><h3>Filesystems</h3>
    <${Table} label="Filesystems" head=${["Mount point", "Used", { name: "", right: true }, { name: "Free", right: true }, { name: "Size", right: true }, { name: "Inodes", right: true }, "Kind"]}>
      ${list.map((fs) => {
        const used = value("filesystem_used_percent", fs.mount_point);
        return html`<tr key=${fs.mount_point}>
          <th scope="row"><code>${fs.mount_point}</code></th>
          ${fs.unanswered
            ? html`<td colspan="5" class="unanswered">does not answer: ${fs.unanswered}</td>`
            : html`<td class="meter-cell"><${Meter} value=${used} label="Used" status=${detail.checks.find((check) => check.instance === fs.mount_point && check.component === "system")?.status} /></td>
              <td class="right">${percent(used)}</td><td class="right">${bytes(value("filesystem_free_bytes", fs.mount_point))}</td>
              <td class="right muted">${bytes(value("filesystem_size_bytes", fs.mount_point))}</td>
              <td class="right muted">${percent(value("filesystem_inodes_used_percent", fs.mount_point))}</td>`}
          <td class="muted">${fs.kind}${fs.remote && ", network"}${fs.read_only && ", read-only"}</td>
        </tr>`;
      })}
    <//></div>`;
}

/** @param {Props} props */
function Disks({ detail, readings: { value } }) {
  const list = detail.inventory?.disks ?? [];
  if (list.length === 0) return null;
  return html`<div class="panel flush"><h3>Disks</h3>
    <${Table} label="Disks" head=${["Disk", "Busy", { name: "", right: true }, { name: "Read", right: true }, { name: "Write", right: true }, { name: "Latency", right: true }, { name: "Size", right: true }, "Model"]}>
      ${list.map((disk) => html`<tr key=${disk.name}>
        <th scope="row"><code>${disk.name}</code></th>
        <td class="meter-cell"><${Meter} value=${value("disk_busy_percent", disk.name)} label="Busy" /></td>
        <td class="right">${percent(value("disk_busy_percent", disk.name))}</td>
        <td class="right">${withUnit(value("disk_read_bytes_per_second", disk.name), "bytes_per_second")}</td>
        <td class="right">${withUnit(value("disk_write_bytes_per_second", disk.name), "bytes_per_second")}</td>
        <td class="right">${withUnit(value("disk_latency_ms", disk.name), "milliseconds")}</td>
        <td class="right muted">${bytes(disk.size_bytes)}</td>
        <td class="muted">${[disk.model, disk.rotational && "spinning"].filter(Boolean).join(", ") || NONE}</td>
      </tr>`)}
    <//></div>`;
}
