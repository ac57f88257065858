// @ts-check
// What the numbers of a run say at a step, in sentences: has it learned, when, where, and is any channel without
// signal? Nothing is said that the log has no number for. What stands out over all steps is found by the server.

import { labelOf, stepName } from "./log.js";
import { excessOf, format, told } from "./measures.js";
import { DEAD, FLAT, NONFINITE } from "./numbers.js";
import { meanIou } from "./predictions.js";

/** @typedef {import("./types.js").Run} Run */
/** @typedef {import("./types.js").Layer} Layer */
/** @typedef {import("./numbers.js").Numbers} Numbers */

/**
 * @typedef {object} Sentence
 * @property {"learned" | "where" | "wrong" | "well"} about
 * @property {string} text
 * @property {{view: string, changes?: Record<string, any>}} [link] where that is seen
 */

/**
 * @typedef {object} Known
 * @property {Run} run
 * @property {number} step that is looked at
 * @property {Numbers | null} scores of the predictions
 * @property {boolean} truth whether the predictions' labels are those of the masks
 * @property {Map<Layer, Numbers>} tables
 * @property {Map<string, Numbers> | null} summaries by layer
 */

const SCORE = /** @type {const} */ ({ kind: "score" });
const SHOWS = 0.9; // of a score that tells most of the object
const OVER = 0.1; // over the control: what is known of these pictures, and not of where objects usually are
const GUESS = 0.65; // of a readout that tells more than chance
const NOTHING = 0.05; // over the control
const MOST = 6; // layers that are named
const EDGES = 3; // of those that show edges

/** @param {Known} known */
export function verdict(known) {
  return /** @type {Sentence[]} */ ([...learned(known), ...where(known), ...edges(known), ...wrong(known)]);
}

/**
 * @param {Known} known
 * @returns {Sentence[]}
 */
function learned({ run, step, scores, truth }) {
  if (!truth || !scores) {
    const why = run.probe.labels ? "no prediction that fits the masks is stored" : "no masks were given";
    return [{ about: "learned", text: `Whether it has learned is not known here: ${why}.` }];
  }
  const steps = run.steps.filter((each) => each <= step);
  const all = steps.map((each) => meanIou(run, scores, each, {}));
  const [first, now] = [all[0], /** @type {number} */ (all.at(-1))];
  const most = all.reduce((best, value) => (value > best ? value : best), -Infinity);
  const images = `the probe's ${run.probe.images === 1 ? "one image" : `${run.probe.images} images`}`;
  const start = run.steps[0] === step ? "" : `, from ${format(first, SCORE)} ${at(run, steps[0])}`;
  const iou = `a mean IoU of ${format(now, SCORE)} ${at(run, step)}${start}`;
  const text = `Its prediction overlaps the masks of ${images} with ${iou}`;
  const gained = (/** @type {number} */ part) =>
    steps[all.findIndex((value) => value >= first + part * (most - first))];
  const [half, soon] = [gained(0.5), gained(0.9)];
  const parts =
    half === soon
      ? `nine tenths of that were there ${at(run, soon)}`
      : `half of that was there ${at(run, half)}, nine tenths ${at(run, soon)}`;
  const when = most - first > 0.1 && half !== step ? `; ${parts}` : "";
  return [{ about: "learned", text: `${text}${when}.`, link: { view: "prediction" } }];
}

/**
 * @param {Known} known
 * @returns {Sentence[]}
 */
function where({ run, step, tables, summaries }) {
  const layers = run.drawable.filter((layer) => tables.get(layer)?.column.has("mask_auroc"));
  if (!layers.length) return [];
  const found = /** @type {Sentence[]} */ ([]);
  const summary = (/** @type {Layer} */ layer, /** @type {string} */ name) =>
    summaries?.get(layer.name)?.get(step, 0, name) ?? NaN;
  const over = (/** @type {Layer} */ layer) => summary(layer, "readout") - summary(layer, "readout_control");
  if (layers.some((layer) => Number.isFinite(over(layer)))) {
    const knows = layers.filter((layer) => summary(layer, "readout") >= SHOWS && over(layer) >= OVER);
    const already = knows.filter((layer) => knewAt(summaries?.get(layer.name), layer.run.steps[0]));
    const learned = knows.filter((layer) => !already.includes(layer));
    const scores = (/** @type {Layer} */ layer) =>
      `readout ${format(summary(layer, "readout"), SCORE)}, on the masks of other images ` +
      format(summary(layer, "readout_control"), SCORE);
    const before = already.length && step !== run.steps[0] ? ` ${named(already)} did so untrained.` : "";
    const those = learned.length ? learned : knows;
    const text = knows.length
      ? `All channels of a layer together tell the object in ${named(knows)} ` +
        `(in ${labelOf(those[0])}: ${scores(those[0])}).${before}`
      : `In no logged layer do all channels together tell the object from the background with a readout of ${SHOWS}.`;
    found.push({ about: "where", text, link: { view: "depth", changes: { heat: null } } });
    const place = layers.filter((layer) => summary(layer, "readout") >= GUESS && over(layer) < NOTHING);
    if (place.length) {
      found.push({
        about: "where",
        text:
          `${named(place)} ${place.length > 1 ? "know" : "knows"} ${at(run, step)} only where objects usually stand: ` +
          "what tells the object there tells as well those of other images.",
        link: { view: "overview", changes: { heat: null } },
      });
    }
  }
  const best = (/** @type {Layer} */ layer) => shown(/** @type {Numbers} */ (tables.get(layer)), step);
  const shows = layers.filter((layer) => best(layer).score >= SHOWS && !(best(layer).over < OVER));
  if (!shows.length) {
    const lucky = layers.some((layer) => best(layer).score >= SHOWS);
    const why = lucky ? "; what scores as high does so on the masks of other images, too" : "";
    found.push({ about: "where", text: `No single channel shows the object yet (mask AUROC of ${SHOWS})${why}.` });
    return found;
  }
  const last = /** @type {Layer} */ (shows.at(-1));
  const { place, value } = best(last);
  found.push({
    about: "where",
    text:
      `A single channel shows the object in ${named(shows)}; in ${labelOf(last)} it is channel ` +
      `${last.channels[place ?? 0]}, mask AUROC ${told(value, { kind: "score", sided: true })}.`,
    link: { view: "channel", changes: { layer: last.name, channel: last.channels[place ?? 0] } },
  });
  return found;
}

