// @ts-check
// The probe: the pictures that the maps are of, and their labels.

import { decode } from "./decode.js";
import { bytes } from "./source.js";

/** @typedef {import("./types.js").Run} Run */
/** @typedef {import("./types.js").LabelPicture} LabelPicture */

const LARGEST = 2 ** 26; // pixels

const pictures = /** @type {Map<string, Promise<ImageBitmap | null>>} */ (new Map());
const labels = /** @type {Map<string, Promise<LabelPicture | null>>} */ (new Map());

/**
 * The input, to be shown; null where there is none.
 *
 * @param {Run} run
 * @param {number} image
 */
export function input(run, image) {
  return once(pictures, run, "picture", image, run.probe.pictures, (png) =>
    createImageBitmap(new Blob([/** @type {BlobPart} */ (png)], { type: "image/png" })),
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
    const { width, height, pixels } = await decode(
      png,
      (head) => head.channels === 1 && head.width * head.height <= LARGEST,
    );
    return { width, height, pixels, labels: run.labels };
  });
}

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
      .then(read)
      .catch(() => {
        kept.delete(key);
        return null;
      });
    kept.set(key, found);
  }
  return found;
}
