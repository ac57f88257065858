// Pictures to compare: some maps of a layer on one canvas, and the signed difference of two such.

import { compose, contour } from "./compose.js";
import { columnsFor } from "./maps.js";
import { keyOf } from "./pictures.js";
import { MAPS, pixel } from "./scale.js";

const LEAST = 64; // small maps are magnified by a whole number to about this size, so that gaps and marks stay fine

/*
 * A board is {canvas, width, height, columns, channels, map, unit, gap}: channels are indices in the layer, map is the size of a stored
 * map, unit how many pixels of the board one of its cells is wide and high.
 */
function board(layer, channels, map) {
  const columns = columnsFor(layer, channels.length, 1.3);
  const unit = Math.max(1, Math.round(LEAST / Math.max(map.width, map.height))),
    gap = channels.length === 1 ? 0 : unit > 1 ? 2 : 1;
  const rows = Math.ceil(channels.length / columns);
  const width = columns * (map.width * unit + gap) - gap,
    height = rows * (map.height * unit + gap) - gap;
  return { canvas: new OffscreenCanvas(width, height), width, height, columns, channels, map, unit, gap };
}

export function painted({ picture, layer, step, numbers, places, colour, image, range, mask }) {
  const map = { width: Math.floor(picture.width / layer.columns), height: Math.floor(picture.height / layer.rows) };
  const made = board(
      layer,
      places.map((place) => layer.channels[place]),
      map,
    ),
    { columns, unit, gap } = made;
  const width = map.width * unit,
    height = map.height * unit;
  const drawn = compose({
    layer,
    picture,
    key: keyOf(layer, step, image),
    numbers,
    step,
    places,
    columns,
    colour,
    width,
    height,
    gap,
    range,
    outline: contour(mask, width, height),
  });
  made.canvas.getContext("2d").putImageData(drawn, 0, 0);
  return made;
}

// Where a point of a board lies: {channel, x, y in the map}, or null in a gap.
export function locate({ columns, channels, map, unit, gap }, x, y) {
  const wide = map.width * unit + gap,
    high = map.height * unit + gap;
  const column = Math.floor(x / wide),
    row = Math.floor(y / high),
    index = row * columns + column;
  const inX = Math.floor((x - column * wide) / unit),
    inY = Math.floor((y - row * high) / unit);
  const inside = x >= 0 && y >= 0 && column < columns && index < channels.length && inX < map.width && inY < map.height;
  return inside ? { channel: channels[index], x: inX, y: inY } : null;
}

// Right minus left of channels that both have, in value units, blue below zero and orange above. Sides: {picture, of, step, numbers}.
export function difference(left, right, channels, map) {
  const { width, height } = map,
    size = width * height;
  const values = new Float32Array(channels.length * size);
  let most = 0,
    sum = 0,
    finite = 0;
  channels.forEach((channel, index) => {
    const a = reader(left, channel, width, height),
      b = reader(right, channel, width, height);
    for (let at = 0; at < size; at++) {
      const value = b(at) - a(at);
      values[index * size + at] = value;
      if (Number.isFinite(value)) {
        most = Math.max(most, Math.abs(value));
        sum += Math.abs(value);
        finite++;
      }
    }
  });
  const made = board(right.of, channels, map),
    { columns, unit, gap, canvas } = made;
  const context = canvas.getContext("2d"),
    one = new OffscreenCanvas(width, height),
    image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer),
    colours = MAPS.diverging,
    missing = pixel(140, 140, 140);
  context.imageSmoothingEnabled = false;
  channels.forEach((_, index) => {
    for (let at = 0; at < size; at++) {
      const value = values[index * size + at];
      pixels[at] = Number.isFinite(value) ? colours[Math.round(127.5 + (127.5 * value) / (most || 1))] : missing;
    }
    one.getContext("2d").putImageData(image, 0, 0);
    context.drawImage(
      one,
      (index % columns) * (width * unit + gap),
      Math.floor(index / columns) * (height * unit + gap),
      width * unit,
      height * unit,
    );
  });
  return { board: made, most, mean: finite ? sum / finite : NaN };
}

function reader({ picture, of, step, numbers }, channel, width, height) {
  const place = of.channels.indexOf(channel);
  const [low, high] = numbers.range("own", step, place);
  const corner = Math.floor(place / of.columns) * height * picture.width + (place % of.columns) * width;
  return (at) =>
    low + (picture.pixels[corner + Math.floor(at / width) * picture.width + (at % width)] / 255) * (high - low);
}
