// Canned answers of a hub, in the wire's own shape (version 1), for the mock hub.
//
// Each scenario is made at a given time, so that ages come out the same in every run.

/** @param {number} ms */
const iso = (ms) => new Date(ms).toISOString();
const GIB = 1024 ** 3;

const UNITS = /** @type {[RegExp, string][]} */ ([
  [/_bytes_per_second$/, "bytes_per_second"], [/_per_second$/, "per_second"], [/_percent$/, "percent"], [/_bytes$/, "bytes"], [/_seconds$/, "seconds"],
  [/_ms$/, "milliseconds"], [/_celsius$/, "celsius"], [/_watts$/, "watts"], [/_megahertz$/, "megahertz"], [/(_up|_read_only|_synchronised|_pending)$/, "boolean"],
]);

/** @param {string} metric */
export const unitOf = (metric) => UNITS.find(([pattern]) => pattern.test(metric))?.[1] ?? "count";

/** @param {Record<string, number>} values @param {string} [instance] @returns {Wire.ReadingView[]} */
const readings = (values, instance = "") => Object.entries(values).map(([metric, value]) => ({ metric, instance, value, unit: unitOf(metric) }));

/** @param {number} cpu @param {number} memoryPercent @param {number} memoryBytes */
const hostReadings = (cpu, memoryPercent, memoryBytes) => readings({
  cpu_used_percent: cpu, cpu_user_percent: cpu * 0.78, cpu_system_percent: cpu * 0.19, cpu_iowait_percent: 0.4, cpu_busiest_core_percent: Math.min(100, cpu * 2.4),
  load_1m: cpu / 9, load_5m: cpu / 11, load_15m: cpu / 12, context_switches_per_second: 18_400, pressure_cpu_some_percent: 1.3, pressure_memory_some_percent: 0,
  pressure_io_some_percent: 4.6, memory_total_bytes: memoryBytes, memory_available_bytes: memoryBytes * (1 - memoryPercent / 100), memory_used_percent: memoryPercent,
  memory_cached_bytes: memoryBytes * 0.31, memory_dirty_bytes: 18 * 1024 ** 2, swap_total_bytes: 0, oom_kills_total: 0, file_handles: 14_208, file_handles_used_percent: 0.2,
  uptime_seconds: 1_039_211, processes: 412, processes_blocked: 0, processes_zombie: 0, tcp_established: 41, tcp_retransmits_per_second: 0.2,
});

/** @param {string} name @param {number} weight @param {number} effective @param {number | null} points @param {string} note @returns {Wire.Contribution} */
const part = (name, weight, effective, points, note) => ({
  component: name, nominal_weight: weight, weight: effective, points, contribution: points === null ? 0 : Math.round(effective * points) / 100, note,
});

/** @param {Partial<Wire.Check> & { check: string }} check @param {number} at @returns {Wire.Check} */
const check = (check, at) => ({
  instance: "", component: "system", status: "healthy", points: 100, message: "as it should be", evidence: [], advice: null, since: iso(at - 8 * 3_600_000), at: iso(at - 2000),
  took_ms: 1.4, hard: true, ...check,
});

/** @param {string} probe @param {number} at @param {number} took_ms @param {string} [outcome] @param {string | null} [message] @returns {Wire.ProbeView} */
const probe = (probe, at, took_ms, outcome = "answered", message = null) => ({ probe, outcome, message, at: iso(at - 2000), took_ms });

/** @param {number} at @param {string} [dir] @returns {Wire.HubStatus} */
export function hubStatus(at, dir = "/home/sam/.local/state/sickbay") {
  return {
    version: "0.1.0", pid: 41_207, started_at: iso(at - 187_000_000), uptime_seconds: 187_000, data_dir: dir, config_file: null, config_error: null, ready: true, not_ready_reasons: [],
    tasks: ["scheduler", "server", "store", "config"].map((name) => ({ name, state: "running", restarts: 0, last_error: null })),
    store: { status: "healthy", message: "What comes in is kept.", file_bytes: 48_300_000, queued: 0, dropped: 0, samples: 12_480_512, history_bytes: 17_910_000 },
    schedule: { targets: 1, started_total: 18_204, skipped_total: 0, lag_ms: 0.6 },
    cost: { cpu_seconds_total: 402, cpu_percent: 0.21, resident_bytes: 19_300_000, children_resident_bytes: 5_200_000, open_files: 31 },
  };
}

