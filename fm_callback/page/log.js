// What the log holds: runs, layers in model order, steps; and the layers' numbers, fetched when they are first needed.

import { effect, signal } from "./vendor/signals.js";
import { frames, json } from "./source.js";
import { Numbers } from "./numbers.js";

export const FORMAT = 1;

// status: "loading", "ready" or "failed"
export const log = signal({ status: "loading", runs: [], cap: 0, error: null });

let asked = 0;

// `early`: a response to the question that is on its way already.
export async function load(early = null) {
  const ask = ++asked;
  try {
    const answer = await json("runs", [], await early);
    if (ask === asked) log.value = { status: "ready", runs: answer.runs.map(readRun), cap: answer.cap, error: null };
  } catch (error) {
    // What is on the screen stays there; the message says that it may be old.
    if (ask === asked)
      log.value = { ...log.peek(), status: log.peek().runs.length ? "ready" : "failed", error: error.message };
  }
}

function readRun({ run, layers, probe }) {
  const shared = layers[0] ?? { steps: [], wall_times: [] };
  const read = layers.map((layer) => {
    const steps = layer.steps ?? shared.steps;
    const walls = layer.wall_times ?? shared.wall_times;
    return { ...layer, run, steps, wall: new Map(steps.map((step, at) => [step, walls[at]])) };
  });
  const longest = read.reduce((best, layer) => (layer.steps.length > best.length ? layer.steps : best), []);
  return {
    run,
    name: runName(run),
    layers: read,
    steps: longest,
    probe,
    newest: Math.max(0, ...read.map((layer) => layer.version ?? 0)),
  };
}

// Our directory's own name says nothing that the tab does not say.
function runName(run) {
  const [, before, again] = /^(?:(.*)\/)?feature_maps(?:_(\d+))?$/s.exec(run) ?? [];
  if (before === undefined) return run;
  return again ? `${before} (${again})` : before;
}

export function stepName(layer, step) {
  if (step === 0) return "before training";
  return `${layer?.step_unit === "batch" ? "batch" : "epoch"} ${step}`;
}

const tables = new Map(); // "run\0layer" -> {signal of Numbers or null, stamp of what was asked for}
const wanted = new Map();

// A signal of the layer's numbers: null until they are here. Asked for again when the layer has grown.
export function numbersOf(layer) {
  const key = `${layer.run}\0${layer.layer}`;
  const stamp = `${layer.steps.length} ${layer.wall.get(layer.steps.at(-1))}`;
  let table = tables.get(key);
  if (!table) tables.set(key, (table = { value: signal(null), stamp: null }));
  if (table.stamp !== stamp && !layer.problem) {
    table.stamp = stamp;
    if (!wanted.size) setTimeout(fetchNumbers);
    wanted.set(key, layer);
  }
  return table.value;
}

// A promise of the layer's numbers.
export function numbersHere(layer) {
  const found = numbersOf(layer),
    before = log.peek();
  let stop;
  return new Promise((resolve, reject) => {
    stop = effect(() => {
      if (found.value) resolve(found.value);
      else if (log.value !== before && log.value.error) reject(new Error(log.value.error));
    });
  }).finally(() => stop());
}

async function fetchNumbers() {
  const byRun = Map.groupBy(wanted.values(), (layer) => layer.run);
  wanted.clear();
  for (const [run, layers] of byRun) {
    for (const chunk of chunks(layers)) await fetchChunk(run, chunk);
  }
}

async function fetchChunk(run, layers) {
  try {
    const newest = Math.max(...layers.map((layer) => layer.wall.get(layer.steps.at(-1)) ?? 0));
    const parameters = [["run", run], ["v", newest], ...layers.map((layer) => ["layer", layer.layer])];
    const { heads, buffer, start } = await frames("numbers", parameters);
    let at = start;
    for (const { layer: tag, steps, shape } of heads) {
      const size = steps.length * shape[0] * shape[1];
      const facts = layers.find((layer) => layer.layer === tag);
      const values = new Float32Array(buffer.slice(at, at + 4 * size));
      tables.get(`${run}\0${tag}`).value.value = new Numbers(facts, steps, shape, values);
      at += 4 * size;
    }
  } catch (error) {
    for (const layer of layers) tables.get(`${run}\0${layer.layer}`).stamp = null;
    log.value = { ...log.peek(), error: `The numbers could not be read. ${error.message}` };
  }
}

// Small enough for any server's limit on the length of an address.
function* chunks(layers) {
  let chunk = [],
    length = 0;
  for (const layer of layers) {
    const more = encodeURIComponent(layer.layer).length + 7;
    if (chunk.length && (length + more > 4000 || chunk.length === 16)) {
      yield chunk;
      chunk = [];
      length = 0;
    }
    chunk.push(layer);
    length += more;
  }
  if (chunk.length) yield chunk;
}
