// @ts-check
// The maps of a picture brought to a size, one after the other: averaged down, or repeated up. Averages are taken of
// values, not colours.

import { Shelf } from "../data/shelf.js";
import { cornerOf } from "./values.js";

/** @typedef {import("../data/types.js").Picture} Picture */
/** @typedef {import("../data/types.js").Layer} Layer */
/** @typedef {{pixels: Uint8Array, still: boolean[]}} Tiles still: one value everywhere */

const reduced = /** @type {Shelf<Tiles>} */ (new Shelf(2 ** 26));

/**
 * @param {Picture} picture
 * @param {Layer} layer
 * @param {number} width
 * @param {number} height
 */
export function tiles(picture, layer, width, height) {
  const name = `${picture.key}\0${width}x${height}`;
  let found = reduced.get(name);
  if (!found) {
    found = reduce(picture, layer, width, height);
    reduced.put(name, found, found.pixels.length);
  }
  return found;
}

/**
 * @param {Picture} picture
 * @param {Layer} layer
 * @param {number} width
 * @param {number} height
 * @returns {Tiles}
 */
export function reduce(picture, layer, width, height) {
  const [mapHeight, mapWidth] = layer.map;
  const across = spans(mapWidth, width);
  const down = spans(mapHeight, height);
  const result = new Uint8Array(layer.channels.length * width * height);
  const still = [];
  let to = 0;
  for (let place = 0; place < layer.channels.length; place++) {
    const corner = cornerOf(layer, place);
    still.push(isStill(picture, corner, mapWidth, mapHeight));
    for (let y = 0; y < height; y++) {
      const [top, bottom] = down[y];
      for (let x = 0; x < width; x++) {
        const [left, right] = across[x];
        let sum = 0;
        for (let row = top; row < bottom; row++) {
          const line = corner + row * picture.width;
          for (let from = line + left; from < line + right; from++) sum += picture.pixels[from];
        }
        result[to++] = sum / ((bottom - top) * (right - left)) + 0.5;
      }
    }
  }
  return { pixels: result, still };
}

/**
 * A map of one cell is not still: that cell has a place between the lowest and highest of all images.
 *
 * @param {Picture} picture
 * @param {number} corner
 * @param {number} width
 * @param {number} height
 */
function isStill(picture, corner, width, height) {
  if (width * height === 1) return false;
  const first = picture.pixels[corner];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) if (picture.pixels[corner + y * picture.width + x] !== first) return false;
  }
  return true;
}

/**
 * The cell, of `from`, under the middle of a pixel of `to`.
 *
 * @param {number} pixel
 * @param {number} from
 * @param {number} to
 */
export const cellUnder = (pixel, from, to) => Math.floor(((pixel + 0.5) * from) / to);

/**
 * Which of `from` cells stand behind each of `to` pixels: the one under its middle, or all that it covers.
 *
 * @param {number} from
 * @param {number} to
 */
export function spans(from, to) {
  return Array.from({ length: to }, (_, pixel) => {
    if (from < to) return [cellUnder(pixel, from, to), cellUnder(pixel, from, to) + 1];
    const start = Math.floor((pixel * from) / to);
    return [start, Math.max(start + 1, Math.floor(((pixel + 1) * from) / to))];
  });
}
