// What happened, newest first, live; filtered by kind.

import { html, useSignal } from "../lib.js";
import { getEvents } from "../api.js";
import { clockTime, eventWords, listTime } from "../format.js";
import { Empty, Section } from "../parts/basics.js";
import { Icon } from "../parts/icon.js";
import { applyEvents, events, now } from "../state.js";

/** Rows shown before "more" is asked for. */
const FIRST_ROWS = 12;
const MORE_ROWS = 50;

/** @type {Record<string, string>} which look an event has; all others are quiet */
const LOOK = {
  HEALTH_CHECK_PASSED: "healthy", NODE_RECOVERED: "healthy", COORDINATOR_HEALTHY: "healthy",
  HEALTH_CHECK_FAILED: "degraded", COORDINATOR_UNHEALTHY: "unhealthy", HUB_CRASHED: "unhealthy", HUB_LAGGING: "degraded", CONFIG_REJECTED: "degraded",
};

/** An event's level: what it says itself, else what its kind means. @param {Wire.EventView} event */
function lookOf(event) {
  const said = event.details["to"] ?? event.details["status"] ?? event.details["level"];
  if (said && ["healthy", "degraded", "unhealthy", "critical", "unknown"].includes(said)) return said;
  return LOOK[event.kind] ?? "";
}

/** @param {{ resource?: string }} props only this resource's events and its parts' */
export function Events({ resource }) {
  const kind = useSignal("");
  const rows = useSignal(FIRST_ROWS);
  const loading = useSignal(false);
  const ended = useSignal(false);
  const name = resource ? resource.slice(resource.indexOf("/") + 1) : "";
  const mine = events.value.filter((event) => !resource || !event.resource || event.resource === resource || event.resource.startsWith(`gpu/${name}/`));
  const kinds = [...new Set(mine.map((event) => event.kind))].sort();
  const list = kind.value ? mine.filter((event) => event.kind === kind.value) : mine;

  const more = async () => {
    rows.value += MORE_ROWS;
    const oldest = events.value[events.value.length - 1];
    if (list.length >= rows.value || !oldest || ended.value) return;
    loading.value = true;
    try {
      const page = await getEvents({ limit: 100, cursor: String(oldest.id) });
      if (page.items.length === 0) ended.value = true;
      applyEvents(page.items);
    } catch {
      ended.value = true;
    }
    loading.value = false;
  };

  return html`<${Section} id="events" title="Events" aside=${kinds.length > 1 && html`<label><span class="sr">Kind of event</span><select value=${kind.value} onChange=${(/** @type {any} */ event) => (kind.value = event.target.value)}>
      <option value="">All kinds</option>${kinds.map((one) => html`<option key=${one} value=${one} selected=${one === kind.value}>${eventWords(one)}</option>`)}</select></label>`}>
    ${list.length === 0
      ? html`<${Empty} icon="not_applicable">Nothing has happened yet.<//>`
      : html`<ol class="events" reversed>${list.slice(0, rows.value).map((event) => html`<${EventRow} key=${event.id} event=${event} />`)}</ol>`}
    ${list.length > 0 && (list.length > rows.value || !ended.value) && list.length >= FIRST_ROWS && html`<button type="button" class="button quiet" disabled=${loading.value} onClick=${more}>Older events</button>`}
  <//>`;
}

/** @param {{ event: Wire.EventView }} props */
function EventRow({ event }) {
  const look = lookOf(event);
  return html`<li data-level=${look || "none"}>
    <time datetime=${event.at} title=${clockTime(event.at)}>${listTime(event.at, now.peek())}</time>
    <span class="event-icon">${look ? html`<${Icon} name=${look} />` : html`<i class="dot"></i>`}</span>
    <div><span class="event-message">${event.message}</span>
      <span class="muted event-kind">${eventWords(event.kind)}${event.resource && html` · <a href=${`#/${event.resource}`}>${event.resource}</a>`}</span></div>
  </li>`;
}
