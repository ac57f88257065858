// @ts-check
// The maps of a picture brought to a size, one after the other: repeated up, or reduced. A reduced map is averaged, by
// its values and not its colours; of a reduced strip, which has height to spare, each column of pixels shows the cells
// that it stands for, sorted from the highest down to the lowest: a peak of one cell is seen, and noise is not gray.

import { Shelf } from "../data/shelf.js";
import { cornerOf } from "./values.js";

/** @typedef {import("../data/types.js").Picture} Picture */
/** @typedef {import("../data/types.js").Layer} Layer */
/** @typedef {Pick<Layer, "map" | "columns" | "channels">} Grid */
/** @typedef {{pixels: Uint8Array, still: boolean[]}} Tiles of some places, in order; still: one value everywhere */

const reduced = /** @type {Shelf<Tiles>} */ (new Shelf(2 ** 26));

/**
 * @param {Picture} picture
 * @param {Layer} layer
 * @param {number} width
 * @param {number} height
 * @param {number[]} places which of the channels
 */
export function tiles(picture, layer, width, height, places) {
  const name = `${picture.key}\0${width}x${height}\0${places}`;
  let found = reduced.get(name);
  if (!found) {
    found = reduce(picture, layer, width, height, places);
    reduced.put(name, found, found.pixels.length);
  }
  return found;
}

/**
 * @param {Picture} picture
 * @param {Grid} layer
 * @param {number} width
 * @param {number} height
 * @param {number[]} [places]
 * @returns {Tiles}
 */
export function reduce(picture, layer, width, height, places = [...layer.channels.keys()]) {
  const [mapHeight, mapWidth] = layer.map;
  const result = new Uint8Array(places.length * width * height);
  const still = [];
  for (const [index, place] of places.entries()) {
    const corner = cornerOf(layer, place);
    still.push(isStill(picture, corner, mapWidth, mapHeight));
    const from = { pixels: picture.pixels, start: corner, stride: picture.width, width: mapWidth, height: mapHeight };
    bring(from, { pixels: result, start: index * width * height, width, height });
  }
  return { pixels: result, still };
}

/**
 * Brings one picture, or one of its colours, to another size.
 *
 * @param {object} from
 * @param {Uint8Array | Uint8ClampedArray} from.pixels
 * @param {number} from.start index of the first
 * @param {number} from.stride from row to row
 * @param {number} from.width
 * @param {number} from.height
 * @param {number} [from.pace] from pixel to pixel
 * @param {object} to
 * @param {Uint8Array | Uint8ClampedArray} to.pixels
 * @param {number} to.start
 * @param {number} to.width
 * @param {number} to.height
 * @param {number} [to.pace]
 */
export function bring(from, to) {
  if (from.height === 1 && from.width > to.width) sortColumns(from, to);
  else blend(from, to);
}

/**
 * Repeats cells, or averages them, a strip's too: colours can't be sorted.
 *
 * @param {Parameters<typeof bring>[0]} from
 * @param {Parameters<typeof bring>[1]} to
 */
export function blend(from, to) {
  const across = spans(from.width, to.width);
  const down = spans(from.height, to.height);
  const { pixels, start, stride, pace = 1 } = from;
  const step = to.pace ?? 1;
  let at = to.start;
  for (let y = 0; y < to.height; y++) {
    const [top, bottom] = down[y];
    for (let x = 0; x < to.width; x++, at += step) {
      const [left, right] = across[x];
      let sum = 0;
      for (let row = top; row < bottom; row++) {
        const line = start + row * stride;
        for (let cell = line + left * pace; cell < line + right * pace; cell += pace) sum += pixels[cell];
      }
      to.pixels[at] = sum / ((bottom - top) * (right - left)) + (to.pixels instanceof Uint8Array ? 0.5 : 0);
    }
  }
}

/**
 * A strip in fewer columns: each shows its cells from the highest, at the top, to the lowest.
 *
 * @param {Parameters<typeof bring>[0]} from
 * @param {Parameters<typeof bring>[1]} to
 * @param {boolean} [blended] whether what lies between two cells is a value, too
 */
export function sortColumns({ pixels, start, width, pace = 1 }, to, blended = true) {
  const across = spans(width, to.width);
  for (let x = 0; x < to.width; x++) {
    const [left, right] = across[x];
    const cells = Uint8Array.from({ length: right - left }, (_, index) => pixels[start + (left + index) * pace]).sort();
    const last = cells.length - 1;
    for (let y = 0; y < to.height; y++) {
      const part = to.height === 1 ? 0.5 : 1 - y / (to.height - 1);
      const low = Math.min(Math.floor(part * cells.length), last);
      const under = Math.floor(part * last);
      const between = cells[under] + (part * last - under) * (cells[Math.min(under + 1, last)] - cells[under]);
      to.pixels[to.start + (y * to.width + x) * (to.pace ?? 1)] = blended ? Math.round(between) : cells[low];
    }
  }
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
  return Array.from({ length: to }, (_, pixel) => spanUnder(pixel, from, to));
}

/**
 * @param {number} pixel
 * @param {number} from
 * @param {number} to
 */
export function spanUnder(pixel, from, to) {
  if (from < to) return [cellUnder(pixel, from, to), cellUnder(pixel, from, to) + 1];
  const start = Math.floor((pixel * from) / to);
  return [start, Math.max(start + 1, Math.floor(((pixel + 1) * from) / to))];
}
