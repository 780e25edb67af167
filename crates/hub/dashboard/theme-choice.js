// Dark, light, or as the system has it. The choice is kept; theme.js applies it before the first paint.

import { computed, signal } from "./lib.js";

const KEY = "sickbay.theme";
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = signal(dark.matches);
dark.addEventListener("change", (event) => (systemIsDark.value = event.matches));

/** @typedef {"auto" | "light" | "dark"} ThemeChoice */

/** @type {Signal<ThemeChoice>} */
export const themeChoice = signal(/** @type {ThemeChoice} */ (document.documentElement.dataset.theme ?? "auto"));
/** What is on screen: `dark` or `light`. */
export const themeShown = computed(() => (themeChoice.value === "auto" ? (systemIsDark.value ? "dark" : "light") : themeChoice.value));

/** Auto, then the other look, then the first one. */
export function nextTheme() {
  /** @type {ThemeChoice[]} */
  const order = systemIsDark.value ? ["auto", "light", "dark"] : ["auto", "dark", "light"];
  const next = order[(order.indexOf(themeChoice.value) + 1) % order.length] ?? "auto";
  themeChoice.value = next;
  if (next === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    if (next === "auto") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, next);
  } catch {
    // Storage is off: the choice holds until the page is left.
  }
}
