// Values as a person reads them. Pure functions; the units are those of the metric catalogue.

const BINARY = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
const DECIMAL = ["", "k", "M", "G", "T", "P"];

/** Shown where there is no value. Never a zero: unknown is not nothing. */
export const NONE = "–";

/** A number with as many digits as are worth reading. @param {number} value @param {number} [digits] */
export function number(value, digits) {
  if (!Number.isFinite(value)) return NONE;
  const size = Math.abs(value);
  const places = digits ?? (size === 0 || size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : 2);
  return value.toFixed(places).replace(/\B(?=(\d{3})+(?!\d))(?<!\.\d*)/g, "\u2009");
}

/** @param {number} value @param {number} base @param {string[]} names @returns {[number, string]} */
function scaled(value, base, names) {
  let step = 0;
  while (Math.abs(value) >= base && step < names.length - 1) {
    value /= base;
    step += 1;
  }
  return [value, names[step] ?? ""];
}

/** @param {number} size */
const threeDigits = (size) => (size === 0 || size >= 100 ? 0 : size >= 10 ? 1 : 2);

/** @param {number | null | undefined} value bytes */
export function bytes(value) {
  if (value == null || !Number.isFinite(value)) return NONE;
  const [size, name] = scaled(value, 1024, BINARY);
  return `${size.toFixed(name === "B" ? 0 : threeDigits(Math.abs(size)))}\u00a0${name}`;
}

/** @param {number | null | undefined} value */
export function percent(value) {
  if (value == null || !Number.isFinite(value)) return NONE;
  return `${value > 0 && value < 0.05 ? "<0.1" : value.toFixed(value < 10 && value !== 0 && value !== Math.round(value) ? 1 : 0)}\u00a0%`;
}

/** A span of time in its two largest parts: `3 d 4 h`, `14 min`, `5 s`. @param {number | null | undefined} seconds */
export function span(seconds) {
  if (seconds == null || !Number.isFinite(seconds)) return NONE;
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole}\u00a0s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return minutes < 5 && whole % 60 ? `${minutes}\u00a0min ${whole % 60}\u00a0s` : `${minutes}\u00a0min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 ? `${hours}\u00a0h ${minutes % 60}\u00a0min` : `${hours}\u00a0h`;
  const days = Math.floor(hours / 24);
  return hours % 24 && days < 30 ? `${days}\u00a0d ${hours % 24}\u00a0h` : `${days}\u00a0d`;
}

/** How long ago, in words. @param {string | null | undefined} at RFC 3339 @param {number} now ms */
export function age(at, now) {
  if (!at) return "never";
  const seconds = (now - Date.parse(at)) / 1000;
  if (!Number.isFinite(seconds)) return NONE;
  if (seconds < 1.5) return "just now";
  return `${span(seconds)} ago`;
}

/** Local wall time; with the date unless it is today's. @param {string | number} at @param {number} [now] */
export function clockTime(at, now = Date.now()) {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return NONE;
  /** @param {number} part */
  const two = (part) => String(part).padStart(2, "0");
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  if (date.toDateString() === new Date(now).toDateString()) return time;
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${time}`;
}

/** Short local time for lists: `14:02:11` today, `19 Nov 14:02` before. @param {string} at @param {number} now */
export function listTime(at, now) {
  const full = clockTime(at, now);
  if (full.length <= 8) return full;
  const date = new Date(at);
  const month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][date.getMonth()];
  const year = date.getFullYear() === new Date(now).getFullYear() ? "" : ` ${date.getFullYear()}`;
  return `${date.getDate()} ${month}${year} ${full.slice(11, 16)}`;
}

/** A value with its catalogue unit. @param {number | null | undefined} value @param {string} unit */
export function withUnit(value, unit) {
  if (value == null || !Number.isFinite(value)) return NONE;
  switch (unit) {
    case "percent":
      return percent(value);
    case "bytes":
      return bytes(value);
    case "bytes_per_second":
      return `${bytes(value)}/s`;
    case "per_second":
      return `${rate(value)}/s`;
    case "seconds":
      return span(value);
    case "milliseconds":
      return milliseconds(value);
    case "celsius":
      return `${value.toFixed(0)}\u00a0°C`;
    case "watts":
      return `${value.toFixed(value < 10 ? 1 : 0)}\u00a0W`;
    case "joules":
      return energy(value);
    case "megahertz":
      return `${value.toFixed(0)}\u00a0MHz`;
    case "boolean":
      return value ? "yes" : "no";
    default:
      return value >= 1e6 ? rate(value) : number(value);
  }
}

/** @param {number} value joules */
function energy(value) {
  const [size, name] = scaled(value, 1000, DECIMAL);
  return `${size.toFixed(name === "" ? 0 : threeDigits(Math.abs(size)))}\u00a0${name}J`;
}

/** @param {number} value */
function rate(value) {
  const [size, name] = scaled(value, 1000, DECIMAL);
  return `${name === "" ? number(size) : size.toFixed(threeDigits(Math.abs(size)))}${name}`;
}

/** @param {number | null | undefined} value */
export function milliseconds(value) {
  if (value == null || !Number.isFinite(value)) return NONE;
  if (value >= 10_000) return span(value / 1000);
  if (value >= 1000) return `${(value / 1000).toFixed(1)}\u00a0s`;
  return `${value.toFixed(value >= 100 || value === 0 ? 0 : value >= 10 ? 1 : 2)}\u00a0ms`;
}

/** @param {number | null | undefined} value a score, one decimal unless whole */
export function score(value) {
  if (value == null || !Number.isFinite(value)) return NONE;
  return value.toFixed(Number.isInteger(Math.round(value * 10) / 10) ? 0 : 1);
}

const ACRONYMS = new Map(
  ["CPU", "GPU", "ECC", "TCP", "OOM", "IO", "ID", "DNS"].map((word) => [word.toLowerCase(), word]),
);
ACRONYMS.set("pcie", "PCIe").set("nvlink", "NVLink").set("nvlinks", "NVLinks").set("iowait", "I/O wait").set("1m", "1 min")
  .set("5m", "5 min").set("15m", "15 min").set("utilization", "utilisation");
const UNIT_SUFFIX = /_(percent|bytes_per_second|per_second|bytes|seconds|ms|celsius|watts|joules|megahertz|mask|total)$/;

/** A catalogue name as words: `gpu_memory_used_percent` → `GPU memory used`. @param {string} name */
export function words(name) {
  let bare = name;
  while (UNIT_SUFFIX.test(bare)) bare = bare.replace(UNIT_SUFFIX, "");
  const text = bare.split("_").map((word) => ACRONYMS.get(word) ?? word).join(" ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** `HEALTH_CHECK_FAILED` → `Health check failed`. @param {string} kind */
export function eventWords(kind) {
  const text = kind.toLowerCase().replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** `1 check`, `3 checks`. @param {number} count @param {string} noun @param {string} [many] */
export function plural(count, noun, many = `${noun}s`) {
  return `${number(count)} ${count === 1 ? noun : many}`;
}
