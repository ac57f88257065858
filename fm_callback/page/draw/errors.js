// @ts-check
// Where a prediction is wrong: what was missed of the object is striped, what is too much of it is filled, and where
// only the label is another it is dotted; what is right is dark, the object a little less so.

import { pixelOf } from "./scale.js";

/** @typedef {import("../data/types.js").LabelPicture} LabelPicture */

// No colours that labels have: what is wrong is not to be taken for a label.
export const ERRORS = { missed: "#ffffff", much: "#e0433a", other: "#cc79a7" };
export const RIGHT = { object: "#8a9097", rest: "#303236" };
const INKS = { ...ERRORS, ...RIGHT, ignored: "#1b1c1e" };
const MOST = 512; // pixels of the longer side
const LEAST = 192; // so that stripes and dots can be told

/**
 * @param {LabelPicture} prediction
 * @param {LabelPicture} truth
 * @param {number[]} positions of the masks' labels in the prediction's list; -1 where nothing is known
 */
export function paintErrors(prediction, truth, positions) {
  const longer = Math.max(truth.width, truth.height);
  const scale = longer < LEAST ? Math.ceil(LEAST / longer) : Math.min(1, MOST / longer);
  const image = new ImageData(
    Math.max(1, Math.round(truth.width * scale)),
    Math.max(1, Math.round(truth.height * scale)),
  );
  const pixels = new Uint32Array(image.data.buffer);
  const inks = Object.fromEntries(Object.entries(INKS).map(([name, ink]) => [name, pixelOf(ink)]));
  const under = (/** @type {number} */ at, /** @type {number} */ count, /** @type {number} */ drawn) =>
    Math.min(Math.floor(((at + 0.5) * count) / drawn), count - 1);
  for (let y = 0; y < image.height; y++) {
    const trueRow = under(y, truth.height, image.height) * truth.width;
    const row = under(y, prediction.height, image.height) * prediction.width;
    for (let x = 0; x < image.width; x++) {
      const is = truth.pixels[trueRow + under(x, truth.width, image.width)];
      const said = prediction.pixels[row + under(x, prediction.width, image.width)];
      const wanted = positions[is] ?? -1;
      pixels[y * image.width + x] = inks[errorAt(x, y, truth.labels[is], wanted, prediction.labels, said)];
    }
  }
  return image;
}

/**
 * The name of a pixel's ink.
 *
 * @param {number} x
 * @param {number} y
 * @param {import("../data/types.js").Label | undefined} label the true one
 * @param {number} wanted its position in the prediction's list
 * @param {import("../data/types.js").Label[]} labels the prediction's
 * @param {number} said
 */
function errorAt(x, y, label, wanted, labels, said) {
  if (!label || label.ignored || wanted < 0) return "ignored";
  const right = label.foreground ? "object" : "rest";
  if (said === wanted) return right;
  const claimed = labels[said]?.foreground === true;
  if (label.foreground && !claimed) return (x + y) % 6 < 3 ? "missed" : right;
  if (!label.foreground && claimed) return "much";
  return x % 4 < 2 && y % 4 < 2 ? "other" : right;
}
