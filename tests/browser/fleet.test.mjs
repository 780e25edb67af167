// The fleet in a real browser, against a mock hub: the map, its filters, the list, the keyboard, a node's page,
// and that a thousand nodes that change all the time, and ten thousand, are smooth.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { accessibilityProblems, openPage, startBrowser } from "./browser.mjs";
import { startMockHub } from "./mock-hub.mjs";

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {import("./mock-hub.mjs").MockHub} MockHub */

/** @type {import("playwright-core").Browser} */
let browser;
before(async () => {
  browser = await startBrowser();
});
after(() => browser.close());

/** Longest piece of work that may hold the page up while news stream in, ms; the goal on a quiet machine is 16. */
const LONG_TASK_LIMIT_MS = Number(process.env.SICKBAY_LONG_TASK_LIMIT_MS ?? 100);
/** From the answer's arrival to the map on screen, for 10,000 nodes; the goal on a quiet machine is 300. */
const MAP_PAINT_LIMIT_MS = Number(process.env.SICKBAY_MAP_LIMIT_MS ?? 1_000);

/**
 * @param {Parameters<typeof startMockHub>[0]} mock @param {Parameters<typeof openPage>[2] & { hash?: string, touch?: boolean }} options
 * @param {(page: Page, hub: MockHub) => Promise<void>} body
 */
async function visit(mock, { hash = "", ...options }, body) {
  const hub = await startMockHub({ scenario: "fleet", ...mock });
  try {
    const { page, done } = await openPage(browser, hub.url + hash, options);
    page.setDefaultTimeout(10_000);
    await page.locator(".connection", { hasText: "live" }).waitFor();
    await body(page, hub);
    await done();
  } finally {
    await hub.die();
  }
}

/** @param {Page} page @param {string} level */
const chip = (page, level) => page.locator(".chip", { hasText: new RegExp(`\\d ${level}$`) });
/** @param {Page} page @param {string} level */
const chipCount = async (page, level) => Number((await chip(page, level).locator("b").innerText()).replace(/\D/g, ""));
/** How many cells the map has, by the reckoning of its listbox. @param {Page} page */
const cellCount = async (page) => Number(await page.locator('.cell-focus[tabindex="0"]').getAttribute("aria-setsize"));
/** @param {MockHub} hub @param {(row: Wire.FleetNode) => boolean} wanted */
const countOf = (hub, wanted) => hub.crowd.filter(wanted).length;
/** The colours of a node's cell: its middle, and the sum of all that is drawn. @param {Page} page @param {string} name */
async function cellLook(page, name) {
  await page.evaluate((node) => {
    history.replaceState(null, "", `#/?search=${node}`);
    dispatchEvent(new HashChangeEvent("hashchange"));
  }, name);
  await page.locator(".card").first().waitFor();
  return page.locator(".card").first().evaluate((card) => ({ level: card.getAttribute("data-level"), kind: card.getAttribute("data-kind"), text: card.textContent ?? "" }));
}

/** Waits until the racks have these names: what is drawn follows what is chosen by a frame or more. */
const racksAre = (/** @type {import("playwright-core").Page} */ page, /** @type {string[]} */ names) =>
  page.waitForFunction((wanted) => {
    const all = [...document.querySelectorAll(".rack-name")].map((one) => /** @type {HTMLElement} */ (one).innerText);
    return all.join() === wanted.join();
  }, names);

/** Waits until what has the focus is called so. */
const focusIs = (/** @type {import("playwright-core").Page} */ page, /** @type {RegExp} */ name) =>
  page.waitForFunction((source) => new RegExp(source, "s").test(document.activeElement?.getAttribute("aria-label") ?? ""), name.source);

