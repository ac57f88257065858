// @ts-check
// A layer's colours, or how like a place all others are, brought to the size at which they are shown.

import { LIVE } from "../data/numbers.js";
import { WORDS, frame, hatched } from "./compose.js";
import { inks } from "./inks.js";
import { MAPS } from "./scale.js";
import { blend } from "./tiles.js";

/** @typedef {{width: number, height: number}} Size in device pixels */

/**
 * @param {object} given
 * @param {[number, number]} given.map height and width
 * @param {Uint8ClampedArray | null} given.colours RGBA, a pixel a cell; null where nothing has any contrast
 * @param {Size} given.size
 * @param {number[] | null} given.outline
 * @param {number[]} given.status of each channel
 */
export function colourPicture({ map: [high, wide], colours, size, outline, status }) {
  const image = new ImageData(size.width, size.height);
  const pixels = new Uint32Array(image.data.buffer);
  const { alarm, outline: line } = inks();
  const off = status.filter((is) => is !== LIVE);
  const marks = [];
  if (colours && (off.length < status.length || high * wide === 1)) {
    image.data.fill(255);
    for (let part = 0; part < 3; part++) {
      blend(
        { pixels: colours, start: part, stride: 4 * wide, pace: 4, width: wide, height: high },
        { pixels: image.data, start: part, pace: 4, ...size },
      );
    }
  } else {
    hatched(pixels, size.width, 0, size.width, size.height);
    const is = Math.max(LIVE, ...off);
    marks.push({ x: 0, y: 0, word: WORDS[is] ?? "flat", alarm: WORDS[is] === "not finite" });
  }
  for (const cell of outline ?? []) pixels[cell] = line;
  if (status.some((is) => WORDS[is] === "not finite")) frame(pixels, size.width, 0, size.width, size.height, alarm);
  return { image, marks };
}

/**
 * @param {object} given
 * @param {[number, number]} given.map
 * @param {Float32Array} given.cosines of each cell, from -1 to 1
 * @param {Size} given.size
 * @param {number[] | null} given.outline
 */
export function likenessPicture({ map: [high, wide], cosines, size, outline }) {
  const image = new ImageData(size.width, size.height);
  const pixels = new Uint32Array(image.data.buffer);
  const levels = Uint8Array.from(cosines, (cosine) => Math.round(127.5 + 127.5 * cosine));
  const small = new Uint8Array(size.width * size.height);
  blend({ pixels: levels, start: 0, stride: wide, width: wide, height: high }, { pixels: small, start: 0, ...size });
  small.forEach((level, at) => {
    pixels[at] = MAPS.diverging[level];
  });
  for (const cell of outline ?? []) pixels[cell] = inks().outline;
  return { image, marks: [] };
}

/**
 * The place that all others are measured against: a ring that is seen on every colour.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {{x: number, y: number}} place parts of the canvas
 * @param {number} ratio device pixels in one of the page
 */
export function ring(context, { x, y }, ratio) {
  const { width, height } = context.canvas;
  for (const [colour, thick] of /** @type {const} */ ([
    ["#000000", 4],
    ["#ffffff", 2],
  ])) {
    context.beginPath();
    context.arc(x * width, y * height, Math.min(5 * ratio, height / 2), 0, 2 * Math.PI);
    context.strokeStyle = colour;
    context.lineWidth = thick * ratio;
    context.stroke();
  }
}