/** @param {Wire.ResourceDetail[]} details @param {number} at @returns {Wire.StatusReport} */
export function statusOf(details, at) {
  const nodes = details.filter((detail) => detail.kind === "node");
  const score = nodes.length > 0 ? nodes.reduce((sum, node) => sum + (node.score ?? 0), 0) / nodes.length : null;
  return {
    system: { score, level: score === null ? "unknown" : score >= 80 ? "healthy" : score >= 60 ? "degraded" : "unhealthy", parts: [{ name: "node_availability", nominal_weight: 40, weight: 53.3, points: score, contribution: (score ?? 0) * 0.533, note: "" }] },
    resources: details.map(({ score_card, readiness, checks, readings, inventory, processes, probes, children, interval_seconds, active, ...summary }) => summary),
    level_counts: {}, hub: hubStatus(at),
  };
}

/** @param {number} at @returns {Wire.EventView[]} newest first */
const events = (at, node = "node/ada") => [
  { id: 41, at: iso(at - 840_000), kind: "READINESS_CHANGED", resource: node, message: "Ready for work.", details: {} },
  { id: 40, at: iso(at - 845_000), kind: "HEALTH_CHECK_PASSED", resource: node, message: "latency_ready: median round trip 0.6 ms to 192.168.1.1", details: {} },
  { id: 39, at: iso(at - 1_740_000), kind: "HEALTH_CHECK_FAILED", resource: node, message: "latency_ready: 192.168.1.1 did not answer 3 of 5 probes", details: { to: "degraded" } },
  { id: 38, at: iso(at - 187_000_000), kind: "HUB_STARTED", resource: null, message: "Sickbay 0.1.0 started.", details: {} },
];

/** @typedef {{ details: Wire.ResourceDetail[], events: Wire.EventView[], status?: Partial<Wire.StatusReport> }} Scenario */