describe("what is shown", () => {
  test("the whole: score with its four parts and their notes, counts, doubt", () =>
    visit({ nodes: 1000, doubt: "Half of the fleet fell silent within 40 s." }, {}, async (page, hub) => {
      const head = (await page.locator(".fleet-head").innerText()).replace(/\s+/g, " ");
      for (const text of ["1 000 nodes", "ready for work", "Node availability", "Circuit health", "Error rate", "Recovery", "nodes are ready", "breakers are closed", "checks failed", "nothing recovers by itself"]) assert.ok(head.includes(text), `${text} in ${head}`);
      assert.match(await page.getByRole("alert").innerText(), /doubts itself.*fell silent within 40 s/s);
      for (const level of ["critical", "unhealthy", "unknown", "degraded", "healthy"]) assert.equal(await chipCount(page, level), countOf(hub, (row) => row.level === level), level);
      assert.equal(await chipCount(page, "not asked"), countOf(hub, (row) => row.breaker !== "closed"));
      assert.match(await page.title(), /^\d+ critical, \d+ unhealthy, .* of 1000 nodes · Sickbay$/);
      assert.equal(await page.locator(".rack").count(), 32);
      assert.equal(await cellCount(page), 1000);
    }));

  test("who departs from its peers is named, with what to do, and leads to its page", () =>
    visit({ nodes: 40 }, {}, async (page) => {
      const section = page.locator("#stragglers");
      await section.locator(".finding").waitFor();
      const text = (await section.innerText()).replace(/\s+/g, " ");
      for (const part of ["python train.py 16 GPUs (H100) on 2 nodes", "GPU 3 of n0002 is slower than its 15 peers", "1155 MHz, theirs 1980 MHz", "Compare its clocks", "Other groups: 1"]) assert.ok(text.includes(part), `${part} in ${text}`);
      assert.equal(await section.locator(".finding a").getAttribute("href"), "#/gpu/n0002/3");
      assert.deepEqual(await accessibilityProblems(page), []);
    }));

  test("each kind of cell has its own look, colour left aside", () =>
    visit({ nodes: 1000 }, {}, async (page) => {
      // Swatches are drawn by the same stamp as cells: their outlines must differ in grey, too.
      const looks = await page.locator(".swatch").evaluateAll((all) => all.map((one) => {
        const canvas = /** @type {HTMLCanvasElement} */ (one);
        const data = canvas.getContext("2d", { willReadFrequently: true })?.getImageData(0, 0, canvas.width, canvas.height).data ?? new Uint8ClampedArray();
        const greys = [];
        for (let at = 0; at < data.length; at += 4) greys.push(0.3 * (data[at] ?? 0) + 0.6 * (data[at + 1] ?? 0) + 0.1 * (data[at + 2] ?? 0));
        const mean = greys.reduce((sum, grey) => sum + grey, 0) / greys.length;
        // Its shape alone: where it is darker or lighter than its own mean.
        return greys.map((grey) => Math.sign(Math.round((grey - mean) / 24))).join("");
      }));
      assert.equal(looks.length, 6);
      assert.equal(new Set(looks).size, 6, "no two kinds have one shape");
    }));

  test("an open breaker and what is not fresh are not shown as well", () =>
    visit({ nodes: 1000 }, {}, async (page, hub) => {
      const open = hub.crowd.find((row) => row.breaker === "open");
      const look = await cellLook(page, open?.display_name ?? "");
      assert.equal(look.kind, "open");
      assert.match(look.text, /not asked, breaker open/);
      const row = /** @type {Wire.FleetNode} */ (hub.crowd.find((one) => one.level === "healthy"));
      hub.push("fleet_node", { ...row, stale: "no answer for 3 minutes" });
      const stale = await cellLook(page, row.display_name);
      await page.locator(".card", { hasText: "was healthy" }).waitFor();
      assert.ok(stale.text.includes("All 23 checks") || stale.text.includes("no answer"));
      assert.equal(await page.locator(".card").first().getAttribute("data-level"), "unknown");
    }));

  test("few nodes are cards with their words; one machine is as it was", async () => {
    await visit({ nodes: 0 }, {}, async (page) => {
      await page.locator(".card", { hasText: "gpu-07" }).waitFor();
      assert.equal(await page.locator(".card").count(), 3);
      await page.locator(".card").first().focus();
      await page.keyboard.press("ArrowRight");
      assert.match(await page.evaluate(() => document.activeElement?.textContent ?? ""), /gpu-07/);
      await page.keyboard.press("Enter");
      await page.waitForURL(/#\/node\/gpu-07$/);
      await page.locator(".hero h1", { hasText: "gpu-07" }).waitFor();
    });
    await visit({ scenario: "laptop" }, {}, async (page) => {
      await page.locator(".hero h1", { hasText: "ada" }).waitFor();
      assert.equal(await page.locator(".tools").count(), 0);
    });
  });
});

describe("what to look at", () => {
  test("levels, labels, words, in the address; back works", () =>
    visit({ nodes: 1000 }, {}, async (page, hub) => {
      await chip(page, "critical").click();
      await chip(page, "unhealthy").click();
      assert.match(page.url(), /#\/\?level=critical,unhealthy$/);
      const bad = countOf(hub, (row) => row.level === "critical" || row.level === "unhealthy");
      await page.locator(".result", { hasText: `${bad} of` }).waitFor();
      assert.equal(await page.locator(".card").count(), bad, "few are left: they are cards");
      await page.getByLabel("Only with a label").selectOption("model=MI300X");
      const some = countOf(hub, (row) => (row.level === "critical" || row.level === "unhealthy") && row.labels["model"] === "MI300X");
      await page.locator(".result", { hasText: `${some} of` }).waitFor();
      await page.goBack();
      await page.locator(".result", { hasText: `${bad} of` }).waitFor();
      await page.goBack();
      assert.match(page.url(), /level=critical$/);
      assert.equal(await chip(page, "unhealthy").getAttribute("aria-pressed"), "false");
      await page.getByRole("button", { name: "Show all" }).click();
      assert.equal(await cellCount(page), 1000);

      await page.keyboard.press("/");
      await page.keyboard.type("rack-07 nvlinks");
      const found = countOf(hub, (row) => row.labels["rack"] === "rack-07" && row.headline.includes("NVLinks"));
      await page.locator(".result", { hasText: found === 0 ? "No node matches" : `${found} of` }).waitFor();
      assert.match(page.url(), /search=rack-07\+nvlinks/);
    }));

  test("a link shows what its sender saw", () =>
    visit({ nodes: 1000 }, { hash: "#/?view=list&level=degraded&label=rack=rack-18&sort=score" }, async (page, hub) => {
      const mine = hub.crowd.filter((row) => row.level === "degraded" && row.labels["rack"] === "rack-18").sort((a, b) => (a.score ?? -1) - (b.score ?? -1));
      await page.locator(".node-row").first().waitFor();
      assert.deepEqual(await page.locator(".node-row .at-name").allInnerTexts(), mine.map((row) => row.display_name));
      assert.equal(await chip(page, "degraded").getAttribute("aria-pressed"), "true");
    }));

  test("the list: worst first, sorted by its heads, only rows in view exist", () =>
    visit({ nodes: 1000 }, {}, async (page, hub) => {
      await page.getByRole("button", { name: "List" }).click();
      await page.waitForURL(/view=list/);
      await page.locator(".node-row").first().waitFor();
      assert.equal(await page.locator(".node-row").first().getAttribute("data-level"), "critical");
      assert.ok((await page.locator(".node-row").count()) < 80);
      assert.equal(await page.getByRole("table", { name: "Nodes" }).getAttribute("aria-rowcount"), "1001");
      await page.getByRole("columnheader", { name: "Node" }).getByRole("button").click();
      assert.equal(await page.locator(".node-row .at-name").first().innerText(), "gpu-0001");
      await page.getByRole("columnheader", { name: "Node" }).getByRole("button").click();
      assert.equal(await page.locator(".node-row .at-name").first().innerText(), "gpu-1000");
      assert.equal(await page.getByRole("columnheader", { name: "Node" }).getAttribute("aria-sort"), "descending");
      await page.evaluate(() => scrollTo(0, 20_000));
      await page.locator(".node-row", { hasText: "gpu-0510" }).waitFor();
      assert.ok((await page.locator(".node-row").count()) < 80);
      assert.equal(hub.requests.filter((one) => one === "GET /api/v1/fleet").length, 1, "filters and orders ask the hub for nothing");
    }));

  test("groups: by rack, by another label, by level, none", () =>
    visit({ nodes: 1000 }, {}, async (page) => {
      await page.getByLabel("Group").selectOption("zone");
      await racksAre(page, ["hall-a", "hall-b"]);
      await page.getByLabel("Group").selectOption("level");
      await racksAre(page, ["critical", "unhealthy", "unknown", "degraded", "healthy"]);
      assert.match(page.url(), /group=level/);
      await page.getByLabel("Group").selectOption("none");
      await page.waitForFunction(() => document.querySelectorAll(".rack").length === 1);
      assert.equal(await cellCount(page), 1000);
    }));
});

describe("a node", () => {
  test("hover says who it is, a click goes there, back comes back", () =>
    visit({ nodes: 1000 }, { hash: "#/?label=zone=hall-a" }, async (page, hub) => {
      const box = await page.locator(".rack-cells").first().boundingBox();
      assert.ok(box);
      await page.mouse.move(box.x + 10, box.y + 10);
      await page.locator(".tip", { hasText: "gpu-0001" }).waitFor();
      assert.match(await page.locator(".tip").innerText(), new RegExp(`${hub.crowd[0]?.level}.*checked`, "s"));
      await page.mouse.click(box.x + 10, box.y + 10);
      await page.waitForURL(/#\/node\/gpu-0001$/);
      await page.locator(".hero h1", { hasText: "gpu-0001" }).waitFor();
      await page.locator(".side a", { hasText: "GPU 7" }).waitFor();
      assert.match(await page.locator(".node-facts").innerText(), /Breaker.*closed.*rack\s+rack-01/s);
      assert.equal(await page.getByRole("button", { name: "Ask again" }).count(), 0, "it is asked already");
      await page.goBack();
      await page.waitForURL(/label=zone=hall-a$/);
      await page.locator(".result", { hasText: "of" }).waitFor();
      assert.equal(hub.requests.filter((one) => one === "GET /api/v1/fleet").length, 1, "the map was kept");
    }));

  test("the map by keyboard alone: one stop, arrows, Enter; j and k on", () =>
    visit({ nodes: 1000 }, {}, async (page) => {
      await page.getByRole("button", { name: "List" }).focus();
      await page.keyboard.press("Tab");
      await focusIs(page, /^gpu-0001, /);
      assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("role")), "option");
      await page.locator(".tip", { hasText: "gpu-0001" }).waitFor();
      await page.keyboard.press("ArrowRight");
      await focusIs(page, /^gpu-0002, /);
      await page.keyboard.press("ArrowDown");
      await focusIs(page, /^gpu-0010, /);
      await page.keyboard.press("ArrowUp");
      await page.keyboard.press("ArrowLeft");
      await page.keyboard.press("ArrowLeft");
      await focusIs(page, /^gpu-0001, /);
      await page.keyboard.press("End");
      await focusIs(page, /^gpu-1000, .*Checked/);
      await page.keyboard.press("Escape");
      await page.locator(".tip").waitFor({ state: "detached" });
      // Faster than a frame: each key goes on from where the one before went.
      await page.evaluate(() => {
        for (const key of ["Home", "ArrowRight", "ArrowRight", "ArrowLeft"]) document.activeElement?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
      });
      await focusIs(page, /^gpu-0002, /);
      await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn))));
      await focusIs(page, /^gpu-0002, /);
      await page.keyboard.press("Enter");
      await page.waitForURL(/#\/node\/gpu-0002$/);
      await page.locator(".hero h1", { hasText: "gpu-0002" }).waitFor();
      await page.keyboard.press("j");
      await page.waitForURL(/#\/node\/gpu-0003$/);
      await page.locator(".hero h1", { hasText: "gpu-0003" }).waitFor();
      await page.keyboard.press("k");
      await page.waitForURL(/#\/node\/gpu-0002$/);
    }));

  test("an open breaker: what it waits for, and asking again", () =>
    visit({ nodes: 1000 }, {}, async (page, hub) => {
      const row = /** @type {Wire.FleetNode} */ (hub.crowd.find((one) => one.breaker === "open"));
      await page.goto(`${hub.url}#/${row.id}`);
      await page.locator(".node-facts", { hasText: "open: the node is not asked" }).waitFor();
      assert.match((await page.locator(".node-facts").innerText()).replace(/\u00a0/g, " "), /4 failures in a row, next try in .*no route to host/s);
      await page.getByRole("button", { name: "Ask again" }).click();
      await page.locator(".node-facts", { hasText: "closed: the node is asked as planned" }).waitFor();
      await page.locator(".node-facts [role=status]", { hasText: "is being asked" }).waitFor();
      assert.ok(hub.requests.includes(`POST /api/v1/nodes/${row.display_name}/breaker/reset`));
    }));

  test("a node that nobody watches is said to be so", () =>
    visit({ nodes: 100 }, { hash: "#/node/nobody", mayFail: /404/ }, async (page) => {
      await page.locator("main", { hasText: "Nothing called node/nobody is watched" }).waitFor();
    }));
});

