// @ts-check
// Pictures to compare: some maps of a layer on one canvas, and the signed difference of two such.

import { compose } from "./compose.js";
import { board as geometry } from "./geometry.js";
import { inks } from "./inks.js";
import { contour } from "./outline.js";
import { MAPS, pixel } from "./scale.js";
import { reduce } from "./tiles.js";
import { cornerOf, valueOf } from "./values.js";

/** @typedef {import("../data/types.js").Layer} Layer */
/** @typedef {import("../data/types.js").Picture} Picture */
/** @typedef {import("../data/types.js").Range} Range */
/** @typedef {import("../data/numbers.js").Numbers} Numbers */

/**
 * @typedef {object} Board
 * @property {OffscreenCanvas} canvas
 * @property {number} width
 * @property {number} height as it is shown; strips are shown higher or lower than their canvas is
 * @property {number} columns
 * @property {number[]} channels indices in the layer
 * @property {{width: number, height: number}} map the size of a stored map
 * @property {{width: number, height: number}} tile its size on the canvas
 * @property {number} gap
 * @property {number} stretch
 */

/** @typedef {{picture: Picture, layer: Layer, step: number, numbers: Numbers}} Side */

/** @typedef {{aspect: number, detail: number}} Look see `geometry.board` */

/**
 * @param {{map: [number, number]}} layer
 * @param {number[]} channels
 * @param {Look} look
 * @param {(tiles: {columns: number, width: number, height: number, gap: number}) => ImageData} draw
 * @returns {Board}
 */
function boardOf(layer, channels, look, draw) {
  const { columns, width, height, gap, stretch } = geometry(layer, channels.length, look);
  const image = draw({ columns, width, height, gap });
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.putImageData(image, 0, 0);
  const map = { width: layer.map[1], height: layer.map[0] };
  const whole = { width: image.width, height: image.height * stretch };
  return { canvas, ...whole, columns, channels, map, tile: { width, height }, gap, stretch };
}

/**
 * @param {Side} side
 * @param {object} given
 * @param {number[]} given.places
 * @param {string} given.colour
 * @param {(place: number, picture: Picture) => Range} given.range
 * @param {boolean} given.clipped whether cells outside of it are marked
 * @param {import("../data/types.js").LabelPicture | null} given.labels whose outline is drawn
 * @param {Look} look
 */
export function painted(side, { labels, ...given }, look) {
  const channels = given.places.map((place) => side.layer.channels[place]);
  return boardOf(side.layer, channels, look, (tiles) => {
    const outline = contour(labels, tiles.width, tiles.height);
    return compose({ ...side, ...given, ...tiles, outline }).image;
  });
}

/**
 * Where a point of a board lies: the channel and the cell of its map, or null in a gap.
 *
 * @param {Board} board
 * @param {number} x
 * @param {number} y
 */
export function locate({ columns, channels, map, tile, gap, stretch }, x, y) {
  const wide = tile.width + gap;
  const high = (tile.height + gap) * stretch;
  const column = Math.floor(x / wide);
  const row = Math.floor(y / high);
  const index = row * columns + column;
  const cell = {
    x: Math.floor(((x - column * wide) * map.width) / tile.width),
    y: Math.floor(((y - row * high) * map.height) / (tile.height * stretch)),
  };
  const inside = x >= 0 && y >= 0 && column < columns && index < channels.length;
  return inside && cell.x < map.width && cell.y < map.height ? { channel: channels[index], ...cell } : null;
}

/**
 * Where a cell of a channel's map lies on a board; null where the board does not show the channel.
 *
 * @param {Board} board
 * @param {{channel: number, x: number, y: number}} cell
 */
export function boxOf({ columns, channels, map, tile, gap, stretch }, { channel, x, y }) {
  const index = channels.indexOf(channel);
  if (index < 0) return null;
  const width = tile.width / map.width;
  const height = (tile.height * stretch) / map.height;
  return {
    x: (index % columns) * (tile.width + gap) + x * width,
    y: Math.floor(index / columns) * (tile.height + gap) * stretch + y * height,
    width,
    height,
  };
}

/**
 * The cell beside another one: over the edge of its map that of the next map, if there is one.
 *
 * @param {Board} board
 * @param {{channel: number, x: number, y: number}} cell
 * @param {[number, number]} by cells to the right, and down
 */
