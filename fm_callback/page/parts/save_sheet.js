// @ts-check
// Saves a sheet of layers by steps, its labels set for a paper: as SVG, in which text stays text, or as PNG.

import { stepName } from "../data/log.js";
import { told } from "../data/measures.js";
import { geometric } from "../data/spread.js";
import { numbersHere } from "../data/tables.js";
import { bestAtEnd, chosenMeasure, image, run, shownColumns, state } from "../state/state.js";
import { download } from "./download.js";
import { painted, sizeFor } from "./painted.js";
import { mustReadBack } from "./save_picture.js";

/** @typedef {import("../data/types.js").Layer} Layer */

const CELL = 120; // points of a picture's side
const SCALE = 2; // pixels of a point
const NAMES = 150;
const HEAD = 46; // of which the upper line says what all is of
const GAP = 6;
const MARGIN = 8;
const MOST = 7; // steps
const FONT = "Helvetica, Arial, sans-serif";

/**
 * @param {"svg" | "png"} kind
 * @param {(text: string) => void} tell how far it is
 */
export async function saveSheet(kind, tell) {
  mustReadBack();
  const { drawable: layers, steps, name } = run.peek();
  const seen = shownColumns.peek().filter((each) => steps.includes(each));
  const columns = seen.length > 1 ? seen : geometric(steps, MOST);
  const { svg, width, height } = await sheetOf(layers, columns, tell);
  const file = `${name}-layers-by-${run.peek().unit}s.${kind}`;
  if (kind === "svg") return download(new Blob([svg], { type: "image/svg+xml" }), file);
  const picture = new Image();
  picture.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await picture.decode();
  const canvas = new OffscreenCanvas(SCALE * width, SCALE * height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  download(await canvas.convertToBlob(), file);
}

/**
 * @param {Layer[]} layers
 * @param {number[]} columns
 * @param {(text: string) => void} tell
 */
async function sheetOf(layers, columns, tell) {
  const parts = /** @type {string[]} */ ([]);
  const widths = layers.map((layer) => sizeFor(layer, CELL).width);
  const cell = Math.max(...widths);
  const width = NAMES + columns.length * (cell + GAP);
  let y = HEAD;
  const { name: model } = /** @type {{name?: string}} */ (layers[0].run.model ?? {});
  parts.push(
    text(
      0,
      12,
      `${model ? `${model}, ` : ""}run ${layers[0].run.name}, probe image ${image.peek() + 1}`,
      'font-size="10" fill="#555"',
    ),
  );
  columns.forEach((step, index) => {
    const middle = NAMES + index * (cell + GAP) + cell / 2;
    parts.push(text(middle, HEAD - 9, stepName(layers[0].run, step), 'text-anchor="middle" font-weight="600"'));
  });
  for (const [row, layer] of layers.entries()) {
    tell(`Sheet ${row + 1} of ${layers.length}`);
    const size = sizeFor(layer, CELL);
    const numbers = await numbersHere(layer);
    const measure = chosenMeasure.peek();
    const best = bestAtEnd(layer, numbers);
    const ofBest = state.show.peek() === "best";
    const number = layer.number == null ? "" : `#${layer.number}`;
    const count = layer.channels.length;
    const which = ofBest ? `channel ${layer.channels[best]} of ${count}` : `${count} channels`;
    parts.push(text(0, y + 13, number || layer.path, 'font-weight="600"', NAMES - 10));
    if (number) parts.push(text(0, y + 28, layer.path, 'font-size="10"', NAMES - 10));
    const [high, wide] = layer.map;
    parts.push(text(0, y + 43, `${high} × ${wide}, ${which}`, 'font-size="10" fill="#555"', NAMES - 10));
    for (const [index, step] of columns.entries()) {
      const x = NAMES + index * (cell + GAP);
      const picture = await png(await painted(layer, step, { width: SCALE * size.width, height: SCALE * size.height }));
      parts.push(`<image x="${x}" y="${y}" width="${size.width}" height="${size.height}" href="${picture}"/>`);
      const scored = ofBest ? best : numbers.summary(step, measure.field).best;
      const value = scored === null ? "" : told(numbers.get(step, scored, measure.field), measure);
      parts.push(text(x, y + size.height + 12, value, 'font-size="10" fill="#333"'));
    }
    y += Math.max(size.height + 16, 50) + GAP;
  }
  const { label } = chosenMeasure.peek();
  const what =
    state.show.peek() === "best"
      ? `Each layer's best channel at the last step; the number is its ${label}.`
      : "The first three principal components of each layer's channels as red, green and blue; the number is the " +
        `best channel's ${label}.`;
  const sided = chosenMeasure.peek().sided ? " “dark”: the object is the channel's dark side." : "";
  parts.push(text(0, y + 12, what + sided, 'font-size="10" fill="#333"'));
  const height = y + 20;
  const size = `width="${width + MARGIN}" height="${height}" viewBox="${-MARGIN} 0 ${width + MARGIN} ${height}"`;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" ${size}
  font-family="${FONT}" font-size="12"><rect x="${-MARGIN}" width="100%" height="100%" fill="#fff"/>
${parts.join("\n")}
</svg>`;
  return { svg, width: width + MARGIN, height };
}

/**
 * @param {number} x
 * @param {number} y
 * @param {string} words
 * @param {string} attributes
 * @param {number} [most] how long the line may be
 */
function text(x, y, words, attributes, most) {
  const safe = words.replace(/[&<>"]/g, (each) => `&#${each.charCodeAt(0)};`);
  const fitted = most && words.length * 5.6 > most ? ` textLength="${most}" lengthAdjust="spacingAndGlyphs"` : "";
  return `<text x="${x}" y="${y}" ${attributes}${fitted}>${safe}</text>`;
}

/** @param {ImageData} image */
async function png(image) {
  const canvas = new OffscreenCanvas(image.width, image.height);
  /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d")).putImageData(image, 0, 0);
  const blob = await canvas.convertToBlob();
  return new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.readAsDataURL(blob);
  });
}
