// @ts-check
// What is being looked at: one state for all views, kept in the address so that a link opens it again.

import { log, measureOf, now } from "../data/log.js";
import { numbersOf } from "../data/tables.js";
import { batch, computed, effect, signal } from "../vendor/signals.js";
import { host } from "./host.js";

/** @typedef {import("../data/types.js").Run} Run */
/** @typedef {import("../data/types.js").Layer} Layer */

/**
 * @typedef {object} View
 * @property {string} key
 * @property {string} title
 * @property {() => unknown} Page
 * @property {boolean} [ofLayer] it shows the chosen layer, and not all of them
 * @property {boolean} [ofChannel] it shows one channel, also while all are chosen
 * @property {boolean} [ofAll] it shows all layers, in colours or as maps
 * @property {boolean} [mapless] it shows no maps: scale and colour map mean nothing
 * @property {boolean} [ofTwo] it shows two sides, which may share a scale
 * @property {boolean} [keepsScroll] who comes back finds it where it was left
 */

// The list of views/index.js, given when the page starts: views import this module.
export const views = signal(/** @type {View[]} */ ([]));

export const SCALES = {
  most: "1–99 %",
  own: "low–high",
  channel: "channel",
  layer: "layer",
  both: "both sides",
};
export const COLOURS = { gray: "gray", viridis: "viridis", diverging: "diverging" };

export const SHOWN = { colour: "colour", best: "best channel", all: "all channels" };

const PLACE = /^(?:0(?:\.\d{1,4})?|1)$/;
const placeIn = (/** @type {string} */ text) => {
  const parts = text.split(",");
  return parts.length === 2 && parts.every((part) => PLACE.test(part)) ? text : undefined;
};
const whole = (/** @type {string} */ text) => (/^\d{1,15}$/.test(text) ? Number(text) : null);
const wholes = (/** @type {string} */ text) =>
  text
    .split(",")
    .map(whole)
    .filter((value) => value !== null);
const name = (/** @type {string} */ text) => text;
const oneOf = (/** @type {string[]} */ choices) => (/** @type {string} */ text) =>
  choices.includes(text) ? text : undefined;

// Each entry of the address: how it is read, and what holds where it is missing.
const ENTRIES = /** @type {Record<string, [(text: string) => any, any]>} */ ({
  view: [name, "overview"],
  run: [name, null],
  layer: [name, null],
  channel: [whole, null], // index in the layer; null is all
  step: [whole, null], // null is the newest, also when newer ones come
  image: [whole, 0],
  scale: [oneOf(Object.keys(SCALES)), "most"],
  colour: [oneOf(Object.keys(COLOURS)), "gray"],
  measure: [name, null],
  sort: [name, "channel"],
  outline: [(text) => text === "1", false],
  clipped: [(text) => text === "1", false], // cells outside of what the colours span are marked
  errors: [(text) => text === "1", false], // of the prediction where it is wrong, and not its labels
  columns: [wholes, null], // steps shown in Evolution; null is a geometric choice
  withRun: [name, null], // the other side of Compare
  withLayer: [name, null],
  withStep: [whole, null],
  wipe: [oneOf(["side", "swipe"]), "side"],
  sides: [oneOf(["all", "most", "colour"]), "all"], // of Compare: all channels, those that changed most, or colours
  hidden: [JSON.parse, null], // runs left out of the row of runs
  heat: [name, null], // what the layer x epoch picture shows of each layer; null is the highest channel
  show: [oneOf(Object.keys(SHOWN)), "colour"], // what a picture of a layer is, where all layers are shown
  at: [placeIn, null], // the place that all others are compared with
});

/** @type {Record<string, import("../vendor/signals.js").Signal<any>>} */
export const state = Object.fromEntries(Object.entries(ENTRIES).map(([key, [, fallback]]) => [key, signal(fallback)]));

export function readAddress() {
  const found = host.readHash();
  batch(() => {
    for (const [key, [read, fallback]] of Object.entries(ENTRIES)) {
      let value;
      try {
        value = found.has(key) ? read(/** @type {string} */ (found.get(key))) : undefined;
      } catch {
        value = undefined;
      }
      state[key].value = value ?? fallback;
    }
    if (!Array.isArray(state.hidden.value)) state.hidden.value = null;
    if (!views.peek().some(({ key }) => key === state.view.value)) state.view.value = ENTRIES.view[1];
  });
}

// The steps that Evolution has for columns, for who saves them.
export const shownColumns = signal(/** @type {number[]} */ ([]));

// Whether the page was opened with nothing chosen.
export const first = signal(false);

export function keepAddress() {
  first.value = !host.readHash().size;
  let waiting = 0;
  let written = state.view.peek();
  effect(() => {
    const entries = /** @type {[string, string][]} */ ([]);
    const view = state.view.value;
    for (const [key, [, fallback]] of Object.entries(ENTRIES)) {
      const { value } = state[key];
      if (value === fallback || value === null) continue;
      entries.push([key, value === true ? "1" : key === "hidden" ? JSON.stringify(value) : String(value)]);
    }
    // Browsers refuse more than some 100 changes of the address in half a minute.
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      host.writeHash(entries, view !== written);
      written = view;
    }, 250);
  });
}

export const view = computed(() => /** @type {View} */ (views.value.find(({ key }) => key === state.view.value)));

export const scales = computed(() =>
  inColours.value
    ? [
        ["most", "each picture"],
        ["layer", "all epochs"],
      ]
    : Object.entries(SCALES).filter(([key]) => key !== "both" || view.value.ofTwo),
);