export function beside({ columns, channels, map }, cell, [right, down]) {
  const x = cell.x + right;
  const y = cell.y + down;
  if (x >= 0 && x < map.width && y >= 0 && y < map.height) return { ...cell, x, y };
  const index = channels.indexOf(cell.channel);
  const column = (index % columns) + right;
  const next = index + right + down * columns;
  if (column < 0 || column >= columns || next < 0 || next >= channels.length) return cell;
  const over = (/** @type {number} */ place, /** @type {number} */ size) => (place + size) % size;
  return { channel: channels[next], x: over(x, map.width), y: over(y, map.height) };
}

/**
 * @typedef {object} Difference
 * @property {Picture} picture of levels: 0 is the largest difference below zero, 255 the largest above
 * @property {import("./tiles.js").Grid} layer that it is like
 * @property {boolean[]} missing for each channel, whether it has no finite value on a side
 * @property {number} most the largest difference; NaN where no channel has a finite value on both sides
 * @property {number} span what the colours go to: the 99th percentile of all magnitudes
 * @property {number} mean of their magnitudes
 * @property {number[]} means for each channel; NaN where it has no finite value on a side
 */

/**
 * Right minus left of channels that both have, in value units.
 *
 * @param {Side} left
 * @param {Side} right
 * @param {number[]} channels
 * @returns {Difference}
 */
export function difference(left, right, channels) {
  const [height, width] = right.layer.map;
  const size = width * height;
  const values = new Float64Array(channels.length * size);
  let most = 0;
  let sum = 0;
  let finite = 0;
  const means = channels.map((channel, index) => {
    const one = reader(left, channel);
    const two = reader(right, channel);
    let own = 0;
    for (let cell = 0; cell < size; cell++) {
      const value = two(cell) - one(cell);
      values[index * size + cell] = value;
      if (Number.isFinite(value)) {
        most = Math.max(most, Math.abs(value));
        sum += Math.abs(value);
        finite++;
      }
      own += Math.abs(value);
    }
    return own / size;
  });
  const span = spanOf(values, most);
  const pixels = Uint8Array.from(values, (value) =>
    Math.round(127.5 + 127.5 * Math.min(Math.max(value / (span || 1), -1), 1)),
  );
  return {
    picture: { key: "", width, height: channels.length * height, pixels },
    layer: { map: [height, width], columns: 1, channels },
    missing: channels.map((_, index) => !Number.isFinite(values[index * size])),
    most: finite ? most : NaN,
    span,
    mean: finite ? sum / finite : NaN,
    means,
  };
}

const BINS = 4096;

/**
 * The 99th percentile of magnitudes, to a bin of 4,096: a few cells that differ most do not leave the rest blank.
 *
 * @param {Float64Array} values
 * @param {number} most their largest magnitude
 */
function spanOf(values, most) {
  if (!(most > 0)) return 0;
  const counts = new Uint32Array(BINS + 1);
  let known = 0;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    counts[Math.ceil((Math.abs(value) / most) * BINS)]++;
    known++;
  }
  let seen = 0;
  const at = counts.findIndex((count) => (seen += count) >= 0.99 * known);
  return at > 0 ? (at / BINS) * most : most;
}

/**
 * A difference as a board, blue below zero and orange above.
 *
 * @param {Difference} difference
 * @param {Look} look
 */
export function paintedDifference({ picture, layer, missing }, look) {
  return boardOf(layer, layer.channels, look, ({ columns, width, height, gap }) => {
    const rows = Math.ceil(missing.length / columns);
    const image = new ImageData(columns * (width + gap) - gap, rows * (height + gap) - gap);
    const pixels = new Uint32Array(image.data.buffer).fill(inks().paper);
    const small = reduce(picture, layer, width, height).pixels;
    const none = pixel(140, 140, 140);
    missing.forEach((lacks, index) => {
      const corner = Math.floor(index / columns) * (height + gap) * image.width + (index % columns) * (width + gap);
      for (let row = 0; row < height; row++) {
        for (let column = 0; column < width; column++) {
          const level = small[(index * height + row) * width + column];
          pixels[corner + row * image.width + column] = lacks ? none : MAPS.diverging[level];
        }
      }
    });
    return image;
  });
}

/**
 * The values of a channel's map, cell by cell.
 *
 * @param {Side} side
 * @param {number} channel
 */
function reader({ picture, layer, step, numbers }, channel) {
  const place = layer.channels.indexOf(channel);
  const range = numbers.range("own", step, place);
  const corner = cornerOf(layer, place);
  const width = layer.map[1];
  return (/** @type {number} */ cell) =>
    valueOf(picture.pixels[corner + Math.floor(cell / width) * picture.width + (cell % width)], range);
}
