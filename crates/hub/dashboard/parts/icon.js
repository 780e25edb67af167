// Icons, drawn on a 16-pixel grid. Decorative: the word always stands beside them.

import { html } from "../lib.js";

/** @type {Record<string, string>} */
const PATHS = {
  // One outline per level, so that they differ without colour.
  healthy: "M8 1.8a6.2 6.2 0 1 1 0 12.4A6.2 6.2 0 0 1 8 1.8ZM5.2 8.2l2 2 3.6-4.1",
  degraded: "M8 2.2 14.4 13.4H1.6L8 2.2ZM8 6.6v3.1M8 11.5v.1",
  unhealthy: "M8 1.4 14.6 8 8 14.6 1.4 8 8 1.4ZM8 5v3.6M8 10.8v.1",
  critical: "M5.4 1.8h5.2l3.6 3.6v5.2l-3.6 3.6H5.4l-3.6-3.6V5.4l3.6-3.6ZM5.9 5.9l4.2 4.2M10.1 5.9l-4.2 4.2",
  unknown: "M6 6.2c.1-1.2.9-1.9 2-1.9 1.2 0 2 .8 2 1.8 0 1.5-2 1.6-2 3.200M8 11.500v.1",
  passed: "M3.2 8.400l3.1 3.1 6.5-7",
  failed: "M4 4l8 8M12 4l-8 8",
  not_applicable: "M3.5 8h9",
  advice: "M2.5 8h10M9 4.5 12.5 8 9 11.5",
  search: "M7 2.200a4.8 4.8 0 1 1 0 9.6 4.8 4.8 0 0 1 0-9.600ZM10.6 10.600l3.2 3.2",
  sun: "M8 5.200a2.8 2.8 0 1 1 0 5.6 2.8 2.8 0 0 1 0-5.600ZM8 1.400v1.400M8 13.200v1.400M1.4 8h1.400M13.2 8h1.400M3.3 3.300l1 1M11.7 11.700l1 1M3.3 12.700l1-1M11.7 4.300l1-1",
  moon: "M13.5 9.700A5.8 5.8 0 0 1 6.3 2.500a5.8 5.8 0 1 0 7.2 7.200Z",
  auto: "M8 1.800a6.2 6.2 0 1 1 0 12.400A6.2 6.2 0 0 1 8 1.800ZM8 2v12M8 4.500h4.500M8 8h6M8 11.500h4.5",
  help: "M8 1.800a6.2 6.2 0 1 1 0 12.400A6.2 6.2 0 0 1 8 1.800ZM6.3 6.400c.1-1 .8-1.6 1.7-1.6 1 0 1.7.7 1.7 1.5 0 1.3-1.7 1.3-1.7 2.700M8 11.100v.1",
  close: "M4 4l8 8M12 4l-8 8",
  menu: "M2.5 4.500h11M2.5 8h11M2.5 11.500h11",
  grid: "M2.5 2.500h4v4h-4ZM9.5 2.500h4v4h-4ZM2.5 9.500h4v4h-4ZM9.5 9.500h4v4h-4Z",
  list: "M5.5 4h8M5.5 8h8M5.5 12h8M2.500 4h.1M2.500 8h.1M2.500 12h.1",
  barred: "M8 1.800a6.2 6.2 0 1 1 0 12.400A6.2 6.2 0 0 1 8 1.800ZM4.8 8h6.400",
  plug: "M5.5 2v3M10.5 2v3M3.8 5h8.400v2.500a4.2 4.2 0 0 1-8.4 0V5ZM8 11.700V14",
  pause: "M5.5 3.500v9M10.5 3.500v9",
  lock: "M3.5 7.200h9v6.300h-9V7.200ZM5.5 7V5a2.5 2.5 0 0 1 5 0v2",
};

/** @param {{ name: string, size?: number }} props */
export function Icon({ name, size = 16 }) {
  const dashed = name === "unknown";
  return html`<svg class=${`icon icon-${name}`} viewBox="0 0 16 16" width=${size} height=${size} aria-hidden="true" focusable="false">
    ${dashed && html`<circle cx="8" cy="8" r="6.2" fill="none" stroke="currentColor" stroke-width="1.5" stroke-dasharray="2.6 2.27" />`}
    <path d=${PATHS[name] ?? ""} fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" />
  </svg>`;
}

/** The mark of the product. */
export function Mark() {
  return html`<svg class="mark" viewBox="0 0 32 32" width="22" height="22" aria-hidden="true" focusable="false">
    <rect width="32" height="32" rx="8" /><path d="M5 17h6l3-8 5 14 3-6h5" />
  </svg>`;
}
