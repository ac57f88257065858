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
