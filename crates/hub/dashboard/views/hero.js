// The first look: name, level, score and how it came about, headline, facts.

import { html } from "../lib.js";
import { bytes, clockTime, plural, score as scoreText, span } from "../format.js";
import { Age, For, Level } from "../parts/basics.js";
import { Icon } from "../parts/icon.js";
import { Composition, Dial } from "../parts/score.js";
import { freshness } from "../state.js";

/** @param {{ detail: Wire.ResourceDetail }} props */
export function Hero({ detail }) {
  const stale = freshness(detail);
  const { readiness, score_card: card } = detail;
  return html`<section class="hero" data-level=${stale ? "unknown" : detail.level} data-stale=${stale ? "yes" : "no"} aria-labelledby="hero-title">
    ${stale && html`<p class="stale-note"><${Icon} name="unknown" /><span>Not fresh: ${stale}. ${detail.last_check
      ? html`What you see is from <b>${clockTime(detail.last_check)}</b>.` : null}</span></p>`}
    <div class="hero-top">
      <${Dial} card=${card} level=${detail.level} stale=${stale !== ""} />
      <div class="hero-text">
        <h1 id="hero-title" tabindex="-1">${detail.display_name}</h1>
        <p class="badges">
          <${Level} level=${detail.level} was=${stale !== ""} />
          <span class="muted">for <${For} at=${detail.since} /></span>
          ${readiness && html`<span class="tag" data-tone=${stale ? "none" : readiness.ready ? "good" : "bad"}>${stale && detail.last_check ? "was " : ""}${readiness.ready ? "ready for work" : "not ready for work"}</span>`}
          ${detail.active && html`<span class="tag" data-tone="info">job active</span>`}
        </p>
        <p class="headline">${detail.headline}</p>
        ${card.score === null && html`<p class="muted">No score: ${card.unknown_reason ?? "nothing is known yet"}.</p>`}
        <p class="hero-facts"><${MachineFacts} detail=${detail} />
          <span>collected <${Age} at=${detail.last_check} />, every ${span(detail.interval_seconds)}</span></p>
      </div>
    </div>
    ${card.contributions.length > 0 && card.score !== null && html`<${Composition} card=${card} />`}
  </section>`;
}

/** @param {{ detail: Wire.ResourceDetail }} props */
function MachineFacts({ detail }) {
  const machine = detail.inventory;
  if (!machine) return null;
  const uptime = detail.readings.find((reading) => reading.metric === "uptime_seconds");
  /** @type {Map<string, number>} */
  const models = new Map();
  for (const gpu of machine.gpus) models.set(gpu.model || gpu.vendor, (models.get(gpu.model || gpu.vendor) ?? 0) + 1);
  const facts = [
    machine.os,
    machine.kernel && `Linux ${machine.kernel}`.replace("Linux Linux", "Linux"),
    machine.cpu_model && `${machine.cpu_count} × ${machine.cpu_model}`,
    machine.memory_bytes > 0 && `${bytes(machine.memory_bytes)} memory`,
    ...[...models].map(([model, count]) => `${count} × ${model}`),
    machine.virtualization && `on ${machine.virtualization}`,
    uptime && `up ${span(uptime.value)}`,
  ];
  return html`${facts.filter(Boolean).map((fact) => html`<span key=${fact} class="fact">${fact}</span>`)}`;
}

/** One line for a screen reader, spoken when the level changes. @param {Wire.ResourceSummary} resource */
export function spoken(resource) {
  const findings = resource.finding_count > 0 ? `, ${plural(resource.finding_count, "finding")}` : "";
  return `${resource.display_name} is ${resource.level}, score ${resource.score === null ? "unknown" : scoreText(resource.score)}${findings}. ${resource.headline}`;
}
