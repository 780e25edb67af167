// Requests to the hub's API. Every answer is the wire's own type; every failure is an ApiError
// that says what to do. It keeps no state but the clock offset.

/** How long a request may take before it counts as failed. */
const REQUEST_TIMEOUT_MS = 10_000;

/** A request that was not answered as asked. */
export class ApiError extends Error {
  /** @param {string} message @param {number} status 0 when the hub did not answer at all */
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Milliseconds by which the hub's clock is ahead of the browser's; small offsets count as none. */
export let clockOffsetMs = 0;

/** Offsets below this are the network's doing and the Date header's rounding. */
const CLOCK_OFFSET_IGNORED_MS = 2_500;

/** @param {Response} response */
export function learnClock(response) {
  const date = Date.parse(response.headers.get("date") ?? "");
  if (!Number.isFinite(date)) return;
  const offset = date + 500 - Date.now();
  clockOffsetMs = Math.abs(offset) < CLOCK_OFFSET_IGNORED_MS ? 0 : offset;
}

/**
 * @param {string} path
 * @param {RequestInit} [init]
 * @returns {Promise<any>}
 */
async function request(path, init = {}) {
  let response;
  try {
    response = await fetch(path, {
      ...init,
      headers: { accept: "application/json", ...init.headers },
      signal: init.signal ?? AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError("The hub does not answer.", 0);
  }
  learnClock(response);
  const text = await response.text();
  if (!response.ok) throw new ApiError(problemText(text, response), response.status);
  if (text === "") return null;
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError(`The hub's answer to ${path} is not JSON. Is something else listening on this address?`, response.status);
  }
}

/** @param {string} text @param {Response} response */
function problemText(text, response) {
  try {
    const problem = JSON.parse(text);
    return String(problem.detail || problem.title);
  } catch {
    return `The hub answered ${response.status} ${response.statusText}.`;
  }
}

/** @param {Record<string, string | number | undefined>} values */
function query(values) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) if (value !== undefined && value !== "") search.set(name, String(value));
  return search.toString();
}

/** @param {string} id */
const idPath = (id) => id.split("/").map(encodeURIComponent).join("/");

/** @returns {Promise<Wire.StatusReport>} */
export const getStatus = () => request("status");

/** @param {string} id @returns {Promise<Wire.ResourceDetail>} */
export const getResource = (id) => request(`api/v1/resources/${idPath(id)}`);

/** @returns {Promise<Wire.HubStatus>} */
export const getHub = () => request("api/v1/hub");

/** Nodes of one page of the fleet; a hub may watch more. */
const FLEET_PAGE = 10_000;

/** Every node in one line, in the order of their names. */
export async function getFleet() {
  /** @type {Wire.FleetView} */
  const first = await request(`api/v1/fleet?${query({ limit: FLEET_PAGE, sort: "name" })}`);
  const nodes = [...first.nodes];
  for (let cursor = first.next_cursor; cursor; ) {
    /** @type {Wire.FleetView} */
    const page = await request(`api/v1/fleet?${query({ limit: FLEET_PAGE, sort: "name", cursor })}`);
    nodes.push(...page.nodes);
    cursor = page.next_cursor;
  }
  return { view: first, nodes };
}

/** How the members of each job compare. @returns {Promise<Wire.StragglersView>} */
export const getStragglers = () => request("api/v1/stragglers");

/** Closes a node's breaker: it is asked again at once. @param {string} name @returns {Promise<Wire.NodeView>} */
export const resetBreaker = (name) => request(`api/v1/nodes/${encodeURIComponent(name)}/breaker/reset`, { method: "POST" });

/** Newest first. @param {{ limit: number, cursor?: string }} options @returns {Promise<Wire.Page<Wire.EventView>>} */
export const getEvents = ({ limit, cursor }) => request(`api/v1/events?${query({ limit, cursor, order: "desc" })}`);

/**
 * @param {{ resource: string, metric: string, instance: string, from: string, maxPoints: number, signal?: AbortSignal }} options
 * @returns {Promise<Wire.History>}
 */
export const getHistory = ({ resource, metric, instance, from, maxPoints, signal }) =>
  request(`api/v1/history?${query({ resource, metric, instance, from, max_points: maxPoints })}`, { signal });

/** Trades the token for a session cookie. @param {string} token */
export const openSession = (token) =>
  request("api/v1/session", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ token }) });