/**
 * Whether all channels told the object at a step already.
 *
 * @param {Numbers | undefined} summaries of a layer
 * @param {number} step
 */
function knewAt(summaries, step) {
  const readout = summaries?.get(step, 0, "readout") ?? NaN;
  return readout >= SHOWS && readout - (summaries?.get(step, 0, "readout_control") ?? NaN) >= OVER;
}

/**
 * Which layers show the picture's edges, and which do so least: by each layer's best channel.
 *
 * @param {Known} known
 * @returns {Sentence[]}
 */
function edges({ run, step, tables }) {
  const scored = run.drawable
    .map((layer) => ({ layer, score: tables.get(layer)?.summary(step, "edge_auroc").highest ?? NaN }))
    .filter(({ score }) => Number.isFinite(score))
    .sort((one, two) => two.score - one.score);
  if (scored.length < 2) return [];
  const most = scored.slice(0, Math.min(EDGES, scored.length - 1));
  const least = scored[scored.length - 1];
  const say = (/** @type {typeof scored[number]} */ { layer, score }) => `${short(layer)} (${format(score, SCORE)})`;
  const where = `The picture's edges show most in ${most.map(say).join(", ")}, least in ${say(least)}`;
  const text = `${where}: edge AUROC of the best channel.`;
  return [{ about: "where", text, link: { view: "depth", changes: { measure: "edge_auroc", heat: null } } }];
}

/**
 * @param {Numbers} numbers
 * @param {number} step
 */
function shown(numbers, step) {
  const { highest, best } = numbers.summary(step, "mask_auroc");
  const measure = /** @type {import("./types.js").Measure} */ ({ field: "mask_auroc", kind: "score" });
  const value = best === null ? NaN : numbers.get(step, best, "mask_auroc");
  return { score: highest, place: best, value, over: excessOf(numbers, step, best, measure) };
}

/**
 * @param {Known} known
 * @returns {Sentence[]}
 */
function wrong({ run, step, tables }) {
  const found = /** @type {Sentence[]} */ ([]);
  const bad = (/** @type {number[]} */ ...kinds) =>
    run.drawable.flatMap((layer) => {
      const count =
        tables
          .get(layer)
          ?.status(step)
          .filter((is) => kinds.includes(is)).length ?? 0;
      return count && !isPoint(layer, kinds) ? [{ layer, count }] : [];
    });
  const say = (/** @type {{layer: Layer, count: number}[]} */ which, /** @type {string} */ what) => {
    if (!which.length) return;
    const all = which.map(({ layer, count }) => `${count} of ${layer.channels.length} in ${short(layer)}`);
    const more = all.length > MOST ? ` and ${all.length - MOST} more layers` : "";
    found.push({
      about: "wrong",
      text: `Channels that ${what} ${at(run, step)}: ${all.slice(0, MOST).join(", ")}${more}.`,
      link: { view: "layer", changes: { layer: which[0].layer.name } },
    });
  };
  say(bad(NONFINITE), "are not finite");
  say(bad(DEAD, FLAT), "show one value everywhere (dead or flat)");
  if (!found.length)
    found.push({ about: "well", text: `No logged channel is dead, flat or not finite ${at(run, step)}.` });
  return found;
}

// One cell has nothing to be flat against.
const isPoint = (/** @type {Layer} */ { map }, /** @type {number[]} */ kinds) =>
  map[0] * map[1] === 1 && !kinds.includes(NONFINITE);

const at = (/** @type {Run} */ run, /** @type {number} */ step) =>
  step === 0 ? "before training" : `at ${stepName(run, step)}`;

const short = (/** @type {Layer} */ layer) => (layer.number == null ? layer.path : `#${layer.number}`);

/** @param {Layer[]} layers */
function named(layers) {
  const names = layers.map(short);
  return names.length > MOST ? `${names.slice(0, MOST).join(", ")} and ${names.length - MOST} more` : names.join(", ");
}