describe("live", () => {
  test("news change counts, cells, cards and places; nodes come and go", () =>
    visit({ nodes: 1000 }, { hash: "#/?level=critical" }, async (page, hub) => {
      const before = await chipCount(page, "critical");
      const row = /** @type {Wire.FleetNode} */ (hub.crowd.find((one) => one.level === "healthy"));
      hub.push("fleet_node", { ...row, level: "critical", score: 3, headline: "It burns." });
      await page.locator(".card", { hasText: "It burns." }).waitFor();
      assert.equal(await chipCount(page, "critical"), before + 1);
      hub.push("removed", row.id);
      await page.locator(".card", { hasText: "It burns." }).waitFor({ state: "detached" });
      assert.equal(await chipCount(page, "critical"), before);
      hub.push("fleet_node", { ...row, id: "node/new-1", display_name: "new-1", level: "critical", score: 1 });
      await page.locator(".card", { hasText: "new-1" }).waitFor();
    }));

  test("one machine becomes a fleet when a second is watched", () =>
    visit({ scenario: "laptop" }, {}, async (page, hub) => {
      await page.locator(".hero h1", { hasText: "ada" }).waitFor();
      const one = /** @type {Wire.ResourceDetail} */ (hub.state.details[0]);
      const two = { ...one, id: "node/bea", display_name: "bea" };
      hub.state.details.push(two);
      hub.push("resource", two);
      await page.locator(".card", { hasText: "bea" }).waitFor();
      assert.equal(await page.locator(".card").count(), 2);
    }));

  test("the hub dies and comes back: nothing is shown as well meanwhile", () =>
    visit({ nodes: 1000 }, { mayFail: /ERR_/ }, async (page, hub) => {
      await hub.die();
      await page.locator(".gone", { hasText: "The hub does not answer" }).waitFor();
      assert.equal(await chipCount(page, "unknown"), 1000);
      await hub.revive();
      await page.locator(".connection", { hasText: "live" }).waitFor({ timeout: 20_000 });
      await page.waitForFunction(() => !document.querySelector(".chip b")?.textContent?.startsWith("0"));
      assert.equal(await chipCount(page, "unknown"), countOf(hub, (row) => row.level === "unknown"));
    }));
});

