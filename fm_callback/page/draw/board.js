// @ts-check
// Pictures to compare: some maps of a layer on one canvas, and the signed difference of two such.

import { compose } from "./compose.js";
import { columnsFor } from "./geometry.js";
import { contour } from "./outline.js";
import { MAPS, pixel } from "./scale.js";
import { cornerOf, valueOf } from "./values.js";

/** @typedef {import("../data/types.js").Layer} Layer */
/** @typedef {import("../data/types.js").Picture} Picture */
/** @typedef {import("../data/types.js").Range} Range */
/** @typedef {import("../data/numbers.js").Numbers} Numbers */

/**
 * @typedef {object} Board
 * @property {OffscreenCanvas} canvas
 * @property {number} width
 * @property {number} height
 * @property {number} columns
 * @property {number[]} channels indices in the layer
 * @property {{width: number, height: number}} map the size of a stored map
 * @property {number} unit how many pixels of the board one cell of a map is wide and high
 * @property {number} gap
 */

/** @typedef {{picture: Picture, layer: Layer, step: number, numbers: Numbers}} Side */

const LEAST = 64; // small maps are magnified by a whole number to about this size, so that gaps and marks stay fine

/**
 * @param {Layer} layer
 * @param {number[]} channels
 * @returns {Board}
 */
function empty(layer, channels) {
  const [high, wide] = layer.map;
  const columns = columnsFor(layer, channels.length, 1.3);
  const unit = Math.max(1, Math.round(LEAST / Math.max(wide, high)));
  const gap = channels.length === 1 ? 0 : unit > 1 ? 2 : 1;
  const rows = Math.ceil(channels.length / columns);
  const width = columns * (wide * unit + gap) - gap;
  const height = rows * (high * unit + gap) - gap;
  const canvas = new OffscreenCanvas(width, height);
  return { canvas, width, height, columns, channels, map: { width: wide, height: high }, unit, gap };
}

/**
 * @param {Side} side
 * @param {object} look
 * @param {number[]} look.places
 * @param {string} look.colour
 * @param {(place: number) => Range} look.range
 * @param {import("../data/types.js").LabelPicture | null} look.labels whose outline is drawn
 */
export function painted(side, { labels, ...look }) {
  const board = empty(
    side.layer,
    look.places.map((place) => side.layer.channels[place]),
  );
  const { map, unit, columns, gap } = board;
  const width = map.width * unit;
  const height = map.height * unit;
  const { image } = compose({ ...side, ...look, columns, width, height, gap, outline: contour(labels, width, height) });
  contextOf(board.canvas).putImageData(image, 0, 0);
  return board;
}

/**
 * Where a point of a board lies: the channel and the cell of its map, or null in a gap.
 *
 * @param {Board} board
 * @param {number} x
 * @param {number} y
 */
export function locate({ columns, channels, map, unit, gap }, x, y) {
  const wide = map.width * unit + gap;
  const high = map.height * unit + gap;
  const column = Math.floor(x / wide);
  const row = Math.floor(y / high);
  const index = row * columns + column;
  const cell = { x: Math.floor((x - column * wide) / unit), y: Math.floor((y - row * high) / unit) };
  const inside = x >= 0 && y >= 0 && column < columns && index < channels.length;
  return inside && cell.x < map.width && cell.y < map.height ? { channel: channels[index], ...cell } : null;
}

/**
 * Right minus left of channels that both have, in value units, blue below zero and orange above.
 *
 * @param {Side} left
 * @param {Side} right
 * @param {number[]} channels
 */
export function difference(left, right, channels) {
  const board = empty(right.layer, channels);
  const { width, height } = board.map;
  const size = width * height;
  const values = new Float32Array(channels.length * size);
  let most = 0;
  let sum = 0;
  let finite = 0;
  channels.forEach((channel, index) => {
    const one = reader(left, channel);
    const two = reader(right, channel);
    for (let cell = 0; cell < size; cell++) {
      const value = two(cell) - one(cell);
      values[index * size + cell] = value;
      if (Number.isFinite(value)) {
        most = Math.max(most, Math.abs(value));
        sum += Math.abs(value);
        finite++;
      }
    }
  });
  paintDifference(board, values, most || 1);
  return { board, most, mean: finite ? sum / finite : NaN };
}

/**
 * @param {Board} board
 * @param {Float32Array} values
 * @param {number} most
 */
function paintDifference({ canvas, columns, channels, map: { width, height }, unit, gap }, values, most) {
  const context = contextOf(canvas);
  const one = new OffscreenCanvas(width, height);
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const colours = MAPS.diverging;
  const missing = pixel(140, 140, 140);
  const wide = width * unit;
  const high = height * unit;
  context.imageSmoothingEnabled = false;
  channels.forEach((_, index) => {
    for (let cell = 0; cell < pixels.length; cell++) {
      const value = values[index * pixels.length + cell];
      pixels[cell] = Number.isFinite(value) ? colours[Math.round(127.5 + (127.5 * value) / most)] : missing;
    }
    contextOf(one).putImageData(image, 0, 0);
    context.drawImage(one, (index % columns) * (wide + gap), Math.floor(index / columns) * (high + gap), wide, high);
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

/** @param {OffscreenCanvas} canvas */
const contextOf = (canvas) => /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
