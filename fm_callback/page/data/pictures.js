// @ts-check
// The page's stored pictures: the one queue, over the network, to decoded maps.

import { signal } from "../vendor/signals.js";
import { decode } from "./decode.js";
import { Requests } from "./requests.js";
import { frames } from "./source.js";

/** @typedef {import("./types.js").Layer} Layer */
/** @typedef {import("./types.js").Wish} Wish */

// How many pictures are awaited.
export const awaited = signal(0);

const requests = new Requests({
  fetch: bundle,
  decode: maps,
  onWait: (count) => {
    awaited.value = count;
  },
});

/**
 * @param {Layer} layer
 * @param {number} step
 * @param {number} image
 * @returns {Wish}
 */
function wishFor(layer, step, image) {
  const version = layer.run.versions.get(step) ?? "";
  return { key: [layer.run.id, layer.name, step, image, version].join("\0"), layer, step, image, version };
}

/**
 * A decoded picture, or undefined.
 *
 * @param {Layer} layer
 * @param {number} step
 * @param {number} image
 */
export const ready = (layer, step, image) => requests.ready(wishFor(layer, step, image));

/**
 * Calls back with a decoded picture, or with an Error. Returns a function that withdraws the wish.
 *
 * @param {Layer} layer
 * @param {number} step
 * @param {number} image
 * @param {import("./requests.js").Listener} listener
 */
export const want = (layer, step, image, listener) => requests.want(wishFor(layer, step, image), listener);

/**
 * A promise of a decoded picture.
 *
 * @param {Layer} layer
 * @param {number} step
 * @param {number} image
 * @returns {Promise<import("./types.js").Picture>}
 */
export function pictureOf(layer, step, image) {
  return new Promise((resolve, reject) => {
    want(layer, step, image, (found) => (found instanceof Error ? reject(found) : resolve(found)));
  });
}

/**
 * Fetches what may be wanted next, when nothing more urgent is waiting; forgets what earlier calls wished.
 *
 * @param {Layer[]} layers
 * @param {number[]} steps
 * @param {number} image
 */
export function prefetch(layers, steps, image) {
  requests.prefetch(
    steps.map((step) =>
      layers.filter((layer) => layer.run.versions.has(step)).map((layer) => wishFor(layer, step, image)),
    ),
  );
}

/** @param {Wish[]} wishes */
async function bundle(wishes) {
  const [{ layer, image, version }] = wishes;
  const layers = new Set(wishes.map((wish) => wish.layer.name));
  const steps = new Set(wishes.map((wish) => wish.step));
  const { head, buffer, start } = await frames("bundle", [
    ["run", layer.run.id],
    ["image", image],
    ["v", version],
    ...[...layers].map((name) => /** @type {[string, string]} */ (["layer", name])),
    ...[...steps].map((step) => /** @type {[string, number]} */ (["step", step])),
  ]);
  const found = new Map();
  const keys = new Map(wishes.map((wish) => [`${wish.step} ${wish.layer.name}`, wish.key]));
  let from = start;
  for (const { layer: name, step, size, later } of head) {
    // A copy of each, so that one that is kept does not keep its bundle.
    const png = size === null ? null : new Uint8Array(buffer.slice(from, (from += size)));
    if (!later) found.set(keys.get(`${step} ${name}`), png);
  }
  return found;
}

/**
 * @param {Wish} wish
 * @param {Uint8Array} png
 */
async function maps({ key, layer }, png) {
  const [height, width] = layer.map;
  const { pixels, ...size } = await decode(
    png,
    (head) => head.channels === 1 && head.width === layer.columns * width && head.height === layer.rows * height,
  );
  return { key, width: size.width, height: size.height, pixels };
}
