// How a node's cell looks: one sprite for each kind, drawn once for a size and theme and then stamped.
//
// Must hold: kinds differ by shape and mark, not by colour alone; what needs a person stands out, what is well is quiet.

/** Every kind that a cell can have, worst first. */
export const KINDS = ["critical", "unhealthy", "unknown", "open", "half_open", "degraded", "healthy"];

/** What each kind is called. @type {Record<string, string>} */
export const KIND_WORDS = {
  critical: "critical", unhealthy: "unhealthy", unknown: "unknown", open: "not asked, breaker open", half_open: "being tried, breaker half-open",
  degraded: "degraded", healthy: "healthy",
};

/** @typedef {{ sheet: HTMLCanvasElement, side: number, scale: number }} Sprites */

/** @type {Map<string, Sprites>} */
const kept = new Map();
/** Sizes and themes whose sprites are kept. */
const SPRITES_LIMIT = 12;

/** Sprites for cells of `side` CSS pixels. @param {number} side @param {string} theme */
export function sprites(side, theme) {
  const scale = Math.min(3, Math.max(1, window.devicePixelRatio || 1));
  const key = `${side}|${scale}|${theme}`;
  const known = kept.get(key);
  if (known) return known;
  if (kept.size >= SPRITES_LIMIT) kept.clear();
  const sheet = document.createElement("canvas");
  const step = Math.ceil(side * scale);
  sheet.width = step * KINDS.length;
  sheet.height = step;
  const pen = sheet.getContext("2d");
  if (pen) {
    const style = getComputedStyle(document.documentElement);
    KINDS.forEach((kind, index) => {
      pen.save();
      pen.translate(index * step, 0);
      pen.scale(scale, scale);
      draw(pen, kind, side, (name) => style.getPropertyValue(name).trim());
      pen.restore();
    });
  }
  const made = { sheet, side, scale };
  kept.set(key, made);
  return made;
}

/** @param {CanvasRenderingContext2D} pen @param {Sprites} from @param {string} kind @param {number} x CSS pixels @param {number} y @param {boolean} [over] something was there before */
export function stamp(pen, from, kind, x, y, over = false) {
  const step = Math.ceil(from.side * from.scale);
  const index = Math.max(0, KINDS.indexOf(kind));
  const [left, top] = [Math.round(x * from.scale), Math.round(y * from.scale)];
  if (over) pen.clearRect(left, top, step, step);
  pen.drawImage(from.sheet, index * step, 0, step, step, left, top, step, step);
}

/** @param {CanvasRenderingContext2D} pen @param {string} kind @param {number} side @param {(name: string) => string} token */
function draw(pen, kind, side, token) {
  const middle = side / 2;
  const mark = side * 0.26;
  const line = Math.max(1.2, side * 0.095);
  const hollow = kind === "unknown" || kind === "open" || kind === "half_open";
  pen.lineWidth = line;
  pen.lineCap = "round";
  pen.lineJoin = "round";
  tile(pen, kind, side, hollow ? token("--cell-hollow") : token(`--cell-${kind}`));
  pen.fillStyle = pen.strokeStyle = hollow ? token("--cell-hollow-mark") : token(`--cell-${kind}-mark`);
  if (hollow) edge(pen, kind, side);
  pen.beginPath();
  if (kind === "critical") {
    pen.moveTo(middle - mark, middle - mark);
    pen.lineTo(middle + mark, middle + mark);
    pen.moveTo(middle + mark, middle - mark);
    pen.lineTo(middle - mark, middle + mark);
    pen.lineWidth = line * 1.35;
    pen.stroke();
  } else if (kind === "unhealthy") {
    const reach = mark * 1.12;
    pen.moveTo(middle, middle - reach);
    pen.lineTo(middle + reach, middle);
    pen.lineTo(middle, middle + reach);
    pen.lineTo(middle - reach, middle);
    pen.closePath();
    pen.fill();
  } else if (kind === "degraded") {
    pen.moveTo(middle, middle - mark);
    pen.lineTo(middle + mark * 1.1, middle + mark * 0.85);
    pen.lineTo(middle - mark * 1.1, middle + mark * 0.85);
    pen.closePath();
    pen.fill();
  } else if (kind === "unknown") {
    pen.font = `600 ${Math.round(side * 0.62)}px ${token("--sans")}`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillText("?", middle, middle + side * 0.04);
  } else if (kind === "open" || kind === "half_open") {
    // A bar: the way is barred; two pieces: it is being tried.
    const gap = kind === "open" ? 0 : mark * 0.55;
    pen.lineWidth = line * 1.5;
    pen.moveTo(middle - mark * 1.1, middle);
    pen.lineTo(middle - gap, middle);
    pen.moveTo(middle + gap, middle);
    pen.lineTo(middle + mark * 1.1, middle);
    pen.stroke();
  }
}

/** @param {CanvasRenderingContext2D} pen @param {string} kind @param {number} side @param {string} fill */
function tile(pen, kind, side, fill) {
  // Critical ones fill their place to the edge: they look larger.
  const inset = kind === "critical" ? 0 : side > 16 ? 1 : 0.5;
  pen.fillStyle = fill;
  pen.beginPath();
  pen.roundRect(inset, inset, side - 2 * inset, side - 2 * inset, Math.min(5, side * 0.2));
  pen.fill();
}

/** @param {CanvasRenderingContext2D} pen @param {string} kind @param {number} side */
function edge(pen, kind, side) {
  const width = Math.max(1, side * 0.06);
  const inset = (side > 16 ? 1 : 0.5) + width / 2;
  const radius = Math.min(5, side * 0.2);
  pen.save();
  pen.beginPath();
  pen.roundRect(inset, inset, side - 2 * inset, side - 2 * inset, radius);
  if (kind !== "unknown") {
    pen.save();
    pen.clip();
    pen.globalAlpha = 0.4;
    pen.lineWidth = width;
    pen.beginPath();
    const step = Math.max(3.2, side / 5);
    for (let at = -side; at < side; at += step) {
      pen.moveTo(at, side);
      pen.lineTo(at + side, 0);
    }
    pen.stroke();
    pen.restore();
    pen.beginPath();
    pen.roundRect(inset, inset, side - 2 * inset, side - 2 * inset, radius);
  } else pen.setLineDash([side * 0.13, side * 0.11]);
  pen.lineWidth = width;
  pen.lineCap = "butt";
  pen.stroke();
  pen.restore();
}
