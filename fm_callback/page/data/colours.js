// @ts-check
// Layers in colours: for each layer one basis, of its newest step, and the pictures that are painted with it.

import { reckon } from "./beside.js";
import { NONFINITE } from "./numbers.js";
import { pictureOf } from "./pictures.js";
import { Shelf } from "./shelf.js";
import { numbersHere } from "./tables.js";

/** @typedef {import("./types.js").Layer} Layer */
/** @typedef {import("./types.js").Picture} Picture */
/** @typedef {import("./numbers.js").Numbers} Numbers */
/** @typedef {import("../draw/components.js").Basis} Basis */
/** @typedef {{basis: Basis, step: number, key: string}} Colouring the step that the basis is of */

const known = /** @type {Map<string, {version: string, found: Promise<Colouring | null>}>} */ (new Map());
const painted = /** @type {Shelf<Promise<Uint8ClampedArray>>} */ (new Shelf(2 ** 27));

/** @param {Layer} layer */
const gridOf = ({ map, columns, channels }) => ({ map, columns, channels });

/**
 * @param {Numbers} numbers
 * @param {number} step
 */
const rangesAt = (numbers, step) =>
  Array.from({ length: numbers.channels }, (_, place) => numbers.range("own", step, place));

/**
 * How a layer is coloured at all steps: by the basis of the newest step at which all of it is finite, else of the
 * newest. Null where no channel has any contrast then.
 *
 * @param {Layer} layer
 * @returns {Promise<Colouring | null>}
 */
export function colouring(layer) {
  const { run } = layer;
  const key = `${run.id}\0${layer.name}`;
  const version = `${run.steps.at(-1)} ${run.versions.get(/** @type {number} */ (run.steps.at(-1)))}`;
  const before = known.get(key);
  if (before?.version === version) return before.found;
  const found = reckoned(layer, key, version, before?.found ?? null);
  known.set(key, { version, found });
  found.catch(() => known.get(key)?.found === found && known.delete(key)); // is asked for again
  return found;
}

/**
 * @param {Layer} layer
 * @param {string} key
 * @param {string} version
 * @param {Promise<Colouring | null> | null} before
 */
async function reckoned(layer, key, version, before) {
  const newest = /** @type {number} */ (layer.run.steps.at(-1));
  const there = storedAt(layer, newest); // most likely it is these that are needed
  there.catch(() => {});
  const numbers = await numbersHere(layer);
  const finite = (/** @type {number} */ step) => !numbers.status(step).includes(NONFINITE);
  const step = numbers.steps.findLast(finite) ?? newest;
  const pictures = await (step === newest ? there : storedAt(layer, step));
  const old = await before?.catch(() => null);
  const basis = await reckon("basisOf", pictures, gridOf(layer), rangesAt(numbers, step), old?.basis ?? null);
  return basis && { basis, step, key: `${key}\0${version}` };
}

/**
 * RGBA of a picture's cells in the colours of a basis.
 *
 * @param {Picture} picture
 * @param {Layer} layer
 * @param {number} step
 * @param {Numbers} numbers
 * @param {Colouring} colouring
 * @param {boolean} own whether the picture has its own contrast, and not that of all steps
 */
export function coloured(picture, layer, step, numbers, { basis, key }, own) {
  const name = `${picture.key}\0${key}\0${own}`;
  let found = painted.get(name);
  if (!found) {
    found = reckon("colours", picture, gridOf(layer), rangesAt(numbers, step), basis, own);
    painted.put(name, found, 4 * layer.map[0] * layer.map[1]);
  }
  return found;
}

/**
 * How alike the layer's channels are at a step, over all stored images: correlations (channels, channels).
 *
 * @param {Layer} layer
 * @param {number} step
 */
export async function channelLikeness(layer, step) {
  const [numbers, pictures] = await Promise.all([numbersHere(layer), storedAt(layer, step)]);
  return reckon("correlationsOf", pictures, gridOf(layer), rangesAt(numbers, step));
}

/**
 * @param {Layer} layer
 * @param {number} step
 */
const storedAt = (layer, step) =>
  Promise.all(Array.from({ length: Math.max(layer.run.probe.stored, 1) }, (_, image) => pictureOf(layer, step, image)));

/**
 * How like each cell is to the one at a place, from -1 to 1.
 *
 * @param {Picture} picture
 * @param {Layer} layer
 * @param {number} step
 * @param {Numbers} numbers
 * @param {{x: number, y: number}} place parts of the picture's width and height
 */
export function likeness(picture, layer, step, numbers, place) {
  const moments = Array.from({ length: numbers.channels }, (_, each) => ({
    mean: numbers.get(step, each, "mean"),
    std: numbers.get(step, each, "std"),
  }));
  return reckon("alike", picture, gridOf(layer), rangesAt(numbers, step), moments, place);
}
