// @ts-check
// What the log holds: runs, layers in model order, steps. It is asked for again and again, and answered when there is
// news.

import { computed, signal } from "../vendor/signals.js";
import { answer } from "./source.js";

/** @typedef {import("./types.js").Run} Run */

/** @type {import("../vendor/signals.js").Signal<import("./types.js").Log>} */
export const log = signal({ status: "loading", format: 0, measures: {}, runs: [], problems: [], error: null });

// Whether somebody answers: what could not be had while nobody did is asked for again.
export const reachable = computed(() => log.value.error === null);

// The server's clock, in seconds since 1970, as of its last answer.
export const now = signal(0);

let /** @type {string | null} */ tag = null;
let /** @type {Promise<void> | null} */ asking = null;

// An answer without a tag is the last word: a page with the log inside it has no news.
export const hasNews = () => log.peek().status !== "ready" || tag !== null;

// Asks whether there is news; who asks while an answer is on its way gets that one.
export function refresh() {
  asking ??= ask().finally(() => {
    asking = null;
  });
  return asking;
}

async function ask() {
  try {
    const response = await answer("runs", [], tag === null ? {} : { "If-None-Match": tag });
    const clock = Date.parse(response.headers.get("Date") ?? "");
    const before = now.peek();
    now.value = (Number.isNaN(clock) ? Date.now() : clock) / 1000;
    if (response.status !== 304) {
      const found = /** @type {import("./types.js").RunsAnswer} */ (await response.json());
      tag = response.headers.get("ETag");
      log.value = { ...found, status: "ready", runs: readRuns(found, before), error: null };
    } else if (log.peek().error) {
      log.value = { ...log.peek(), status: "ready", error: null };
    }
  } catch (error) {
    // What is on the screen stays there; the message says that it may be old.
    const { message } = /** @type {Error} */ (error);
    const status = log.peek().status === "ready" ? "ready" : "failed";
    if (log.peek().error !== message) log.value = { ...log.peek(), status, error: message };
  }
}

// Runs of which nothing is new stay the objects that they are, so that nothing is drawn anew for them.
let /** @type {Map<string, {text: string, run: Run}>} */ known = new Map();
let age = 0;

/**
 * @param {import("./types.js").RunsAnswer} found
 * @param {number} before when was asked before, by the server's clock
 */
function readRuns({ layouts, runs }, before) {
  age++;
  const texts = layouts.map((layout) => JSON.stringify(layout));
  const old = known;
  known = new Map();
  return runs.map((entry) => {
    const text = JSON.stringify({ ...entry, layout: texts[entry.layout] });
    const same = old.get(entry.run);
    const run = same?.text === text ? same.run : readRun(entry, layouts[entry.layout]);
    if (run !== same?.run) run.arrived = arrival(run, entry.wall, same?.run, before);
    known.set(entry.run, { text, run });
    return run;
  });
}

/**
 * When the newest step came: since the question before, whatever its writer's clock says.
 *
 * @param {Run} run
 * @param {number} wall
 * @param {Run | undefined} known the same run, as of the question before
 * @param {number} before
 */
function arrival(run, wall, known, before) {
  const last = /** @type {number} */ (run.steps.at(-1));
  if (known?.versions.get(last) === run.versions.get(last)) return known?.arrived ?? 0;
  return Math.min(Math.max(wall, before), now.peek());
}

/**
 * @param {import("./types.js").RunAnswer} entry
 * @param {import("./types.js").LayerAnswer[]} layout
 * @returns {Run}
 */
function readRun({ run: id, step_unit: unit, steps: parts, wall: _, ...facts }, layout) {
  const versions = new Map();
  for (const { v, steps } of parts) for (const step of steps) versions.set(step, v);
  const run = /** @type {Run} */ (
    /** @type {unknown} */ ({ ...facts, id, age, unit, versions, steps: [...versions.keys()] })
  );
  run.layers = layout.map(({ layer: name, ...layer }) => ({ ...layer, name, path: layer.path ?? name, run }));
  run.drawable = run.layers.filter((layer) => !layer.problem);
  return run;
}

/**
 * @param {Run} run
 * @param {number | null} step
 */
export const stepName = (run, step) => (step === 0 ? "before training" : `${run.unit} ${step}`);

/** @param {import("./types.js").Layer} layer */
export const labelOf = (layer) => (layer.number == null ? layer.path : `#${layer.number} ${layer.path}`);

/**
 * What a field or summary is called; one that nobody described is called as it is stored.
 *
 * @param {string} field
 * @returns {import("./types.js").Measure}
 */
export function measureOf(field) {
  const plain = field.replaceAll("_", " ");
  return { label: plain, short: plain, kind: "value", ...log.value.measures[field], field };
}
