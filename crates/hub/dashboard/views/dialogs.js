// Search and help: native dialogs, so that focus and Escape are the browser's own business.

import { html, signal, useEffect, useMemo, useRef, useSignal } from "../lib.js";
import { score as scoreText } from "../format.js";
import { Icon } from "../parts/icon.js";
import { allRows } from "../fleet/store.js";
import { extent, freshness, ordered, summaries } from "../state.js";

/** Results shown at once. */
const RESULT_LIMIT = 12;

/** @type {Signal<"" | "search" | "help">} */
export const dialog = signal("");

/** @param {"search" | "help"} name */
export function openDialog(name) {
  dialog.value = name;
}

export function Dialogs() {
  if (dialog.value === "search") return html`<${Search} />`;
  if (dialog.value === "help") return html`<${Help} />`;
  return null;
}

/** @param {{ label: string, className: string, children?: any }} props */
function Modal({ label, className, children }) {
  const host = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => {
    const before = document.activeElement;
    host.current?.showModal();
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return html`<dialog ref=${host} class=${className} aria-label=${label} onClose=${() => (dialog.value = "")}
    onClick=${(/** @type {any} */ event) => event.target === host.current && host.current?.close()}>${children}</dialog>`;
}

/** @typedef {{ key: string, text: string, note: string, level: string, go: () => void }} Found */

/** @param {string} id */
export function goToSection(id) {
  const title = document.getElementById(`${id}-title`);
  title?.closest("section")?.scrollIntoView();
  title?.focus({ preventScroll: true });
}

function Search() {
  const text = useSignal("");
  const at = useSignal(0);
  const nodes = useMemo(allRows, []);
  const wanted = text.value.trim().toLowerCase();
  /** @type {Found[]} */
  const all = [
    ...ordered.value.map((item) => ({
      key: item.id, text: item.id, note: scoreText(item.score), level: freshness(item) ? "unknown" : item.level,
      go: () => void (location.hash = `#/${item.id}`),
    })),
    ...(extent.value === "fleet" ? nodes.filter((row) => !summaries.value.has(row.id)).map((row) => ({
      key: row.id, text: row.id, note: scoreText(row.node.score), level: row.level, go: () => void (location.hash = `#/${row.id}`),
    })) : []),
    ...[...document.querySelectorAll("section[data-section]")].map((section) => ({
      key: `section ${section.id}`, text: section.getAttribute("data-section") ?? "", note: "on this page", level: "", go: () => goToSection(section.id),
    })),
  ];
  const found = all.filter((item) => item.text.toLowerCase().includes(wanted)).slice(0, RESULT_LIMIT);
  /** @param {Found | undefined} item */
  const choose = (item) => {
    if (!item) return;
    dialog.value = "";
    setTimeout(item.go, 0);
  };
  /** @param {KeyboardEvent} event */
  const onKeyDown = (event) => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step) at.value = Math.max(0, Math.min(found.length - 1, at.value + step));
    else if (event.key === "Enter") choose(found[at.value]);
    else return;
    event.preventDefault();
  };
  return html`<${Modal} label="Search" className="dialog search">
    <div class="search-box"><${Icon} name="search" /><input type="search" role="combobox" aria-label="Resource or section" aria-expanded="true" aria-controls="search-results"
      aria-activedescendant=${found.length > 0 ? `found-${at.value}` : undefined} placeholder="Resource or section" value=${text.value} autofocus autocomplete="off"
      onInput=${(/** @type {any} */ event) => { text.value = event.target.value; at.value = 0; }} onKeyDown=${onKeyDown} /></div>
    <ul id="search-results" role="listbox" aria-label="Found">${found.map((item, index) => html`<li key=${item.key} id=${`found-${index}`} role="option" aria-selected=${index === at.value}
      data-level=${item.level || "none"} onClick=${() => choose(item)}>${item.level ? html`<${Icon} name=${item.level} />` : html`<${Icon} name="advice" />`}<span>${item.text}</span><span class="muted">${item.note}</span></li>`)}</ul>
    ${found.length === 0 && html`<p class="empty">Nothing is called that.</p>`}
  <//>`;
}

/** @type {[string[], string][]} */
const KEYS = [
  [["/"], "search"],
  [["←", "→", "↑", "↓"], "on the map: from node to node; Enter opens it"],
  [["j", "k"], "next, previous resource (or section, when there is one resource)"],
  [["h"], "history"],
  [["e"], "events"],
  [["t"], "theme: as the system has it, dark, light"],
  [["?"], "this help"],
  [["Esc"], "close"],
];

function Help() {
  return html`<${Modal} label="Help" className="dialog help">
    <h2>Keys</h2>
    <dl class="keys">${KEYS.map(([keys, what]) => html`<div key=${what}><dt>${keys.map((key) => html`<kbd key=${key}>${key}</kbd> `)}</dt><dd>${what}</dd></div>`)}</dl>
    <h2>How to read the score</h2>
    <p>Four parts add up to 100: GPU 40, system 30, network 20, process 10. A part that does not apply hands its weight to the others. The worst finding caps the sum, so that an
      average never hides a dead GPU. From 80 it is healthy, from 60 degraded, from 40 unhealthy, below that critical. What cannot be judged is unknown, and never counts as healthy.</p>
    <form method="dialog"><button class="button">Close</button></form>
  <//>`;
}
