// What is being looked at: one state for all views, kept in the address so that a link opens it again.

import { batch, computed, effect, signal } from "./vendor/signals.js";
import { readHash, writeHash } from "./host.js";
import { log, numbersOf } from "./log.js";
import { preferred } from "./measures.js";

export const VIEWS = ["evolution", "layer", "channel", "compare", "depth"];
export const SCALES = { own: "each map", channel: "channel", layer: "layer", both: "both sides" };
export const scales = computed(() =>
  Object.entries(SCALES).filter(([key]) => key !== "both" || state.view.value === "compare"),
);
// What is chosen for Compare alone is "own" elsewhere.
export const scale = computed(() =>
  scales.value.some(([key]) => key === state.scale.value) ? state.scale.value : "own",
);
export const COLOURS = { gray: "gray", viridis: "viridis", diverging: "diverging" };

const whole = (text) => (/^\d{1,15}$/.test(text) ? Number(text) : null);
const wholes = (text) =>
  text
    .split(",")
    .map(whole)
    .filter((value) => value !== null);
const name = (text) => text;
const oneOf = (choices) => (text) => (choices.includes(text) ? text : undefined);

// Each entry of the address: how it is read, and what holds where it is missing.
const ENTRIES = {
  view: [oneOf(VIEWS), "evolution"],
  run: [name, null],
  layer: [name, null],
  channel: [whole, null], // index in the layer; null is all
  step: [whole, null], // null is the newest, also when newer ones come
  image: [whole, 0],
  scale: [oneOf(Object.keys(SCALES)), "own"],
  colour: [oneOf(Object.keys(COLOURS)), "gray"],
  measure: [name, null],
  sort: [name, "channel"],
  outline: [(text) => text === "1", false],
  columns: [wholes, null], // steps shown in Evolution; null is a geometric choice
  withRun: [name, null], // the other side of Compare
  withLayer: [name, null],
  withStep: [whole, null],
  wipe: [oneOf(["side", "swipe"]), "side"],
  hidden: [JSON.parse, null], // runs left out of the row of runs
  heat: [name, null], // what the layer x epoch picture shows of each layer; null is the highest channel
  strip: [oneOf(["best", "all"]), "best"],
};

export const state = Object.fromEntries(Object.entries(ENTRIES).map(([key, [, fallback]]) => [key, signal(fallback)]));

export function readAddress() {
  const found = readHash();
  batch(() => {
    for (const [key, [read, fallback]] of Object.entries(ENTRIES)) {
      let value;
      try {
        value = found.has(key) ? read(found.get(key)) : undefined;
      } catch {
        value = undefined;
      }
      state[key].value = value ?? fallback;
    }
    if (!Array.isArray(state.hidden.value)) state.hidden.value = null;
  });
  keepAddress();
}

let keeping = false;

function keepAddress() {
  if (keeping) return;
  keeping = true;
  let waiting = null,
    written = state.view.peek();
  effect(() => {
    const entries = [],
      view = state.view.value;
    for (const [key, [, fallback]] of Object.entries(ENTRIES)) {
      const value = state[key].value;
      if (value === fallback || value === null) continue;
      entries.push([key, value === true ? "1" : key === "hidden" ? JSON.stringify(value) : String(value)]);
    }
    // Browsers refuse more than some 100 changes of the address in half a minute.
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      writeHash(entries, view !== written);
      written = view;
    }, 250);
  });
}

export const run = computed(() => {
  const runs = log.value.runs;
  return runs.find((each) => each.run === state.run.value) ?? runs.find((each) => each.steps.length) ?? runs[0] ?? null;
});

export const layer = computed(() => {
  const layers = run.value?.layers ?? [];
  return (
    layers.find((each) => each.layer === state.layer.value) ??
    layers.findLast((each) => !each.problem) ??
    layers[0] ??
    null
  );
});

export const steps = computed(() => run.value?.steps ?? []);

export const step = computed(() => nearest(steps.value, state.step.value));

// The step of a run that stands for another's: the same, or else the last before it.
export function nearest(steps, wanted) {
  if (!steps.length) return null;
  if (wanted === null) return steps.at(-1);
  return steps.findLast((each) => each <= wanted) ?? steps[0];
}

export function goTo(index) {
  const all = steps.peek();
  const at = Math.min(Math.max(index, 0), all.length - 1);
  state.step.value = at === all.length - 1 ? null : (all[at] ?? null);
}

export const fields = computed(() => {
  const all = new Set();
  for (const each of run.value?.layers ?? []) for (const field of each.fields ?? []) all.add(field);
  return [...all];
});

export const field = computed(() =>
  fields.value.includes(state.measure.value) ? state.measure.value : preferred(fields.value),
);

export const image = computed(() => {
  const count = Math.max(1, ...(run.value?.layers ?? []).map((each) => each.stored_images ?? 0));
  return Math.min(state.image.value, count - 1);
});

// The chosen channel's place among the logged ones of a layer; null for all, -1 where it is not logged.
export function place(of) {
  return state.channel.value === null ? null : of.channels.indexOf(state.channel.value);
}

// The channel that the Channel view is of: with all chosen, the one that ends with the highest value, whatever the step.
export function filmed(of) {
  const at = place(of);
  if (at !== null && at >= 0) return at;
  return numbersOf(of).value?.summary(of.steps.at(-1), field.value).best ?? 0;
}

export function open(view, changes = {}) {
  batch(() => {
    for (const [key, value] of Object.entries(changes)) state[key].value = value;
    state.view.value = view;
  });
}

export function openAt(view, of, at, changes = {}) {
  const newest = at === run.peek()?.steps.at(-1);
  open(view, { layer: of.layer, step: newest ? null : at, ...changes });
}
