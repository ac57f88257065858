// @ts-check
// Saves a layer's or channel's film as a GIF with the step written in it. The maps do not pass through a canvas, only
// the words do.

import { load } from "../data/files.js";
import { stepName } from "../data/log.js";
import { pictureOf } from "../data/pictures.js";
import { numbersHere } from "../data/tables.js";
import { compose } from "../draw/compose.js";
import { sheet, tileSize, wideness } from "../draw/geometry.js";
import { ink } from "../draw/inks.js";
import { contour } from "../draw/outline.js";
import { MAPS, parts, pixelOf } from "../draw/scale.js";
import { pace } from "../state/playback.js";
import { image, scale, state } from "../state/state.js";
import { download } from "./download.js";
import { outlined, rangeOf } from "./maps.js";

/** @typedef {import("../data/types.js").Layer} Layer */

const LINE = 26;
const LAST = 1500; // milliseconds

/**
 * @param {Layer} layer
 * @param {number[]} places
 * @param {(text: string) => void} tell how far it is
 */
export async function saveFilm(layer, places, tell) {
  const [{ GIFEncoder }, numbers] = await Promise.all([load("vendor/gifenc.js"), numbersHere(layer)]);
  const { steps, probe } = layer.run;
  const stored = Math.min(image.value, Math.max(probe.stored, 1) - 1);
  const single = places.length === 1;
  const channel = layer.channels[places[0]];
  const size = single
    ? { columns: 1, gap: 0, ...tileSize(layer, 320 * wideness(layer, 3)) }
    : sheet(layer, places.length, 760, 96);
  const outline = contour(await outlined(layer, stored), size.width, size.height);
  const film = GIFEncoder();
  const paint = palette();
  for (const [index, step] of steps.entries()) {
    tell(`Film ${index + 1} of ${steps.length}`);
    const picture = await pictureOf(layer, step, stored);
    const range = rangeOf(numbers, layer, step, scale.value);
    const drawn = compose({
      layer,
      picture,
      numbers,
      step,
      places,
      ...size,
      colour: state.colour.value,
      range,
      outline,
      clipped: state.clipped.value,
    });
    const frame = titled(
      drawn.image,
      single ? `${layer.path}, channel ${channel}` : layer.path,
      stepName(layer.run, step),
    );
    film.writeFrame(paint.indices(frame.pixels), frame.width, frame.height, {
      palette: index ? undefined : paint.colours,
      delay: index === steps.length - 1 ? LAST : pace(steps.length),
    });
  }
  film.finish();
  download(new Blob([film.bytes()], { type: "image/gif" }), `${layer.path}${single ? `-channel-${channel}` : ""}.gif`);
}

/**
 * The drawn maps under a line that says what they are and when.
 *
 * @param {ImageData} drawn
 * @param {string} name
 * @param {string} when
 */
function titled(drawn, name, when) {
  const width = Math.max(drawn.width, 240);
  const height = drawn.height + LINE;
  const pixels = new Uint32Array(width * height).fill(pixelOf(ink("--paper")));
  pixels.set(new Uint32Array(words(width, name, when).data.buffer));
  const maps = new Uint32Array(drawn.data.buffer);
  for (let row = 0; row < drawn.height; row++) {
    pixels.set(maps.subarray(row * drawn.width, (row + 1) * drawn.width), (LINE + row) * width);
  }
  return { width, height, pixels };
}

/**
 * @param {number} width
 * @param {string} name
 * @param {string} when
 */
function words(width, name, when) {
  const canvas = new OffscreenCanvas(width, LINE);
  const settings = { willReadFrequently: true };
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d", settings));
  context.fillStyle = ink("--paper");
  context.fillRect(0, 0, width, LINE);
  context.fillStyle = ink("--ink");
  context.font = "600 13px system-ui, sans-serif";
  context.textBaseline = "middle";
  const wide = context.measureText(when).width;
  context.fillText(when, width - wide - 4, LINE / 2);
  context.font = "13px system-ui, sans-serif";
  context.fillText(shorter(context, name, width - wide - 24), 4, LINE / 2);
  return context.getImageData(0, 0, width, LINE);
}

/**
 * @param {OffscreenCanvasRenderingContext2D} context
 * @param {string} text
 * @param {number} room
 */
function shorter(context, text, room) {
  let kept = text;
  while (kept && context.measureText(kept).width > room) kept = kept.slice(0, -1);
  return kept === text ? text : `${kept.slice(0, -1)}…`;
}

// One palette for all frames: the colour map, and grays and the page's inks for the rest. A colour is looked up once.
function palette() {
  const inks = ["--paper", "--ink", "--hatch", "--hatch-paper", "--alarm", "--outline"].map((name) => parts(ink(name)));
  const split = (/** @type {number} */ pixel) => [pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255];
  const map = MAPS[state.colour.value];
  const shades = Array.from({ length: 228 }, (_, index) => split(map[Math.round((index * 255) / 227)]));
  const grays = Array.from({ length: 16 }, (_, index) => [index * 17, index * 17, index * 17]);
  const colours = [...inks, ...shades, ...grays];
  const known = /** @type {Map<number, number>} */ (new Map());
  const nearest = (/** @type {number} */ pixel) => {
    const [red, green, blue] = split(pixel);
    let best = 0;
    let least = Infinity;
    colours.forEach(([r, g, b], index) => {
      const apart = (r - red) ** 2 + (g - green) ** 2 + (b - blue) ** 2;
      if (apart < least) [best, least] = [index, apart];
    });
    return best;
  };
  const indices = (/** @type {Uint32Array} */ pixels) =>
    Uint8Array.from(pixels, (pixel) => {
      const index = known.get(pixel) ?? nearest(pixel);
      known.set(pixel, index);
      return index;
    });
  return { colours, indices };
}