/** A laptop without a GPU, all well. @param {number} at @returns {Scenario} */
export function laptop(at) {
  const checks = [
    ["cpu_use", "CPU 14 % used over 5 min"], ["memory_use", "48 % used, 8.1 GiB available"], ["memory_pressure", "no stalls"], ["filesystem_space", "61 % used, 176 GiB free"],
    ["filesystem_inodes", "4 % used"], ["file_handles", "0.2 % used"], ["temperature", "hottest sensor 52 °C of 100 °C"], ["latency", "0.6 ms to 192.168.1.1"], ["interface_errors", "none on wlp2s0"],
    ["link", "wlp2s0 is up"], ["stuck_processes", "none"], ["zombies", "none"],
  ].map(([name, message]) => check({ check: name ?? "", message: message ?? "", component: /latency|interface|link/.test(name ?? "") ? "network" : /process|zombie/.test(name ?? "") ? "process" : "system" }, at));
  const detail = /** @type {Wire.ResourceDetail} */ ({
    id: "node/ada", kind: "node", display_name: "ada", parent: null, labels: {}, level: "healthy", since: iso(at - 26 * 3_600_000), score: 98.4, ready: true, finding_count: 0,
    headline: "All 12 checks are well.", last_check: iso(at - 2000), stale: null,
    score_card: { score: 98.4, level: "healthy", uncapped: 98.4, caps: [], unknown_reason: null, contributions: [
      part("gpu", 40, 0, null, "no GPU was found"), part("system", 30, 50, 97.2, "filesystem / has the least margin"), part("network", 20, 33.3, 99.4, "0.6 ms to the gateway"), part("process", 10, 16.7, 100, "nothing is stuck"),
    ] },
    readiness: { ready: true, pass_rate_percent: 100, required_percent: 90, checks: [
      { check: "reachable", outcome: "passed", message: "this machine" }, { check: "gpu_available", outcome: "not_applicable", message: "never had a GPU" },
      { check: "torch_ready", outcome: "not_applicable", message: "no interpreter has torch" }, { check: "disk_ready", outcome: "passed", message: "176 GiB free on /" },
      { check: "latency_ready", outcome: "passed", message: "0.6 ms to 192.168.1.1, 100 ms allowed" },
    ] },
    checks,
    readings: [
      ...hostReadings(14.2, 48.1, 15.6 * GIB),
      ...readings({ filesystem_size_bytes: 476 * GIB, filesystem_free_bytes: 176 * GIB, filesystem_used_percent: 61, filesystem_inodes_used_percent: 4 }, "/"),
      ...readings({ filesystem_size_bytes: 1 * GIB, filesystem_free_bytes: 0.7 * GIB, filesystem_used_percent: 28, filesystem_inodes_used_percent: 0.1 }, "/boot"),
      ...readings({ disk_read_bytes_per_second: 1_310_720, disk_write_bytes_per_second: 420_000, disk_busy_percent: 2.1, disk_latency_ms: 0.22 }, "nvme0n1"),
      ...readings({ network_receive_bytes_per_second: 184_000, network_transmit_bytes_per_second: 22_400, network_receive_errors_per_second: 0, network_receive_drops_per_second: 0, network_link_up: 1 }, "wlp2s0"),
      ...readings({ latency_ms: 0.61, latency_loss_percent: 0 }, "192.168.1.1"),
      ...readings({ temperature_celsius: 52, temperature_critical_celsius: 100 }, "coretemp/Package id 0"), ...readings({ temperature_celsius: 39, temperature_critical_celsius: 84 }, "nvme/Composite"),
    ],
    inventory: {
      hostname: "ada", os: "Debian GNU/Linux 12 (bookworm)", kernel: "6.1.0-28-amd64", architecture: "x86_64", cpu_model: "AMD Ryzen 7 PRO 6850U", cpu_count: 16, memory_bytes: 15.6 * GIB,
      boot_id: "b6f0", virtualization: "", gpus: [],
      filesystems: [{ mount_point: "/", kind: "ext4", source: "/dev/nvme0n1p2", remote: false, read_only: false, unanswered: null }, { mount_point: "/boot", kind: "ext4", source: "/dev/nvme0n1p1", remote: false, read_only: false, unanswered: null }],
      disks: [{ name: "nvme0n1", model: "SAMSUNG MZVL2512HCJQ", size_bytes: 512_110_190_592, rotational: false }],
      interfaces: [{ name: "wlp2s0", operational_state: "up", physical: true, default_route: true }, { name: "docker0", operational_state: "down", physical: false, default_route: false }],
    },
    processes: { training: [], blocked: [], zombies: [], missing_patterns: [], top: [
      proc(2211, "firefox", "/usr/lib/firefox/firefox", 8.2, 1.4 * GIB), proc(3120, "rust-analyzer", "rust-analyzer --log-file /tmp/ra.log", 4.1, 1.1 * GIB), proc(991, "gnome-shell", "/usr/bin/gnome-shell", 1.8, 0.4 * GIB),
    ] },
    probes: [probe("cpu", at, 0.1), probe("memory", at, 0.1), probe("filesystem", at, 0.9), probe("network", at, 0.2), probe("latency", at, 3.1), probe("nvidia", at, 0.2, "not_applicable", "no NVIDIA driver is loaded"), probe("torch", at, 41, "not_applicable", "no interpreter has torch")],
    children: [], interval_seconds: 5, active: false,
  });
  return { details: [detail], events: events(at) };
}

/** @param {number} pid @param {string} name @param {string} command @param {number} cpu @param {number} resident @param {Partial<Wire.ProcessView>} [more] @returns {Wire.ProcessView} */
const proc = (pid, name, command, cpu, resident, more = {}) => ({ pid, name, command, state: "S", cpu_percent: cpu, resident_bytes: resident, gpus: [], gpu_memory_bytes: 0, matched: null, ...more });