describe("everywhere", () => {
  for (const [name, mock, hash] of /** @type {[string, Parameters<typeof startMockHub>[0], string][]} */ ([
    ["map", { nodes: 1000 }, ""], ["list", { nodes: 1000 }, "#/?view=list"], ["cards", { nodes: 40 }, ""], ["node", { nodes: 1000 }, "#/node/gpu-0360"],
  ])) {
    test(`on a phone: ${name} fits 360 pixels`, () =>
      visit(mock, { width: 360, height: 740, hash }, async (page) => {
        await page.locator(".hero").waitFor();
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
        const small = await page.locator("button:visible, select:visible").evaluateAll((all) => all.filter((one) => one.getBoundingClientRect().height < 24).map((one) => one.outerHTML.slice(0, 80)));
        assert.deepEqual(small, [], "targets are large enough for a finger");
      }));
    for (const theme of /** @type {const} */ (["light", "dark"])) {
      test(`accessible: ${name}, ${theme}`, () =>
        visit(mock, { theme, hash }, async (page) => {
          await page.locator(".hero").waitFor();
          assert.deepEqual(await accessibilityProblems(page), []);
        }));
    }
  }

  test("both themes paint their own cells", () =>
    visit({ nodes: 1000 }, { theme: "light" }, async (page) => {
      const colour = () => page.locator(".map-canvas").evaluate((one) => /** @type {HTMLCanvasElement} */ (one).toDataURL());
      const light = await colour();
      await page.keyboard.press("t");
      await page.waitForFunction(() => document.documentElement.dataset["theme"] === "dark");
      await page.waitForTimeout(100);
      assert.notEqual(await colour(), light);
    }));
});

