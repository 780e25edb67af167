// Joins the stream to the state: loads what is needed on each connection, applies what arrives,
// lets go while nobody looks.

import { ApiError, clockOffsetMs, getEvents, getResource, getStatus } from "./api.js";
import { effect } from "./lib.js";
import {
  applyEvents, applyHub, applyRemoved, applyResource, applyStatus, connection, connectionError, detailOf, events, loaded, shownId,
  summaries, tick,
} from "./state.js";
import { openStream } from "./stream.js";
import { growTrends } from "./trends.js";

/** Events loaded at first. */
const FIRST_EVENTS = 100;
/** A page hidden for this long lets go of the stream, so that the hub can poll at its idle pace. */
const HIDDEN_LIMIT_MS = 60_000;

const stream = openStream({
  async onOpen() {
    await resync();
    connection.value = "live";
    connectionError.value = null;
  },
  onMessage(event, value) {
    if (event === "resource") {
      applyResource(value);
      growTrends(value);
    } else if (event === "removed") applyRemoved(value);
    else if (event === "event") applyEvents([value]);
    else if (event === "hub") applyHub(value);
  },
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
  const [status, page] = await Promise.all([getStatus(), getEvents({ limit: FIRST_EVENTS })]);
  applyStatus(status);
  const known = events.peek()[0]?.id ?? 0;
  // A store that was replaced starts counting anew: what is shown then is of another log.
  if ((page.items[0]?.id ?? 0) < known) events.value = [];
  applyEvents(page.items);
  await loadDetail(shownId.peek());
  loaded.value = true;
}

/** Loads a resource and the node it is part of. @param {string} id */
export async function loadDetail(id) {
  if (!id) return;
  const ids = [id, summaries.peek().get(id)?.parent].filter((one) => one !== undefined && one !== null);
  await Promise.all(
    ids.map(async (one) => {
      try {
        const detail = await getResource(one);
        applyResource(detail);
        growTrends(detail);
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return;
        throw error;
      }
    }),
  );
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
    if (!loaded.value || !id || detailOf(id).peek()) return;
    loadDetail(id).catch(() => undefined);
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
