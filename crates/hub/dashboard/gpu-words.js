// What NVML's clock-event bits mean, in words (nvml.h, nvmlClocksEventReason*). Idle, clocks that someone
// set on purpose and a card working at its power limit are as they should be; heat and brakes are not.

/** @type {[number, string, boolean][]} bit, words, whether it is worth a worry */
const CLOCK_EVENTS = [
  [0x01, "idle", false],
  [0x02, "set clocks", false],
  [0x04, "power limit", false],
  [0x08, "hardware slowdown", true],
  [0x10, "sync boost", false],
  [0x20, "heat", true],
  [0x40, "heat (hardware)", true],
  [0x80, "power brake", true],
  [0x100, "display clocks", false],
];

/** @param {number | null} mask @returns {{ text: string, worry: boolean } | null} none when there is no reading */
export function clockEvents(mask) {
  if (mask === null) return null;
  const set = CLOCK_EVENTS.filter(([bit]) => Math.floor(mask / bit) % 2 === 1).sort((a, b) => Number(b[2]) - Number(a[2]));
  return { text: set.length > 0 ? set.map(([, name]) => name).join(", ") : "nothing", worry: set.some(([, , worry]) => worry) };
}
