// Stored pictures: fetched in bundles, several requests in flight, what is on the screen first; decoded once; kept while there is room.

import { signal } from "./vendor/signals.js";
import { blob, frames } from "./source.js";

const IN_FLIGHT = 6;
const BUNDLE = 24;
const FIRST = 12; // what is waited for comes in smaller parts
const AT_ONCE = 4;
const ADDRESS = 4000;

// Keeps what was used last, up to a number of bytes.
class Shelf {
  constructor(room) {
    this.room = room;
    this.used = 0;
    this.items = new Map();
  }

  get(key) {
    const item = this.items.get(key);
    if (item) {
      this.items.delete(key);
      this.items.set(key, item);
    }
    return item?.value;
  }

  put(key, value, bytes) {
    this.used += bytes - (this.items.get(key)?.bytes ?? 0);
    this.items.delete(key);
    this.items.set(key, { value, bytes });
    for (const [oldest, item] of this.items) {
      if (this.used <= this.room || oldest === key) break;
      this.items.delete(oldest);
      this.used -= item.bytes;
    }
  }
}

const MEGABYTE = 2 ** 20;
const pngs = new Shelf(256 * MEGABYTE);
const grays = new Shelf(192 * MEGABYTE);
const reduced = new Shelf(64 * MEGABYTE);

const urgent = new Map(); // key -> {layer, step, image, listeners}: what someone is waiting for
const ahead = new Map(); // what may be wanted next
const flying = new Set(); // keys on their way, for whomever
let inFlight = 0;

// How many pictures are awaited.
export const awaited = signal(0);

export function keyOf(layer, step, image) {
  return `${layer.run}\0${layer.layer}\0${step}\0${image}\0${layer.wall.get(step)}`;
}

// A decoded picture {width, height, pixels}, or undefined.
export function ready(layer, step, image) {
  return grays.get(keyOf(layer, step, image));
}

// Calls back with a decoded picture, or with an Error. Returns a function that withdraws the wish.
export function want(layer, step, image, listener) {
  const key = keyOf(layer, step, image);
  const found = grays.get(key);
  if (found) {
    listener(found);
    return () => {};
  }
  let item = urgent.get(key);
  if (!item) {
    item = { key, layer, step, image, listeners: new Set(), started: flying.has(key), wave };
    urgent.set(key, item);
    ahead.delete(key);
    awaited.value = urgent.size;
  }
  item.listeners.add(listener);
  if (!item.started) start(item);
  return () => {
    item.listeners.delete(listener);
    if (!item.listeners.size && !item.started && urgent.get(key) === item) {
      urgent.delete(key);
      awaited.value = urgent.size;
    }
  };
}

// Fetches what may be wanted next, when nothing more urgent is waiting; forgets what earlier calls wished.
export function prefetch(layers, steps, image) {
  ahead.clear();
  soon = steps
    .slice(0, SOON)
    .flatMap((step) => layers.filter((layer) => layer.wall.has(step)).map((layer) => keyOf(layer, step, image)));
  for (const step of steps) {
    for (const layer of layers) {
      const key = keyOf(layer, step, image);
      if (layer.wall.has(step) && !pngs.items.has(key) && !urgent.has(key))
        ahead.set(key, { key, layer, step, image, wave: 0 });
    }
  }
  schedule();
  decodeSoon();
}

// The next steps' pictures are decoded, too, while nothing else is to be done.
const SOON = 3;
let soon = [];
let preparing = false;

async function decodeSoon() {
  if (preparing) return;
  preparing = true;
  const keys = soon;
  for (const key of keys) {
    const png = pngs.items.get(key)?.value;
    if (!png || grays.get(key)) continue;
    if (urgent.size || keys !== soon) break;
    await decode(png).then(
      (gray) => grays.put(key, gray, gray.pixels.length),
      () => {},
    );
  }
  preparing = false;
  if (keys !== soon && !urgent.size) decodeSoon();
}

function start(item) {
  const png = pngs.get(item.key);
  if (png) {
    item.started = true;
    deliver(item, png);
  } else {
    schedule();
  }
}

let scheduled = false;
let wave = 1;

