// @ts-check
// The object's outline, from a label picture: pixels over maps, strokes over the input.

import { ink } from "./inks.js";
import { spans } from "./tiles.js";

/** @typedef {import("../data/types.js").LabelPicture} LabelPicture */

/** @param {LabelPicture} picture */
function objectIn({ width, height, pixels, labels }) {
  return (/** @type {number} */ x, /** @type {number} */ y) =>
    x >= 0 && y >= 0 && x < width && y < height && labels[pixels[y * width + x]]?.foreground === true;
}

const contours = /** @type {WeakMap<LabelPicture, Map<string, number[]>>} */ (new WeakMap());

/**
 * The pixels of a tile that the object's border runs through.
 *
 * @param {LabelPicture | null} picture
 * @param {number} width of the tile
 * @param {number} height
 */
export function contour(picture, width, height) {
  if (!picture) return null;
  const known = contours.get(picture) ?? new Map();
  const name = `${width}x${height}`;
  contours.set(picture, known);
  if (!known.has(name)) known.set(name, trace(picture, width, height));
  return /** @type {number[]} */ (known.get(name));
}

/**
 * @param {LabelPicture} picture
 * @param {number} width
 * @param {number} height
 */
function trace(picture, width, height) {
  const across = spans(picture.width, width);
  const down = spans(picture.height, height);
  const object = objectIn(picture);
  const inside = (/** @type {number} */ x, /** @type {number} */ y) => {
    if (x < 0 || y < 0 || x >= width || y >= height) return false;
    const [left, right] = across[x];
    const [top, bottom] = down[y];
    return object((left + right) >> 1, (top + bottom) >> 1);
  };
  const found = [];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!inside(x, y)) continue;
      const between = inside(x - 1, y) && inside(x + 1, y);
      const within = between && (height === 1 || (inside(x, y - 1) && inside(x, y + 1))); // a strip has two ends alone
      if (!within) found.push(y * width + x);
    }
  }
  return found;
}

/**
 * Strokes the object's border over the whole of a canvas, on a darker line, so that it is seen on an object of its
 * colour.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {LabelPicture} picture
 * @param {number} thick
 */
export function strokeOutline(context, picture, thick) {
  const { width, height } = context.canvas;
  context.strokeStyle = "rgb(0 0 0 / 0.6)";
  context.lineWidth = 2 * thick;
  if (picture.width > width || picture.height > height) dots(context, picture);
  else lines(context, picture);
  context.stroke();
  context.strokeStyle = ink("--outline");
  context.lineWidth = thick;
  context.stroke();
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {LabelPicture} picture larger than the canvas
 */
function dots(context, picture) {
  const { width, height } = context.canvas;
  context.beginPath();
  for (const cell of contour(picture, width, height) ?? []) context.rect(cell % width, Math.floor(cell / width), 1, 1);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {LabelPicture} picture
 */
function lines(context, picture) {
  const inside = objectIn(picture);
  const across = context.canvas.width / picture.width;
  const down = context.canvas.height / picture.height;
  const line = (/** @type {number[]} */ [fromX, fromY, toX, toY]) => {
    context.moveTo(fromX * across, fromY * down);
    context.lineTo(toX * across, toY * down);
  };
  context.beginPath();
  for (let y = 0; y <= picture.height; y++) {
    for (let x = 0; x <= picture.width; x++) {
      if (inside(x, y) !== inside(x - 1, y)) line([x, y, x, y + 1]);
      if (inside(x, y) !== inside(x, y - 1)) line([x, y, x + 1, y]);
    }
  }
}
