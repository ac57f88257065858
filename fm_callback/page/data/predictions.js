// @ts-check
// What the model predicts: the label pictures of the stored samples, and the scores of all samples at all steps.

import { decode } from "./decode.js";
import { bytes } from "./source.js";

/** @typedef {import("./types.js").Run} Run */
/** @typedef {import("./types.js").LabelPicture} LabelPicture */
/** @typedef {import("./numbers.js").Numbers} Numbers */

const MOST = 500; // pictures that are kept

const pictures = /** @type {Map<string, Promise<LabelPicture | null>>} */ (new Map());

/**
 * For each cell of the model's output its label; null where there is none.
 *
 * @param {Run} run
 * @param {number} step
 * @param {number} image
 */
export function predicted(run, step, image) {
  const version = run.versions.get(step);
  if (run.prediction?.kind !== "labels" || version === undefined || image >= run.probe.stored) {
    return Promise.resolve(null);
  }
  const key = [run.id, step, image, version].join("\0");
  let found = pictures.get(key);
  if (!found) {
    found = fetched(run.prediction, [
      ["run", run.id],
      ["step", step],
      ["image", image],
      ["v", version],
    ]).catch(() => {
      pictures.delete(key);
      return null;
    });
    pictures.set(key, found);
    if (pictures.size > MOST) pictures.delete(/** @type {string} */ (pictures.keys().next().value));
  }
  return found;
}

/**
 * @param {import("./types.js").Prediction} prediction
 * @param {[string, string | number][]} question
 */
async function fetched({ size: [high, wide], labels }, question) {
  const png = await bytes("prediction", question);
  const { width, height, pixels } = await decode(
    png,
    (head) => head.channels === 1 && head.height === high && head.width === wide,
  );
  return { width, height, pixels, labels };
}

/**
 * A score of a label in a sample at a step; NaN where it is not defined.
 *
 * @param {Run} run
 * @param {Numbers} scores
 * @param {number} step
 * @param {number} image
 * @param {number} label its position in the prediction's list
 * @param {"iou" | "share" | "true_share"} field
 */
export const scoreOf = (run, scores, step, image, label, field) =>
  scores.get(step, image * labelsOf(run).length + label, field);

/**
 * The mean IoU of a sample over its labels, or, for one label, over all samples; NaN where none is known.
 *
 * @param {Run} run
 * @param {Numbers} scores
 * @param {number} step
 * @param {{image?: number, label?: number}} of one of the two, or neither for all
 */
export function meanIou(run, scores, step, { image, label }) {
  const images = image === undefined ? [...Array(run.probe.images).keys()] : [image];
  const labels = label === undefined ? labelsOf(run).keys() : [label];
  const all = [...labels].flatMap((each) => images.map((one) => scoreOf(run, scores, step, one, each, "iou")));
  const known = all.filter(Number.isFinite);
  return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : NaN;
}

/** @param {Run} run */
export const labelsOf = (run) => run.prediction?.labels ?? [];
