// Where the cells are: sizes, columns, and the way from one cell to the next. Pure.

/** Distance of cells by how many there are: the whole fleet should fit a screen as long as it can. @type {[number, number][]} */
const PITCHES = [[150, 36], [400, 28], [1_500, 21], [4_000, 17], [Infinity, 13]];
const BLOCK_GAP = 16;

/** @param {number} count */
export const pitchFor = (count) => PITCHES.find(([most]) => count <= most)?.[1] ?? 13;

/** A group is at least this wide, for its name. */
const BLOCK_MIN = 104;

/**
 * Columns of a group: about twice as wide as high, with its last row full where that can be.
 * @param {number} width of the whole @param {number[]} sizes of the groups @param {number} pitch
 */
export function blocksFor(width, sizes, pitch) {
  const full = Math.max(1, Math.floor(width / pitch));
  if (sizes.length < 2) return { columns: full, gap: BLOCK_GAP };
  const sorted = [...sizes].sort((a, b) => a - b);
  const usual = sorted[Math.floor(sorted.length / 2)] ?? 1;
  const least = Math.min(full, Math.ceil(BLOCK_MIN / pitch));
  const wished = Math.min(full, Math.max(least, Math.round(Math.sqrt(usual * 2))));
  let columns = wished;
  let best = Infinity;
  for (let tried = Math.max(least, wished - 3); tried <= Math.min(full, wished + 5); tried += 1) {
    const torn = Math.ceil(usual / tried) * tried - usual;
    const cost = torn / tried + Math.abs(tried - wished) / wished;
    if (cost < best) {
      best = cost;
      columns = tried;
    }
  }
  return { columns, gap: BLOCK_GAP };
}

/** @typedef {{ x: number, y: number }} Point */

/**
 * The cell that an arrow key leads to: the nearest in that direction, one in line before one aside.
 * @param {Point[]} points @param {number} from @param {"ArrowUp" | "ArrowDown" | "ArrowLeft" | "ArrowRight"} key @returns {number}
 */
export function neighbour(points, from, key) {
  const here = points[from];
  if (!here) return points.length > 0 ? 0 : -1;
  const upright = key === "ArrowUp" || key === "ArrowDown";
  const sign = key === "ArrowUp" || key === "ArrowLeft" ? -1 : 1;
  let best = -1;
  let least = Infinity;
  for (let index = 0; index < points.length; index += 1) {
    const point = points[index];
    if (!point || index === from) continue;
    const ahead = sign * (upright ? point.y - here.y : point.x - here.x);
    const aside = Math.abs(upright ? point.x - here.x : point.y - here.y);
    if (ahead < 1 || (!upright && aside > 4)) continue;
    const cost = ahead + aside * (upright ? 3 : 1);
    if (cost < least) {
      least = cost;
      best = index;
    }
  }
  if (best >= 0) return best;
  // Sideways at the end of a line leads on to the next one, as in a text.
  if (upright) return from;
  return Math.max(0, Math.min(points.length - 1, from + sign));
}
