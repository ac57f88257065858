// @ts-check
// From a decoded picture to pixels on the screen: tiles in rows, colours, marks on what is no signal, the object's
// outline.

import { DEAD, FLAT, LIVE, NONFINITE } from "../data/numbers.js";
import { ink, inks } from "./inks.js";
import { levels, pixel } from "./scale.js";
import { tiles } from "./tiles.js";
import { valueOf } from "./values.js";

/** @typedef {import("../data/types.js").Picture} Picture */
/** @typedef {import("../data/types.js").Range} Range */
/** @typedef {{x: number, y: number, word: string, alarm: boolean}} Mark where on the picture, and what is said there */

export const WORDS = /** @type {Record<number, string>} */ ({
  [DEAD]: "dead",
  [FLAT]: "flat",
  [NONFINITE]: "not finite",
});

/**
 * @param {object} given sizes are in device pixels
 * @param {import("../data/types.js").Picture} given.picture
 * @param {import("../data/types.js").Layer} given.layer
 * @param {number} given.step
 * @param {import("../data/numbers.js").Numbers | null} given.numbers
 * @param {number[]} given.places which of the logged channels, in order
 * @param {number} given.width of a tile
 * @param {number} given.height
 * @param {number} given.columns
 * @param {number} given.gap
 * @param {string} given.colour
 * @param {((place: number, picture: Picture) => Range) | null} given.range what the colours span
 * @param {boolean} [given.clipped] whether cells outside of it are marked
 * @param {number[] | null} given.outline contour of the object at the size of a tile
 * @param {number | null} [given.marked] a place that is framed
 * @returns {{image: ImageData, marks: Mark[]}}
 */
export function compose({
  picture,
  layer,
  step,
  numbers,
  places,
  width,
  height,
  columns,
  gap,
  colour,
  range,
  clipped = false,
  outline,
  marked = null,
}) {
  const { paper, alarm, accent, outline: line } = inks();
  const rows = Math.ceil(places.length / columns);
  const image = new ImageData(columns * (width + gap) - gap, rows * (height + gap) - gap);
  const pixels = new Uint32Array(image.data.buffer).fill(paper);
  const small = tiles(picture, layer, width, height, places);
  const known = numbers?.index.has(step) ? numbers : null;
  const status = known?.status(step);
  const single = layer.map[0] * layer.map[1] === 1; // one cell has no contrast of its own
  const marks = /** @type {Mark[]} */ ([]);
  places.forEach((place, index) => {
    const x = (index % columns) * (width + gap);
    const y = Math.floor(index / columns) * (height + gap);
    const corner = y * image.width + x;
    const live = status ? status[place] === LIVE || (single && status[place] === FLAT) : true;
    if (live && (single || !(small.still[index] && status))) {
      const own = known ? known.range("own", step, place) : /** @type {[number, number]} */ ([0, 1]);
      const span = known && range ? range(place, picture) : own;
      const colours = levels(colour, own, span);
      const outside = clipped ? outsideOf(own, span) : null;
      let from = index * width * height;
      for (let row = 0; row < height; row++) {
        const start = corner + row * image.width;
        for (let column = 0; column < width; column++) {
          const level = small.pixels[from++];
          pixels[start + column] = (outside && markOf(outside[level], row, column)) || colours[level];
        }
      }
    } else {
      hatched(pixels, image.width, corner, width, height);
      const is = live || !status ? LIVE : status[place];
      marks.push({ x, y, word: WORDS[is] ?? "flat here", alarm: is === NONFINITE });
    }
    for (const cell of outline ?? []) pixels[corner + Math.floor(cell / width) * image.width + (cell % width)] = line;
    if (status?.[place] === NONFINITE || (numbers?.get(step, place, "nonfinite") ?? 0) > 0) {
      frame(pixels, image.width, corner, width, height, alarm);
    }
    if (place === marked) frame(pixels, image.width, corner, width, height, accent, 1.5);
  });
  return { image, marks };
}

const ABOVE = pixel(230, 60, 150);
const BELOW = pixel(40, 190, 170);

/**
 * Of each level whether its value is under what the colours span, over it, or within.
 *
 * @param {import("../data/types.js").Range} own
 * @param {import("../data/types.js").Range} span
 */
function outsideOf(own, [low, high]) {
  const slack = 1e-9 * (own[1] - own[0]);
  return Int8Array.from({ length: 256 }, (_, level) => {
    const value = valueOf(level, own);
    return value < low - slack ? -1 : value > high + slack ? 1 : 0;
  });
}

// Over: stripes; under: dots; so that no colour alone says it.
function markOf(/** @type {number} */ outside, /** @type {number} */ row, /** @type {number} */ column) {
  if (outside > 0) return (row + column) % 4 < 2 ? ABOVE : 0;
  return outside < 0 && row % 3 === 0 && column % 3 === 0 ? BELOW : 0;
}

/**
 * What is no signal.
 *
 * @param {Uint32Array} pixels
 * @param {number} stride
 * @param {number} corner
 * @param {number} width
 * @param {number} height
 */
export function hatched(pixels, stride, corner, width, height) {
  const { hatch, faint } = inks();
  for (let row = 0; row < height; row++) {
    const start = corner + row * stride;
    for (let column = 0; column < width; column++) pixels[start + column] = (row + column) % 6 ? faint : hatch;
  }
}

/**
 * @param {Uint32Array} pixels
 * @param {number} stride
 * @param {number} corner
 * @param {number} width
 * @param {number} height
 * @param {number} colour
 * @param {number} [weight]
 */
export function frame(pixels, stride, corner, width, height, colour, weight = 1) {
  const thick = Math.max(1, Math.round((weight * Math.min(width, height)) / 32));
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const edge = Math.min(row, column, height - 1 - row, width - 1 - column);
      if (edge < thick) pixels[corner + row * stride + column] = colour;
    }
  }
}

/**
 * Says on the tiles themselves what is wrong with them, where there is room.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {Mark[]} marks
 * @param {number} width of a tile
 * @param {number} height
 * @param {number} ratio device pixels in one of the page
 */
export function writeMarks(context, marks, width, height, ratio) {
  if (!marks.length || width < 44 * ratio || height < 16 * ratio) return;
  const paper = ink("--paper");
  const plain = ink("--ink");
  const alarming = ink("--alarm");
  context.font = `${10 * ratio}px system-ui, sans-serif`;
  context.textBaseline = "bottom";
  for (const { x, y, word, alarm } of marks) {
    const wide = context.measureText(word).width + 6 * ratio;
    if (wide > width) continue;
    context.fillStyle = paper;
    context.fillRect(x, y + height - 14 * ratio, wide, 14 * ratio);
    context.fillStyle = alarm ? alarming : plain;
    context.fillText(word, x + 3 * ratio, y + height - ratio);
  }
}
