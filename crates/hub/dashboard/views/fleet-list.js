// The fleet as a table. Only the rows in view exist; all rows have one height.

import { html, useEffect, useRef, useSignal } from "../lib.js";
import { score as scoreText } from "../format.js";
import { choice, pulse, want } from "../fleet/store.js";
import { KIND_WORDS } from "../fleet/cells.js";
import { Age, For, Level } from "../parts/basics.js";

/** Height of a row in CSS pixels; the style sheet has the same. */
const ROW_HEIGHT = 40;
/** A row on a narrow screen is two lines high. */
const NARROW_ROW_HEIGHT = 74;
const NARROW = window.matchMedia("(max-width: 820px)");
/** Rows kept outside the view. */
const AHEAD = 12;

/** @type {[string, string, string][]} column, its order or none, its class */
const COLUMNS = [["Node", "name", "at-name"], ["Level", "level", "at-level"], ["Score", "score", "at-score"], ["What", "", "at-what"], ["Where", "", "at-where"], ["GPUs", "", "at-gpus"], ["Since", "since", "at-since"], ["Checked", "last_check", "at-checked"]];

export function FleetList() {
  const host = useRef(/** @type {HTMLDivElement | null} */ (null));
  const narrow = useSignal(NARROW.matches);
  const height = narrow.value ? NARROW_ROW_HEIGHT : ROW_HEIGHT;
  const view = useSignal({ from: 0, to: 60 });
  const { rows, sort } = choice.value;
  pulse.value;
  useEffect(() => {
    let frame = 0;
    const look = () => {
      frame = 0;
      const top = -(host.current?.getBoundingClientRect().top ?? 0);
      const from = Math.max(0, Math.floor(top / height) - AHEAD);
      const to = Math.ceil((top + innerHeight) / height) + AHEAD;
      if (from !== view.peek().from || to !== view.peek().to) view.value = { from, to };
    };
    const soon = () => void (frame ||= requestAnimationFrame(look));
    const turn = () => void (narrow.value = NARROW.matches);
    look();
    addEventListener("scroll", soon, { passive: true });
    addEventListener("resize", soon);
    NARROW.addEventListener("change", turn);
    return () => {
      cancelAnimationFrame(frame);
      removeEventListener("scroll", soon);
      removeEventListener("resize", soon);
      NARROW.removeEventListener("change", turn);
    };
  }, [height]);
  if (rows.length === 0) return null;
  const from = Math.min(view.value.from, Math.max(0, rows.length - 1));
  const to = Math.min(rows.length, view.value.to);
  const by = sort.replace(/^-/, "");
  const back = sort.startsWith("-");
  return html`<div class="fleet-list" ref=${host}>
    <table aria-label="Nodes" aria-rowcount=${rows.length + 1}>
      <thead><tr aria-rowindex="1">${COLUMNS.map(([name, order, place]) => html`<th key=${name} scope="col" class=${place} aria-sort=${order === "" ? undefined : by !== order ? "none" : back ? "descending" : "ascending"}>${order === ""
        ? name
        : html`<button type="button" class="sort" onClick=${() => want({ sort: by === order && !back ? `-${order}` : order }, { keep: true })}>${name}<span aria-hidden="true">${by === order ? (back ? " ↑" : " ↓") : ""}</span></button>`}</th>`)}</tr></thead>
      <tbody>
        ${from > 0 && html`<tr class="space" aria-hidden="true"><td colspan=${COLUMNS.length} style=${{ height: `${from * height}px` }}></td></tr>`}
        ${rows.slice(from, to).map((row, index) => html`<${ListRow} key=${row.id} row=${row} at=${from + index + 2} />`)}
        ${to < rows.length && html`<tr class="space" aria-hidden="true"><td colspan=${COLUMNS.length} style=${{ height: `${(rows.length - to) * height}px` }}></td></tr>`}
      </tbody>
    </table></div>`;
}

/** @param {{ row: import("../fleet/choose.js").Row, at: number }} props */
function ListRow({ row, at }) {
  const { node } = row;
  const text = row.stale ? `Not fresh: ${row.stale}.` : node.headline;
  return html`<tr class="node-row" data-level=${row.level} aria-rowindex=${at}>
    <th scope="row" class="at-name"><a href=${`#/${row.id}`}>${node.display_name}</a></th>
    <td class="at-level"><${Level} level=${node.level} was=${row.stale !== ""} />${row.kind !== row.level && html`<span class="muted at-breaker" title=${KIND_WORDS[row.kind]}>${row.kind === "open" ? "not asked" : "being tried"}</span>`}</td>
    <td class="at-score">${row.stale ? "" : scoreText(node.score)}</td>
    <td class="at-what" title=${text}>${text}</td>
    <td class="at-where muted">${Object.values(node.labels).join(" · ")}</td>
    <td class="at-gpus muted">${node.gpus || ""}</td>
    <td class="at-since muted"><${For} at=${node.since} /></td>
    <td class="at-checked muted"><${Age} at=${node.last_check} /></td>
  </tr>`;
}
