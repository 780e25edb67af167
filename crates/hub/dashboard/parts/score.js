// How the score came about: a dial for the score, a bar in which the contributions add up, the cap
// as a named line.

import { html } from "../lib.js";
import { NONE, score as scoreText, words } from "../format.js";

const RADIUS = 52;
const ROUND = 2 * Math.PI * RADIUS;
/** The dial is open at the bottom: three quarters of a circle. */
const SWEEP = 0.75;
/** A dashed track: there is nothing to show on it. */
const DASHES = `${"3 5.1 ".repeat(30)}3 ${ROUND}`;
/** Where one level ends and the next begins (the health model's lines). */
const LEVEL_LINES = [40, 60, 80];

/** @param {number} value 0 to 100 @param {number} radius */
function onDial(value, radius) {
  const angle = (0.375 + SWEEP * (value / 100)) * 2 * Math.PI;
  return { x: (64 + radius * Math.cos(angle)).toFixed(2), y: (64 + radius * Math.sin(angle)).toFixed(2) };
}

/** @param {{ card: Wire.ScoreCard, level: string, stale: boolean }} props */
export function Dial({ card, level, stale }) {
  const value = card.score;
  const arc = ROUND * SWEEP;
  const cap = card.caps[0];
  const name = value === null ? `No score: ${card.unknown_reason ?? "unknown"}` : `${stale ? "Last known score" : "Score"} ${scoreText(value)} of 100`;
  return html`<div class="dial" data-level=${stale ? "unknown" : level} role="img" aria-label=${name}>
    <svg viewBox="0 0 128 128" aria-hidden="true" focusable="false">
      <circle class="dial-track" cx="64" cy="64" r=${RADIUS} transform="rotate(135 64 64)"
        stroke-dasharray=${value === null ? DASHES : `${arc} ${ROUND}`} />
      ${value !== null && html`<circle class="dial-value" cx="64" cy="64" r=${RADIUS} transform="rotate(135 64 64)" stroke-dasharray=${`${(arc * value) / 100} ${ROUND}`} />`}
      ${LEVEL_LINES.map((line) => {
        const from = onDial(line, 43);
        const to = onDial(line, 45.5);
        return html`<line key=${line} class="dial-tick" x1=${from.x} y1=${from.y} x2=${to.x} y2=${to.y} />`;
      })}
      ${cap && value !== null && card.uncapped > cap.limit && (() => {
        const from = onDial(cap.limit, 45);
        const to = onDial(cap.limit, 59);
        return html`<line class="dial-cap" x1=${from.x} y1=${from.y} x2=${to.x} y2=${to.y} />`;
      })()}
    </svg>
    <div class="dial-text"><strong>${scoreText(value)}</strong><span>${value === null ? "no score" : "of 100"}</span></div>
  </div>`;
}

/** @param {Wire.Cap} cap */
const capName = (cap) => (cap.instance ? `${cap.check} ${cap.instance}` : cap.check);

/** @param {{ card: Wire.ScoreCard }} props */
export function Composition({ card }) {
  const parts = card.contributions;
  const cap = card.caps[0];
  const capped = cap !== undefined && card.uncapped > cap.limit;
  let left = 0;
  const placed = parts.map((part) => {
    const start = left;
    left += part.contribution;
    return { part, start };
  });
  const applied = parts.filter((part) => part.weight > 0);
  const sum = applied.map((part) => scoreText(part.contribution)).join(" + ");
  return html`<div class="composition">
    <div class="bar-wrap">
      <div class=${capped ? "score-bar capped" : "score-bar"} aria-hidden="true">
        ${placed.map(({ part, start }) => html`<span key=${part.component} class="score-part" data-component=${part.component}
          style=${{ left: `${start}%`, width: `${Math.max(0, part.contribution)}%` }}></span>`)}
        ${capped && html`<span class="score-over" style=${{ left: `${cap.limit}%`, width: `${card.uncapped - cap.limit}%` }}></span>`}
      </div>
      ${capped && html`<span class="cap-line" style=${{ left: `${cap.limit}%` }} aria-hidden="true"></span>`}
      <div class="bar-scale" aria-hidden="true">${[0, ...LEVEL_LINES, 100].map((line) => html`<span key=${line} style=${{ left: `${line}%` }}>${line}</span>`)}</div>
    </div>
    <p class="sum">
      <span class="sum-figures">${sum || NONE}${applied.length > 1 && ` = ${scoreText(card.uncapped)}`}</span>
      ${capped
        ? html`<span class="cap-name" data-level=${cap.status}>capped at ${scoreText(cap.limit)} by <b>${capName(cap)}</b></span>`
        : cap && html`<span class="muted">a cap at ${scoreText(cap.limit)} by ${capName(cap)} does not bind</span>`}
      ${card.caps.length > 1 && html`<details class="more-caps"><summary>${card.caps.length - 1} more ${card.caps.length === 2 ? "cap" : "caps"}</summary>
        <ul>${card.caps.slice(1).map((one) => html`<li key=${one.check + one.instance}>at ${scoreText(one.limit)} by ${capName(one)} (${one.status})</li>`)}</ul></details>`}
    </p>
    <ul class="parts">
      ${parts.map((part) => html`<li key=${part.component} data-component=${part.component} class=${part.weight > 0 ? "" : "off"}>
        <span class="part-name"><i></i>${words(part.component)}</span>
        <span class="part-score">${part.weight > 0
          ? html`<b>${scoreText(part.contribution)}</b> of ${scoreText(part.weight)}`
          : html`does not apply`}</span>
        <span class="part-note">${part.note}${part.weight > 0 && part.weight !== part.nominal_weight
          ? html` <span class="nowrap">(weight ${scoreText(part.nominal_weight)}, now ${scoreText(part.weight)})</span>` : null}</span>
      </li>`)}
    </ul>
  </div>`;
}
