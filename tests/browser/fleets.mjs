// Made-up fleets of any size for the mock hub: racks of 32, mixed levels, open breakers; the same in every run.

import { gpuNode, laptop } from "./scenarios.mjs";

/** @param {number} ms */
const iso = (ms) => new Date(ms).toISOString();
const NODES_PER_RACK = 32;

/** Repeatable chance. @param {number} seed @returns {() => number} */
export function dice(seed) {
  let state = seed >>> 0 || 1;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** @type {Record<string, string[]>} */
const HEADLINES = {
  healthy: ["All 23 checks are well."],
  degraded: ["GPU 3 is 88 °C and slows itself down.", "/scratch is 87 % full, 1.9 TiB left.", "4 corrected ECC errors on GPU 6 in the last hour.", "import torch takes 21 s."],
  unhealthy: ["GPU 5 holds 76.1 GiB for a training process but has not worked for 14 minutes.", "3 of 8 NVLinks of GPU 1 are down.", "Memory is 97 % used."],
  critical: ["GPU 2 has fallen off the bus (Xid 79).", "The root filesystem is read-only.", "GPU 0 has uncorrectable ECC errors."],
  unknown: ["Not reached: no route to host.", "Not reached: connection timed out after 10 s.", "Not reached: the host key has changed."],
};

/** @param {string} level @param {() => number} chance @param {number} at @returns {Partial<Wire.FleetNode>} */
export function verdict(level, chance, at) {
  const lines = HEADLINES[level] ?? [""];
  const [low, high] = { healthy: [90, 100], degraded: [60, 79], unhealthy: [40, 59], critical: [5, 39], unknown: [0, 0] }[level] ?? [0, 0];
  return {
    level, score: level === "unknown" ? null : Math.round((low + (high - low) * chance()) * 10) / 10, ready: level === "healthy" || (level === "degraded" && chance() < 0.7),
    finding_count: level === "healthy" ? 0 : 1, headline: lines[Math.floor(chance() * lines.length)] ?? "", since: iso(at - Math.floor(chance() * 40_000_000)), last_check: iso(at - Math.floor(chance() * 20_000)), stale: null,
  };
}

/** @param {number} count @param {number} at @returns {Wire.FleetNode[]} */
export function rows(count, at) {
  const chance = dice(7);
  return Array.from({ length: count }, (_, index) => {
    const rack = Math.floor(index / NODES_PER_RACK);
    // One rack is down as a whole, one is being worked on: troubles come in company.
    const down = rack === 11;
    const roll = chance();
    const level = down ? "unknown" : rack === 17 && roll < 0.5 ? "degraded" : roll < 0.012 ? "critical" : roll < 0.032 ? "unhealthy" : roll < 0.085 ? "degraded" : roll < 0.1 ? "unknown" : "healthy";
    const breaker = level === "unknown" && (down || chance() < 0.6) ? (chance() < 0.12 ? "half_open" : "open") : "closed";
    const name = `gpu-${String(index + 1).padStart(4, "0")}`;
    return /** @type {Wire.FleetNode} */ ({
      id: `node/${name}`, display_name: name, labels: { rack: `rack-${String(rack + 1).padStart(2, "0")}`, model: index % 96 < 64 ? "H100" : "MI300X", zone: rack % 2 ? "hall-b" : "hall-a" },
      parent: index % 97 === 5 ? "node/jump-1" : null, breaker, gpus: 8, active: chance() < 0.7, ...verdict(level, chance, at),
    });
  });
}

/** The line of a node of which the details are known. @param {Wire.ResourceDetail} detail @returns {Wire.FleetNode} */
export const rowOf = (detail) => ({
  id: detail.id, display_name: detail.display_name, level: detail.level, since: detail.since, score: detail.score, ready: detail.ready ?? false, finding_count: detail.finding_count, headline: detail.headline,
  last_check: detail.last_check, stale: detail.stale, labels: detail.labels, parent: detail.parent, breaker: detail.breaker?.state ?? null, gpus: detail.inventory?.gpus.length ?? 0, active: detail.active,
});

/** Details that fit a line. @param {Wire.FleetNode} row @param {number} at @returns {Wire.ResourceDetail[]} */
export function detailsOf(row, at) {
  const made = row.gpus > 0 ? gpuNode(at) : laptop(at);
  const text = JSON.stringify(made.details).replaceAll("gpu-07", row.display_name);
  const details = /** @type {Wire.ResourceDetail[]} */ (JSON.parse(text));
  const node = details[0];
  if (!node) return [];
  Object.assign(node, { id: row.id, level: row.level, since: row.since, score: row.score, headline: row.headline, last_check: row.last_check, labels: row.labels, parent: row.parent, stale: row.stale });
  node.score_card = { ...node.score_card, score: row.score, level: row.level };
  node.breaker = row.breaker === null ? null : { state: row.breaker, failures: row.breaker === "closed" ? 0 : 4, since: row.since, probe_at: row.breaker === "open" ? iso(at + 140_000) : null, last_failure: row.breaker === "closed" ? null : "no route to host 10.4.11.7 port 22" };
  return details;
}

/** @param {Wire.FleetNode[]} nodes @param {string | null} doubt @returns {Wire.FleetView} */
export function fleetView(nodes, doubt = null) {
  /** @type {Record<string, number>} */
  const levels = { healthy: 0, degraded: 0, unhealthy: 0, critical: 0, unknown: 0 };
  const breakers = { closed: 0, half_open: 0, open: 0 };
  /** @type {Record<string, Record<string, number>>} */
  const labels = {};
  for (const node of nodes) {
    levels[node.level] = (levels[node.level] ?? 0) + 1;
    if (node.breaker) breakers[/** @type {keyof typeof breakers} */ (node.breaker)] += 1;
    for (const [key, value] of Object.entries(node.labels)) {
      const values = (labels[key] ??= {});
      if (value in values || Object.keys(values).length < 64) values[value] = (values[value] ?? 0) + 1;
    }
  }
  const ready = nodes.filter((node) => node.ready).length;
  const total = nodes.length;
  const availability = nodes.filter((node) => node.ready).reduce((sum, node) => sum + (node.score ?? 0), 0) / Math.max(1, total);
  const behind = breakers.closed + breakers.half_open + breakers.open;
  /** @type {[string, number, number | null, string][]} */
  const parts = [
    ["node_availability", 40, availability, `${ready} of ${total} nodes are ready`],
    ["circuit_health", 25, behind ? (100 * (breakers.closed + 0.5 * breakers.half_open)) / behind : null, behind ? `${breakers.closed} of ${behind} breakers are closed` : "nothing is behind a breaker"],
    ["error_rate", 20, 84.2, `${Math.round(total * 0.36)} of ${total * 23} checks failed`], ["recovery", 15, null, "nothing recovers by itself here"],
  ];
  const weight = parts.reduce((sum, [, nominal, points]) => sum + (points === null ? 0 : nominal), 0);
  const scored = parts.map(([name, nominal_weight, points, note]) => {
    const effective = points === null ? 0 : Math.round((1000 * nominal_weight) / weight) / 10;
    return { name, nominal_weight, weight: effective, points, contribution: Math.round(effective * (points ?? 0)) / 100, note };
  });
  const score = Math.round(scored.reduce((sum, part) => sum + part.contribution, 0) * 10) / 10;
  return { system: { score, level: score >= 80 ? "healthy" : score >= 60 ? "degraded" : "unhealthy", parts: scored }, levels, ready, total, breakers, doubt, labels, nodes, next_cursor: null };
}

/** One job with a slow GPU, one in which all is well. @param {number} now @returns {Wire.StragglersView} */
export function stragglersView(now) {
  const ago = (/** @type {number} */ minutes) => new Date(now - minutes * 60_000).toISOString();
  /** @type {Wire.StragglerGroup} */
  const calm = {
    job: "job=llm-7b", known_by: "label", compares: "gpus", model: "H100", members: 64, compared: 64, nodes: 8, since: ago(300),
    outcome: "compared", note: "64 GPUs compared: all keep up.", uneven: [], stragglers: [], straggler_count: 0,
  };
  const departure = { metric: "clock", unit: "MHz", value: 1155, median: 1980, low: 1965, high: 1980, peers: 15, minutes: 12, score: 25 };
  const straggler = {
    resource: "gpu/n0002/3", cause: "slow_gpu", since: ago(12), throttled_percent: 80, departures: [departure],
    message: "GPU 3 of n0002 is slower than its 15 peers of the same job: SM clock 1155 MHz, theirs 1980 MHz (1965–1980), for 12 min.",
    advice: "Compare its clocks and power limit with a peer's.",
  };
  const ill = { ...calm, job: "python train.py", known_by: /** @type {"command"} */ ("command"), members: 16, compared: 16, nodes: 2, note: "16 GPUs compared: 1 does not keep up.", stragglers: [straggler], straggler_count: 1 };
  return { at: ago(0.5), window_minutes: 15, held_minutes: 10, groups: [ill, calm], group_count: 2, straggler_count: 1, note: null };
}
