// @ts-check
// Sizes of maps on the screen.

/** @typedef {import("../data/types.js").Layer} Layer */

/**
 * The size of a tile for a layer, at most `most` wide and high; strips are made high enough to be seen.
 *
 * @param {Layer} layer
 * @param {number} most
 */
export function tileSize({ map: [height, width] }, most) {
  const scale = most / Math.max(height, width, 1);
  return { width: Math.max(Math.round(width * scale), 10), height: Math.max(Math.round(height * scale), 10) };
}

/**
 * In how many columns maps stand, so that all are about `aspect` times as wide as high, without holes where that is
 * possible.
 *
 * @param {Layer} layer
 * @param {number} count
 * @param {number} aspect
 */
export function columnsFor({ map: [height, width] }, count, aspect) {
  const ideal = Math.sqrt((count * height * aspect) / width);
  const even = Array.from({ length: count }, (_, index) => index + 1).filter(
    (columns) => count % columns === 0 && columns >= 0.7 * ideal && columns <= 1.7 * ideal,
  );
  const off = (/** @type {number} */ columns) => Math.abs(Math.log(columns / ideal));
  if (!even.length) return Math.min(count, Math.ceil(ideal));
  // Of two as near, the flatter.
  return even.reduce((best, columns) => (off(columns) < off(best) + 1e-9 ? columns : best));
}

/**
 * A sheet of many channels that fits a width, about twice as wide as high.
 *
 * @param {Layer} layer
 * @param {number} count
 * @param {number} width
 * @param {number} most
 */
export function sheet(layer, count, width, most) {
  const [high, wide] = layer.map;
  const columns = columnsFor(layer, count, 2);
  const across = Math.max(Math.floor(Math.min((width - columns + 1) / columns, most * Math.max(wide / high, 1))), 2);
  const height = Math.min(Math.max(Math.round((across * high) / wide), 6), 2 * across);
  const rows = Math.ceil(count / columns);
  return {
    columns,
    width: across,
    height,
    gap: 1,
    whole: { width: columns * (across + 1) - 1, height: rows * (height + 1) - 1 },
  };
}
