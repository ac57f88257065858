// From a decoded picture to pixels on the screen: tiles in rows, colours, marks on what is no signal, the mask's outline.

import { DEAD, FLAT, LIVE, NONFINITE } from "./numbers.js";
import { levels, pixelOf } from "./scale.js";
import { spans, tiles } from "./pictures.js";

let inks = { theme: null };

// The page's own colours as pixels.
function theme() {
  const now = document.documentElement.dataset.theme;
  if (inks.theme !== now) {
    const style = getComputedStyle(document.documentElement);
    const ink = (name) => pixelOf(style.getPropertyValue(name));
    inks = {
      theme: now,
      paper: ink("--paper"),
      hatch: ink("--hatch"),
      faint: ink("--hatch-paper"),
      alarm: ink("--alarm"),
      outline: ink("--outline"),
    };
  }
  return inks;
}

/*
 * places: which of the logged channels, in order; sizes are in device pixels.
 * range: place -> [low, high] of the scale. outline: contour of the mask at the size of a tile, or null.
 * Returns ImageData with `marks`: [{x, y, status}] of the tiles that are no signal.
 */
export function compose({
  layer,
  picture,
  key,
  numbers,
  step,
  places,
  width,
  height,
  columns,
  gap,
  colour,
  range,
  outline,
}) {
  const { paper, hatch, faint, alarm, outline: line } = theme();
  const rows = Math.ceil(places.length / columns);
  const image = new ImageData(columns * (width + gap) - gap, rows * (height + gap) - gap);
  const pixels = new Uint32Array(image.data.buffer).fill(paper);
  const small = tiles(picture, key, layer, width, height);
  const status = numbers?.index.has(step) ? numbers.status(step) : null;
  const marks = [];
  places.forEach((place, index) => {
    const x = (index % columns) * (width + gap),
      y = Math.floor(index / columns) * (height + gap);
    const corner = y * image.width + x;
    const live = status ? status[place] === LIVE : true;
    const own = status ? numbers.range("own", step, place) : [0, 1];
    if (live && !(small.still[place] && status)) {
      const colours = levels(colour, own, status ? range(place) : own);
      let from = place * width * height;
      for (let row = 0; row < height; row++) {
        for (let to = corner + row * image.width, end = to + width; to < end; to++)
          pixels[to] = colours[small.pixels[from++]];
      }
    } else {
      for (let row = 0; row < height; row++) {
        for (let column = 0; column < width; column++)
          pixels[corner + row * image.width + column] = (row + column) % 6 ? faint : hatch;
      }
      marks.push({ x, y, status: live ? FLAT : status[place], here: live });
    }
    if (outline) for (const at of outline) pixels[corner + Math.floor(at / width) * image.width + (at % width)] = line;
    if (status?.[place] === NONFINITE || numbers?.get(step, place, "nonfinite") > 0)
      frame(pixels, image.width, corner, width, height, alarm);
  });
  return Object.assign(image, { marks });
}

function frame(pixels, stride, corner, width, height, ink) {
  const thick = Math.max(1, Math.round(Math.min(width, height) / 32));
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const edge = Math.min(row, column, height - 1 - row, width - 1 - column);
      if (edge < thick) pixels[corner + row * stride + column] = ink;
    }
  }
}

const WORDS = { [DEAD]: "dead", [FLAT]: "flat", [NONFINITE]: "not finite" };

// Says on the tiles themselves what is wrong with them, where there is room.
export function writeMarks(context, marks, width, height, ratio) {
  if (width < 44 * ratio || height < 16 * ratio) return;
  const style = getComputedStyle(document.documentElement);
  context.font = `${10 * ratio}px system-ui, sans-serif`;
  context.textBaseline = "bottom";
  for (const { x, y, status, here } of marks) {
    const word = here ? "flat here" : WORDS[status],
      wide = context.measureText(word).width + 6 * ratio;
    if (wide > width) continue;
    context.fillStyle = style.getPropertyValue("--paper");
    context.fillRect(x, y + height - 14 * ratio, wide, 14 * ratio);
    context.fillStyle = style.getPropertyValue(status === NONFINITE ? "--alarm" : "--ink");
    context.fillText(word, x + 3 * ratio, y + height - ratio);
  }
}

const contours = new WeakMap();

// The pixels of a tile that the mask's border runs through.
export function contour(mask, width, height) {
  if (!mask) return null;
  if (!contours.has(mask)) contours.set(mask, new Map());
  const known = contours.get(mask),
    name = `${width}x${height}`;
  if (!known.has(name)) {
    const across = spans(mask.width, width),
      down = spans(mask.height, height);
    const inside = (x, y) => {
      const [left, right] = across[x],
        [top, bottom] = down[y];
      return mask.data[4 * (((top + bottom) >> 1) * mask.width + ((left + right) >> 1))] === 255;
    };
    const found = [];
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        if (
          inside(x, y) &&
          (x === 0 ||
            y === 0 ||
            x === width - 1 ||
            y === height - 1 ||
            !inside(x - 1, y) ||
            !inside(x + 1, y) ||
            !inside(x, y - 1) ||
            !inside(x, y + 1))
        ) {
          found.push(y * width + x);
        }
      }
    }
    known.set(name, found);
  }
  return known.get(name);
}
