// @ts-check
// Between which values a map's colours lie: from the 1st to the 99th percentile of its cells, so that two bright eyes
// do not leave all else gray.

import { cornerOf } from "./values.js";

/** @typedef {import("../data/types.js").Picture} Picture */
/** @typedef {Pick<import("../data/types.js").Layer, "map" | "columns" | "channels">} Grid */
/** @typedef {{low: number, high: number, clipped: number}} Ends in levels of 0 to 255; clipped: the share outside */

const PARTS = [0.01, 0.99];

const known = /** @type {WeakMap<Picture, (Ends | undefined)[]>} */ (new WeakMap());

/**
 * The 1st and the 99th percentile of a stored map, linear between two cells, as numpy has them. Where they are one,
 * from the lowest to the highest; a map of one value has no contrast of its own, and is left where it stands.
 *
 * @param {Picture} picture
 * @param {Grid} layer
 * @param {number} place
 * @returns {Ends}
 */
export function percentiles(picture, layer, place) {
  const all = known.get(picture) ?? [];
  known.set(picture, all);
  all[place] ??= reckoned(picture, layer, place);
  return /** @type {Ends} */ (all[place]);
}

/**
 * @param {Picture} picture
 * @param {Grid} layer
 * @param {number} place
 */
function reckoned(picture, layer, place) {
  const [height, width] = layer.map;
  const counts = new Uint32Array(256);
  let from = cornerOf(layer, place);
  for (let row = 0; row < height; row++, from += picture.width) {
    for (let x = 0; x < width; x++) counts[picture.pixels[from + x]]++;
  }
  const cells = height * width;
  const [low, high] = PARTS.map((part) => levelAt(counts, part * (cells - 1)));
  if (low === high) {
    const [least, most] = [counts.findIndex(Boolean), counts.findLastIndex(Boolean)];
    return least < most ? { low: least, high: most, clipped: 0 } : { low: 0, high: 255, clipped: 0 };
  }
  const outside = counts.reduce((sum, count, level) => (level < low || level > high ? sum + count : sum), 0);
  return { low, high, clipped: outside / cells };
}

/**
 * The level at a place among all cells in order, between two of them a level between theirs.
 *
 * @param {Uint32Array} counts
 * @param {number} place
 */
function levelAt(counts, place) {
  const below = Math.floor(place);
  const one = nth(counts, below);
  return one + (place - below) * (nth(counts, Math.ceil(place)) - one);
}

/**
 * @param {Uint32Array} counts
 * @param {number} place
 */
function nth(counts, place) {
  let seen = 0;
  for (let level = 0; level < 256; level++) {
    seen += counts[level];
    if (seen > place) return level;
  }
  return 255;
}
