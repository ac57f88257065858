// Save what is seen: the view as a PNG, a layer's or channel's film as a GIF with the epoch written in it.

import { compose, contour } from "./compose.js";
import { numbersHere, stepName } from "./log.js";
import { rangeOf, sheet, tileSize } from "./maps.js";
import { keyOf, probe, want } from "./pictures.js";
import { MAPS } from "./scale.js";
import { pace } from "./playback.js";
import { SCALES, filmed, image, layer, place, run, scale, state, step } from "./state.js";
import { html, signal, useRef } from "./ui.js";

const busy = signal(null);

export function Save() {
  const menu = useRef(null);
  const of = layer.value,
    at = of.problem ? null : state.view.value === "channel" ? filmed(of) : place(of);
  const doing = (work) => async () => {
    menu.current.open = false;
    try {
      await work();
      busy.value = null;
    } catch (error) {
      busy.value = `Not saved: ${error.message}`;
    }
  };
  const close = (event) => {
    if (event.key === "Escape") menu.current.open = false;
  };
  return html`<details ref=${menu} class="menu" onKeyDown=${close}>
    <summary>Save</summary>
    <div>
      <button onClick=${doing(savePicture)}>This view (PNG)</button>
      ${
        !of.problem &&
        html`<button onClick=${doing(() =>
          saveFilm(
            of,
            of.channels.map((_, index) => index),
          ),
        )}>Film of ${of.path.slice(0, 40)} (GIF)</button>`
      }
      ${at !== null && at >= 0 && html`<button onClick=${doing(() => saveFilm(of, [at]))}>Film of channel ${of.channels[at]} (GIF)</button>`}
    </div>
    ${busy.value && html`<output role="status">${busy.value}</output>`}
  </details>`;
}

