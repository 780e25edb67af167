// Joins the streams to the state: loads what is needed on each connection, applies what arrives,
// lets go while nobody looks.
//
// One machine: one stream with every detail. A fleet: one stream with a line a node, and while a node's page is
// shown a second one with that node's details, so that going there and back costs the first nothing.

import { ApiError, clockOffsetMs, getEvents, getFleet, getHub, getResource, getStatus } from "./api.js";
import { dropRow, takeFleet, takeRow, takeTotals, totals } from "./fleet/store.js";
import { effect, signal } from "./lib.js";
import {
  applyEvents, applyHub, applyRemoved, applyResource, applyStatus, connection, connectionError, detailOf, events, extent, forgetDetails, heard,
  lastHeard, loaded, shownId, summaries, tick, tops,
} from "./state.js";
import { openStream } from "./stream.js";
import { growTrends } from "./trends.js";

/** Events loaded at first. */
const FIRST_EVENTS = 100;
/** Events that come together are shown together, not one by one. */
const EVENTS_EVERY_MS = 250;
/** How exactly it is kept when something last came. */
const HEARD_EVERY_MS = 1_000;
/** A page hidden for this long lets go of the stream, so that the hub can poll at its idle pace. */
const HIDDEN_LIMIT_MS = 60_000;

/** The id that was asked for and that the hub does not know. @type {Signal<string>} */
export const missing = signal("");

/** Asked for while the modules are still being read: the first connection finds it on its way. @type {ReturnType<typeof getFleet> | null} */
let early = null;

/** @type {Wire.EventView[]} */
let newEvents = [];
/** @type {ReturnType<typeof setTimeout> | undefined} */
let eventTimer;

/** @param {Wire.EventView} event */
function takeEvent(event) {
  newEvents.push(event);
  eventTimer ??= setTimeout(() => {
    eventTimer = undefined;
    const gathered = newEvents;
    newEvents = [];
    applyEvents(gathered);
  }, EVENTS_EVERY_MS);
}

/** @param {string} event @param {any} value */
function take(event, value) {
  if (event === "resource") {
    if (extent.peek() === "fleet" && !isOf(value, shownNode())) return;
    applyResource(value);
    growTrends(value);
  } else if (event === "fleet_node") {
    takeRow(value);
    // Many come in a second: the clock need not tick with each.
    if (Date.now() + clockOffsetMs - lastHeard.peek() > HEARD_EVERY_MS) heard();
  } else if (event === "fleet") takeTotals(value);
  else if (event === "removed") {
    dropRow(value);
    applyRemoved(value);
  } else if (event === "event") takeEvent(value);
  else if (event === "hub") applyHub(value);
}

const stream = openStream({
  async path() {
    const asked = early ?? getFleet();
    early = null;
    const { view, nodes } = await asked;
    extent.value = view.total > 1 ? "fleet" : "one";
    takeFleet(view, nodes);
    // The map need not wait for the stream: what changes meanwhile is in the stream's first rows.
    if (extent.value === "fleet") loaded.value = true;
    return extent.value === "fleet" ? "api/v1/stream?fleet" : "api/v1/stream";
  },
  async onOpen() {
    await resync();
    connection.value = "live";
    connectionError.value = null;
  },
  onMessage: take,
  onLost(error, attempt, waitMs) {
    // The first loss right after a page load is still "loading" for a person: one quick retry.
    connectionError.value = { message: error.message, retryAt: Date.now() + clockOffsetMs + waitMs, attempt };
    connection.value = "reconnecting";
  },
  onDenied() {
    connection.value = "denied";
  },
});

/** Loads everything that is on screen, once per connection. */
async function resync() {
  const fleet = extent.peek() === "fleet";
  const [page] = await Promise.all([
    getEvents({ limit: FIRST_EVENTS }),
    fleet ? getHub().then(applyHub) : getStatus().then(applyStatus),
  ]);
  const known = events.peek()[0]?.id ?? 0;
  // A store that was replaced starts counting anew: what is shown then is of another log.
  if ((page.items[0]?.id ?? 0) < known) events.value = [];
  applyEvents(page.items);
  if (!fleet) await loadDetail(shownId.peek());
  loaded.value = true;
}

/** The node on whose page, or on the page of whose part, the visitor is. */
function shownNode() {
  const id = shownId.peek();
  return id.startsWith("gpu/") ? `node/${id.split("/")[1]}` : id;
}

/** @param {Wire.ResourceSummary} resource @param {string} node */
const isOf = (resource, node) => resource.id === node || (resource.kind !== "node" && resource.parent === node);

/** Loads a resource and the node it is part of. @param {string} id */
export async function loadDetail(id) {
  if (!id) return;
  const ids = id.startsWith("gpu/") ? [id, `node/${id.split("/")[1]}`] : [id];
  await Promise.all(
    ids.map(async (one) => {
      try {
        const detail = await getResource(one);
        if (missing.peek() === one) missing.value = "";
        applyResource(detail);
        growTrends(detail);
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 404) throw error;
        if (one === id) missing.value = id;
      }
    }),
  );
}

/** The details of the node that is looked at, while a fleet is watched. */
function followNode() {
  let node = "";
  const details = openStream({
    path: async () => `api/v1/stream?resource=${encodeURIComponent(node)}`,
    onOpen: () => loadDetail(shownId.peek()),
    onMessage(event, value) {
      // Events come by the first stream.
      if (event === "resource" || event === "removed") take(event, value);
    },
    // The first stream says how the connection is; what is shown here grows old by itself.
    onLost: () => undefined,
    onDenied: () => undefined,
  });
  effect(() => {
    const wanted = shownId.value && extent.value === "fleet" && loaded.value && connection.value === "live" ? shownNode() : "";
    if (wanted === node) return;
    node = wanted;
    details.stop();
    if (!node) return;
    forgetDetails(node);
    // An id that is not known has no stream.
    loadDetail(shownId.peek()).catch(() => undefined).finally(() => {
      if (node === wanted && summaries.peek().has(wanted)) details.start();
    });
  });
}

/** Connects again at once: after a login, or when a person asks. */
export function reconnect() {
  if (connection.value === "denied") connection.value = "loading";
  stream.start();
}

export function startLive() {
  setInterval(tick, 1000);
  stream.start();
  effect(() => {
    const id = shownId.value;
    if (!loaded.value || extent.value === "fleet" || !id || detailOf(id).peek()) return;
    loadDetail(id).catch(() => undefined);
  });
  followNode();
  // A second node is watched, or the last but one is not any more: the page is another one.
  effect(() => {
    const nodes = extent.value === "fleet" ? totals.value?.total ?? 2 : tops.value.filter((item) => item.kind === "node").length;
    if (loaded.value && connection.peek() === "live" && nodes > 0 && nodes > 1 !== (extent.value === "fleet")) stream.start();
  });
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let hiddenTimer;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hiddenTimer);
    if (document.hidden) {
      hiddenTimer = setTimeout(() => {
        if (connection.value === "denied") return;
        connection.value = "paused";
        stream.stop();
      }, HIDDEN_LIMIT_MS);
    } else if (connection.value === "paused" || connection.value === "reconnecting") stream.start();
  });
}

early = getFleet();
// Whoever awaits it tells of its failure.
early.catch(() => undefined);
