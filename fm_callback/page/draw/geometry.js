// @ts-check
// Sizes of maps on the screen.

/** @typedef {{map: [number, number]}} Shaped a layer, or a picture as one map */

const FLATTEST = 16; // a map is drawn no flatter, and no narrower, than one in so many
const THINNEST = 10; // pixels
const LONGEST = 256; // maps in a column of a sheet

// Of a board: small maps are magnified by a whole number to about `LEAST` pixels, so that gaps and marks stay fine;
// strips are `STRIP` pixels high; every browser has a canvas of so many pixels, and so long ones.
const LEAST = 64;
const STRIP = 12;
const AREA = 2 ** 24;
const SIDE = 2 ** 14;

/**
 * How many times wider than square maps a map may be drawn, so that more is seen of what is wide.
 *
 * @param {Shaped} layer
 * @param {number} most
 */
export const wideness = ({ map: [height, width] }, most) => Math.min(Math.max(Math.sqrt(width / height), 1), most);

// Whether a map is so wide that two stand better under each other than side by side.
export const isWide = (/** @type {Shaped} */ layer) => wideness(layer, 4) === 4;

/**
 * The size of a tile for a layer, at most `most` wide and high; strips are made high enough to be seen.
 *
 * @param {Shaped} layer
 * @param {number} most
 */
export function tileSize({ map: [height, width] }, most) {
  const scale = most / Math.max(height, width, 1);
  const side = (/** @type {number} */ cells) =>
    Math.max(Math.round(cells * scale), Math.round(most / FLATTEST), THINNEST);
  return { width: side(width), height: side(height) };
}

/**
 * The size at which a picture is drawn, for the page to show it at any: its own, if that is not larger than `most`.
 *
 * @param {number} width
 * @param {number} height
 * @param {number} most
 */
export function pictureSize(width, height, most) {
  const fitted = tileSize({ map: [height, width] }, Math.min(Math.max(width, height), most));
  return Math.max(width, height) > FLATTEST * Math.min(width, height) || Math.max(width, height) > most
    ? fitted
    : { width, height };
}

/**
 * In how many columns maps stand, so that all are about `aspect` times as wide as high, without holes where that is
 * possible.
 *
 * @param {Shaped} layer
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
 * @param {Shaped} layer
 * @param {number} count
 * @param {number} width
 * @param {number} most
 */
export function sheet(layer, count, width, most) {
  const [high, wide] = layer.map;
  const columns = Math.max(columnsFor(layer, count, 2), Math.ceil(count / LONGEST));
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

/**
 * A board of maps to look at closely: maps are as large as they are stored, or larger by a whole number, unless less
 * can be seen or canvases are no larger. Strips get a few pixels of height, for the cells of a column to be sorted in.
 *
 * @param {Shaped} layer
 * @param {number} count
 * @param {object} look
 * @param {number} look.aspect how many times wider than high it is about
 * @param {number} look.detail how many pixels of its width are seen
 * @returns {{columns: number, rows: number, width: number, height: number, gap: number, stretch: number}} width and
 *   height of a tile in pixels of the canvas; stretch: how many times higher the canvas is shown than it is
 */
export function board(layer, count, { aspect, detail }) {
  const [high, wide] = layer.map;
  const strip = high === 1;
  const columns = columnsFor(layer, count, aspect);
  const rows = Math.ceil(count / columns);
  const unit = Math.max(1, Math.round(LEAST / Math.max(wide, high)));
  const gap = count === 1 ? 0 : unit > 1 ? 2 : 1;
  const across = wide * unit;
  const down = strip ? Math.max(unit, Math.min(STRIP, Math.floor(SIDE / rows) - gap)) : high * unit;
  const area = AREA / (columns * across * rows * down);
  const part = Math.min(
    unit > 1 ? 1 : detail / (columns * wide),
    strip ? area : Math.sqrt(area),
    (SIDE / columns - gap) / across,
    strip ? 1 : (SIDE / rows - gap) / down,
    1,
  );
  const width = Math.max(1, Math.floor(across * part));
  const height = strip ? down : Math.max(1, Math.floor(down * part));
  const flattest = Math.min(1 / FLATTEST, columns / (aspect * rows));
  return { columns, rows, width, height, gap, stretch: (width * Math.max(high / wide, flattest)) / height };
}
