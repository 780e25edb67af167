// Paints the map: groups are elements, all cells are on one canvas behind them, which covers what is in view and a
// little more. (A canvas for each group would be a layer for each group: browsers choke on hundreds.)
//
// It owns the elements below its host; nobody else touches them. Must hold: news repaint single cells; elements stay
// when the choice changes, so that nothing flickers.

import { sprites, stamp } from "./cells.js";
import { troubles } from "./choose.js";
import { blocksFor, pitchFor } from "./layout.js";

/** @typedef {import("./choose.js").Row} Row */
/** @typedef {import("./choose.js").Group} Group */
/** @typedef {{ section: HTMLElement, title: HTMLElement, count: HTMLElement, worst: HTMLElement, word: HTMLElement, note: HTMLElement, cells: HTMLElement, rows: Row[], x: number, y: number }} Rack */
/** @typedef {{ rack: Rack, at: number, index: number }} Place */

/** The canvas reaches this far outside the view, CSS pixels. */
const AHEAD = 400;
/** It is moved when less than this is left. */
const AHEAD_LEAST = 100;
/** Space between cells. */
const CELL_GAP = 2;
/** A narrower group has no room for its trouble in words. */
const WORDS_MIN = 150;

/** @param {string} name @param {string} className @param {HTMLElement} [parent] */
function element(name, className, parent) {
  const made = document.createElement(name);
  made.className = className;
  parent?.append(made);
  return made;
}

export class Painter {
  /** @param {HTMLElement} host */
  constructor(host) {
    this.host = host;
    this.canvas = document.createElement("canvas");
    this.canvas.className = "map-canvas";
    this.canvas.setAttribute("aria-hidden", "true");
    host.append(this.canvas);
    this.grid = element("div", "racks", host);
    /** @type {Rack[]} */
    this.racks = [];
    /** @type {Group[]} */
    this.groups = [];
    /** @type {Map<string, Place>} */
    this.places = new Map();
    /** @type {string[]} */
    this.ids = [];
    this.theme = "";
    this.pitch = 20;
    this.columns = 1;
    this.width = 0;
    this.height = 0;
    /** What the canvas covers, below the host's top. */
    this.slice = { top: 0, bottom: 0 };
    this.frame = 0;
    this.onScroll = () => void (this.frame ||= requestAnimationFrame(() => this.follow()));
    addEventListener("scroll", this.onScroll, { passive: true });
    addEventListener("resize", this.onScroll);
  }

  end() {
    removeEventListener("scroll", this.onScroll);
    removeEventListener("resize", this.onScroll);
    cancelAnimationFrame(this.frame);
    this.host.textContent = "";
  }

  /** Shows these groups. @param {Group[]} groups @param {string} theme */
  show(groups, theme) {
    this.groups = groups;
    this.theme = theme;
    this.arrange();
  }

  /** Lays out what is shown for the width that there is. */
  arrange() {
    const { groups } = this;
    this.width = this.host.clientWidth;
    if (this.width === 0) return;
    const count = groups.reduce((sum, group) => sum + group.rows.length, 0);
    this.pitch = pitchFor(count);
    const { columns, gap } = blocksFor(this.width, groups.map((group) => group.rows.length), this.pitch);
    this.columns = columns;
    this.places.clear();
    this.ids = [];
    this.grid.style.gridTemplateColumns = groups.length < 2 ? "none" : `repeat(auto-fill, ${columns * this.pitch}px)`;
    this.grid.style.columnGap = `${gap}px`;
    this.grid.toggleAttribute("data-tight", groups.length > 1 && columns * this.pitch < WORDS_MIN);
    groups.forEach((group, index) => this.fill(this.racks[index] ?? this.addRack(), group));
    for (const rack of this.racks.splice(groups.length)) rack.section.remove();
    const home = this.host.getBoundingClientRect();
    this.height = home.height;
    for (const rack of this.racks) {
      const rect = rack.cells.getBoundingClientRect();
      rack.x = rect.left - home.left;
      rack.y = rect.top - home.top;
    }
    this.cover(home.top);
  }

  addRack() {
    const section = element("section", "rack", this.grid);
    const head = element("h3", "rack-head", section);
    const title = element("span", "rack-name", head);
    const count = element("span", "rack-count", head);
    const note = element("span", "rack-note", head);
    /** @type {Rack} */
    const rack = { section, title, count, note, worst: element("span", "", note), word: element("span", "rack-word", note), cells: element("div", "rack-cells", section), rows: [], x: 0, y: 0 };
    this.racks.push(rack);
    return rack;
  }

  /** @param {Rack} rack @param {Group} group */
  fill(rack, group) {
    rack.rows = group.rows;
    rack.section.toggleAttribute("data-bare", group.name === "");
    say(rack.title, group.name);
    say(rack.count, String(group.rows.length));
    this.sayTroubles(rack);
    group.rows.forEach((row, at) => {
      this.places.set(row.id, { rack, at, index: this.ids.length });
      this.ids.push(row.id);
    });
    const { width, height } = this.sizeOf(rack);
    rack.cells.style.width = `${width}px`;
    rack.cells.style.height = `${height}px`;
  }

