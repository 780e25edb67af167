// Fetches the page's libraries from npm at the versions named here and writes them into the
// dashboard's `vendor` folder: one ES module and one licence each.
//
// The page runs without a build step and without inline import maps (its content security policy
// forbids inline scripts), so bare module names are rewritten to relative paths, source-map
// comments are dropped, and uPlot's minified script gets an `export default`. Nothing else changes.
//
// Usage: node vendor.mjs            (then run the tests and commit the result)

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const target = join(dirname(fileURLToPath(import.meta.url)), "../../crates/hub/dashboard/vendor");

const libraries = [
  { name: "preact", version: "11.2.0", files: { "dist/preact.mjs": "preact.js", "hooks/dist/hooks.mjs": "preact-hooks.js" } },
  { name: "htm", version: "3.1.1", files: { "dist/htm.mjs": "htm.js" } },
  { name: "@preact/signals-core", version: "1.14.5", files: { "dist/signals-core.mjs": "signals-core.js" } },
  { name: "@preact/signals", version: "2.11.4", files: { "dist/signals.mjs": "signals.js" } },
  {
    name: "uplot",
    version: "1.6.32",
    files: { "dist/uPlot.iife.min.js": "uplot.js", "dist/uPlot.min.css": "uplot.css" },
  },
];

/** Bare module names, and the files that answer for them here. */
const modules = {
  "preact/hooks": "./preact-hooks.js",
  "@preact/signals-core": "./signals-core.js",
  preact: "./preact.js",
};

function patched(text, file) {
  let out = text.replace(/\n?\/\/# sourceMappingURL=.*\s*$/, "\n");
  for (const [bare, path] of Object.entries(modules)) {
    out = out.replaceAll(`from"${bare}"`, `from"${path}"`).replaceAll(`from "${bare}"`, `from "${path}"`);
    out = out.replaceAll(`import"${bare}"`, `import"${path}"`);
  }
  if (file === "uplot.js") out = `${out.trimEnd()}\nexport default uPlot;\n`;
  const left = out.match(/(?:from|import)\s*["'](?![./])[^"']+["']/);
  if (left && file.endsWith(".js")) throw new Error(`${file}: ${left[0]} has no path; add it to \`modules\``);
  return out;
}

const work = mkdtempSync(join(tmpdir(), "sickbay-vendor-"));
try {
  const rows = [];
  for (const { name, version, files } of libraries) {
    const tarball = execFileSync("npm", ["pack", "--silent", `${name}@${version}`], { cwd: work, encoding: "utf8" }).trim();
    execFileSync("tar", ["xzf", tarball], { cwd: work });
    const licence = `${name.replace("@", "").replace("/", "-")}.LICENSE.txt`;
    for (const [from, to] of Object.entries(files)) {
      writeFileSync(join(target, to), patched(readFileSync(join(work, "package", from), "utf8"), to));
      rows.push(`| \`${to}\` | ${name} ${version} | \`${from}\` | [${licence}](${licence}) |`);
    }
    writeFileSync(join(target, licence), readFileSync(join(work, "package/LICENSE")));
    rmSync(join(work, "package"), { recursive: true });
    console.log(`vendored ${name} ${version}`);
  }
  writeFileSync(
    join(target, "README.md"),
    `# Vendored libraries

Taken from npm as published, at pinned versions, with their licences. Written by
\`tests/browser/vendor.mjs\`; do not edit by hand.

| file | package | from | licence |
|---|---|---|---|
${rows.join("\n")}

Changes to the published files: bare module names became relative paths (the page's content security
policy allows no inline import map), source-map comments were dropped, \`uplot.js\` got an
\`export default\`.

To update: change the version in \`tests/browser/vendor.mjs\`, run \`node tests/browser/vendor.mjs\`, then
\`tests/browser/run.sh\`, and commit what changed.
`,
  );
} finally {
  rmSync(work, { recursive: true });
}
