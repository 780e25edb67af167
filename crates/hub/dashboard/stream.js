// The live stream: server-sent events read by `fetch`, because EventSource hides the status code
// (401 must lead to the login form) and starts afresh without the last event id when re-created.

import { ApiError, learnClock } from "./api.js";

/** Waits before the next attempt: doubled each time, never longer than the last. */
const BACKOFF_MIN_MS = 500;
const BACKOFF_MAX_MS = 15_000;
/** Silence after which the connection counts as dead. The hub sends a comment every 15 s or so. */
const SILENCE_LIMIT_MS = 45_000;
/** The longest message that is accepted, in characters. */
const MESSAGE_LIMIT = 8 * 1024 * 1024;

/** @typedef {{ event: string, data: string, id: string | null }} Message */

/**
 * A parser of the SSE format: feed it text, it calls back with whole messages. Comments and
 * unknown fields are ignored, as the format wants.
 * @param {(message: Message) => void} onMessage
 */
export function sseParser(onMessage) {
  let rest = "";
  let event = "";
  /** @type {string[]} */
  let data = [];
  /** @type {string | null} */
  let id = null;

  /** @param {string} line */
  const take = (line) => {
    if (line === "") {
      if (data.length > 0) onMessage({ event: event || "message", data: data.join("\n"), id });
      event = "";
      data = [];
      id = null;
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") event = value;
    else if (field === "data") data.push(value);
    else if (field === "id") id = value;
  };

  return (/** @type {string} */ text) => {
    rest += text;
    if (rest.length > MESSAGE_LIMIT) throw new Error("a message of the stream is too long");
    for (;;) {
      const end = rest.search(/\r\n|\n|\r(?!$)/);
      if (end < 0) return;
      const line = rest.slice(0, end);
      rest = rest.slice(end + (rest.startsWith("\r\n", end) ? 2 : 1));
      take(line);
    }
  };
}

/** The wait before attempt number `attempt` (from 1), with jitter. @param {number} attempt @param {number} random 0 to 1 */
export function backoffMs(attempt, random) {
  const ceiling = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** Math.min(attempt - 1, 10));
  return Math.round(ceiling * (0.7 + 0.3 * random));
}

/**
 * The value of a message; `{ "resource": {…} }` and the bare value are both understood.
 * @param {Message} message
 */
export function messageValue(message) {
  const value = JSON.parse(message.data);
  if (value !== null && typeof value === "object" && Object.keys(value).length === 1 && message.event in value) {
    return value[message.event];
  }
  return value;
}

/**
 * @typedef {object} StreamHandlers
 * @property {() => Promise<string>} path where the stream is; may ask the hub first
 * @property {() => Promise<void>} onOpen the connection stands; loads what the stream does not repeat
 * @property {(event: string, value: any) => void} onMessage
 * @property {(error: Error, attempt: number, waitMs: number) => void} onLost
 * @property {(error: ApiError) => void} onDenied 401: no further attempt is made until `start` is called again
 */

/** @param {StreamHandlers} handlers */
export function openStream(handlers) {
  let attempt = 0;
  let lastEventId = "";
  /** @type {AbortController | null} */
  let current = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  /** @param {AbortController} controller */
  async function connectOnce(controller) {
    /** @type {Record<string, string>} */
    const headers = { accept: "text/event-stream" };
    if (lastEventId) headers["last-event-id"] = lastEventId;
    let quiet = setTimeout(() => controller.abort(), SILENCE_LIMIT_MS);
    try {
      const path = await handlers.path();
      const response = await fetch(path, { headers, signal: controller.signal, cache: "no-store" });
      learnClock(response);
      if (!response.ok || !response.body) throw new ApiError(`The hub answered ${response.status}.`, response.status);
      const parse = sseParser((message) => {
        if (message.id) lastEventId = message.id;
        handlers.onMessage(message.event, messageValue(message));
      });
      await handlers.onOpen();
      attempt = 0;
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) throw new Error("The hub closed the connection.");
        clearTimeout(quiet);
        quiet = setTimeout(() => controller.abort(), SILENCE_LIMIT_MS);
        parse(value);
      }
    } finally {
      clearTimeout(quiet);
      controller.abort();
    }
  }

  async function connect() {
    clearTimeout(timer);
    current?.abort();
    const controller = new AbortController();
    current = controller;
    try {
      await connectOnce(controller);
    } catch (error) {
      if (current !== controller) return;
      current = null;
      if (error instanceof ApiError && error.status === 401) {
        handlers.onDenied(error);
        return;
      }
      attempt += 1;
      const wait = backoffMs(attempt, Math.random());
      handlers.onLost(error instanceof Error ? error : new Error(String(error)), attempt, wait);
      timer = setTimeout(connect, wait);
    }
  }

  return {
    /** Connects now, dropping any wait. */
    start: () => void connect(),
    /** Lets go until the next `start`. */
    stop() {
      clearTimeout(timer);
      const held = current;
      current = null;
      held?.abort();
    },
  };
}