function schedule() {
  if (scheduled) return;
  scheduled = true;
  queueMicrotask(() => {
    scheduled = false;
    wave++;
    while (inFlight < IN_FLIGHT) {
      const waiting = [...urgent.values()].filter((item) => !item.started);
      const items = waiting.length ? choose(waiting) : inFlight < IN_FLIGHT / 2 ? choose([...ahead.values()]) : [];
      if (!items.length) return;
      for (const item of items) {
        item.started = true;
        ahead.delete(item.key);
        flying.add(item.key);
      }
      inFlight++;
      fetchBundle(items).finally(() => {
        inFlight--;
        schedule();
        decodeSoon();
      });
    }
  });
}

// What goes into one request: of the newest wave of wishes the first layer's steps, and further layers of which the same steps are
// wanted. So a page fills from its top, a film comes as one layer, and a new step of many layers as one bundle.
function choose(waiting) {
  const newest = Math.max(...waiting.map((item) => item.wave));
  const [first] = waiting.filter((item) => item.wave === newest);
  if (!first) return [];
  const byLayer = Map.groupBy(
    waiting.filter((item) => item.layer.run === first.layer.run && item.image === first.image),
    (item) => item.layer.layer,
  );
  const most = first.wave ? FIRST : BUNDLE;
  const own = byLayer.get(first.layer.layer).slice(0, most),
    steps = own.map((item) => item.step);
  const chosen = [...own];
  let length = addressOf(first);
  byLayer.delete(first.layer.layer);
  for (const items of byLayer.values()) {
    const same = items.filter((item) => steps.includes(item.step));
    length += addressOf(items[0]);
    if (chosen.length + steps.length > most || length > ADDRESS) break;
    if (same.length === steps.length) chosen.push(...same);
  }
  return chosen;
}

const addressOf = (item) => encodeURIComponent(item.layer.layer).length + 7;

async function fetchBundle(items) {
  const [{ layer, image }] = items;
  const newest = Math.max(...items.map((item) => item.layer.wall.get(item.step) ?? 0));
  const layers = new Set(items.map((item) => item.layer.layer)),
    steps = new Set(items.map((item) => item.step));
  const parameters = [
    ["run", layer.run],
    ["image", image],
    ["v", newest],
  ];
  parameters.push(...[...layers].map((tag) => ["layer", tag]), ...[...steps].map((step) => ["step", step]));
  try {
    const { heads, buffer, start } = await frames("bundle", parameters).finally(() =>
      items.forEach((item) => flying.delete(item.key)),
    );
    const found = new Map();
    let at = start;
    for (const { layer: tag, step, size } of heads) {
      if (size !== null) found.set(`${step} ${tag}`, new Blob([buffer.slice(at, (at += size))], { type: "image/png" }));
    }
    for (const item of items) {
      const png = found.get(`${item.step} ${item.layer.layer}`);
      if (png) pngs.put(item.key, png, png.size);
      if (png && item.listeners) deliver(item, png);
      else if (urgent.has(item.key))
        (png ? deliver : fail)(urgent.get(item.key), png ?? new Error("The log holds no picture here."));
    }
  } catch (error) {
    for (const item of items) if (urgent.has(item.key)) fail(urgent.get(item.key), error);
  }
}

function fail(item, error) {
  finish(item, error);
}

// A few at a time, in the order of the page, so that its first row does not wait for its last.
const arrived = [];
let decoding = 0;

function deliver(item, png) {
  arrived.push({ item, png });
  while (decoding < AT_ONCE && arrived.length) decodeNext();
}

async function decodeNext() {
  const newest = Math.max(...arrived.map((each) => each.item.wave));
  const [{ item, png }] = arrived.splice(
    arrived.findIndex((each) => each.item.wave === newest),
    1,
  );
  if (!item.listeners.size) {
    finish(item, null); // nobody waits for it any more
    return;
  }
  decoding++;
  let result;
  try {
    result = await decode(png);
    grays.put(item.key, result, result.pixels.length);
  } catch {
    result = new Error("The picture is damaged.");
  }
  decoding--;
  finish(item, result);
  while (decoding < AT_ONCE && arrived.length) decodeNext();
}

