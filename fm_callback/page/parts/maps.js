// @ts-check
// Maps on the screen: a canvas that shows some channels of a layer at a step, and keeps what it shows until the next
// picture is there.

import { reachable, stepName } from "../data/log.js";
import { prefetch, want } from "../data/pictures.js";
import { labelled } from "../data/probe.js";
import { numbersOf } from "../data/tables.js";
import { compose, writeMarks } from "../draw/compose.js";
import { percentiles } from "../draw/contrast.js";
import { contour } from "../draw/outline.js";
import { valueOf } from "../draw/values.js";
import { dark } from "../state/host.js";
import { chosenMeasure, image, scale, state, step, steps } from "../state/state.js";
import { html, signal, useRef, useSignal, useWatch } from "./ui.js";

/** @typedef {import("../data/types.js").Layer} Layer */

// Device pixels in one of the page; another display may have others.
export const ratio = signal(1);

export function watchRatio() {
  ratio.value = Math.min(window.devicePixelRatio || 1, 3);
  window
    .matchMedia(`(resolution: ${window.devicePixelRatio || 1}dppx)`)
    .addEventListener("change", watchRatio, { once: true });
}

// Of numbers and a step the place whose number stands below a picture of all channels.
export const scored = (/** @type {import("../data/numbers.js").Numbers} */ numbers, /** @type {number} */ step) =>
  numbers.summary(step, chosenMeasure.value.field).best;

// The step that the page is at, for maps that follow it.
export const current = () => step.value;

/**
 * The range of values that a map's colours span: of what is shared by two sides, where there is one, its own.
 *
 * @param {import("../data/numbers.js").Numbers} numbers
 * @param {Layer} layer
 * @param {number} step
 * @param {string} scale
 */
export function rangeOf(numbers, layer, step, scale) {
  return (/** @type {number} */ place, /** @type {import("../data/types.js").Picture} */ picture) => {
    if (scale === "channel" || scale === "layer") return numbers.range(scale, step, place);
    const own = numbers.range("own", step, place);
    return scale === "own" ? own : spanned(percentiles(picture, layer, place), own);
  };
}

/**
 * @param {{low: number, high: number}} levels
 * @param {import("../data/types.js").Range} own
 */
export const spanned = ({ low, high }, own) =>
  /** @type {import("../data/types.js").Range} */ ([valueOf(low, own), valueOf(high, own)]);

/**
 * The labels whose outline is drawn over a layer's maps: a promise, of null where none is wished or none fits.
 *
 * @param {Layer} layer
 * @param {number} image
 */
export function outlined(layer, image) {
  return state.outline.value && layer.planar ? labelled(layer.run, image) : null;
}

/*
 * when: a step, or a function of signals that gives one. onShown({layer, step, image, places}): this is now on the
 * screen, or what is wrong with it. label: what a screen reader says of it, "" where words beside it say it all.
 * marked: of numbers and a step the place that is framed. of: another image than the one in view.
 */
export function Maps({ layer, when, places, columns = 1, width, height, gap = 0, label, onShown, marked, of = null }) {
  const canvas = useRef(null);
  const trouble = useSignal(null);
  const rows = Math.ceil(places.length / columns);
  const size = { width: `${columns * (width + gap) - gap}px`, height: `${rows * (height + gap) - gap}px` };

  useWatch(() => {
    const step = typeof when === "function" ? when() : when;
    const shownImage = of ?? image.value;
    const colour = state.colour.value;
    const scaled = scale.value,
      labels = outlined(layer, shownImage);
    const numbers = numbersOf(layer).value;
    const marking = state.clipped.value;
    const pixelRatio = ratio.value;
    dark.value; // repaints the marks
    reachable.value; // asks again for what did not come
    const say = (wrong) => {
      trouble.value = wrong;
      onShown?.({ layer, step, image: shownImage, places });
    };
    if (!layer.run.versions.has(step)) return say("not logged at this step");
    let gone = false;
    const stored = Math.min(shownImage, Math.max(layer.run.probe.stored, 1) - 1);
    const withdraw = want(layer, step, stored, async (picture) => {
      if (picture instanceof Error) {
        if (!gone) say(picture.message);
        return;
      }
      const across = Math.max(1, Math.round(width * pixelRatio));
      const down = Math.max(1, Math.round(height * pixelRatio));
      const outline = contour(labels && (await labels), across, down);
      if (gone || !canvas.current) return;
      const drawn = compose({
        picture,
        layer,
        step,
        numbers,
        places,
        columns,
        width: across,
        height: down,
        gap: gap && Math.max(1, Math.round(gap * pixelRatio)),
        colour,
        range: numbers && rangeOf(numbers, layer, step, scaled),
        clipped: marking,
        outline,
        marked: numbers && marked ? marked(numbers, step) : null,
      });
      show(canvas.current, drawn, across, down, pixelRatio);
      canvas.current.dataset.step = step;
      say(null);
    });
    return () => {
      gone = true;
      withdraw();
    };
  }, [layer, when, places.join(), columns, width, height, marked, of]);

  const name = label ?? `${layer.path}, ${typeof when === "function" ? "" : stepName(layer.run, when)}`;
  const told = name === "" ? { "aria-hidden": "true" } : { role: "img", "aria-label": name };
  return html`<div class="maps" style=${size}>
    <canvas key=${`${layer.run.id} ${layer.name}`} ref=${canvas} ...${told} class="waiting" style=${size}></canvas>
    ${trouble.value && html`<p class="trouble" title=${trouble.value}>${trouble.value}</p>`}
  </div>`;
}

/**
 * What Maps of a layer have on the screen, and their onShown; null before the first. What is told of a picture is told
 * of this.
 *
 * @param {Layer} layer
 */
export function useShown({ run, name }) {
  const shown = useSignal(null);
  const known = shown.value?.layer;
  return [known?.run.id === run.id && known.name === name ? shown.value : null, (now) => (shown.value = now)];
}

/**
 * Fetches what may be looked at next before it is asked for, a moment after what is looked at has changed.
 *
 * @param {() => Layer[]} layers
 * @param {() => number[]} steps the next one first
 */
export function useAhead(layers, steps, delay = 150) {
  useWatch(() => {
    layers();
    const next = steps();
    const shown = image.value;
    const timer = setTimeout(() => prefetch(layers(), next, shown), delay);
    return () => clearTimeout(timer);
  }, []);
}

const FAR = 120;

// The steps after the current one, then those before it.
export function stepsAround() {
  const all = steps.value;
  const place = all.indexOf(step.value);
  return [...all.slice(place + 1), ...all.slice(0, place).reverse()].slice(0, FAR);
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {ReturnType<typeof compose>} drawn
 * @param {number} width
 * @param {number} height
 * @param {number} pixelRatio
 */
export function show(canvas, { image, marks }, width, height, pixelRatio) {
  if (canvas.width !== image.width || canvas.height !== image.height) {
    canvas.width = image.width;
    canvas.height = image.height;
  }
  // Pixels are put there, and nothing is drawn: a canvas in plain memory is made, and filled, sooner.
  const settings = { willReadFrequently: true };
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", settings));
  context.putImageData(image, 0, 0);
  writeMarks(context, marks, width, height, pixelRatio);
  canvas.classList.remove("waiting");
}
