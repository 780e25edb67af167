// All machines at a glance; shown when there is more than one.

import { html } from "../lib.js";
import { plural, score as scoreText } from "../format.js";
import { Age, Empty, Level, Section } from "../parts/basics.js";
import { Events } from "./events.js";
import { Hub } from "./hub.js";
import { freshness, summaries, system, tops } from "../state.js";

/** Rows drawn; the rest is found by search. */
const ROW_LIMIT = 500;
const RANK = ["critical", "unhealthy", "unknown", "degraded", "healthy"];

export function Overview() {
  const list = [...tops.value].sort((a, b) => RANK.indexOf(a.level) - RANK.indexOf(b.level) || (a.score ?? 0) - (b.score ?? 0));
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const item of list) counts.set(item.level, (counts.get(item.level) ?? 0) + 1);
  const whole = system.value;
  return html`
    <section class="hero overview" data-level=${whole?.level ?? "unknown"} aria-labelledby="hero-title">
      <h1 id="hero-title" tabindex="-1">${plural(list.length, "machine")}</h1>
      <p class="badges">${RANK.filter((level) => counts.has(level)).map((level) => html`<span key=${level} class="count"><b>${counts.get(level)}</b> <${Level} level=${level} /></span>`)}</p>
      ${whole && html`<p class="muted">System score <b>${scoreText(whole.score)}</b>: ${whole.parts.filter((part) => part.weight > 0).map((part) => `${part.name.replaceAll("_", " ")} ${scoreText(part.contribution)} of ${scoreText(part.weight)}`).join(", ")}.</p>`}
    </section>
    <${Section} id="machines" title="Machines">
      ${list.length === 0 && html`<${Empty} icon="unknown">Nothing is watched yet.<//>`}
      <ul class="machines">${list.slice(0, ROW_LIMIT).map((item) => html`<${Row} key=${item.id} item=${item} />`)}</ul>
      ${list.length > ROW_LIMIT && html`<p class="muted small">${plural(list.length - ROW_LIMIT, "machine")} more: press <kbd>/</kbd> to search.</p>`}
    <//>
    <${Events} />
    <${Hub} />`;
}

/** @param {{ item: Wire.ResourceSummary }} props */
function Row({ item }) {
  const stale = freshness(item);
  const children = [...summaries.value.values()].filter((child) => child.parent === item.id).length;
  return html`<li class="machine" data-level=${stale ? "unknown" : item.level}>
    <a href=${`#/${item.id}`}><b class="machine-score">${scoreText(item.score)}</b><span class="machine-name">${item.display_name}</span></a>
    <${Level} level=${item.level} was=${stale !== ""} />
    <span class="machine-headline">${stale ? `Not fresh: ${stale}.` : item.headline}</span>
    <span class="muted machine-meta">${children > 0 && html`${plural(children, "GPU")} · `}<${Age} at=${item.last_check} /></span>
  </li>`;
}