/** Long tasks and frames from now on. @param {Page} page */
const watchWork = (page) => page.evaluate(() => {
  const seen = /** @type {any} */ (window);
  seen.tasks = [];
  seen.frames = [];
  new PerformanceObserver((list) => seen.tasks.push(...list.getEntries().map((entry) => entry.duration))).observe({ type: "longtask" });
  let before = performance.now();
  const beat = (/** @type {number} */ at) => {
    seen.frames.push(at - before);
    before = at;
    requestAnimationFrame(beat);
  };
  requestAnimationFrame(beat);
});

/** @param {Page} page */
async function workSeen(page) {
  const { tasks, frames } = await page.evaluate(() => ({ tasks: /** @type {number[]} */ (/** @type {any} */ (window).tasks), frames: /** @type {number[]} */ (/** @type {any} */ (window).frames) }));
  const sorted = [...frames].sort((a, b) => a - b);
  const longest = Math.max(0, ...tasks);
  const words = `${frames.length} frames, median ${(sorted[Math.floor(sorted.length / 2)] ?? 0).toFixed(1)} ms, 99 % within ${(sorted[Math.floor(sorted.length * 0.99)] ?? 0).toFixed(1)} ms; ${tasks.length} tasks over 50 ms, longest ${longest.toFixed(0)} ms`;
  return { longest, words };
}

