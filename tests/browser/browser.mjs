// Starts the browser for the tests, and pages that watch themselves: errors on the console and requests that
// leave the page's origin fail the test that opened them.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const ARGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** A browser with a new, empty profile. */
export function startBrowser() {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  assert.ok(existsSync(executablePath), `${executablePath} is not there: install Debian's package \`chromium\`, or set CHROMIUM to a Chromium's path`);
  return chromium.launch({ executablePath, args: ARGS });
}

/**
 * @param {import("playwright-core").Browser} browser @param {string} url
 * @param {{ width?: number, height?: number, theme?: "light" | "dark", mayFail?: RegExp }} [options] `mayFail`: errors that are part of the test
 */
export async function openPage(browser, url, { width = 1280, height = 900, theme = "light", mayFail } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, reducedMotion: "reduce" });
  const page = await context.newPage();
  /** @type {string[]} */
  const problems = [];
  const { origin } = new URL(url);
  page.on("console", (message) => {
    if ((message.type() === "error" || message.type() === "warning") && !mayFail?.test(message.text())) problems.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => problems.push(`error: ${error.stack ?? error.message}`));
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== origin && !request.url().startsWith("data:")) problems.push(`left the origin: ${request.url()}`);
  });
  await page.goto(url);
  return {
    page,
    /** Fails on anything that went wrong since the page was opened; closes it. */
    async done() {
      await context.close();
      assert.deepEqual(problems, []);
    },
  };
}

/** What axe finds seriously wrong. @param {import("playwright-core").Page} page */
export async function accessibilityProblems(page) {
  await page.evaluate(AXE);
  return page.evaluate(async () => {
    const axe = /** @type {any} */ (window).axe;
    const result = await axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] });
    if (result.passes.length < 10) return ["axe looked at next to nothing"];
    return result.violations.filter((/** @type {any} */ one) => one.impact === "serious" || one.impact === "critical")
      .map((/** @type {any} */ one) => `${one.id}: ${one.nodes.slice(0, 4).map((/** @type {any} */ node) => `${node.target} ${node.any[0]?.message ?? ""}`).join(" | ")}`);
  });
}