/** Eight GPUs in a training run, one of them in trouble. @param {number} at @returns {Scenario} */
export function gpuNode(at) {
  const node = /** @type {Wire.ResourceDetail} */ (JSON.parse(JSON.stringify(laptop(at).details[0])));
  const name = "gpu-07";
  const uuid = (/** @type {number} */ index) => `GPU-5b1c7a2e-93d4-11ee-8c51-0242ac1200${10 + index}`;
  const busy = [97, 98, 96, 98, 97, 0, 98, 97];
  const heat = [63, 66, 61, 88, 64, 41, 67, 62];
  const watts = [642, 655, 630, 512, 648, 71, 660, 639];
  node.id = `node/${name}`;
  node.display_name = name;
  node.level = "unhealthy";
  node.since = iso(at - 14 * 60_000);
  node.score = 59;
  node.ready = false;
  node.active = true;
  node.finding_count = 3;
  node.headline = "GPU 5 holds 76.1 GiB for a training process but has not worked for 14 minutes.";
  node.score_card = { score: 59, level: "unhealthy", uncapped: 81.7, unknown_reason: null, contributions: [
    part("gpu", 40, 40, 64.5, "GPU 5 stalled, GPU 3 is held back by heat"), part("system", 30, 30, 92.1, "/scratch is 87 % full"), part("network", 20, 20, 99, "0.2 ms to the gateway"), part("process", 10, 10, 85, "1 process in uninterruptible sleep"),
  ], caps: [{ limit: 59, check: "gpu_stalled", instance: "5", status: "unhealthy" }, { limit: 79, check: "gpu_temperature", instance: "3", status: "degraded" }, { limit: 79, check: "filesystem_space", instance: "/scratch", status: "degraded" }] };
  node.incidents = [{
    rule: "gpu-overheated", title: "GPU 3 is too hot", since: iso(at - 15 * 60_000), advice: "check fans, air flow and the room",
    root: { check: "gpu_temperature", instance: "3" }, evidence: [{ check: "gpu_stalled", instance: "5" }],
  }];
  node.readiness = { ready: false, pass_rate_percent: 80, required_percent: 90, checks: [
    { check: "reachable", outcome: "passed", message: "this machine" }, { check: "gpu_available", outcome: "passed", message: "8 of 8 GPUs answer" },
    { check: "torch_ready", outcome: "failed", message: "import torch did not finish within 30 s" }, { check: "disk_ready", outcome: "passed", message: "1.9 TiB free on /scratch" },
    { check: "latency_ready", outcome: "passed", message: "0.2 ms to 10.4.0.1, 100 ms allowed" },
  ] };
  const since = iso(at - 14 * 60_000);
  node.checks = [
    check({ check: "gpu_stalled", instance: "5", component: "gpu", status: "unhealthy", points: 20, message: "GPU 5 holds 76.1 GiB for a training process but has not worked for 14 minutes", since,
      evidence: [{ what: "utilisation", value: "0 %", threshold: "> 1 %" }, { what: "power", value: "71 W", threshold: null }, { what: "process", value: "pid 88213 python", threshold: null }],
      advice: "Look at rank 5 first: `py-spy dump --pid 88213` shows where it waits. The other seven wait for it in a collective." }, at),
    check({ check: "gpu_temperature", instance: "3", component: "gpu", status: "degraded", points: 55, message: "GPU 3 is 88 °C and slows itself down", since: iso(at - 52 * 60_000),
      evidence: [{ what: "temperature", value: "88 °C", threshold: "≤ 85 °C" }, { what: "clock", value: "1 320 MHz", threshold: "of 1 980 MHz" }],
      advice: "Check the fan tray and the air filter of the slot; its neighbours are 20 °C cooler." }, at),
    check({ check: "filesystem_space", instance: "/scratch", status: "degraded", points: 61, message: "/scratch is 87 % full, 1.9 TiB left", since: iso(at - 3 * 3_600_000), hard: false,
      evidence: [{ what: "used", value: "87 %", threshold: "< 85 %" }], advice: "Old checkpoints are the usual cause; clean up, or move them to the archive." }, at),
    ...node.checks, ...[0, 1, 2, 4, 6, 7].map((index) => check({ check: "gpu_temperature", instance: String(index), component: "gpu", message: `${heat[index]} °C` }, at)),
  ];
  const total = 80 * GIB;
  node.readings = [
    ...hostReadings(31.4, 42.2, 2015 * GIB),
    ...readings({ filesystem_size_bytes: 879 * GIB, filesystem_free_bytes: 611 * GIB, filesystem_used_percent: 27, filesystem_inodes_used_percent: 3 }, "/"),
    ...readings({ filesystem_size_bytes: 14.5 * 1024 * GIB, filesystem_free_bytes: 1.9 * 1024 * GIB, filesystem_used_percent: 87, filesystem_inodes_used_percent: 11 }, "/scratch"),
    ...["nvme0n1", "nvme1n1", "nvme2n1"].flatMap((disk, index) => readings({ disk_read_bytes_per_second: 1_210_720_000 / (index + 1), disk_write_bytes_per_second: 42_000_000 * index, disk_busy_percent: 41 - index * 12, disk_latency_ms: 0.31 }, disk)),
    ...["eno1", "ib0", "ib1"].flatMap((nic, index) => readings({ network_receive_bytes_per_second: index ? 18_400_000_000 : 240_000, network_transmit_bytes_per_second: index ? 18_100_000_000 : 91_000, network_receive_errors_per_second: 0, network_receive_drops_per_second: 0, network_link_up: 1, network_speed_bytes_per_second: index ? 50e9 : 1.25e9 }, nic)),
    ...readings({ latency_ms: 0.21, latency_loss_percent: 0 }, "10.4.0.1"), ...readings({ latency_ms: 0.34, latency_loss_percent: 0 }, "storage-1"),
    ...readings({ temperature_celsius: 71, temperature_critical_celsius: 100 }, "k10temp/Tctl"),
    ...busy.flatMap((use, index) => readings({
      gpu_utilization_percent: use, gpu_memory_total_bytes: total, gpu_memory_used_bytes: 76.1 * GIB, gpu_memory_used_percent: 95.1, gpu_temperature_celsius: heat[index] ?? 0, gpu_temperature_slowdown_celsius: 87,
      gpu_power_watts: watts[index] ?? 0, gpu_power_limit_watts: 700, gpu_clock_megahertz: index === 3 ? 1320 : index === 5 ? 345 : 1980, gpu_clock_max_megahertz: 1980,
      gpu_throttle_reasons_mask: index === 3 ? 0x24 : index === 5 ? 1 : index % 3 === 0 ? 4 : 0, gpu_processes: 1, gpu_ecc_uncorrected_volatile_total: 0, gpu_ecc_corrected_volatile_total: index === 3 ? 14 : 0,
    }, String(index))),
  ];
  node.inventory = { ...(node.inventory ?? /** @type {any} */ ({})), hostname: name, os: "Ubuntu 24.04.1 LTS", kernel: "6.8.0-49-generic", cpu_model: "AMD EPYC 9654 96-Core Processor", cpu_count: 384, memory_bytes: 2015 * GIB,
    gpus: busy.map((_, index) => ({ index, vendor: "nvidia", model: "NVIDIA H100 80GB HBM3", uuid: uuid(index), pci_address: `0000:${(0x1b + index * 0x12).toString(16)}:00.0`, driver_version: "560.35.03", memory_bytes: total })),
    filesystems: [{ mount_point: "/", kind: "ext4", source: "/dev/md0", remote: false, read_only: false, unanswered: null }, { mount_point: "/scratch", kind: "xfs", source: "/dev/md1", remote: false, read_only: false, unanswered: null },
      { mount_point: "/home", kind: "nfs4", source: "storage-1:/home", remote: true, read_only: false, unanswered: "no answer for 5 s" }],
    disks: ["nvme0n1", "nvme1n1", "nvme2n1"].map((disk) => ({ name: disk, model: "SAMSUNG MZQL27T6HBLA", size_bytes: 7_681_501_126_656, rotational: false })),
    interfaces: [{ name: "eno1", operational_state: "up", physical: true, default_route: true }, { name: "ib0", operational_state: "up", physical: true, default_route: false }, { name: "ib1", operational_state: "up", physical: true, default_route: false }, { name: "docker0", operational_state: "down", physical: false, default_route: false }],
  };
  node.processes = { missing_patterns: [], zombies: [],
    training: busy.map((_, index) => proc(88_208 + index, "python", `python -m torch.distributed.run --nproc-per-node 8 train.py --config configs/llama-8b.yaml --rank ${index}`, index === 5 ? 0.1 : 104 + index, 41 * GIB, { gpus: [index], gpu_memory_bytes: 76.1 * GIB, state: index === 5 ? "S" : "R" })),
    blocked: [proc(91_002, "ls", "ls /home/sam", 0, 2_100_000, { state: "D" })],
    top: [proc(88_208, "python", "python -m torch.distributed.run --rank 0", 104, 41 * GIB), proc(1201, "dcgm-exporter", "/usr/bin/dcgm-exporter -f /etc/dcgm", 1.2, 0.1 * GIB)] };
  node.children = busy.map((_, index) => `gpu/${name}/${index}`);
  node.probes = [...node.probes.filter((one) => one.probe !== "nvidia" && one.probe !== "torch"), probe("nvidia", at, 31), probe("remote_filesystem", at, 5000, "late", "/home did not answer within 5 s; its child is stuck and is not started again"), probe("torch", at, 30_000, "late", "import torch did not finish within 30 s")];
  const gpus = busy.map((_, index) => {
    const level = index === 5 ? "unhealthy" : index === 3 ? "degraded" : "healthy";
    const points = index === 5 ? 20 : index === 3 ? 55 : 100;
    return /** @type {Wire.ResourceDetail} */ ({
      id: `gpu/${name}/${index}`, kind: "gpu", display_name: `${name} GPU ${index}`, parent: node.id, labels: {}, level, since, score: index === 5 ? 20 : index === 3 ? 55 : 100, ready: null,
      finding_count: level === "healthy" ? 0 : 1, headline: node.checks.find((one) => one.component === "gpu" && one.instance === String(index))?.message ?? "", last_check: node.last_check, stale: null,
      score_card: { score: points, level, uncapped: points, contributions: [part("gpu", 100, 100, points, "temperature, clocks, errors")], caps: [], unknown_reason: null }, readiness: null,
      checks: node.checks.filter((one) => one.component === "gpu" && one.instance === String(index)), readings: [], inventory: null, processes: null, probes: [], children: [], interval_seconds: 5, active: true,
    });
  });
  return { details: [node, ...gpus], events: [
    { id: 412, at: iso(at - 14 * 60_000), kind: "LEVEL_CHANGED", resource: node.id, message: "gpu-07 went from degraded to unhealthy: GPU 5 has not worked for 60 s.", details: { from: "degraded", to: "unhealthy" } },
    { id: 411, at: iso(at - 14 * 60_000 - 400), kind: "HEALTH_CHECK_FAILED", resource: `gpu/${name}/5`, message: "gpu_stalled 5: holds 76.1 GiB but has not worked for 60 s", details: { to: "unhealthy" } },
    { id: 410, at: iso(at - 21 * 60_000), kind: "READINESS_CHANGED", resource: node.id, message: "No longer ready for work: torch_ready failed.", details: {} },
    { id: 409, at: iso(at - 52 * 60_000), kind: "LEVEL_CHANGED", resource: node.id, message: "gpu-07 went from healthy to degraded: GPU 3 is 86 °C.", details: { from: "healthy", to: "degraded" } },
    { id: 408, at: iso(at - 52 * 60_000 - 300), kind: "HEALTH_CHECK_FAILED", resource: `gpu/${name}/3`, message: "gpu_temperature 3: 86 °C, slows itself down", details: { to: "degraded" } },
    { id: 407, at: iso(at - 5 * 3_600_000), kind: "JOB_STARTED", resource: node.id, message: "Training started: python (pid 88208) on GPUs 0–7.", details: {} },
    ...events(at, node.id),
  ] };
}

