// What stands around every view: the bar on top, the list of resources, the connection's state.

import { html } from "../lib.js";
import { plural, score as scoreText, span } from "../format.js";
import { Icon, Mark } from "../parts/icon.js";
import { openDialog } from "./dialogs.js";
import { fleetHref } from "../fleet/store.js";
import { connection, connectionError, extent, freshness, lastHeard, now, ordered, shownId, tops } from "../state.js";
import { reconnect } from "../live.js";
import { nextTheme, themeChoice } from "../theme-choice.js";

/** Rows of the list; the rest is found by search. */
const LIST_LIMIT = 200;
/** Silence after which "live" says how old the data is. */
const QUIET_SECONDS = 15;

export function TopBar() {
  const id = shownId.value;
  const fleet = extent.value === "fleet";
  const many = fleet || ordered.value.length > 1;
  return html`<header class="top">
    <a class="brand" href="#/" aria-label="Sickbay, overview"><${Mark} /><span>Sickbay</span></a>
    ${many && id && html`<nav class="crumbs" aria-label="Where you are">${[...(fleet ? [/** @type {[string, string]} */ ([fleetHref.value, "Fleet"])] : []), ...crumbs(id)].map(([href, text], index, all) => html`<span key=${href} class="crumb"><span aria-hidden="true">/</span>
      ${index === all.length - 1 ? html`<span aria-current="page">${text}</span>` : html`<a href=${href}>${text}</a>`}</span>`)}</nav>`}
    <div class="top-end">
      <${Connection} />
      <button type="button" class="icon-button" title="Search ( / )" aria-label="Search" onClick=${() => openDialog("search")}><${Icon} name="search" /></button>
      <button type="button" class="icon-button" title=${`Theme: ${themeChoice.value} ( t )`} aria-label=${`Theme: ${themeChoice.value}`} onClick=${nextTheme}>
        <${Icon} name=${themeChoice.value === "auto" ? "auto" : themeChoice.value === "dark" ? "moon" : "sun"} /></button>
      <button type="button" class="icon-button" title="Help ( ? )" aria-label="Help" onClick=${() => openDialog("help")}><${Icon} name="help" /></button>
    </div>
  </header>`;
}

/** @param {string} id @returns {[string, string][]} */
function crumbs(id) {
  const [kind, name, index] = id.split("/");
  if (kind === "gpu" && index !== undefined) return [[`#/node/${name}`, name ?? ""], [`#/${id}`, `GPU ${index}`]];
  return [[`#/${id}`, id.slice((kind ?? "").length + 1)]];
}

function Connection() {
  const state = connection.value;
  const quiet = Math.round((now.value - lastHeard.value) / 1000);
  const problem = connectionError.value;
  if (state === "live") {
    return html`<span class="connection" data-state=${quiet > 60 ? "quiet" : "live"} role="status"><i></i>live${quiet > QUIET_SECONDS && html`<span class="muted">, last news <span aria-hidden="true">${span(quiet)} ago</span></span>`}</span>`;
  }
  if (state === "reconnecting") {
    const wait = problem ? Math.max(0, Math.ceil((problem.retryAt - now.value) / 1000)) : 0;
    return html`<span class="connection" data-state="reconnecting"><span role="status"><${Icon} name="plug" />reconnecting…</span>
      <button type="button" class="link" onClick=${reconnect}>${wait > 1 ? html`<span aria-hidden="true">in ${span(wait)}, </span>` : null}try now</button></span>`;
  }
  if (state === "paused") return html`<span class="connection" data-state="reconnecting" role="status"><${Icon} name="pause" />paused</span>`;
  if (state === "denied") return html`<span class="connection" data-state="reconnecting" role="status"><${Icon} name="lock" />signed out</span>`;
  return html`<span class="connection" data-state="loading" role="status"><i></i>connecting…</span>`;
}

/** Above everything while the hub is gone, so that old numbers are not taken for new ones. */
export function GoneNote() {
  const problem = connectionError.value;
  if (connection.value !== "reconnecting" || !problem || problem.attempt < 2) return null;
  const silent = lastHeard.value > 0 ? span((now.value - lastHeard.value) / 1000) : "";
  return html`<div class="gone"><${Icon} name="plug" /><p><b>The hub does not answer</b>${silent && html`, last heard <span aria-hidden="true">${silent} ago</span>`}. What you see is old.
    If it was stopped, start it with <code>sickbay up</code>; this page connects by itself.</p></div>`;
}

/** The list at the side; absent when there is just one resource, and where the fleet is shown. */
export function Sidebar() {
  const fleet = extent.value === "fleet";
  const list = ordered.value;
  const shown = shownId.value;
  // Of a fleet, the map is the list; here stand the parts of the node that is looked at.
  if (list.length < 2 || (fleet && !shown)) return null;
  const topIds = new Set(tops.value.map((item) => item.id));
  return html`<nav class="side" aria-label="Resources">
    <h2 class="side-title">Resources</h2>
    <ul>
      ${fleet && html`<li><a href=${fleetHref.value}><${Icon} name="grid" /><span class="side-name">Fleet</span></a></li>`}
      ${list.slice(0, LIST_LIMIT).map((item) => {
        const level = freshness(item) ? "unknown" : item.level;
        return html`<li key=${item.id} class=${topIds.has(item.id) ? "" : "child"}>
          <a href=${`#/${item.id}`} data-level=${level} aria-current=${shown === item.id ? "page" : undefined} data-resource=${item.id}>
            <${Icon} name=${level} /><span class="side-name">${shortName(item)}</span><span class="sr">${level}, score</span><span class="side-score">${scoreText(item.score)}</span></a></li>`;
      })}
    </ul>
    ${list.length > LIST_LIMIT && html`<p class="muted small">${plural(list.length - LIST_LIMIT, "resource")} more: press <kbd>/</kbd> to search.</p>`}
  </nav>`;
}

/** @param {Wire.ResourceSummary} item */
const shortName = (item) => (item.kind === "gpu" ? `GPU ${item.id.slice(item.id.lastIndexOf("/") + 1)}` : item.display_name);
