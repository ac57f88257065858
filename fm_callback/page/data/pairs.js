// @ts-check
// Which layer of a run stands for a layer of another.

/** @typedef {import("./types.js").Layer} Layer */

/**
 * Whether a layer has the name that Keras gives by itself, such as conv2d_3: that counts the layers which a process has
 * made so far, and says nothing of the layer.
 *
 * @param {Layer} layer
 */
function isUnnamed({ path, kind }) {
  const name = path.slice(path.lastIndexOf("/") + 1).replace(/_\d+$/, "");
  return name.replaceAll("_", "").toLowerCase() === kind.toLowerCase();
}

/**
 * The layer of a run that stands for another's: by its name, where somebody gave it one; else that of the same number,
 * kind and shape. Null where there is none.
 *
 * @param {Layer} layer
 * @param {import("./types.js").Run} run
 */
export function counterpart(layer, run) {
  const named = run.drawable.find(({ name }) => name === layer.name);
  if (named && (named.number === layer.number || !isUnnamed(layer))) return named;
  const { number, kind, shape } = layer;
  const alike = (/** @type {Layer} */ each) =>
    each.number === number && each.kind === kind && each.shape.join() === shape.join();
  return (number !== null && run.drawable.find(alike)) || null;
}

// Why one stands for the other, where its name does not say so.
export const ALIKE = "the same number, kind and shape";
