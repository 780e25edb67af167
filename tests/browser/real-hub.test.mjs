// The page of a real hub, at SICKBAY_URL: `SICKBAY_URL=http://127.0.0.1:8790/ node --test real-hub.test.mjs`.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { accessibilityProblems, openPage, startBrowser } from "./browser.mjs";

const address = process.env.SICKBAY_URL;
if (!address) console.log("SICKBAY_URL is not set: the page of a real hub is NOT tested.");

describe("a real hub", { skip: address ? false : "SICKBAY_URL is not set" }, () => {
  /** @type {import("playwright-core").Browser} */
  let browser;
  before(async () => {
    browser = await startBrowser();
  });
  after(() => browser.close());

  test("score, live news, history, events", async () => {
    const { page, done } = await openPage(browser, new URL("/", address).href, {});
    page.setDefaultTimeout(60_000);
    await page.locator(".connection", { hasText: "live" }).waitFor();
    await page.locator(".hero").waitFor();
    // Of a fleet, the first node: a card of few, a cell of many.
    const first = page.locator('.card, .cell-focus[tabindex="0"]').first();
    if (await first.count()) {
      await first.focus();
      await page.keyboard.press("Enter");
      await page.waitForURL(/#\/node\//);
    }
    await page.locator(".dial strong").filter({ hasText: /^\d/ }).waitFor();
    const contributions = await page.locator(".part-score b").allInnerTexts();
    assert.ok(contributions.length > 0, "the score has parts");
    await page.locator("#system .big b").filter({ hasText: /\d/ }).first().waitFor();

    const before = await page.locator(".hero-facts time").getAttribute("datetime");
    await page.waitForFunction((old) => document.querySelector(".hero-facts time")?.getAttribute("datetime") !== old, before, { timeout: 70_000 });

    await page.locator("#history").scrollIntoViewIfNeeded();
    await page.getByRole("button", { name: "15 m" }).click();
    await page.locator("#history .chart canvas").waitFor();
    await page.locator("#history-words", { hasText: "on average" }).waitFor();

    await page.locator(".events li").filter({ hasText: /started/i }).first().waitFor();
    assert.match(await page.locator("#hub").innerText(), /of one core/);
    assert.deepEqual(await accessibilityProblems(page), []);
    await done();
  });
});
