// @ts-check
// The probe: the pictures that the maps are of, and their labels.

import { decode } from "./decode.js";
import { bytes } from "./source.js";

/** @typedef {import("./types.js").Run} Run */
/** @typedef {import("./types.js").LabelPicture} LabelPicture */

/** @typedef {import("./decode.js").Decoded} Decoded */

const LARGEST = 2 ** 26; // pixels

const pictures = /** @type {Map<string, Promise<ImageData | null>>} */ (new Map());
const labels = /** @type {Map<string, Promise<LabelPicture | null>>} */ (new Map());

/**
 * The input, as it is shown; null where there is none.
 *
 * @param {Run} run
 * @param {number} image
 * @param {(decoded: Decoded) => ImageData} paint makes of it what is kept, always the same
 */
export function input(run, image, paint) {
  return once(pictures, run, "picture", image, run.probe.pictures, async (png) =>
    paint(await decode(png, (head) => head.channels !== 2 && fits(run, head))),
  );
}

/**
 * For each pixel of the input its label; null where there are none.
 *
 * @param {Run} run
 * @param {number} image
 */
export function labelled(run, image) {
  return once(labels, run, "label", image, run.probe.labels, async (png) => {
    const { width, height, pixels } = await decode(png, (head) => head.channels === 1 && fits(run, head));
    return { width, height, pixels, labels: run.labels };
  });
}

/**
 * Whether a picture has the size of the probe's samples; where that is not known, one that can be drawn.
 *
 * @param {Run} run
 * @param {{width: number, height: number}} head
 */
function fits({ probe: { plane } }, { width, height }) {
  return plane ? height === plane[0] && width === plane[1] : width * height <= LARGEST;
}

// One picture is decoded at a time: a probe may hold many large ones.
let /** @type {Promise<unknown>} */ turn = Promise.resolve();

/**
 * @template T
 * @param {Map<string, Promise<T | null>>} kept
 * @param {Run} run
 * @param {"picture" | "label"} kind
 * @param {number} image
 * @param {number} count
 * @param {(png: Uint8Array) => Promise<T>} read
 */
function once(kept, run, kind, image, count, read) {
  if (image >= count) return Promise.resolve(null);
  const version = run.versions.get(run.steps[0]) ?? "";
  const key = `${run.id}\0${image}\0${version}`;
  let found = kept.get(key);
  if (!found) {
    found = bytes("probe", [
      ["run", run.id],
      ["kind", kind],
      ["image", image],
      ["v", version],
    ])
      .then((png) => {
        const mine = turn.then(() => read(png));
        turn = mine.catch(() => {});
        return mine;
      })
      .catch(() => {
        kept.delete(key);
        return null;
      });
    kept.set(key, found);
  }
  return found;
}
