// The page's root: routes by hash, joins the live data, draws.

import { effect, html, render, signal } from "./lib.js";
import { startKeys } from "./keys.js";
import { startLive } from "./live.js";
import { connection, loaded, route, shownId, summaries } from "./state.js";
import { Dialogs } from "./views/dialogs.js";
import { spoken } from "./views/hero.js";
import { Overview } from "./views/overview.js";
import { ResourcePage } from "./views/resource.js";
import { GoneNote, Sidebar, TopBar } from "./views/shell.js";
import { Loading, Login, NoHub } from "./views/states.js";

function Main() {
  if (connection.value === "denied") return html`<${Login} />`;
  if (!loaded.value) return connection.value === "reconnecting" ? html`<${NoHub} />` : html`<${Loading} />`;
  const id = shownId.value;
  return id ? html`<${ResourcePage} key=${id} id=${id} />` : html`<${Overview} />`;
}

/** What a screen reader is told: level changes of what is shown, nothing else. @type {Signal<string>} */
const announcement = signal("");

function App() {
  const bare = connection.value === "denied" || !loaded.value;
  return html`
    <a class="skip" href="#main" onClick=${(/** @type {Event} */ event) => { event.preventDefault(); document.getElementById("main")?.focus(); }}>Skip to content</a>
    <${TopBar} />
    <div class="frame">
      ${!bare && html`<${Sidebar} />`}
      <main id="main" tabindex="-1">${loaded.value && html`<${GoneNote} />`}<${Main} /></main>
    </div>
    <p class="sr" aria-live="polite" id="announcement">${announcement}</p>
    <${Dialogs} />`;
}

function readRoute() {
  const before = route.value;
  const text = location.hash.replace(/^#\/?/, "");
  try {
    route.value = decodeURIComponent(text);
  } catch {
    route.value = text;
  }
  if (before !== route.value) window.scrollTo(0, 0);
}

function followTitle() {
  /** @type {Map<string, string>} */
  const levels = new Map();
  effect(() => {
    const shown = summaries.value.get(shownId.value);
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
