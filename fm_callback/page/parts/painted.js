// @ts-check
// A layer at a step as pixels that can be saved: in colour, or its best channel.

import { coloured, colouring } from "../data/colours.js";
import { pictureOf } from "../data/pictures.js";
import { numbersHere } from "../data/tables.js";
import { colourPicture } from "../draw/colour_picture.js";
import { compose } from "../draw/compose.js";
import { tileSize, wideness } from "../draw/geometry.js";
import { contour } from "../draw/outline.js";
import { bestAtEnd, image, ownContrast, scale, state } from "../state/state.js";
import { outlined, rangeOf } from "./maps.js";

/** @typedef {import("../data/types.js").Layer} Layer */

// The size of a picture of a layer, at most so wide and high, strips a little wider.
export const sizeFor = (/** @type {Layer} */ layer, /** @type {number} */ most) =>
  tileSize(layer, most * wideness(layer, 2));

/**
 * @param {Layer} layer
 * @param {number} step
 * @param {{width: number, height: number}} size
 * @returns {Promise<ImageData>}
 */
export async function painted(layer, step, size) {
  const stored = Math.min(image.peek(), Math.max(layer.run.probe.stored, 1) - 1);
  const [numbers, picture, labels] = await Promise.all([
    numbersHere(layer),
    pictureOf(layer, step, stored),
    outlined(layer, stored),
  ]);
  const outline = contour(labels, size.width, size.height);
  if (state.show.peek() === "best") {
    const place = bestAtEnd(layer, numbers);
    const range = rangeOf(numbers, layer, step, scale.peek());
    const look = { columns: 1, gap: 0, colour: state.colour.peek(), range, outline };
    return compose({ layer, picture, numbers, step, places: [place], ...size, ...look }).image;
  }
  const found = await colouring(layer);
  const colours = found && (await coloured(picture, layer, step, numbers, found, ownContrast.peek()));
  return colourPicture({ map: layer.map, size, outline, colours, status: numbers.status(step) }).image;
}
