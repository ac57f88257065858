// The numbers of one layer at all steps, and what follows from them: status of a channel, ranges, best and median over channels.

export const LIVE = 0,
  DEAD = 1,
  FLAT = 2,
  NONFINITE = 3;

export class Numbers {
  constructor(layer, steps, [channels, columns], values) {
    this.layer = layer;
    this.steps = steps;
    this.channels = channels;
    this.columns = columns;
    this.fields = layer.fields.slice(0, columns);
    this.values = values;
    this.index = new Map(steps.map((step, at) => [step, at]));
    this.column = new Map(this.fields.map((field, at) => [field, at]));
    this.summaries = new Map();
  }

  // NaN where the log holds none. `at` counts channels as they are logged, not by their index in the layer.
  get(step, at, field) {
    const row = this.index.get(step),
      column = this.column.get(field);
    if (row === undefined || column === undefined || at >= this.channels) return NaN;
    return this.values[(row * this.channels + at) * this.columns + column];
  }

  history(at, field) {
    return this.steps.map((step) => this.get(step, at, field));
  }

  // After the definitions of dead and flat units: up to 1e-9 of the layer's largest magnitude counts as zero. One that has values that
  // are not finite is neither: the others do not say so.
  status(step) {
    const magnitudes = Array.from({ length: this.channels }, (_, at) =>
      Math.max(Math.abs(this.get(step, at, "low")), Math.abs(this.get(step, at, "high"))),
    );
    const epsilon = 1e-9 * Math.max(0, ...magnitudes.filter(Number.isFinite));
    return magnitudes.map((magnitude, at) => {
      if (!Number.isFinite(magnitude)) return NONFINITE;
      const still = this.get(step, at, "std") <= epsilon || this.get(step, at, "low") === this.get(step, at, "high");
      if (magnitude > epsilon && !still) return LIVE;
      if (this.get(step, at, "nonfinite") > 0) return NONFINITE;
      return magnitude <= epsilon ? DEAD : FLAT;
    });
  }

  // Lowest and highest value of one channel at one step, of a channel over its steps, or of the layer over all its channels and steps.
  range(scale, step, at) {
    if (scale === "own") return [this.get(step, at, "low"), this.get(step, at, "high")];
    this.ranges ??= Array.from({ length: this.channels }, (_, each) => [
      finite(Math.min, this.history(each, "low")),
      finite(Math.max, this.history(each, "high")),
    ]);
    if (scale === "channel") return this.ranges[at] ?? [NaN, NaN];
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

  // Over the channels of a step: highest, the channel that has it, median, lowest, how many channels have a value.
  summary(step, field) {
    const key = `${field} ${step}`;
    let found = this.summaries.get(key);
    if (!found) {
      const values = [];
      for (let at = 0; at < this.channels; at++) {
        const value = this.get(step, at, field);
        if (Number.isFinite(value)) values.push([value, at]);
      }
      values.sort(([a], [b]) => a - b);
      const middle = values.length >> 1;
      const median = values.length % 2 ? values[middle][0] : (values[middle - 1]?.[0] + values[middle]?.[0]) / 2;
      const [highest = NaN, best = null] = values.at(-1) ?? [];
      const [lowest = NaN, least = null] = values[0] ?? [];
      found = { highest, best, median, lowest, least, count: values.length };
      this.summaries.set(key, found);
    }
    return found;
  }
}

function finite(choose, values) {
  const usable = values.filter(Number.isFinite);
  return usable.length ? choose(...usable) : NaN;
}
