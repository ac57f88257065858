// How the fields of the log are called and written. A field that is not known here is shown under its own name.

const KNOWN = {
  mask_auroc: {
    label: "mask AUROC",
    short: "mask",
    score: true,
    chance: 0.5,
    says: "how well the map tells the object from the background; chance is 0.5",
  },
  mask_iou: {
    label: "mask IoU",
    short: "IoU",
    score: true,
    says: "overlap of the map's highest cells with the mask, as many cells as the mask has",
  },
  edge_auroc: {
    label: "edge AUROC",
    short: "edge",
    score: true,
    chance: 0.5,
    says: "how well the map's extremes find the input's strongest edges (top 10 %); chance is 0.5",
  },
  outline_auroc: {
    label: "outline AUROC",
    short: "outline",
    score: true,
    chance: 0.5,
    says: "how well the map's extremes find the object's border; chance is 0.5",
  },
  low: { label: "lowest value", short: "low" },
  high: { label: "highest value", short: "high" },
  mean: { label: "mean", short: "mean" },
  mean_abs: { label: "mean magnitude", short: "|mean|" },
  std: { label: "standard deviation", short: "std" },
  zeros: { label: "share of zeros", short: "zeros", share: true },
  nonfinite: { label: "non-finite values", short: "NaN", count: true },
  effective_rank: { label: "effective rank", short: "rank" },
  dead_or_flat: { label: "dead or flat channels", short: "dead" },
  dormant: { label: "dormant channels", short: "dormant" },
  mask_auroc_lowest: { label: "lowest mask AUROC", short: "lowest", score: true },
  cka_previous: { label: "CKA with the step before", short: "CKA prev.", score: true },
  cka_first: { label: "CKA with the first step", short: "CKA first", score: true },
};

const PREFERRED = ["mask_auroc", "edge_auroc", "std"];

export function measure(field) {
  const label = field.replaceAll("_", " ");
  return { field, label, short: label, score: /auroc|iou|cka/.test(field), ...KNOWN[field] };
}

export function preferred(fields) {
  return PREFERRED.find((field) => fields.includes(field)) ?? fields[0] ?? null;
}

export function format(value, { score, share, count } = {}) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (share) return `${(100 * value).toFixed(value > 0 && value < 0.1 ? 1 : 0)} %`;
  if (count) return String(value);
  if (score) return value.toFixed(2);
  const size = Math.abs(value);
  const text =
    size !== 0 && (size >= 1e5 || size < 1e-3) ? value.toExponential(1) : String(Number(value.toPrecision(3)));
  return text.replace("-", "−").replace("e+", "e");
}
