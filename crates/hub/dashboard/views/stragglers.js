// Who departs from those that do the same work: a group a job, with what each straggler does and the others do.

import { html, useEffect, useSignal } from "../lib.js";
import { getStragglers } from "../api.js";
import { number, plural } from "../format.js";
import { Age, For, Prose, Section } from "../parts/basics.js";
import { Icon } from "../parts/icon.js";

/** The hub compares once a minute. */
const REFRESH_MS = 30_000;
/** Groups in which all is well that are listed before "all" is asked for. */
const CALM_SHOWN = 3;

export function Stragglers() {
  const view = useSignal(/** @type {Wire.StragglersView | null} */ (null));
  useEffect(() => {
    let here = true;
    const look = async () => {
      if (document.hidden) return;
      try {
        const found = await getStragglers();
        if (here) view.value = found;
      } catch {
        // The connection's own line says what is wrong; what was found last stays, with its age.
      }
    };
    void look();
    const timer = setInterval(look, REFRESH_MS);
    return () => {
      here = false;
      clearInterval(timer);
    };
  }, []);
  const shown = view.value;
  // Before the first comparison there is nothing to say.
  if (!shown?.at) return null;
  const ill = shown.groups.filter((group) => group.straggler_count > 0);
  const calm = shown.groups.filter((group) => group.straggler_count === 0);
  return html`<${Section} id="stragglers" title="Stragglers" aside=${html`<span class="muted">compared <${Age} at=${shown.at} /> over ${shown.window_minutes} min</span>`}>
    ${shown.note && html`<p class="calm" data-level="unknown"><${Icon} name="not_applicable" size=${20} /><span>${shown.note}</span></p>`}
    ${ill.map((group) => html`<${Group} key=${keyOf(group)} group=${group} />`)}
    ${calm.length > 0 && html`<details class="all-checks" open=${ill.length === 0 && calm.length <= CALM_SHOWN}>
      <summary>${ill.length > 0 ? "Other groups" : "Groups"}: ${number(calm.length)}</summary>
      <ul class="straggler-groups">${calm.map((group) => html`<li key=${keyOf(group)}><${Head} group=${group} /> <span class="muted">${group.note}</span></li>`)}</ul>
    </details>`}
  <//>`;
}

/** @param {Wire.StragglerGroup} group */
const keyOf = (group) => `${group.job}|${group.compares}|${group.model ?? ""}|${group.since}|${group.stragglers[0]?.resource ?? ""}`;

/** @param {{ group: Wire.StragglerGroup }} props */
function Head({ group }) {
  const members = plural(group.members, group.compares === "gpus" ? "GPU" : "node");
  return html`<b>${group.job}</b> <span class="muted">${members}${group.model && ` (${group.model})`}${group.compares === "gpus" && ` on ${plural(group.nodes, "node")}`}, at work for <${For} at=${group.since} />.</span>`;
}

/** @param {{ group: Wire.StragglerGroup }} props */
function Group({ group }) {
  return html`<p class="straggler-head"><${Head} group=${group} /> <span class="muted">${group.note}</span></p>
    <ul class="findings">${group.stragglers.map((one) => html`<li class="finding" data-level="degraded" key=${one.resource}>
      <${Icon} name="degraded" size=${20} /><div>
      <h3><a href=${`#/${one.resource}`}>${one.message}</a></h3>
      <p class="finding-meta"><span>for <${For} at=${one.since} /></span></p>
      <p class="advice"><${Icon} name="advice" /><span><span class="sr">What to do: </span><${Prose} text=${one.advice} /></span></p>
    </div></li>`)}</ul>`;
}
