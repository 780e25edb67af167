// The page's pure parts: values in words, the stream's format, columns of a chart.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { PAGE, preloadList, preloadsIn, sizes } from "./modules.mjs";
import { age, bytes, clockTime, eventWords, listTime, number, percent, plural, score, span, withUnit, words } from "../../crates/hub/dashboard/format.js";
import { clockEvents } from "../../crates/hub/dashboard/gpu-words.js";
import { columns } from "../../crates/hub/dashboard/parts/chart.js";
import { backoffMs, messageValue, sseParser } from "../../crates/hub/dashboard/stream.js";

/** Hard and thin spaces are for the eye; tables of cases are easier with plain ones. @param {string} text */
const plain = (text) => text.replace(/[\u00a0\u2009]/g, " ");

test("values read well", () => {
  const cases = /** @type {[string, string][]} */ ([
    [bytes(0), "0 B"], [bytes(1023), "1023 B"], [bytes(1536), "1.50 KiB"], [bytes(80 * 1024 ** 3), "80.0 GiB"], [bytes(null), "–"], [bytes(NaN), "–"],
    [percent(0), "0 %"], [percent(0.01), "<0.1 %"], [percent(4.26), "4.3 %"], [percent(97.6), "98 %"], [percent(undefined), "–"],
    [span(0), "0 s"], [span(59.4), "59 s"], [span(61), "1 min 1 s"], [span(3_599), "59 min"], [span(3_600), "1 h"], [span(90_000), "1 d 1 h"], [span(40 * 86_400), "40 d"], [span(-5), "0 s"],
    [number(1_234_567), "1 234 567"], [number(0.123456), "0.12"], [number(1234.5678, 4), "1 234.5678"], [number(Infinity), "–"],
    [score(98.44), "98.4"], [score(100), "100"], [score(59.04), "59"], [score(null), "–"],
    [withUnit(12.34, "milliseconds"), "12.3 ms"], [withUnit(63.4, "celsius"), "63 °C"], [withUnit(1, "boolean"), "yes"], [withUnit(2_500_000, "per_second"), "2.50M/s"],
    [withUnit(1e9, "bytes_per_second"), "954 MiB/s"], [withUnit(null, "watts"), "–"],
    [words("gpu_memory_used_percent"), "GPU memory used"], [words("network_receive_bytes_per_second"), "Network receive"], [words("load_1m"), "Load 1 min"], [words("score"), "Score"],
    [words("gpu_ecc_uncorrected_volatile_total"), "GPU ECC uncorrected volatile"], [words("cpu_iowait_percent"), "CPU I/O wait"],
    [eventWords("HEALTH_CHECK_FAILED"), "Health check failed"], [plural(1, "check"), "1 check"], [plural(2, "process", "processes"), "2 processes"],
  ]);
  for (const [is, should] of cases) assert.equal(plain(is), should);
});

test("ages and times", () => {
  const now = new Date(2026, 10, 21, 12, 0, 0).getTime();
  /** @param {number} ms */
  const at = (ms) => new Date(now - ms).toISOString();
  assert.equal(age(at(300), now), "just now");
  assert.equal(plain(age(at(5000), now)), "5 s ago");
  assert.equal(age(at(-60_000), now), "just now", "a clock that is ahead is no reason for a negative age");
  assert.equal(age(null, now), "never");
  assert.equal(age("nonsense", now), "–");
  assert.equal(clockTime(at(61_000), now), "11:58:59");
  assert.equal(clockTime(at(86_400_000), now), "2026-11-20 12:00:00");
  assert.equal(listTime(at(86_400_000), now), "20 Nov 12:00");
  assert.equal(clockTime("nonsense", now), "–");
});

test("the stream's format, however it is cut", () => {
  const text = ": comment\r\n\r\nid: 7\r\nevent: event\r\ndata: {\"a\":1}\r\n\r\nevent: hub\ndata: {\ndata: }\n\nretry: 5\n\ndata: last\n\nevent: cut off";
  const want = [{ event: "event", data: '{"a":1}', id: "7" }, { event: "hub", data: "{\n}", id: null }, { event: "message", data: "last", id: null }];
  for (const size of [1, 2, 3, 7, text.length]) {
    /** @type {unknown[]} */
    const got = [];
    const feed = sseParser((message) => got.push(message));
    for (let at = 0; at < text.length; at += size) feed(text.slice(at, at + size));
    assert.deepEqual(got, want, `in pieces of ${size}`);
  }
  assert.throws(() => sseParser(() => undefined)("x".repeat(9 * 1024 * 1024)), /too long/);
});

test("a message's value, bare or wrapped", () => {
  assert.deepEqual(messageValue({ event: "event", data: '{"id":1,"kind":"X"}', id: "1" }), { id: 1, kind: "X" });
  assert.deepEqual(messageValue({ event: "event", data: '{"event":{"id":1}}', id: "1" }), { id: 1 });
  assert.equal(messageValue({ event: "removed", data: '"node/a"', id: null }), "node/a");
  assert.equal(messageValue({ event: "removed", data: '{"removed":"node/a"}', id: null }), "node/a");
});

test("waits grow, stay within their limits, and differ", () => {
  for (let attempt = 1; attempt < 40; attempt += 1) {
    const low = backoffMs(attempt, 0);
    const high = backoffMs(attempt, 1);
    assert.ok(low >= 350 && high <= 15_000 && low < high, `${attempt}: ${low} to ${high}`);
    assert.ok(backoffMs(attempt + 1, 0) >= low);
  }
});

test("clock events in words", () => {
  assert.equal(clockEvents(null), null);
  assert.deepEqual(clockEvents(0), { text: "nothing", worry: false });
  assert.deepEqual(clockEvents(0x1), { text: "idle", worry: false });
  assert.deepEqual(clockEvents(0x24), { text: "heat, power limit", worry: true });
});

test("a hole in the history is a hole in the chart", () => {
  /** @param {number} second */
  const point = (second) => ({ at: new Date(second * 1000).toISOString(), min: 1, mean: 2, max: 3, count: 1 });
  const history = { resource: "", metric: "", instance: "", unit: "percent", from: "", to: "", step_seconds: 0, resolution: "raw", points: [0, 5, 10, 15, 300, 305].map(point) };
  const [times, mean] = columns(history);
  assert.deepEqual(mean, [2, 2, 2, 2, null, 2, 2]);
  assert.deepEqual(times, [...times].sort((a, b) => a - b));
  assert.deepEqual(columns({ ...history, points: [] }), [[], [], [], []]);
});

test("the preload list names every module", () => {
  assert.equal(preloadsIn(readFileSync(join(PAGE, "index.html"), "utf8")), preloadList(), "run `node modules.mjs --write`");
});

test("the page stays small", () => {
  for (const { name, gzip, bytes: size } of sizes()) {
    const limit = name === "first paint" ? 100_000 : 30_000;
    assert.ok(gzip <= limit, `${name}: ${gzip} bytes by gzip (${size} as they are), the limit is ${limit}`);
  }
});
