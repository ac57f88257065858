// @ts-check
// Numbers of layers and summaries of runs: asked for when they are first needed, and then for the steps that are new.

import { effect, signal } from "../vendor/signals.js";
import { reachable } from "./log.js";
import { Numbers } from "./numbers.js";
import { frames } from "./source.js";

/** @typedef {import("./types.js").Run} Run */
/** @typedef {import("./types.js").Layer} Layer */
/** @typedef {Map<string, Numbers>} Summaries by layer, as numbers of one channel */

/**
 * @template T
 * @typedef {object} Table
 * @property {import("../vendor/signals.js").Signal<T | null>} content
 * @property {number} age of the run that it was last asked for
 * @property {[number, string][]} held steps that are here, with their versions
 */

// What is wrong with the numbers; null where nothing is.
export const trouble = signal(/** @type {string | null} */ (null));

const tables = /** @type {Map<string, Table<Numbers>>} */ (new Map());
const summaries = /** @type {Map<string, Table<Summaries>>} */ (new Map());
const scores = /** @type {Map<string, Table<Numbers>>} */ (new Map());
const wanted = /** @type {Map<string, Layer>} */ (new Map());

/**
 * @template T
 * @param {Map<string, Table<T>>} all
 * @param {string} key
 * @returns {Table<T>}
 */
function tableOf(all, key) {
  let table = all.get(key);
  if (!table) all.set(key, (table = { content: signal(null), age: 0, held: [] }));
  return table;
}

/** @param {Layer} layer */
const keyOf = (layer) => `${layer.run.id}\0${layer.name}`;

/**
 * A signal of the layer's numbers: null until they are here. Asked for again when the run has grown.
 *
 * @param {Layer} layer
 */
export function numbersOf(layer) {
  const key = keyOf(layer);
  const table = tableOf(tables, key);
  if (table.age < layer.run.age && !layer.problem) {
    table.age = layer.run.age;
    want(key, layer);
  }
  return table.content;
}

/**
 * A promise of the layer's numbers at all steps.
 *
 * @param {Layer} layer
 * @returns {Promise<Numbers>}
 */
export function numbersHere(layer) {
  const content = numbersOf(layer);
  const last = layer.run.steps.at(-1);
  let /** @type {() => void} */ stop;
  return new Promise((resolve, reject) => {
    stop = effect(() => {
      const found = content.value;
      if (found && /** @type {number} */ (found.steps.at(-1)) >= /** @type {number} */ (last)) resolve(found);
      else if (trouble.value) reject(new Error(trouble.value));
    });
  }).finally(() => stop());
}

/**
 * @param {string} key
 * @param {Layer} layer
 */
function want(key, layer) {
  if (!wanted.size) setTimeout(() => inTurn(fetchNumbers));
  wanted.set(key, layer);
}

// One after the other: what is asked for depends on what is here.
let /** @type {Promise<void>} */ turn = Promise.resolve();

/** @param {() => Promise<void>} work */
function inTurn(work) {
  turn = turn.then(work);
}

const failed = /** @type {Set<() => void>} */ (new Set());

// Asks again for what could not be read.
export function retry() {
  trouble.value = null;
  const again = [...failed];
  failed.clear();
  for (const ask of again) ask();
}

effect(() => {
  if (reachable.value) retry();
});

async function fetchNumbers() {
  const alike = /** @type {Map<string, {after: number | null, layers: Layer[]}>} */ (new Map());
  for (const [key, layer] of wanted) {
    const after = holds(tableOf(tables, key), layer.run);
    const name = `${layer.run.id}\0${layer.run.age}\0${after}`;
    const group = alike.get(name) ?? { after, layers: [] };
    alike.set(name, group);
    group.layers.push(layer);
  }
  wanted.clear();
  for (const { after, layers } of alike.values()) {
    for (const chunk of chunks(layers)) await fetchChunk(chunk, after);
  }
}

/**
 * The last of the steps that are here, if all of them are still what the run says; else all is begun anew.
 *
 * @param {Table<any>} table
 * @param {Run} run
 */
function holds(table, run) {
  if (table.held.some(([step, version]) => run.versions.get(step) !== version)) table.held = [];
  return table.held.at(-1)?.[0] ?? null;
}

/**
 * Notes the steps that came; returns how many.
 *
 * @param {Table<any>} table
 * @param {Run} run
 * @param {number[]} steps
 */
function hold(table, run, steps) {
  const known = steps.filter((step) => run.versions.has(step));
  for (const step of known) table.held.push([step, run.versions.get(step) ?? ""]);
  return known.length;
}

/**
 * Numbers with what came of the steps that the run names: what is newer is asked for when the run says so.
 *
 * @param {Numbers | null} before
 * @param {Run} run
 * @param {string[]} fields
 * @param {number} channels
 * @param {number[]} steps
 * @param {Float32Array} values (steps, channels, fields)
 */
