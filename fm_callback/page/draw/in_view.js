// @ts-check
// The score of a channel on the picture in view, computed of what is stored: a channel may do well over all images, and
// badly on the one that is looked at.

import { cornerOf } from "./values.js";

/** @typedef {import("../data/types.js").LabelPicture} LabelPicture */
/** @typedef {import("../data/types.js").Layer} Layer */
/** @typedef {import("../data/types.js").Picture} Picture */

const LEVELS = 256;

const known = /** @type {WeakMap<LabelPicture, Map<string, Int8Array>>} */ (new WeakMap());

/**
 * For each cell of a map 1 where most of it is the object, -1 where it is background, 0 where most of it is ignored: by
 * area, as the scores over all images have it.
 *
 * @param {LabelPicture} labels
 * @param {[number, number]} map height and width
 */
export function cellsOf(labels, [height, width]) {
  const sizes = known.get(labels) ?? new Map();
  known.set(labels, sizes);
  const name = `${height}x${width}`;
  if (!sizes.has(name)) sizes.set(name, reduced(labels, height, width));
  return /** @type {Int8Array} */ (sizes.get(name));
}

/**
 * @param {LabelPicture} labels
 * @param {number} height
 * @param {number} width
 */
function reduced({ width: wide, height: high, pixels, labels }, height, width) {
  const object = labels.map(({ foreground }) => foreground);
  const ignored = labels.map((label) => label.ignored);
  const down = parts(high, height);
  const across = parts(wide, width);
  const cells = new Int8Array(height * width);
  const whole = high * wide; // the area of a cell: a pixel is height x width
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      let inside = 0;
      let out = 0;
      for (const [y, tall] of down[row]) {
        for (const [x, broad] of across[column]) {
          const label = pixels[y * wide + x];
          if (object[label]) inside += tall * broad;
          else if (ignored[label]) out += tall * broad;
        }
      }
      if (2 * out <= whole) cells[row * width + column] = inside > whole - inside - out ? 1 : -1;
    }
  }
  return cells;
}

/**
 * Which pixels lie in each cell along an axis, and how much of each: a pixel is as long as there are cells, a cell as
 * long as there are pixels.
 *
 * @param {number} pixels
 * @param {number} cells
 */
function parts(pixels, cells) {
  return Array.from({ length: cells }, (_, cell) => {
    const from = cell * pixels;
    const to = from + pixels;
    const found = /** @type {[number, number][]} */ ([]);
    for (let pixel = Math.floor(from / cells); pixel * cells < to; pixel++) {
      found.push([pixel, Math.min((pixel + 1) * cells, to) - Math.max(pixel * cells, from)]);
    }
    return found;
  });
}

/**
 * How often each level is that of a cell of the background, and of the object.
 *
 * @param {Picture} picture
 * @param {Layer} layer
 * @param {number} place
 * @param {LabelPicture} labels
 */
export function histograms(picture, layer, place, labels) {
  const cells = cellsOf(labels, layer.map);
  const [height, width] = layer.map;
  const counts = [new Float64Array(LEVELS), new Float64Array(LEVELS)];
  const corner = cornerOf(layer, place);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const is = cells[row * width + column];
      if (is) counts[is > 0 ? 1 : 0][picture.pixels[corner + row * picture.width + column]] += 1;
    }
  }
  return counts;
}

/**
 * The mask AUROC of a channel on one image: how often a cell of the object is brighter than one of the background, ties
 * counting half. NaN where there are not cells of both.
 *
 * @param {Picture} picture
 * @param {Layer} layer
 * @param {number} place
 * @param {LabelPicture} labels
 */
export function aurocInView(picture, layer, place, labels) {
  const [background, object] = histograms(picture, layer, place, labels);
  let below = 0;
  let wins = 0;
  let all = 0;
  for (let level = 0; level < LEVELS; level++) {
    wins += object[level] * (below + background[level] / 2);
    below += background[level];
    all += object[level];
  }
  return wins / (below * all);
}
