// @ts-check
// Saves the view as it stands in the window, as a PNG.

import { stepName } from "../data/log.js";
import { image, inColours, run, scale, scales, state, step, view } from "../state/state.js";
import { download } from "./download.js";

/**
 * A copy of an element in which each canvas is a picture and each choice is a word.
 *
 * @param {HTMLElement} element
 */
function still(element) {
  const copy = /** @type {HTMLElement} */ (element.cloneNode(true));
  const canvases = copy.querySelectorAll("canvas");
  element.querySelectorAll("canvas").forEach((canvas, index) => {
    const picture = document.createElement("img");
    if (canvas.width && canvas.height) picture.src = canvas.toDataURL();
    picture.className = canvas.className;
    const { width, height } = canvas.getBoundingClientRect();
    const { imageRendering, objectFit } = getComputedStyle(canvas);
    const size = width ? `width: ${width}px; height: ${height}px;` : ""; // none where it is not seen
    const look = `display: block; image-rendering: ${imageRendering}; object-fit: ${objectFit}`;
    picture.style.cssText = `${canvas.style.cssText}; ${size} ${look}`;
    canvases[index].replaceWith(picture);
  });
  const selects = copy.querySelectorAll("select");
  element.querySelectorAll("select").forEach((select, index) => {
    const text = document.createElement("span");
    text.className = "picked";
    text.textContent = select.selectedOptions[0]?.textContent ?? "";
    selects[index].replaceWith(text);
  });
  const ticks = copy.querySelectorAll("input");
  element.querySelectorAll("input").forEach((input, index) => ticks[index].toggleAttribute("checked", input.checked));
  return copy;
}

const FOOT = 16;

/**
 * What of the view is seen in the window, in pixels of the view: from the first block that is seen in part to the last.
 * What is marked `data-whole` is saved whole or not at all; `data-head` stays on top while the view scrolls.
 *
 * @param {HTMLElement} view
 */
function seen(view) {
  const { top } = view.getBoundingClientRect();
  const head = /** @type {HTMLElement | null} */ (view.querySelector("[data-head]"))?.offsetHeight ?? 0;
  const from = top + head;
  const to = top + view.clientHeight;
  const blocks = [...view.querySelectorAll("[data-whole]")].map((block) => block.getBoundingClientRect());
  const boxes = blocks.filter((box) => box.height && box.bottom > from + 1 && box.top < to - 1);
  const content = /** @type {Element} */ (view.firstElementChild).getBoundingClientRect();
  const end = Math.min(to, content.bottom + FOOT);
  const first = view.scrollTop ? Math.min(from, ...boxes.map((box) => box.top)) - head : top;
  const last = Math.max(end, ...boxes.map((box) => box.bottom + FOOT));
  return { start: Math.floor(first - top), end: Math.ceil(last - top) };
}

// What the picture is of, and what its colours mean.
function title() {
  const line = document.createElement("div");
  const words = document.createElement("span");
  line.className = "picture-title";
  const legend = /** @type {HTMLElement | null} */ (document.querySelector(".legend"));
  line.append(words, ...(legend ? [still(legend)] : []));
  const when = stepName(run.value, step.value);
  const what = [run.value.name, when, `probe image ${image.value + 1}`];
  if (!view.value.mapless) {
    what.push(`scale: ${scales.value.find(([key]) => key === scale.value)?.[1]}`);
    if (!inColours.value) what.push(state.colour.value);
  }
  words.textContent = what.join(" · ");
  return line;
}

/**
 * @param {HTMLElement} element
 * @param {number} width
 */
function heightOf(element, width) {
  element.style.cssText = `position: absolute; width: ${width}px`;
  document.body.append(element);
  const { offsetHeight } = element;
  element.remove();
  element.removeAttribute("style");
  return offsetHeight;
}

/**
 * The browser draws the elements inside an SVG.
 *
 * @param {HTMLElement} body
 * @param {number} width
 * @param {number} height
 */
async function drawn(body, width, height) {
  const rules = [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules]).map((rule) => rule.cssText);
  const xml = new XMLSerializer();
  const style = xml.serializeToString(document.createTextNode(rules.join("\n")));
  const { theme } = document.documentElement.dataset;
  const content = `<style xmlns="http://www.w3.org/1999/xhtml">${style}</style>${xml.serializeToString(body)}`;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" data-theme="${theme}">
<foreignObject width="100%" height="100%">${content}</foreignObject></svg>`;
  const picture = new Image();
  picture.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await picture.decode();
  const ratio = window.devicePixelRatio || 1;
  const canvas = new OffscreenCanvas(width * ratio, height * ratio);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.scale(ratio, ratio);
  context.drawImage(picture, 0, 0);
  return canvas;
}

// Whether what is read back from a canvas is what was put there: guards against fingerprinting change it.
function readsBack() {
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (new OffscreenCanvas(16, 16).getContext("2d"));
  const image = new ImageData(16, 16);
  for (let index = 0; index < image.data.length; index++)
    image.data[index] = index % 4 === 3 ? 255 : (index * 37) % 256;
  context.putImageData(image, 0, 0);
  return context.getImageData(0, 0, 16, 16).data.every((value, index) => value === image.data[index]);
}

export function mustReadBack() {
  if (!readsBack()) {
    throw new Error(
      "this browser alters pictures that a page makes, to guard against fingerprinting. Films of channels are not " +
        "altered.",
    );
  }
}

export async function savePicture() {
  mustReadBack();
  const view = /** @type {HTMLElement} */ (document.getElementById("view"));
  const { clientWidth: width, scrollTop } = view;
  const { start, end } = seen(view);
  const height = end - start;
  const top = scrollTop + start;
  const copy = still(view);
  const head = /** @type {HTMLElement | null} */ (copy.querySelector("[data-head]"));
  if (head) head.style.cssText = `position: relative; top: ${top}px`;
  copy.style.cssText = `position: absolute; top: ${-top}px; left: 0; width: ${width}px; overflow: visible`;
  const line = title();
  const above = heightOf(line, width);
  const inside = document.createElement("div");
  inside.style.cssText = `position: absolute; inset: ${above}px 0 0 0; overflow: hidden; height: ${height}px`;
  inside.append(copy);
  const body = document.createElement("div");
  body.className = "picture";
  body.append(line, inside);
  const canvas = await drawn(body, width, height + above);
  download(await canvas.convertToBlob(), `feature-maps-${state.view.value}-${run.value.name}-${step.value}.png`);
}
