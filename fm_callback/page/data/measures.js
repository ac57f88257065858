// @ts-check
// How a number is written.

/**
 * @param {number | null | undefined} value
 * @param {{kind?: import("./types.js").Words["kind"]}} [measure]
 */
export function format(value, { kind = "value" } = {}) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (kind === "share") return `${(100 * value).toFixed(value > 0 && value < 0.1 ? 1 : 0)} %`;
  if (kind === "count") return String(value);
  if (kind === "score") return value.toFixed(2);
  const size = Math.abs(value);
  const long = size !== 0 && (size >= 1e5 || size < 1e-3);
  const text = long ? value.toExponential(1) : String(Number(value.toPrecision(3)));
  return text.replace("-", "−").replace("e+", "e");
}

/**
 * A channel's number, with its side: of a concept that a channel may show bright or dark, how well it tells it.
 *
 * @param {number | null | undefined} value
 * @param {{kind?: import("./types.js").Words["kind"], sided?: boolean}} measure
 */
export function told(value, measure) {
  if (!measure.sided || value === null || value === undefined || Number.isNaN(value)) return format(value, measure);
  return value < 0.5 ? `${format(1 - value, measure)} dark` : format(value, measure);
}

/**
 * The best of a layer's channels, with its side.
 *
 * @param {{highest: number, dark: boolean} | undefined} summary
 * @param {{kind?: import("./types.js").Words["kind"]}} measure
 */
export const toldBest = (summary, measure) => `${format(summary?.highest, measure)}${summary?.dark ? " dark" : ""}`;

/**
 * What a channel's score has more than it scores on the masks of other images, on its side; NaN where that is not
 * known.
 *
 * @param {import("./numbers.js").Numbers} numbers
 * @param {number} step
 * @param {number | null} place
 * @param {import("./types.js").Measure} measure
 */
export function excessOf(numbers, step, place, { field }) {
  if (field !== "mask_auroc" || place === null) return NaN;
  const over = numbers.get(step, place, field) - numbers.get(step, place, "mask_control");
  return numbers.get(step, place, field) < 0.5 ? -over : over;
}

/**
 * What a channel scores on the masks of other images, on the side that its score on the true ones is of.
 *
 * @param {import("./numbers.js").Numbers} numbers
 * @param {number} step
 * @param {number} place
 */
export function toldControl(numbers, step, place) {
  const control = numbers.get(step, place, "mask_control");
  const dark = numbers.get(step, place, "mask_auroc") < 0.5 && !Number.isNaN(control);
  return dark ? `${format(1 - control, SCORE)} dark` : format(control, SCORE);
}

const SCORE = /** @type {const} */ ({ kind: "score" });

const EXCESS =
  "more than the same map scores on the masks of other images: what it knows of these, and not of where objects " +
  "usually are";

// "+0.12", and what that means; empty where it is not known.
export function toldExcess(/** @type {number} */ excess) {
  if (Number.isNaN(excess)) return { text: "", title: "" };
  const size = Math.abs(excess).toFixed(2);
  const text = `${excess < 0 && Number(size) ? "−" : "+"}${size}`;
  return { text, title: `${text} ${EXCESS}` };
}