describe("speed", () => {
  for (const [name, hash] of [["map", ""], ["map, filtered and worst first", "#/?level=critical,unhealthy,degraded&sort=level&search=gpu"], ["list", "#/?view=list"]]) {
    test(`1,000 nodes, 50 news a second: ${name}`, () =>
      visit({ nodes: 1000 }, { hash }, async (page, hub) => {
        await page.waitForTimeout(500);
        await watchWork(page);
        for (let beat = 0; beat < 40; beat += 1) {
          hub.stir(5);
          await page.waitForTimeout(100);
        }
        const { longest, words } = await workSeen(page);
        console.log(`1,000 nodes, 50 news a second, ${name}: ${words}`);
        assert.ok(longest <= LONG_TASK_LIMIT_MS, words);
      }));
  }

  test("10,000 nodes: first paint, news, filters", () =>
    visit({ nodes: 10_000 }, {}, async (page, hub) => {
      await page.locator(".rack-cells").first().waitFor();
      const times = await page.evaluate(() => {
        const at = (/** @type {string} */ name) => performance.getEntriesByName(name)[0]?.startTime ?? NaN;
        const answer = /** @type {PerformanceResourceTiming | undefined} */ (performance.getEntriesByType("resource").find((entry) => entry.name.includes("api/v1/fleet")));
        return { answered: answer?.responseEnd ?? NaN, painted: at("sickbay-map-painted"), bytes: answer?.decodedBodySize ?? 0 };
      });
      console.log(`10,000 nodes: ${(times.bytes / 1e6).toFixed(1)} MB answered at ${times.answered.toFixed(0)} ms, map painted at ${times.painted.toFixed(0)} ms: ${(times.painted - times.answered).toFixed(0)} ms later (goal 300)`);
      assert.ok(times.painted - times.answered < MAP_PAINT_LIMIT_MS);
      await page.waitForTimeout(500);
      await watchWork(page);
      for (let beat = 0; beat < 30; beat += 1) {
        hub.stir(100);
        await page.waitForTimeout(100);
      }
      const { longest, words } = await workSeen(page);
      console.log(`10,000 nodes, 1,000 news a second: ${words}`);
      assert.ok(longest <= LONG_TASK_LIMIT_MS * 2, words);
      const took = await page.evaluate(async () => {
        const start = performance.now();
        /** @type {HTMLElement | null} */ (document.querySelector('.chip[data-kind="degraded"]'))?.click();
        await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 0)));
        return performance.now() - start;
      });
      console.log(`10,000 nodes: a filter takes ${took.toFixed(0)} ms`);
      assert.ok(took < 500);
    }));
});
