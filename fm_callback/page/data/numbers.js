// @ts-check
// The numbers of one layer at all steps, and what follows from them: status of a channel, ranges, best and median over
// channels.

import { measureOf } from "./log.js";

/** @typedef {import("./types.js").Range} Range */

export const LIVE = 0;
export const DEAD = 1;
export const FLAT = 2;
export const NONFINITE = 3;

/**
 * @typedef {object} Summary
 * @property {number} highest of a measure with two sides, how well the channel tells it
 * @property {number | null} best the channel that has it
 * @property {boolean} dark whether that channel shows it as its dark side
 * @property {number} median
 * @property {number} lowest
 * @property {number | null} least
 */

export class Numbers {
  /**
   * @param {string[]} fields
   * @param {number} channels
   * @param {number[]} steps
   * @param {Float32Array[]} rows for each step (channels, fields)
   */
  constructor(fields, channels, steps, rows) {
    this.fields = fields;
    this.channels = channels;
    this.steps = steps;
    this.rows = rows;
    this.index = new Map(steps.map((step, index) => [step, index]));
    this.column = new Map(fields.map((field, index) => [field, index]));
    this.summaries = /** @type {Map<string, Summary>} */ (new Map());
    this.ranges = /** @type {Range[] | null} */ (null);
    this.whole = /** @type {Range | null} */ (null);
  }

  /**
   * The same with further steps.
   *
   * @param {number[]} steps
   * @param {Float32Array[]} rows
   */
  and(steps, rows) {
    const more = new Numbers(this.fields, this.channels, this.steps.concat(steps), this.rows.concat(rows));
    more.summaries = this.summaries;
    return more;
  }

  /**
   * NaN where the log holds none.
   *
   * @param {number} step
   * @param {number} place counts channels as they are logged, not by their index in the layer
   * @param {string} field
   */
  get(step, place, field) {
    const row = this.index.get(step);
    const column = this.column.get(field);
    if (row === undefined || column === undefined || place >= this.channels) return NaN;
    return this.rows[row][place * this.fields.length + column];
  }

  /**
   * @param {number} place
   * @param {string} field
   */
  history(place, field) {
    return this.steps.map((step) => this.get(step, place, field));
  }

  /**
   * Whether any channel has more than 0 at any step.
   *
   * @param {string} field
   */
  any(field) {
    return this.steps.some((step) =>
      Array.from({ length: this.channels }, (_, place) => this.get(step, place, field)).some((value) => value > 0),
    );
  }

  /**
   * After the definitions of dead and flat units: up to 1e-9 of the layer's largest magnitude counts as zero. One that
   * has values that are not finite is neither: the others do not say so.
   *
   * @param {number} step
   */
  status(step) {
    const magnitudes = Array.from({ length: this.channels }, (_, place) =>
      Math.max(Math.abs(this.get(step, place, "low")), Math.abs(this.get(step, place, "high"))),
    );
    const epsilon = 1e-9 * Math.max(0, ...magnitudes.filter(Number.isFinite));
    return magnitudes.map((magnitude, place) => {
      if (!Number.isFinite(magnitude)) return NONFINITE;
      const still =
        this.get(step, place, "std") <= epsilon || this.get(step, place, "low") === this.get(step, place, "high");
      if (magnitude > epsilon && !still) return LIVE;
      if (this.get(step, place, "nonfinite") > 0) return NONFINITE;
      return magnitude <= epsilon ? DEAD : FLAT;
    });
  }

  /**
   * Lowest and highest value of one channel at one step, of a channel over its steps, or of the layer over all its
   * channels and steps.
   *
   * @param {string} scale "own", "channel" or "layer"
   * @param {number} [step]
   * @param {number} [place]
   * @returns {Range}
   */
  range(scale, step = 0, place = 0) {
    if (scale === "own") return [this.get(step, place, "low"), this.get(step, place, "high")];
    this.ranges ??= Array.from({ length: this.channels }, (_, each) => [
      finite(Math.min, this.history(each, "low")),
      finite(Math.max, this.history(each, "high")),
    ]);
    if (scale === "channel") return this.ranges[place] ?? [NaN, NaN];
    this.whole ??= [
      finite(
        Math.min,
        this.ranges.map(([low]) => low),
      ),
      finite(
        Math.max,
        this.ranges.map(([, high]) => high),
      ),
    ];
    return this.whole;
  }

  /**
   * Over the channels of a step: highest and lowest with the channels that have them, the first of equals; median. Of a
   * measure with two sides, by how well channels tell the concept, bright or dark.
   *
   * @param {number} step
   * @param {string} field
   * @returns {Summary}
   */
  summary(step, field) {
    const key = `${field} ${step}`;
    let found = this.summaries.get(key);
    if (!found) {
      const values = Array.from({ length: this.channels }, (_, place) => this.get(step, place, field));
      found = summary(values, measureOf(field).sided);
      if (this.index.has(step)) this.summaries.set(key, found);
    }
    return found;
  }
}

/**
 * @param {number[]} given NaN where there is none
 * @param {boolean} [sided] whether 0 shows as much as 1
 * @returns {Summary}
 */
export function summary(given, sided = false) {
  const values = sided ? given.map((value) => Math.max(value, 1 - value)) : given;
  const known = values.filter(Number.isFinite).sort((a, b) => a - b);
  if (!known.length) return { highest: NaN, best: null, dark: false, median: NaN, lowest: NaN, least: null };
  const median = (known[(known.length - 1) >> 1] + known[known.length >> 1]) / 2;
  const lowest = known[0];
  const highest = known[known.length - 1];
  const best = values.indexOf(highest);
  return { highest, best, dark: sided && given[best] < 0.5, median, lowest, least: values.indexOf(lowest) };
}

/**
 * @param {(...values: number[]) => number} choose
 * @param {number[]} values
 */
function finite(choose, values) {
  const usable = values.filter(Number.isFinite);
  return usable.length ? choose(...usable) : NaN;
}
