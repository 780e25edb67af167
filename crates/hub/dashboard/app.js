// The page's root: routes by hash, joins the live data, draws.

import { counts, followAddress } from "./fleet/store.js";
import { LEVELS } from "./fleet/wish.js";
import { effect, html, render, signal } from "./lib.js";
import { startKeys } from "./keys.js";
import { startLive } from "./live.js";
import { connection, extent, loaded, route, shownId, summaries } from "./state.js";
import { Dialogs } from "./views/dialogs.js";
import { FleetPage } from "./views/fleet.js";
import { spoken } from "./views/hero.js";
import { ResourcePage } from "./views/resource.js";
import { GoneNote, Sidebar, TopBar } from "./views/shell.js";
import { Loading, Login, NoHub } from "./views/states.js";

function Main() {
  if (connection.value === "denied") return html`<${Login} />`;
  if (!loaded.value) return connection.value === "reconnecting" ? html`<${NoHub} />` : html`<${Loading} />`;
  const id = shownId.value;
  return id ? html`<${ResourcePage} key=${id} id=${id} />` : html`<${FleetPage} />`;
}

/** How often a screen reader is told of the fleet's numbers. */
const FLEET_SPOKEN_EVERY_MS = 15_000;

/** What a screen reader is told: level changes of what is shown, nothing else. @type {Signal<string>} */
const announcement = signal("");

function App() {
  const bare = connection.value === "denied" || !loaded.value;
  return html`
    <a class="skip" href="#main" onClick=${(/** @type {Event} */ event) => { event.preventDefault(); document.getElementById("main")?.focus(); }}>Skip to content</a>
    <${TopBar} />
    <div class=${extent.value === "fleet" && !shownId.value && !bare ? "frame wide" : "frame"}>
      ${!bare && html`<${Sidebar} />`}
      <main id="main" tabindex="-1">${loaded.value && html`<${GoneNote} />`}<${Main} /></main>
    </div>
    <p class="sr" aria-live="polite" id="announcement">${announcement}</p>
    <${Dialogs} />`;
}

function readRoute() {
  const before = route.value;
  const [text = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  if (text === "") followAddress(query);
  try {
    route.value = decodeURIComponent(text);
  } catch {
    route.value = text;
  }
  if (before !== route.value) window.scrollTo(0, 0);
}

let fleetSpoken = 0;

/** How often the fleet's line in the title is renewed. */
const FLEET_TITLE_EVERY_MS = 1_000;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let titleTimer;

/** The fleet in one line: what is not well, worst first. */
function fleetWords() {
  const { levels, total } = counts.peek();
  const bad = LEVELS.filter((level) => level !== "healthy" && (levels[level] ?? 0) > 0).map((level) => `${levels[level]} ${level}`);
  return `${bad.join(", ") || "all healthy"} of ${total} nodes`;
}

function tellFleet() {
  titleTimer = undefined;
  if (shownId.peek() || extent.peek() !== "fleet") return;
  const text = fleetWords();
  document.title = `${text} · Sickbay`;
  if (Date.now() - fleetSpoken < FLEET_SPOKEN_EVERY_MS) return;
  fleetSpoken = Date.now();
  announcement.value = text;
}

function followTitle() {
  /** @type {Map<string, string>} */
  const levels = new Map();
  effect(() => {
    const shown = summaries.value.get(shownId.value);
    if (!shownId.value && extent.value === "fleet") {
      counts.value;
      titleTimer ??= setTimeout(tellFleet, document.title === "Sickbay" ? 0 : FLEET_TITLE_EVERY_MS);
      return;
    }
    document.title = shown ? `${shown.display_name}: ${shown.level} · Sickbay` : "Sickbay";
    if (!shown) return;
    const before = levels.get(shown.id);
    levels.set(shown.id, shown.level);
    if (before && before !== shown.level) announcement.value = spoken(shown);
  });
}

readRoute();
window.addEventListener("hashchange", readRoute);
followTitle();
const root = document.getElementById("app");
if (root) {
  root.textContent = "";
  render(html`<${App} />`, root);
}
startKeys();
startLive();
