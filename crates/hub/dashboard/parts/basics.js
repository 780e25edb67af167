// The smallest parts: level, age, meter, section, value. Each is told what it shows; none reads
// the state but for the clock.

import { html } from "../lib.js";
import { NONE, age, clockTime, percent, span } from "../format.js";
import { now } from "../state.js";
import { Icon } from "./icon.js";

/** Icon and word, never colour alone. @param {{ level: string, was?: boolean, quiet?: boolean }} props */
export function Level({ level, was = false, quiet = false }) {
  const shown = was ? "unknown" : level;
  return html`<span class=${quiet ? "level quiet" : "level"} data-level=${shown}>
    <${Icon} name=${shown} /><span>${was && level !== "unknown" ? `was ${level}` : level}</span>
  </span>`;
}

/** Only this text changes with the clock. @param {{ at: string | null | undefined }} props */
export function Age({ at }) {
  if (!at) return html`<span>never</span>`;
  return html`<time datetime=${at} title=${clockTime(at)}>${age(at, now.value)}</time>`;
}

/** Time passed since, without "ago". @param {{ at: string }} props */
export function For({ at }) {
  return html`<time datetime=${at} title=${clockTime(at)}>${span((now.value - Date.parse(at)) / 1000)}</time>`;
}

/**
 * A quiet bar from 0 to 100. Its tone is what a check says (`status`), never a judgement of its own: page and
 * verdict must not disagree.
 * @param {{ value: number | null, label: string, status?: string, text?: string }} props
 */
export function Meter({ value, label, status = "healthy", text }) {
  const tone = value === null ? "none" : status === "unhealthy" || status === "critical" ? "bad" : status === "degraded" ? "warn" : "plain";
  const width = `${Math.max(0, Math.min(100, value ?? 0))}%`;
  return html`<span class="meter" data-tone=${tone} role="img" aria-label=${`${label}: ${text ?? percent(value)}`}>
    <span class="meter-fill" style=${{ width }}></span>
  </span>`;
}

/**
 * @param {{ id: string, title: string, aside?: any, children?: any, className?: string }} props
 */
export function Section({ id, title, aside, children, className = "" }) {
  return html`<section id=${id} class=${`section ${className}`} aria-labelledby=${`${id}-title`} data-section=${title}>
    <header class="section-head"><h2 id=${`${id}-title`} tabindex="-1">${title}</h2>${aside && html`<div class="section-aside">${aside}</div>`}</header>
    ${children}
  </section>`;
}

/** Rows of name and value. @param {{ rows: ([string, any] | null | false)[] }} props */
export function Facts({ rows }) {
  return html`<dl class="facts">
    ${rows.filter((row) => row !== null && row !== false).map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value ?? NONE}</dd></div>`)}
  </dl>`;
}

/** A table that scrolls by itself on a narrow screen. @param {{ label: string, head: any[], children?: any, className?: string }} props */
export function Table({ label, head, children, className = "" }) {
  return html`<div class="table-wrap" tabindex="0" role="region" aria-label=${label}>
    <table class=${className}>
      <thead><tr>${head.map((cell) => html`<th scope="col" class=${cell.right ? "right" : cell.wide ? "wide" : ""}>${cell.name ?? cell}</th>`)}</tr></thead>
      <tbody>${children}</tbody>
    </table>
  </div>`;
}

/** A calm place holder. @param {{ icon?: string, children?: any }} props */
export function Empty({ icon, children }) {
  return html`<p class="empty">${icon && html`<${Icon} name=${icon} />`}<span>${children}</span></p>`;
}

/** A sentence in which `backticks` mark what is to be typed. @param {{ text: string }} props */
export function Prose({ text }) {
  return html`${text.split("`").map((piece, index) => (index % 2 === 1 ? html`<code key=${index}>${piece}</code>` : piece))}`;
}