/** A machine that was never collected, and one whose last collection is long ago. @param {number} at @returns {Scenario} */
export function unknownNode(at) {
  const detail = /** @type {Wire.ResourceDetail} */ (laptop(at).details[0]);
  return { details: [{ ...detail, level: "unknown", score: null, ready: false, last_check: null, stale: "not collected yet", headline: "Not collected yet.", finding_count: 0, checks: [], readings: [], probes: [], inventory: null, processes: null,
    score_card: { score: null, level: "unknown", uncapped: 0, contributions: [], caps: [], unknown_reason: "the first collection is under way" }, readiness: { ready: false, pass_rate_percent: 0, required_percent: 90, checks: [] } }], events: [] };
}

/** @param {number} at @returns {Scenario} */
export function staleNode(at) {
  const made = laptop(at);
  const detail = /** @type {Wire.ResourceDetail} */ (made.details[0]);
  return { ...made, details: [{ ...detail, last_check: iso(at - 3_600_000), stale: "restored after a restart; the first collection is under way" }] };
}

/** Three machines. @param {number} at @returns {Scenario} */
export function fleet(at) {
  const one = gpuNode(at);
  const two = laptop(at);
  const three = unknownNode(at);
  const third = /** @type {Wire.ResourceDetail} */ (three.details[0]);
  return { details: [...one.details, ...two.details, { ...third, id: "node/gpu-08", display_name: "gpu-08" }], events: one.events };
}

/** @type {Record<string, (at: number) => Scenario>} */
export const scenarios = { laptop, gpuNode, unknownNode, staleNode, fleet };
