// Pictures to compare: some maps of a layer at their stored resolution on one canvas, and the signed difference of two such.

import { compose, contour } from "./compose.js";
import { mapSize } from "./maps.js";
import { keyOf } from "./pictures.js";
import { MAPS, pixel } from "./scale.js";

const GAP = 1;

/* Returns {canvas, width, height, columns, places, map: {width, height}}, in stored pixels. */
export function painted({ picture, layer, step, numbers, places, colour, image, range, mask }) {
  const columns = columnsOf(layer, places), width = Math.floor(picture.width / layer.columns), height = Math.floor(picture.height / layer.rows);
  const drawn = compose({
    layer, picture, key: keyOf(layer, step, image), numbers, step, places, columns, colour, width, height,
    gap: places.length > 1 ? GAP : 0, range, outline: contour(mask, width, height),
  });
  return board(drawn, columns, places, { width, height });
}

// About a third wider than high, without holes where that is possible.
function columnsOf(layer, places) {
  const [height, width] = mapSize(layer), ideal = Math.sqrt((places.length * height * 1.3) / width);
  const even = places.map((_, at) => at + 1).filter((count) => places.length % count === 0 && count >= 0.7 * ideal && count <= 1.7 * ideal);
  const nearest = (best, count) => (Math.abs(count - ideal) < Math.abs(best - ideal) ? count : best);
  return even.length ? even.reduce(nearest) : Math.min(places.length, Math.ceil(ideal));
}

function board(drawn, columns, places, map) {
  const canvas = new OffscreenCanvas(drawn.width, drawn.height);
  canvas.getContext("2d").putImageData(drawn, 0, 0);
  return { canvas, width: drawn.width, height: drawn.height, columns, places, map };
}

// Where a point of a board lies: {index among the places, x, y in the map}, or null in a gap.
export function locate({ columns, places, map }, x, y) {
  const gap = places.length > 1 ? GAP : 0;
  const column = Math.floor(x / (map.width + gap)), row = Math.floor(y / (map.height + gap));
  const inX = Math.floor(x - column * (map.width + gap)), inY = Math.floor(y - row * (map.height + gap)), index = row * columns + column;
  const inside = x >= 0 && y >= 0 && column < columns && index < places.length && inX < map.width && inY < map.height;
  return inside ? { index, x: inX, y: inY } : null;
}

// Right minus left in value units, blue below zero and orange above. Sides: {picture, of, step, numbers}.
export function difference(left, right, first, second) {
  const { width, height } = first.map, count = first.places.length;
  const values = new Float32Array(count * width * height);
  let most = 0, sum = 0, finite = 0;
  for (let index = 0; index < count; index++) {
    const a = reader(left, first.places[index], width, height), b = reader(right, second.places[index], width, height);
    for (let at = 0; at < width * height; at++) {
      const value = b(at) - a(at);
      values[index * width * height + at] = value;
      if (Number.isFinite(value)) {
        most = Math.max(most, Math.abs(value));
        sum += Math.abs(value);
        finite++;
      }
    }
  }
  const gap = count > 1 ? GAP : 0, { columns } = second, rows = Math.ceil(count / columns);
  const image = new ImageData(columns * (width + gap) - gap, rows * (height + gap) - gap);
  const pixels = new Uint32Array(image.data.buffer), colours = MAPS.diverging, missing = pixel(140, 140, 140);
  for (let index = 0; index < count; index++) {
    const corner = Math.floor(index / columns) * (height + gap) * image.width + (index % columns) * (width + gap);
    for (let at = 0; at < width * height; at++) {
      const value = values[index * width * height + at];
      pixels[corner + Math.floor(at / width) * image.width + (at % width)] = Number.isFinite(value) ? colours[Math.round(127.5 + (127.5 * value) / (most || 1))] : missing;
    }
  }
  return { board: board(image, columns, second.places, { width, height }), most, mean: finite ? sum / finite : NaN };
}

function reader({ picture, of, step, numbers }, place, width, height) {
  const [low, high] = numbers.range("own", step, place);
  const corner = Math.floor(place / of.columns) * height * picture.width + (place % of.columns) * width;
  return (at) => low + (picture.pixels[corner + Math.floor(at / width) * picture.width + (at % width)] / 255) * (high - low);
}
