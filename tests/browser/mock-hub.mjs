// A hub that only acts: serves the page's folder and canned answers of the API, live stream included, with
// the real hub's security headers. For tests, and for work on the page:
//
//   node mock-hub.mjs gpuNode 8791      (laptop, gpuNode, unknownNode, staleNode, fleet; or a number of nodes)

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { detailsOf, dice, fleetView, rowOf, rows, stragglersView, verdict } from "./fleets.mjs";
import { hubStatus, scenarios, statusOf, unitOf } from "./scenarios.mjs";

const PAGE = fileURLToPath(new URL("../../crates/hub/dashboard/", import.meta.url));
const POLICY = "default-src 'self'; style-src 'self'; img-src 'self' data:; script-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
/** @type {Record<string, string>} */
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml" };
const TOKEN = "correct-horse";

/** A smooth made-up series between 0 and 1. @param {number} ms @param {string} seed */
function wave(ms, seed) {
  let offset = 0;
  for (const letter of seed) offset = (offset * 31 + letter.charCodeAt(0)) % 1000;
  const t = ms / 60_000 + offset;
  return 0.5 + 0.25 * Math.sin(t / 7) + 0.15 * Math.sin(t / 1.9 + offset) + 0.1 * Math.sin(t * 2.3);
}

/** @param {{ scenario?: keyof typeof scenarios, port?: number, token?: boolean, wrapped?: boolean, beat?: number, nodes?: number, doubt?: string }} [options] `nodes`: as many made-up ones */
export async function startMockHub({ scenario = "laptop", port = 0, token = false, wrapped = false, beat = 0, nodes = 0, doubt } = {}) {
  const made = scenarios[scenario];
  if (!made) throw new Error(`no scenario is called ${String(scenario)}`);
  let state = made(Date.now());
  const crowd = rows(nodes, Date.now());
  const chance = dice(99);
  const fleetRows = () => (nodes > 0 ? crowd : state.details.filter((detail) => detail.kind === "node").map(rowOf));
  /** @type {Set<import("node:http").ServerResponse>} */
  const streams = new Set();
  /** @type {string[]} */
  const requests = [];

  /** @param {import("node:http").ServerResponse} response @param {number} status @param {unknown} body */
  const json = (response, status, body, type = "application/json") => {
    response.writeHead(status, { "content-type": type, "content-security-policy": POLICY, "cache-control": "no-store" });
    response.end(JSON.stringify(body));
  };
  /** @param {import("node:http").ServerResponse} response @param {number} status @param {string} detail */
  const problem = (response, status, detail) => json(response, status, { type: "urn:sickbay:problem:x", title: "Problem", status, detail }, "application/problem+json");

  /** @param {URL} url @returns {Wire.History} */
  const history = (url) => {
    const metric = url.searchParams.get("metric") ?? "";
    const instance = url.searchParams.get("instance") ?? "";
    const resource = url.searchParams.get("resource") ?? "";
    const match = /^-(\d+)([mhd])$/.exec(url.searchParams.get("from") ?? "") ?? ["", "1", "h"];
    const seconds = Number(match[1]) * ({ m: 60, h: 3600, d: 86_400 }[match[2] ?? "h"] ?? 3600);
    const step = Math.max(5, Math.ceil(seconds / Number(url.searchParams.get("max_points") ?? 300) / 5) * 5);
    const to = Math.floor(Date.now() / 1000 / step) * step;
    const current = state.details.find((detail) => detail.id === resource)?.readings.find((reading) => reading.metric === metric && reading.instance === instance)?.value ?? 50;
    const top = unitOf(metric) === "percent" || metric === "score" ? 100 : Infinity;
    const points = [];
    for (let at = to - seconds; at < to; at += step) {
      // A hole, as after a restart.
      if (seconds > 1000 && (at - to + seconds) / seconds > 0.38 && (at - to + seconds) / seconds < 0.42) continue;
      const mean = Math.min(top, current * (0.55 + 0.9 * wave(at * 1000, metric + instance) * 0.9));
      const spread = step > 5 ? 0.12 + 0.1 * wave(at * 700, metric) : 0;
      points.push({ at: new Date(at * 1000).toISOString(), min: mean * (1 - spread), mean, max: Math.min(top, mean * (1 + spread)), count: Math.max(1, step / 5) });
    }
    return { resource, metric, instance, unit: unitOf(metric), from: new Date((to - seconds) * 1000).toISOString(), to: new Date(to * 1000).toISOString(), step_seconds: step > 5 ? step : 0, resolution: step > 5 ? "minute" : "raw", points };
  };

  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? "/", "http://localhost");
    requests.push(`${request.method} ${url.pathname}`);
    const path = decodeURIComponent(url.pathname);
    const isApi = path.startsWith("/api/") || path === "/status";
    if (path === "/api/v1/session" && request.method === "POST") {
      let body = "";
      for await (const chunk of request) body += chunk;
      if (JSON.parse(body).token !== TOKEN) return problem(response, 401, "This is not the token.");
      response.writeHead(204, { "set-cookie": "sickbay_session=yes; HttpOnly; SameSite=Strict; Path=/" });
      return response.end();
    }
    if (isApi && token && !(request.headers.cookie ?? "").includes("sickbay_session=yes")) return problem(response, 401, "A token is needed.");
    if (path === "/status") return json(response, 200, { ...statusOf(state.details, Date.now()), ...state.status });
    if (path === "/api/v1/events") {
      const cursor = Number(url.searchParams.get("cursor") ?? Infinity);
      const items = state.events.filter((event) => event.id < cursor).slice(0, Number(url.searchParams.get("limit") ?? 100));
      return json(response, 200, { items, next_cursor: null });
    }
    if (path === "/api/v1/hub") return json(response, 200, hubStatus(Date.now()));
    if (path === "/api/v1/fleet") return json(response, 200, fleetView(fleetRows(), doubt ?? null));
    if (path === "/api/v1/stragglers") return json(response, 200, stragglersView(Date.now()));
    const reset = /^\/api\/v1\/nodes\/([^/]+)\/breaker\/reset$/.exec(path);
    if (reset && request.method === "POST") {
      const row = crowd.find((one) => one.id === `node/${reset[1]}`);
      if (!row) return problem(response, 404, `No node is called ${reset[1]}.`);
      row.breaker = "closed";
      setTimeout(() => hubApi.push("fleet_node", row), 30);
      return json(response, 200, { id: row.id, spec: null, origin: "config", breaker: detailsOf(row, Date.now())[0]?.breaker ?? null });
    }
    if (path === "/api/v1/history") return json(response, 200, history(url));
    if (path.startsWith("/api/v1/resources/")) {
      const id = path.slice("/api/v1/resources/".length);
      const row = crowd.find((one) => one.id === id || id.startsWith(`gpu/${one.display_name}/`));
      const found = (row ? detailsOf(row, Date.now()) : state.details).find((detail) => detail.id === id);
      return found ? json(response, 200, found) : problem(response, 404, "Nothing of that name is watched.");
    }
    if (path === "/api/v1/stream") {
      response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
      response.write(": hello\n\n");
      const wanted = url.searchParams.get("resource");
      if (wanted) {
        const row = crowd.find((one) => one.id === wanted);
        const own = row ? detailsOf(row, Date.now()) : state.details.filter((detail) => detail.id === wanted || detail.parent === wanted);
        for (const detail of own) response.write(`event: resource\ndata: ${JSON.stringify(detail)}\n\n`);
      }
      streams.add(response);
      request.on("close", () => streams.delete(response));
      return undefined;
    }
    const file = normalize(path === "/" ? "index.html" : path.slice(1));
    if (file.startsWith("..")) return problem(response, 404, "No such page.");
    try {
      const body = await readFile(join(PAGE, file));
      response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream", "content-security-policy": POLICY, "x-content-type-options": "nosniff" });
      return response.end(body);
    } catch {
      return problem(response, 404, "No such page.");
    }
  });

  const listen = () => new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(undefined)));
  // A test that fails half-way must not keep the process alive.
  server.unref();
  await listen();
  const address = server.address();
  if (address && typeof address === "object") port = address.port;

  const hubApi = {
    url: `http://127.0.0.1:${port}/`,
    requests,
    get state() {
      return state;
    },
    /** @param {string} event @param {any} value @param {string | number} [id] */
    push(event, value, id) {
      const data = JSON.stringify(wrapped ? { [event]: value } : value);
      for (const stream of streams) stream.write(`${id === undefined ? "" : `id: ${id}\n`}event: ${event}\ndata: ${data}\n\n`);
    },
    /** Judges the first resource anew. @param {(detail: Wire.ResourceDetail) => void} change */
    judge(change) {
      const detail = state.details[0];
      if (!detail) return;
      detail.last_check = new Date().toISOString();
      change(detail);
      this.push("resource", detail);
    },
    /** Dies at once, connections included. */
    async die() {
      for (const stream of streams) stream.destroy();
      await new Promise((resolve) => {
        server.close(() => resolve(undefined));
        server.closeAllConnections();
      });
    },
    /** Comes back on the same port. */
    async revive() {
      state = made(Date.now());
      await listen();
    },
    /** Judges made-up nodes anew. @param {number} count @param {number} [share] how many of them get another level */
    stir(count, share = 0.3) {
      const changed = [];
      for (let index = 0; index < count; index += 1) {
        const row = crowd[Math.floor(chance() * crowd.length)];
        if (!row) continue;
        const roll = chance();
        if (chance() < share) Object.assign(row, verdict(roll < 0.05 ? "critical" : roll < 0.1 ? "unhealthy" : roll < 0.2 ? "degraded" : "healthy", chance, Date.now()), { breaker: "closed", since: new Date().toISOString() });
        row.last_check = new Date().toISOString();
        changed.push(row);
      }
      for (const row of changed) this.push("fleet_node", row);
      if (changed.length > 0) this.push("fleet", { ...fleetView(crowd, doubt ?? null), nodes: [] });
    },
    crowd,
    viewers: () => streams.size,
  };
  if (beat > 0) {
    setInterval(() => {
      hubApi.judge((detail) => {
        for (const reading of detail.readings) if (/utilization|cpu_used|receive_bytes|transmit_bytes|latency_ms/.test(reading.metric)) reading.value *= 0.97 + 0.06 * Math.random();
      });
      hubApi.push("hub", hubStatus(Date.now()));
    }, beat).unref();
  }
  return hubApi;
}

/** @typedef {Awaited<ReturnType<typeof startMockHub>>} MockHub */
export { TOKEN };

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const nodes = Number(process.argv[2]) || 0;
  const hub = await startMockHub({ scenario: nodes ? "fleet" : process.argv[2] ?? "gpuNode", nodes, port: Number(process.argv[3] ?? 8791), beat: nodes ? 0 : 2000 });
  if (nodes) setInterval(() => hub.stir(Math.ceil(nodes / 20)), 1000);
  console.log(`A mock hub (${process.argv[2] ?? "gpuNode"}) serves the page at ${hub.url}`);
  setInterval(() => undefined, 1 << 30);
}