function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name.replace(/[^\w.#-]+/g, "_");
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

// A copy of an element in which each canvas is a picture and each choice is a word.
function still(element) {
  const copy = element.cloneNode(true);
  const canvases = copy.querySelectorAll("canvas");
  element.querySelectorAll("canvas").forEach((canvas, at) => {
    const picture = document.createElement("img");
    if (canvas.width && canvas.height) picture.src = canvas.toDataURL();
    picture.className = canvas.className;
    const { width, height } = canvas.getBoundingClientRect(),
      { imageRendering, objectFit } = getComputedStyle(canvas);
    const size = width ? `width: ${width}px; height: ${height}px;` : ""; // none where it is not seen
    picture.style.cssText = `${canvas.style.cssText}; ${size} display: block; image-rendering: ${imageRendering}; object-fit: ${objectFit}`;
    canvases[at].replaceWith(picture);
  });
  const selects = copy.querySelectorAll("select");
  element.querySelectorAll("select").forEach((select, at) => {
    const text = document.createElement("span");
    text.className = "picked";
    text.textContent = select.selectedOptions[0]?.textContent ?? "";
    selects[at].replaceWith(text);
  });
  return copy;
}

const FOOT = 16;
const BLOCKS = ".row, .tile, .card, figure, .about, .side-name"; // what is saved whole or not at all

// What of the view is seen in the window, in pixels of the view: from the first block that is seen in part to the last.
function seen(view) {
  const { top } = view.getBoundingClientRect(),
    head = view.querySelector(".columns")?.offsetHeight ?? 0;
  const from = top + head,
    to = top + view.clientHeight;
  const boxes = [...view.querySelectorAll(BLOCKS)]
    .map((block) => block.getBoundingClientRect())
    .filter((box) => box.height && box.bottom > from + 1 && box.top < to - 1);
  const end = Math.min(to, view.firstElementChild.getBoundingClientRect().bottom + FOOT);
  const first = view.scrollTop ? Math.min(from, ...boxes.map((box) => box.top)) - head : top;
  return {
    start: Math.floor(first - top),
    end: Math.ceil(Math.max(end, ...boxes.map((box) => box.bottom + FOOT)) - top),
  };
}

// The view as it stands in the window, under the meaning of its colours. The browser draws a copy of it inside an SVG.
async function savePicture() {
  const view = document.getElementById("view"),
    { clientWidth: width, scrollTop } = view;
  const { start, end } = seen(view),
    height = end - start,
    top = scrollTop + start;
  const copy = still(view);
  for (const head of copy.querySelectorAll(".columns")) head.style.cssText = `position: relative; top: ${top}px`;
  copy.style.cssText = `position: absolute; top: ${-top}px; left: 0; width: ${width}px; overflow: visible`;
  const title = document.createElement("div"),
    what = document.createElement("span");
  title.className = "picture-title";
  title.append(what, still(document.querySelector(".legend")));
  what.textContent = [
    run.value.name,
    stepName(layer.value, step.value),
    `probe image ${image.value + 1}`,
    `scale: ${SCALES[scale.value]}`,
    state.colour.value,
  ].join(" · ");
  title.style.cssText = `position: absolute; width: ${width}px`; // to see how high it will be
  document.body.append(title);
  const above = title.offsetHeight;
  title.remove();
  title.removeAttribute("style");
  const inside = document.createElement("div");
  inside.style.cssText = `position: absolute; inset: ${above}px 0 0 0; overflow: hidden; height: ${height}px`;
  inside.append(copy);
  const body = document.createElement("div");
  body.className = "picture";
  body.append(title, inside);

  const rules = [...document.styleSheets]
    .flatMap((sheet) => [...sheet.cssRules])
    .map((rule) => rule.cssText)
    .join("\n");
  const content = new XMLSerializer().serializeToString(body),
    style = new XMLSerializer().serializeToString(document.createTextNode(rules));
  const theme = document.documentElement.dataset.theme;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height + above}" data-theme="${theme}"><foreignObject width="100%" height="100%"><style xmlns="http://www.w3.org/1999/xhtml">${style}</style>${content}</foreignObject></svg>`;
  const picture = new Image();
  picture.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await picture.decode();
  const ratio = window.devicePixelRatio || 1,
    canvas = new OffscreenCanvas(width * ratio, (height + above) * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.drawImage(picture, 0, 0);
  download(await canvas.convertToBlob(), `feature-maps-${state.view.value}-${run.value.name}-${step.value}.png`);
}

const LINE = 26;

async function saveFilm(of, places) {
  const [{ GIFEncoder }, numbers] = await Promise.all([import("./vendor/gifenc.js"), numbersHere(of)]);
  const single = places.length === 1;
  const size = single ? { columns: 1, gap: 0, ...tileSize(of, 320) } : sheet(of, places, 760, 96);
  const film = GIFEncoder(),
    paint = palette(),
    stored = Math.min(image.value, of.stored_images - 1);
  const mask = state.outline.value && of.shape.length === 3 ? await probe(run.value, "mask", stored) : null;
  for (const [index, at] of of.steps.entries()) {
    busy.value = `Film ${index + 1} of ${of.steps.length}`;
    const picture = await got(of, at, stored);
    const drawn = compose({
      layer: of,
      picture,
      key: keyOf(of, at, stored),
      numbers,
      step: at,
      places,
      ...size,
      colour: state.colour.value,
      range: rangeOf(numbers, at, scale.value),
      outline: contour(mask, size.width, size.height),
    });
    const frame = titled(drawn, single ? `${of.path}, channel ${of.channels[places[0]]}` : of.path, stepName(of, at));
    const last = index === of.steps.length - 1;
    film.writeFrame(paint.indices(frame), frame.width, frame.height, {
      palette: index ? undefined : paint.colours,
      delay: last ? 1500 : pace(of.steps.length),
    });
  }
  film.finish();
  download(
    new Blob([film.bytes()], { type: "image/gif" }),
    `${of.path}${single ? `-channel-${of.channels[places[0]]}` : ""}.gif`,
  );
}

function got(of, at, stored) {
  return new Promise((resolve, reject) =>
    want(of, at, stored, (found) => (found instanceof Error ? reject(found) : resolve(found))),
  );
}

// The drawn maps under a line that says what they are and when.
function titled(drawn, name, when) {
  const canvas = new OffscreenCanvas(Math.max(drawn.width, 240), drawn.height + LINE),
    context = canvas.getContext("2d", { willReadFrequently: true });
  const style = getComputedStyle(document.documentElement);
  context.fillStyle = style.getPropertyValue("--paper");
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.putImageData(drawn, 0, LINE);
  context.fillStyle = style.getPropertyValue("--ink");
  context.font = "600 13px system-ui, sans-serif";
  context.textBaseline = "middle";
  const wide = context.measureText(when).width;
  context.fillText(when, canvas.width - wide - 4, LINE / 2);
  context.font = "13px system-ui, sans-serif";
  context.fillText(shorter(context, name, canvas.width - wide - 24), 4, LINE / 2);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

function shorter(context, text, room) {
  let kept = text;
  while (kept && context.measureText(kept).width > room) kept = kept.slice(0, -1);
  return kept === text ? text : `${kept.slice(0, -1)}…`;
}

// One palette for all frames: the colour map, and grays and the page's inks for the rest. A colour is looked up once.
function palette() {
  const style = getComputedStyle(document.documentElement),
    context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const inks = ["--paper", "--ink", "--hatch", "--hatch-paper", "--alarm", "--outline"].map((name) => {
    context.fillStyle = style.getPropertyValue(name);
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
  });
  const parts = (value) => [value & 255, (value >> 8) & 255, (value >> 16) & 255];
  const shades = Array.from({ length: 228 }, (_, at) => parts(MAPS[state.colour.value][Math.round((at * 255) / 227)]));
  const grays = Array.from({ length: 16 }, (_, at) => [at * 17, at * 17, at * 17]);
  const colours = [...inks, ...shades, ...grays],
    known = new Map();
  const nearest = (value) => {
    const [red, green, blue] = parts(value);
    let best = 0,
      least = Infinity;
    colours.forEach(([r, g, b], at) => {
      const apart = (r - red) ** 2 + (g - green) ** 2 + (b - blue) ** 2;
      if (apart < least) [best, least] = [at, apart];
    });
    return best;
  };
  const indices = ({ data }) =>
    Uint8Array.from(new Uint32Array(data.buffer), (value) => {
      if (!known.has(value)) known.set(value, nearest(value));
      return known.get(value);
    });
  return { colours, indices };
}
