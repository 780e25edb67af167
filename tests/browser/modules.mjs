// The page's own modules, found by following their imports from app.js.
//
//   node modules.mjs            lists them with their sizes
//   node modules.mjs --write    also renews the preload list in index.html, so that the first paint waits for
//                               one round of requests and not for one per level of imports

import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

export const PAGE = fileURLToPath(new URL("../../crates/hub/dashboard/", import.meta.url));

/** Every module that app.js imports, itself included; what is imported on demand is left out. */
export function staticModules() {
  /** @type {string[]} */
  const found = [];
  /** @param {string} path */
  const visit = (path) => {
    if (found.includes(path)) return;
    found.push(path);
    for (const match of readFileSync(join(PAGE, path), "utf8").matchAll(/\b(?:from|import)\s*"(\.[^"]+)"/g)) visit(normalize(join(dirname(path), match[1] ?? "")));
  };
  visit("app.js");
  return found.sort();
}

/** The preload list as it should be. */
export function preloadList() {
  const lines = staticModules().filter((path) => path !== "app.js").map((path) => `<link rel="modulepreload" href="${path}">`);
  return `<!-- modules:begin -->\n${lines.join("\n")}\n<!-- modules:end -->`;
}

/** @param {string} html */
export const preloadsIn = (html) => /<!-- modules:begin -->[^]*<!-- modules:end -->/.exec(html)?.[0] ?? "";

/** Sizes in bytes, as they are and by gzip. */
export function sizes() {
  const css = ["tokens", "layout", "parts", "sections", "fleet"].map((name) => `css/${name}.css`);
  const groups = { "first paint": ["index.html", "theme.js", "icon.svg", ...css, ...staticModules()], "charts, on demand": ["vendor/uplot.js", "vendor/uplot.css"] };
  return Object.entries(groups).map(([name, files]) => {
    const bodies = files.map((file) => readFileSync(join(PAGE, file)));
    return { name, files: files.length, bytes: bodies.reduce((sum, body) => sum + body.length, 0), gzip: bodies.reduce((sum, body) => sum + gzipSync(body, { level: 9 }).length, 0) };
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv.includes("--write")) {
    const path = join(PAGE, "index.html");
    const html = readFileSync(path, "utf8");
    writeFileSync(path, html.replace(preloadsIn(html), preloadList()));
  }
  console.log(staticModules().join("\n"));
  for (const { name, files, bytes, gzip } of sizes()) console.log(`${name}: ${files} files, ${bytes} bytes, ${gzip} by gzip`);
}
