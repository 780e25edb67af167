// What is not well, with evidence and advice; or a calm word that all is. And every check, on demand.

import { html } from "../lib.js";
import { milliseconds, plural, words } from "../format.js";
import { For, Level, Prose, Section, Table } from "../parts/basics.js";
import { Icon } from "../parts/icon.js";
import { freshness } from "../state.js";

/** @param {{ detail: Wire.ResourceDetail }} props */
export function Findings({ detail }) {
  const findings = detail.checks.filter((check) => check.status !== "healthy");
  const stale = freshness(detail) !== "";
  const total = detail.checks.length;
  const title = findings.length > 0 ? "Findings" : "Checks";
  return html`<${Section} id="findings" title=${title} aside=${html`<span class="muted">${findings.length > 0 ? `${findings.length} of ${plural(total, "check")}` : null}</span>`}>
    ${total === 0 && html`<p class="calm" data-level="unknown"><${Icon} name="unknown" size=${20} /><span>No check has been answered yet.</span></p>`}
    ${total > 0 && findings.length === 0 && html`<p class="calm" data-level=${stale ? "unknown" : "healthy"}>
      <${Icon} name=${stale ? "unknown" : "healthy"} size=${20} /><span>${stale ? `All ${plural(total, "check")} were well when last asked.` : total === 1 ? "The check is well." : `All ${plural(total, "check")} are well.`}</span></p>`}
    ${(detail.incidents ?? []).map((incident) => html`<${Incident} key=${incident.rule + incident.since} incident=${incident} checks=${detail.checks} />`)}
    ${findings.length > 0 && html`<ul class="findings">${findings.map((check) => html`<${Finding} key=${`${check.check}|${check.instance}`} check=${check} />`)}</ul>`}
    ${total > 0 && html`<details class="all-checks"><summary>${total === 1 ? "Show it" : findings.length > 0 ? `All ${plural(total, "check")}` : "Show them"}</summary>
      <${Table} label="All checks" head=${["Check", "Status", { name: "What was found", wide: true }, "Part", { name: "Points", right: true }, { name: "Took", right: true }]}>
        ${detail.checks.map((check) => html`<tr key=${`${check.check}|${check.instance}`}>
          <th scope="row"><code>${check.check}</code>${check.instance && html` <span class="muted">${check.instance}</span>`}</th>
          <td><${Level} level=${check.status} quiet /></td><td class="wide">${check.message}</td><td class="muted">${words(check.component)}</td>
          <td class="right">${check.points.toFixed(0)}</td><td class="right muted">${milliseconds(check.took_ms)}</td>
        </tr>`)}
      <//></details>`}
  <//>`;
}

/** What hangs together: what happened, and what came of it in the order of time. @param {{ incident: Wire.Incident, checks: Wire.Check[] }} props */
function Incident({ incident, checks }) {
  /** @param {Wire.CheckRef} wanted */
  const find = (wanted) => checks.find((check) => check.check === wanted.check && check.instance === wanted.instance);
  const chain = [incident.root, ...incident.evidence].map(find).filter((check) => check !== undefined);
  const level = chain[0]?.status ?? "unknown";
  return html`<section class="incident" data-level=${level} aria-label=${`What happened: ${incident.title}`}>
    <h3><${Icon} name=${level} size=${20} /> <span class="incident-title">${incident.title}</span> <span class="muted">for <${For} at=${incident.since} /></span></h3>
    <ol>${chain.map((check, place) => html`<li key=${`${check.check}|${check.instance}`}><span class="muted">${place === 0 ? "because" : "explains"}</span> <span>${check.message} <span class="muted">for <${For} at=${check.since} /></span></span></li>`)}</ol>
    <p class="advice"><${Icon} name="advice" /><span><span class="sr">What to do: </span><${Prose} text=${incident.advice} /></span></p>
  </section>`;
}

/** @param {{ check: Wire.Check }} props */
function Finding({ check }) {
  return html`<li class="finding" data-level=${check.status}>
    <${Icon} name=${check.status} size=${20} /><div>
    <h3>${check.message}</h3>
    <p class="finding-meta"><b>${check.status}</b><code>${check.check}</code>${check.instance && html`<span>${check.instance}</span>`}
      <span>for <${For} at=${check.since} /></span>
      ${!check.hard && html`<span title="Seen, but not often enough in a row to count as confirmed">not confirmed yet</span>`}</p>
    ${check.evidence.length > 0 && html`<dl class="evidence">${check.evidence.map((fact) => html`<div key=${fact.what}>
      <dt>${fact.what}</dt><dd><b>${fact.value}</b>${fact.threshold && html` <span class="muted">threshold ${fact.threshold}</span>`}</dd></div>`)}</dl>`}
    ${check.advice && html`<p class="advice"><${Icon} name="advice" /><span><span class="sr">What to do: </span><${Prose} text=${check.advice} /></span></p>`}
  </div></li>`;
}

const OUTCOME = { passed: "passed", failed: "failed", not_applicable: "does not apply" };

/** @param {{ readiness: Wire.Readiness, stale: boolean }} props */
export function ReadinessSection({ readiness, stale }) {
  const applicable = readiness.checks.filter((check) => check.outcome !== "not_applicable");
  return html`<${Section} id="readiness" title="Readiness" aside=${html`<span class="pass-share muted">${readiness.pass_rate_percent.toFixed(0)}\u00a0% of ${plural(applicable.length, "check")} pass, ${readiness.required_percent.toFixed(0)}\u00a0% needed</span> <span class="tag" data-tone=${stale ? "none" : readiness.ready ? "good" : "bad"}>
      ${stale ? (readiness.ready ? "was ready" : "was not ready") : readiness.ready ? "ready" : "not ready"}</span>`}>
    <ul class="readiness">${readiness.checks.map((check) => html`<li key=${check.check} data-outcome=${check.outcome}>
      <${Icon} name=${check.outcome} /><span class="sr">${OUTCOME[check.outcome]}: </span>
      <div><b>${words(check.check)}</b><span class="muted">${check.message}</span></div>
    </li>`)}</ul>
  <//>`;
}
