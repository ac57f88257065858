// @ts-check
// From stored pixels to colours. A pixel says where between its own map's low and high a value lies; which values are
// dark and which bright is decided here, so that changing the scale needs nothing from the server.

import { valueOf } from "./values.js";

/** @typedef {import("../data/types.js").Range} Range */

const STOPS = /** @type {Record<string, string[]>} */ ({
  gray: ["#000000", "#ffffff"],
  viridis: [
    "#440154",
    "#482878",
    "#3e4a89",
    "#31688e",
    "#26828e",
    "#1f9e89",
    "#35b779",
    "#6ece58",
    "#b5de2b",
    "#fde725",
  ],
  diverging: ["#08306b", "#2171b5", "#6baed6", "#c6dbef", "#f7f7f7", "#fdd0a2", "#fd8d3c", "#d94801", "#7f2704"],
});

// For each colour map 256 colours as 32-bit pixels.
export const MAPS = Object.fromEntries(Object.entries(STOPS).map(([name, stops]) => [name, table(stops.map(parts))]));

/** @param {number[][]} stops */
function table(stops) {
  return Uint32Array.from({ length: 256 }, (_, level) => {
    const place = (level / 255) * (stops.length - 1);
    const below = Math.min(Math.floor(place), stops.length - 2);
    const [red, green, blue] = stops[below].map((low, part) =>
      Math.round(low + (place - below) * (stops[below + 1][part] - low)),
    );
    return pixel(red, green, blue);
  });
}

/**
 * Red, green and blue of "#rrggbb" or "#rgb", as the page's style names its colours.
 *
 * @param {string} colour
 */
export function parts(colour) {
  const hex = colour.trim().slice(1);
  const full = hex.length === 3 ? hex.replace(/./g, "$&$&") : hex;
  return [0, 2, 4].map((from) => parseInt(full.slice(from, from + 2), 16));
}

/**
 * @param {number} red
 * @param {number} green
 * @param {number} blue
 */
export function pixel(red, green, blue) {
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/** @param {string} colour */
export function pixelOf(colour) {
  const [red, green, blue] = parts(colour);
  return pixel(red, green, blue);
}

/**
 * What a colour bar shows from end to end: the range itself, or, for the diverging map, the same on either side of
 * zero.
 *
 * @param {string} colour
 * @param {Range} range
 * @returns {Range}
 */
export function shown(colour, [low, high]) {
  if (colour !== "diverging") return [low, high];
  const most = Math.max(Math.abs(low), Math.abs(high));
  return [-most, most];
}

/**
 * The colour of each of the 256 levels of a map that was stored between `own`, shown on a scale over `range`.
 *
 * @param {string} colour
 * @param {Range} own
 * @param {Range} range
 */
export function levels(colour, own, range) {
  const colours = MAPS[colour];
  const [low, high] = shown(colour, range);
  if (low === own[0] && high === own[1]) return colours;
  const width = high - low || 1;
  return Uint32Array.from({ length: 256 }, (_, level) => {
    const place = Math.round((255 * (valueOf(level, own) - low)) / width);
    return colours[Math.min(Math.max(place, 0), 255) || 0];
  });
}
