// What a person wants to see of the fleet, and its form in the address: `#/?level=critical&label=rack=r1`.
// Pure; what is at its default is left out of the address, so that links stay short.

/** Worst first. */
export const LEVELS = ["critical", "unhealthy", "unknown", "degraded", "healthy"];
/** Value of `group` for one group of all. */
export const NO_GROUP = "none";
const SORTS = ["name", "level", "score", "since", "last_check"];
/** A longer search than the hub takes is cut. */
const SEARCH_LIMIT = 256;

/**
 * @typedef {object} Wish
 * @property {"map" | "list"} view
 * @property {string[]} levels none = all
 * @property {boolean} open only those whose breaker is not closed
 * @property {boolean} idle only those that are not ready for work
 * @property {string[]} labels `key=value`: any of one key, and all keys
 * @property {string} search every word must be found
 * @property {string} group a label's key, `level`, `none`, or empty for the page's choice
 * @property {string} sort empty for the view's choice; `-` in front reverses
 */

/** @type {Wish} */
export const ANYTHING = { view: "map", levels: [], open: false, idle: false, labels: [], search: "", group: "", sort: "" };

/** @param {string} query what stands behind `?` @returns {Wish} */
export function readWish(query) {
  const given = new URLSearchParams(query);
  const sort = given.get("sort") ?? "";
  return {
    view: given.get("view") === "list" ? "list" : "map",
    levels: LEVELS.filter((level) => (given.get("level") ?? "").split(",").includes(level)),
    open: given.get("breaker") === "open",
    idle: given.get("ready") === "false",
    labels: [...new Set(given.getAll("label"))].filter((label) => label.includes("=")),
    search: (given.get("search") ?? "").slice(0, SEARCH_LIMIT),
    group: given.get("group") ?? "",
    sort: SORTS.includes(sort.replace(/^-/, "")) ? sort : "",
  };
}

/** @param {Wish} wish @returns {string} with `?` in front, or empty */
export function writeWish(wish) {
  const out = new URLSearchParams();
  if (wish.view === "list") out.set("view", "list");
  if (wish.levels.length > 0) out.set("level", wish.levels.join(","));
  if (wish.open) out.set("breaker", "open");
  if (wish.idle) out.set("ready", "false");
  for (const label of wish.labels) out.append("label", label);
  if (wish.search) out.set("search", wish.search);
  if (wish.group) out.set("group", wish.group);
  if (wish.sort) out.set("sort", wish.sort);
  // Signs that need no escape in a fragment, and are easier to read as they are.
  const text = out.toString().replaceAll("%3D", "=").replaceAll("%2C", ",").replaceAll("%2F", "/").replaceAll("%3A", ":");
  return text && `?${text}`;
}

/** Whether it leaves nodes out. @param {Wish} wish */
export const isNarrow = (wish) => wish.levels.length > 0 || wish.open || wish.idle || wish.labels.length > 0 || wish.search.trim() !== "";