// What is chosen for two sides alone is each map's elsewhere.
export const scale = computed(() =>
  scales.value.some(([key]) => key === state.scale.value)
    ? /** @type {keyof typeof SCALES} */ (state.scale.value)
    : "most",
);

// Whether a picture in colours has the contrast of its own, and not that of all steps.
export const ownContrast = computed(() => !["channel", "layer"].includes(scale.value));

// There is one wherever a view is drawn.
export const run = computed(() => {
  const { runs } = log.value;
  return /** @type {Run} */ (
    runs.find(({ id }) => id === state.run.value) ??
      runs.find(({ name }) => name === state.run.value) ??
      runs[0] ??
      null
  );
});

export const layer = computed(() => {
  const { layers = [], drawable = [] } = run.value ?? {};
  return /** @type {Layer} */ (
    layers.find((each) => each.name === state.layer.value) ?? drawable.at(-1) ?? layers[0] ?? null
  );
});

export const steps = computed(() => run.value?.steps ?? []);

export const step = computed(() => nearest(steps.value, state.step.value));

// Whether the run still grows: its newest step is hardly older than a step takes.
export const live = computed(() => {
  const { arrived = 0, pace } = run.value ?? {};
  return now.value - arrived <= Math.max(30, 3 * (pace ?? 0));
});

/**
 * The step of a run that stands for another's: the same, or else the last before it; the newest for null.
 *
 * @param {number[]} steps
 * @param {number | null} wanted
 * @returns {number}
 */
export function nearest(steps, wanted) {
  return (wanted === null ? steps.at(-1) : steps.findLast((each) => each <= wanted)) ?? steps[0];
}

/** @param {number} index */
export function goTo(index) {
  const all = steps.peek();
  const place = Math.min(Math.max(index, 0), all.length - 1);
  state.step.value = place === all.length - 1 ? null : (all[place] ?? null);
}

export const fields = computed(() => [...new Set((run.value?.layers ?? []).flatMap((each) => each.fields ?? []))]);

// The number beside each picture: a score, where there is one.
const preferred = computed(() => {
  const all = fields.value;
  return (
    all.find((field) => measureOf(field).kind === "score") ?? all.find((field) => field === "std") ?? all[0] ?? "std"
  );
});

export const chosenMeasure = computed(() =>
  measureOf(fields.value.includes(state.measure.value) ? state.measure.value : preferred.value),
);

// What the highest value is called.
export const bestOf = (/** @type {import("../data/types.js").Measure} */ { kind }) =>
  kind === "score" ? "best" : "highest";

// The place that all others are compared with, as parts of a picture's width and height.
export const markedPlace = computed(() => {
  if (state.at.value === null) return null;
  const [x, y] = state.at.value.split(",").map(Number);
  return { x, y };
});

/**
 * @param {number} x
 * @param {number} y
 */
export function markPlace(x, y) {
  const part = (/** @type {number} */ value) => String(Number(Math.min(Math.max(value, 0), 0.9999).toFixed(4)));
  state.at.value = `${part(x)},${part(y)}`;
}

// Whether no maps are shown whose grays or colours span a range: layers in colours, or none at all.
export const inColours = computed(
  () =>
    view.value.mapless === true ||
    (view.value.ofAll === true && state.show.value === "colour") ||
    (view.value.ofTwo === true && state.sides.value === "colour"),
);

export const image = computed(() => Math.min(state.image.value, Math.max(run.value?.probe.stored ?? 1, 1) - 1));

/**
 * The chosen channel's place among the logged ones of a layer; null for all, -1 where it is not logged.
 *
 * @param {Layer} layer
 * @returns {number | null}
 */
export function place({ channels }) {
  return state.channel.value === null ? null : channels.indexOf(state.channel.value);
}

/**
 * The places that are shown of a layer: all, the chosen channel's, or none where that is not logged.
 *
 * @param {Layer} layer
 */
export function placesOf(layer) {
  const chosen = place(layer);
  return chosen === null ? [...layer.channels.keys()] : chosen < 0 ? [] : [chosen];
}

/**
 * The channel that is best at the newest step: the same one at all steps.
 *
 * @param {Layer} layer
 * @param {import("../data/numbers.js").Numbers} numbers
 */
export const bestAtEnd = (layer, numbers) => knownBest(layer, numbers) ?? 0;

/**
 * Null where no channel has the chosen measure at the newest step.
 *
 * @param {Layer} layer
 * @param {import("../data/numbers.js").Numbers} numbers
 */
export const knownBest = (layer, numbers) =>
  numbers.summary(/** @type {number} */ (layer.run.steps.at(-1)), chosenMeasure.value.field).best;

/**
 * The channel that is shown where one is: with all chosen, the one that ends with the highest value, whatever the step.
 *
 * @param {Layer} layer
 */
export function filmed(layer) {
  const chosen = place(layer);
  if (chosen !== null && chosen >= 0) return chosen;
  const numbers = numbersOf(layer).value;
  return numbers ? bestAtEnd(layer, numbers) : 0;
}

/**
 * @param {string} view
 * @param {Record<string, any>} [changes]
 */
export function open(view, changes = {}) {
  batch(() => {
    for (const [key, value] of Object.entries(changes)) state[key].value = value;
    state.view.value = view;
  });
}

/**
 * @param {string} view
 * @param {Layer} layer
 * @param {number} step
 */
export function openAt(view, layer, step, changes = {}) {
  open(view, { layer: layer.name, step: step === layer.run.steps.at(-1) ? null : step, ...changes });
}

// A layer beside itself at the run's first step, which Compare has on the left where nothing else is chosen.
export const openBesideFirst = (layer) =>
  openAt("compare", layer, step.peek(), { withRun: null, withLayer: null, withStep: null });
