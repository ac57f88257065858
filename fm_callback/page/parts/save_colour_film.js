// @ts-check
// Saves how layers change as a film: each frame all of them at one step, as a GIF or, where the browser can, as WebM.

import { load } from "../data/files.js";
import { stepName } from "../data/log.js";
import { ink } from "../draw/inks.js";
import { pace } from "../state/playback.js";
import { download } from "./download.js";
import { painted, sizeFor } from "./painted.js";
import { mustReadBack } from "./save_picture.js";

/** @typedef {import("../data/types.js").Layer} Layer */

const LINE = 30; // pixels of the title
const UNDER = 20; // and of a layer's name
const GAP = 10;
const WIDEST = 960;
const LAST = 1600; // milliseconds that the last step stays

const TYPES = ["video/webm;codecs=vp9", "video/webm"];

// Whether this browser records what a page draws.
export const canRecord = () =>
  typeof MediaRecorder !== "undefined" && TYPES.some((type) => MediaRecorder.isTypeSupported(type));

/**
 * @param {Layer[]} layers of one run
 * @param {"gif" | "webm"} kind
 * @param {(text: string) => void} tell how far it is
 */
export async function saveColourFilm(layers, kind, tell) {
  mustReadBack();
  const [{ run }] = layers;
  const name = `${layers.length === 1 ? layers[0].path : run.name}-in-colour.${kind}`;
  const plan = planFor(layers);
  const frames = async (/** @type {(canvas: HTMLCanvasElement, wait: number) => unknown} */ put) => {
    const canvas = document.createElement("canvas");
    canvas.width = plan.width;
    canvas.height = plan.height;
    for (const [index, step] of run.steps.entries()) {
      tell(`Film ${index + 1} of ${run.steps.length}`);
      await draw(canvas, plan, step);
      await put(canvas, index === run.steps.length - 1 ? LAST : pace(run.steps.length));
    }
  };
  download(await (kind === "gif" ? gif(frames) : webm(frames)), name);
}

/** @typedef {(put: (canvas: HTMLCanvasElement, wait: number) => unknown) => Promise<void>} Frames */

/** @param {Frames} frames */
async function gif(frames) {
  const { GIFEncoder, quantize, applyPalette } = await load("vendor/gifenc.js");
  const film = GIFEncoder();
  await frames((canvas, delay) => {
    const { width, height } = canvas;
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const { data } = context.getImageData(0, 0, width, height);
    const palette = quantize(data, 256);
    film.writeFrame(applyPalette(data, palette), width, height, { palette, delay });
  });
  film.finish();
  return new Blob([film.bytes()], { type: "image/gif" });
}

// A recorder takes frames as they come: it lasts as long as the film.
/** @param {Frames} frames */
async function webm(frames) {
  const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type));
  const parts = /** @type {Blob[]} */ ([]);
  let recorder = /** @type {MediaRecorder | null} */ (null);
  await frames(async (canvas, wait) => {
    if (!recorder) {
      recorder = new MediaRecorder(canvas.captureStream(25), { mimeType, videoBitsPerSecond: 8e6 });
      recorder.ondataavailable = ({ data }) => parts.push(data);
      recorder.start();
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  });
  const last = /** @type {MediaRecorder} */ (/** @type {unknown} */ (recorder));
  await new Promise((resolve) => {
    last.onstop = resolve;
    last.stop();
  });
  return new Blob(parts, { type: "video/webm" });
}

/**
 * Where each layer stands.
 *
 * @param {Layer[]} layers
 */
function planFor(layers) {
  const most = layers.length === 1 ? 360 : layers.length > 16 ? 100 : 150;
  const sizes = layers.map((layer) => sizeFor(layer, most));
  const high = Math.max(...sizes.map(({ height }) => height));
  const wide = Math.max(...sizes.map(({ width }) => width), 60);
  const fitting = Math.max(1, Math.floor((WIDEST - GAP) / (wide + GAP)));
  const rows = Math.ceil(layers.length / fitting);
  const columns = Math.ceil(layers.length / rows);
  const places = layers.map((layer, index) => ({
    layer,
    size: sizes[index],
    x: GAP + (index % columns) * (wide + GAP),
    y: LINE + Math.floor(index / columns) * (high + UNDER + 4) + high - sizes[index].height,
  }));
  const width = Math.max(GAP + columns * (wide + GAP), 300);
  return { places, width: even(width), height: even(LINE + rows * (high + UNDER + 4) + 4) };
}

const even = (/** @type {number} */ size) => size + (size % 2); // films have no odd sides

/**
 * @param {HTMLCanvasElement} canvas
 * @param {ReturnType<typeof planFor>} plan
 * @param {number} step
 */
async function draw(canvas, { places }, step) {
  const pictures = await Promise.all(places.map(({ layer, size }) => painted(layer, step, size)));
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  const { run } = places[0].layer;
  context.fillStyle = ink("--paper");
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = ink("--ink");
  context.textBaseline = "middle";
  context.font = "600 15px system-ui, sans-serif";
  context.fillText(stepName(run, step), GAP, LINE / 2);
  const part = run.steps.indexOf(step) / Math.max(run.steps.length - 1, 1);
  context.fillStyle = ink("--track");
  context.fillRect(150, LINE / 2 - 2, canvas.width - 150 - GAP, 4);
  context.fillStyle = ink("--accent");
  context.fillRect(150, LINE / 2 - 2, part * (canvas.width - 150 - GAP), 4);
  places.forEach(({ layer, size, x, y }, index) => {
    context.putImageData(pictures[index], x, y);
    context.font = "12px system-ui, sans-serif";
    context.fillStyle = ink("--soft");
    const name = layer.number == null || places.length === 1 ? layer.path : `#${layer.number}`;
    context.fillText(name, x, y + size.height + UNDER / 2, size.width);
  });
}