function extended(before, run, fields, channels, steps, values) {
  const size = channels * fields.length;
  const known = [...steps.keys()].filter((index) => run.versions.has(steps[index]));
  const rows = known.map((index) => values.subarray(index * size, (index + 1) * size));
  const here = known.map((index) => steps[index]);
  return before ? before.and(here, rows) : new Numbers(fields, channels, here, rows);
}

/**
 * @param {Run} run
 * @param {number | null} after
 * @returns {[string, string | number][]}
 */
function question(run, after) {
  const last = /** @type {number} */ (run.steps.at(-1));
  return [
    ["run", run.id],
    ...(after === null ? [] : [/** @type {[string, number]} */ (["after", after])]),
    ["v", run.versions.get(last) ?? ""],
  ];
}

/**
 * @param {Layer[]} layers of one run
 * @param {number | null} after
 */
async function fetchChunk(layers, after) {
  const [{ run }] = layers;
  try {
    const parameters = [
      ...question(run, after),
      ...layers.map(({ name }) => /** @type {[string, string]} */ (["layer", name])),
    ];
    const { head, buffer, start } = await frames("numbers", parameters);
    let from = start;
    for (const { layer: name, steps, shape, more } of head) {
      const layer = /** @type {Layer} */ (layers.find((each) => each.name === name));
      const table = tableOf(tables, keyOf(layer));
      const values = new Float32Array(buffer.slice(from, (from += 4 * steps.length * shape[0] * shape[1])));
      const before = table.held.length ? table.content.peek() : null;
      table.content.value = extended(before, run, layer.fields.slice(0, shape[1]), shape[0], steps, values);
      if (hold(table, run, steps) && more) want(keyOf(layer), layer);
    }
    trouble.value = null;
  } catch (error) {
    for (const layer of layers) failed.add(() => want(keyOf(layer), layer));
    trouble.value = `The numbers could not be read. ${/** @type {Error} */ (error).message}`;
  }
}

// Small enough for any server's limit on the length of an address.
const LONGEST = 4000;
const MOST = 16;

/** @param {Layer[]} layers */
function* chunks(layers) {
  let /** @type {Layer[]} */ chunk = [];
  let length = 0;
  for (const layer of layers) {
    const more = encodeURIComponent(layer.name).length + 7;
    if (chunk.length && (length + more > LONGEST || chunk.length === MOST)) {
      yield chunk;
      chunk = [];
      length = 0;
    }
    chunk.push(layer);
    length += more;
  }
  if (chunk.length) yield chunk;
}

/**
 * A signal of the summaries of the run's layers: null until they are here.
 *
 * @param {Run} run
 */
export function summariesOf(run) {
  const table = tableOf(summaries, run.id);
  if (table.age < run.age) {
    table.age = run.age;
    const ask = () => inTurn(() => fetchSummaries(run, table).catch(() => void failed.add(ask)));
    ask();
  }
  return table.content;
}

/**
 * @param {Run} run
 * @param {Table<Summaries>} table
 */
async function fetchSummaries(run, table) {
  for (;;) {
    const after = holds(table, run);
    const { head, buffer, start } = await frames("summaries", question(run, after));
    const before = after === null ? null : table.content.peek();
    const layers = /** @type {Summaries} */ (new Map());
    let from = start;
    for (const { layer, names } of head.layers) {
      const values = new Float32Array(buffer.slice(from, (from += 4 * head.steps.length * names.length)));
      layers.set(layer, extended(before?.get(layer) ?? null, run, names, 1, head.steps, values));
    }
    table.content.value = layers;
    if (!hold(table, run, head.steps) || !head.more) return;
  }
}

const SCORES = { labels: ["iou", "share", "true_share"], class: ["class", "probability"] };

/**
 * A signal of what is known of the run's predictions: null until it is here, or where there are none. As numbers of
 * samples x labels, or, of classes, of samples.
 *
 * @param {Run} run
 */
export function scoresOf(run) {
  const table = tableOf(scores, run.id);
  if (run.prediction && table.age < run.age) {
    table.age = run.age;
    const ask = () => inTurn(() => fetchScores(run, table).catch(() => void failed.add(ask)));
    ask();
  }
  return table.content;
}

/**
 * @param {Run} run
 * @param {Table<Numbers>} table
 */
async function fetchScores(run, table) {
  const fields = SCORES[run.prediction?.kind ?? "labels"];
  for (;;) {
    const after = holds(table, run);
    const { head, buffer, start } = await frames("scores", question(run, after));
    const rows = head.shape.reduce((/** @type {number} */ all, /** @type {number} */ each) => all * each, 1);
    const values = new Float32Array(buffer.slice(start, start + 4 * head.steps.length * rows));
    const before = after === null ? null : table.content.peek();
    table.content.value = extended(before, run, fields, rows / fields.length, head.steps, values);
    if (!hold(table, run, head.steps) || !head.more) return;
  }
}
