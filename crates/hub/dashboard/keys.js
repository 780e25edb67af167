// The keyboard: single keys, never while typing, never with a modifier.

import { dialog, goToSection, openDialog } from "./views/dialogs.js";
import { ordered, route, shownId, tops } from "./state.js";
import { nextTheme } from "./theme-choice.js";

/** @param {EventTarget | null} target */
const isTyping = (target) => target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName));

/** @param {1 | -1} step */
function move(step) {
  const list = ordered.value;
  if (list.length < 2) return moveSection(step);
  // With several machines the overview is the first stop.
  const ids = [...(tops.value.length > 1 ? [""] : []), ...list.map((item) => item.id)];
  const at = ids.indexOf(shownId.value);
  const next = ids[Math.max(0, Math.min(ids.length - 1, at + step))];
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

export function startKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || dialog.value !== "" || isTyping(event.target)) return;
    /** @type {Record<string, () => void>} */
    const actions = {
      "/": () => openDialog("search"), "?": () => openDialog("help"), j: () => move(1), k: () => move(-1), t: nextTheme,
      h: () => goToSection("history"), e: () => goToSection("events"),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
