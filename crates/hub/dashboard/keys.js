// The keyboard: single keys, never while typing, never with a modifier.

import { dialog, goToSection, openDialog } from "./views/dialogs.js";
import { SEARCH_ID } from "./views/fleet.js";
import { choice } from "./fleet/store.js";
import { extent, ordered, route, shownId } from "./state.js";
import { nextTheme } from "./theme-choice.js";

/** @param {EventTarget | null} target */
const isTyping = (target) => target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName));

/** @param {1 | -1} step */
function move(step) {
  const fleet = extent.value === "fleet";
  // On a node's page, the next node in the order in which the fleet is looked at.
  if (fleet && !shownId.value) return moveSection(step);
  const ids = fleet ? choice.value.rows.map((row) => row.id) : ordered.value.map((item) => item.id);
  if (ids.length < 2) return moveSection(step);
  const here = fleet && shownId.value.startsWith("gpu/") ? `node/${shownId.value.split("/")[1]}` : shownId.value;
  const next = ids[Math.max(0, Math.min(ids.length - 1, ids.indexOf(here) + step))];
  if (next === undefined) return;
  // The hash is read back only later: a quick second key must not start from the old place.
  route.value = next;
  location.hash = `#/${next}`;
  requestAnimationFrame(() => document.querySelector('.side [aria-current="page"]')?.scrollIntoView({ block: "nearest" }));
}

/** @param {1 | -1} step */
function moveSection(step) {
  const sections = [...document.querySelectorAll("section[data-section]")];
  const current = document.activeElement?.closest("section[data-section]") ?? null;
  const at = current ? sections.indexOf(current) : -1;
  const next = sections[Math.max(0, Math.min(sections.length - 1, at + step))];
  if (next) goToSection(next.id);
}

/** On the fleet, its own search; elsewhere the dialog. */
function search() {
  const field = document.getElementById(SEARCH_ID);
  if (field) field.focus();
  else openDialog("search");
}

export function startKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || dialog.value !== "" || isTyping(event.target)) return;
    /** @type {Record<string, () => void>} */
    const actions = {
      "/": search, "?": () => openDialog("help"), j: () => move(1), k: () => move(-1), t: nextTheme,
      h: () => goToSection("history"), e: () => goToSection("events"),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