function finish(item, result) {
  if (urgent.get(item.key) === item) urgent.delete(item.key);
  awaited.value = urgent.size;
  for (const listener of item.listeners) listener(result);
  if (!urgent.size) decodeSoon();
}

const EXACT = { colorSpaceConversion: "none", premultiplyAlpha: "none" };

async function decode(png) {
  const { width, height, data } = await pixelsOf(png);
  const pixels = new Uint8Array(width * height);
  for (let at = 0; at < pixels.length; at++) pixels[at] = data[4 * at];
  return { width, height, pixels };
}

// One canvas for all: making one costs more than reading it.
const scratch = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });

async function pixelsOf(png) {
  const bitmap = await createImageBitmap(png, EXACT),
    { width, height } = bitmap;
  if (scratch.canvas.width < width) scratch.canvas.width = width;
  if (scratch.canvas.height < height) scratch.canvas.height = height;
  scratch.globalCompositeOperation = "copy";
  scratch.drawImage(bitmap, 0, 0);
  bitmap.close();
  return scratch.getImageData(0, 0, width, height);
}

// The maps of a picture brought to a size, one after the other: averaged down, or repeated up. Averages are taken of values, not colours.
export function tiles(gray, key, layer, width, height) {
  const name = `${key}\0${width}x${height}`;
  let found = reduced.get(name);
  if (!found) {
    found = reduce(gray, layer, width, height);
    reduced.put(name, found, found.pixels.length);
  }
  return found;
}

function reduce(gray, { rows, columns, channels }, width, height) {
  const mapWidth = Math.floor(gray.width / columns),
    mapHeight = Math.floor(gray.height / rows);
  if (!mapWidth || !mapHeight)
    return { pixels: new Uint8Array(channels.length * width * height), still: channels.map(() => true) };
  const across = spans(mapWidth, width),
    down = spans(mapHeight, height);
  const result = new Uint8Array(channels.length * width * height);
  const still = [];
  let to = 0;
  for (let at = 0; at < channels.length; at++) {
    const corner = Math.floor(at / columns) * mapHeight * gray.width + (at % columns) * mapWidth;
    still.push(isStill(gray, corner, mapWidth, mapHeight));
    for (let y = 0; y < height; y++) {
      const [top, bottom] = down[y];
      for (let x = 0; x < width; x++) {
        const [left, right] = across[x];
        let sum = 0;
        for (let row = top; row < bottom; row++) {
          const line = corner + row * gray.width;
          for (let from = line + left; from < line + right; from++) sum += gray.pixels[from];
        }
        result[to++] = sum / ((bottom - top) * (right - left)) + 0.5;
      }
    }
  }
  return { pixels: result, still };
}

// A map of one cell is not still: that cell has a place between the lowest and highest of all images.
function isStill(gray, corner, width, height) {
  if (width * height === 1) return false;
  const first = gray.pixels[corner];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) if (gray.pixels[corner + y * gray.width + x] !== first) return false;
  }
  return true;
}

// The cell, of `from`, under the middle of pixel `at` of `to`.
export const cellUnder = (at, from, to) => Math.floor(((at + 0.5) * from) / to);

// Which of `from` cells stand behind each of `to` pixels: the one under its middle, or all that it covers.
export function spans(from, to) {
  return Array.from({ length: to }, (_, at) => {
    if (from < to) return [cellUnder(at, from, to), cellUnder(at, from, to) + 1];
    const start = Math.floor((at * from) / to);
    return [start, Math.max(start + 1, Math.floor(((at + 1) * from) / to))];
  });
}

const probes = new Map();

// The probe's image or mask: a promise of ImageData, or of null where there is none.
export function probe(run, kind, image) {
  const { images, masks, v } = run.probe;
  if (image >= (kind === "mask" ? masks : images)) return Promise.resolve(null);
  const index = kind === "mask" ? images + image : image,
    key = `${run.run}\0${index}\0${v}`;
  if (!probes.has(key)) {
    const parameters = [
      ["run", run.run],
      ["index", index],
      ["v", v],
    ];
    probes.set(
      key,
      blob("probe", parameters)
        .then(pixelsOf)
        .catch(() => (probes.delete(key), null)),
    );
  }
  return probes.get(key);
}