  /** The worst of a group. @param {Rack} rack */
  sayTroubles(rack) {
    const worst = troubles(rack.rows)[0];
    say(rack.worst, worst ? String(worst.count) : "");
    say(rack.word, worst ? ` ${worst.level}` : "");
    if (rack.note.dataset["level"] !== (worst?.level ?? "none")) rack.note.dataset["level"] = worst?.level ?? "none";
  }

  /** @param {Rack} rack */
  sizeOf(rack) {
    return { width: Math.min(this.columns, Math.max(1, rack.rows.length)) * this.pitch, height: Math.ceil(rack.rows.length / this.columns) * this.pitch };
  }

  /** After a scroll: moves the canvas when the view comes near its end. */
  follow() {
    this.frame = 0;
    const { top } = this.host.getBoundingClientRect();
    const above = -top - this.slice.top;
    const below = this.slice.bottom - (innerHeight - top);
    if ((above < AHEAD_LEAST && this.slice.top > 0) || (below < AHEAD_LEAST && this.slice.bottom < this.height)) this.cover(top);
  }

  /** Puts the canvas where the view is, and paints what it covers. @param {number} top of the host in the view */
  cover(top) {
    const from = sprites(this.pitch - CELL_GAP, this.theme);
    this.slice.top = Math.max(0, Math.floor(Math.min(-top, this.height - innerHeight) - AHEAD));
    this.slice.bottom = Math.min(Math.ceil(this.height), Math.ceil(innerHeight - top + AHEAD));
    const height = Math.max(1, this.slice.bottom - this.slice.top);
    this.canvas.style.top = `${this.slice.top}px`;
    this.canvas.style.width = `${this.width}px`;
    this.canvas.style.height = `${height}px`;
    // Setting the size also wipes what was there.
    this.canvas.width = Math.ceil(this.width * from.scale);
    this.canvas.height = Math.ceil(height * from.scale);
    const pen = this.canvas.getContext("2d");
    if (!pen) return;
    for (const rack of this.racks) {
      if (!this.isCovered(rack.y, this.sizeOf(rack).height)) continue;
      rack.rows.forEach((row, at) => {
        const { x, y } = this.corner(rack, at);
        if (this.isCovered(y, this.pitch)) stamp(pen, from, row.kind, x, y - this.slice.top);
      });
    }
    markPainted();
  }

  /** @param {number} y @param {number} height */
  isCovered(y, height) {
    return y + height > this.slice.top && y < this.slice.bottom;
  }

  /** Paints the cells of these rows anew. @param {Row[]} changed */
  repaint(changed) {
    const from = sprites(this.pitch - CELL_GAP, this.theme);
    const pen = this.canvas.getContext("2d");
    /** @type {Set<Rack>} */
    const racks = new Set();
    for (const row of changed) {
      const place = this.places.get(row.id);
      if (!place) continue;
      racks.add(place.rack);
      const { x, y } = this.corner(place.rack, place.at);
      if (pen && this.isCovered(y, this.pitch)) stamp(pen, from, row.kind, x, y - this.slice.top, true);
    }
    for (const rack of racks) this.sayTroubles(rack);
  }

  /** @param {Rack} rack @param {number} at */
  corner(rack, at) {
    return { x: rack.x + (at % this.columns) * this.pitch + CELL_GAP / 2, y: rack.y + Math.floor(at / this.columns) * this.pitch + CELL_GAP / 2 };
  }

  /** A node's cell. @param {string} id */
  spotOf(id) {
    const place = this.places.get(id);
    return place ? { ...this.corner(place.rack, place.at), side: this.pitch - CELL_GAP, index: place.index } : undefined;
  }

  /** Every cell, in order. */
  spots() {
    return this.racks.flatMap((rack) => rack.rows.map((_, at) => this.corner(rack, at)));
  }

  /** @param {number} index */
  idAt(index) {
    return this.ids[index] ?? "";
  }

  /** The node under a point of the window. @param {number} x @param {number} y @returns {Row | null} */
  at(x, y) {
    const home = this.host.getBoundingClientRect();
    for (const rack of this.racks) {
      const [left, top] = [x - home.left - rack.x, y - home.top - rack.y];
      const { width, height } = this.sizeOf(rack);
      if (left < 0 || top < 0 || left >= width || top >= height) continue;
      return rack.rows[Math.floor(top / this.pitch) * this.columns + Math.floor(left / this.pitch)] ?? null;
    }
    return null;
  }
}

let marked = false;
/** Leaves a mark, once, when the first cells are on screen: for those who measure the page. */
function markPainted() {
  if (marked) return;
  marked = true;
  requestAnimationFrame(() => setTimeout(() => performance.mark("sickbay-map-painted"), 0));
}

/** @param {HTMLElement} where @param {string} text */
function say(where, text) {
  if (where.textContent !== text) where.textContent = text;
}
