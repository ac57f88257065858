// @ts-check
// The one rule by which a stored pixel is a value, and where in a stored grid a cell lies.

/**
 * @param {number} pixel from 0 to 255
 * @param {import("../data/types.js").Range} range low and high of the channel at the step, over all images
 */
export const valueOf = (pixel, [low, high]) => low + (pixel / 255) * (high - low);

/**
 * Index, in a picture's pixels, of the first cell of a map.
 *
 * @param {Pick<import("../data/types.js").Layer, "columns" | "map">} layer
 * @param {number} place of the channel among the logged ones
 */
export function cornerOf({ columns, map: [height, width] }, place) {
  const row = Math.floor(place / columns);
  const column = place % columns;
  return row * height * columns * width + column * width;
}

/**
 * The value of a cell of a map, as the layer put it out; NaN outside of the map.
 *
 * @param {import("../data/types.js").Picture} picture
 * @param {import("../data/types.js").Layer} layer
 * @param {number} place
 * @param {{x: number, y: number}} cell
 * @param {import("../data/types.js").Range} range
 */
export function valueAt(picture, layer, place, { x, y }, range) {
  const [height, width] = layer.map;
  if (x >= width || y >= height) return NaN;
  return valueOf(picture.pixels[cornerOf(layer, place) + y * picture.width + x], range);
}
