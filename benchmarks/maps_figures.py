"""The tables and plots of what_the_maps_say.py, from its results."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from scipy.stats import spearmanr

SETTLED = 0.9
MASK = 0.9
BLUE, GRAY, ORANGE = "#1f6fd6", "#666666", "#c2570c"


def _scores(runs: list[dict[str, Any]], measure: str, reduce: Any) -> np.ndarray:
    """One number a layer of each run and step, (runs, steps, layers); NaN where no channel has a score."""
    table = np.full((len(runs), len(runs[0]["steps"]), len(runs[0]["layers"])), np.nan)
    for at_run, run in enumerate(runs):
        for at_step, step in enumerate(run["steps"]):
            for at, layer in enumerate(step["layers"]):
                values = np.asarray(layer[measure], float)
                if not np.isnan(values).all():
                    table[at_run, at_step, at] = reduce(values)
    return table


def _first(table: np.ndarray, threshold: float) -> np.ndarray:
    """The first step of each run and layer at which a table (runs, steps, layers) reaches a threshold; NaN if none does."""
    reached = table >= threshold
    return np.where(reached.any(1), reached.argmax(1).astype(float), np.nan)


def _split(runs: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    return [run for run in runs if not run["shuffled"]], [run for run in runs if run["shuffled"]]


def tables(runs: list[dict[str, Any]]) -> str:
    """The document's tables, Markdown: lowest to highest over the seeds."""
    real, shuffled = _split(runs)
    best, median = np.nanmax, np.nanmedian
    mask, control = _scores(real, "mask_auroc", best), _scores(shuffled, "mask_auroc", best)
    middle, iou = _scores(real, "mask_auroc", median), _scores(real, "mask_iou", best)
    edge = _scores(real, "edge_auroc", median)
    settled = _first(_scores(real, "cka_last", float), SETTLED)
    became = _first(mask, MASK)
    head = "layer | cells of the pet | mask AUROC, best | median | untrained | shuffled masks | mask IoU, best | edge AUROC, median | untrained | first epoch at .9 | settled at epoch"
    lines = [f"| {head} |", "|" + " --- |" * 11]
    for at, layer in enumerate(real[0]["layers"]):
        spans = [mask[:, -1, at], middle[:, -1, at], mask[:, 0, at], control[:, -1, at]]
        spans += [iou[:, -1, at], edge[:, -1, at], edge[:, 0, at]]
        cells = layer["cells"]["foreground"]
        first = ", ".join("never" if np.isnan(step) else f"{step:.0f}" for step in became[:, at])
        settle = ", ".join(f"{step:.0f}" for step in settled[:, at])
        row = [f"#{layer['number']} {layer['name']}", f"{cells:,}", *map(_span, spans), first, settle]
        lines.append("| " + " | ".join(row) + " |")
    depth = np.arange(len(real[0]["layers"]))
    encoder = depth < 20
    lines += ["", "Held out, last epoch:", ""]
    for run in runs:
        logs = run["steps"][-1]["logs"]
        names = ("mean_iou", "iou_pet", "iou_background", "iou_border")
        scores = ", ".join(f"{name} {logs[f'val_{name}']:.3f}" for name in names)
        lines.append(f"- seed {run['seed']}{', shuffled masks' if run['shuffled'] else ''}: {scores}")
    lines += ["", "Layers, with every seed, by their best channel at the end:", ""]
    sides, others = _scores(real, "mask_auroc", _either), _scores(shuffled, "mask_auroc", _either)
    for way, ours, theirs in (("", mask, control), (", or dark at the pet", sides, others)):
        passed, above = (ours[:, -1] >= MASK).all(0), (ours[:, -1] > theirs[:, -1]).all(0)
        lines += [f"- at {MASK} or more{way}: {_listed(passed)}"]
        lines += [
            f"- not above the shuffled control of the same seed, from #21 on{way}: {_listed(~above & (depth >= 20))}"
        ]
    lines += ["", "Rank correlation (Spearman), one number a seed:", ""]
    pairs = {
        "depth and epoch at which a layer settled, all layers": (depth, settled),
        "the same, encoder (#1 to #20)": (depth[encoder], settled[:, encoder]),
        "the same, after the encoder (#21 to #51)": (depth[~encoder], settled[:, ~encoder]),
        "depth and best mask AUROC at the end": (depth, mask[:, -1]),
        "depth and median edge AUROC at the end": (depth, edge[:, -1]),
        "depth and median edge AUROC before training": (depth, edge[:, 0]),
    }
    for name, (x, ys) in pairs.items():
        rhos = [spearmanr(x, y, nan_policy="omit").statistic for y in ys]
        lines.append(f"- {name}: " + ", ".join(f"{rho:+.2f}" for rho in rhos))
    return "\n".join(lines)


def _either(scores: np.ndarray) -> float:
    """The best score of a channel that is bright, or dark, at the pet."""
    return float(np.nanmax(np.maximum(scores, 1 - scores)))


def _listed(layers: np.ndarray) -> str:
    return ", ".join(f"#{at + 1}" for at in np.flatnonzero(layers))


def _span(values: np.ndarray) -> str:
    if np.isnan(values).all():
        return "-"
    low, high = f"{values.min():.2f}", f"{values.max():.2f}"
    return low if low == high else f"{low} to {high}"


def draw(runs: list[dict[str, Any]], out: Path) -> None:
    """Writes depth.png, became.png and settled.png."""
    plt.rcParams.update(
        {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.titlelocation": "left"}
    )
    real, shuffled = _split(runs)
    numbers = [layer["number"] for layer in real[0]["layers"]]
    mask, control = _scores(real, "mask_auroc", np.nanmax), _scores(shuffled, "mask_auroc", np.nanmax)
    edge = _scores(real, "edge_auroc", np.nanmedian)

    figure, axes = plt.subplots(2, 1, figsize=(9, 6.4), sharex=True, layout="constrained")
    _band(axes[0], numbers, mask[:, -1], BLUE, "trained")
    _band(axes[0], numbers, control[:, -1], GRAY, "trained on shuffled masks")
    _band(axes[0], numbers, mask[:, 0], "#8db8ee", "before training")
    axes[0].set_title("Mask AUROC of each layer's best channel (of at most 32)", weight="bold")
    _band(axes[1], numbers, edge[:, -1], ORANGE, "trained")
    _band(axes[1], numbers, edge[:, 0], "#e3b48c", "before training")
    axes[1].set_title("Edge AUROC of each layer's median channel", weight="bold")
    axes[1].set_xlabel("convolution layer, from input to output")
    for axis, top in zip(axes, (1.0, 0.75), strict=True):
        axis.set_ylim(0.4, top + 0.08)
        axis.axhline(0.5, color="#bbbbbb", linewidth=0.8, linestyle=":")
        axis.text(51.3, 0.5, "chance", va="center", color="#999999")
        axis.legend(frameon=False, loc="upper left", ncols=3)
        _stages(axis)
    figure.savefig(out / "depth.png", dpi=110)

    figure, axis = plt.subplots(figsize=(9, 5.6), layout="constrained")
    image = axis.imshow(mask.mean(0).T, aspect="auto", cmap="viridis", vmin=0.5, vmax=1, interpolation="nearest")
    axis.set_yticks(
        [number - 1 for number in (1, 5, 12, 24, 33, 43, 50, 51)], ["1", "5", "12", "24", "33", "43", "50  ", "51"]
    )
    axis.set(xlabel="epoch (0 is before training)", ylabel="convolution layer")
    axis.set_title("Best mask AUROC, layer × epoch, mean of three seeds", weight="bold")
    figure.colorbar(image, ax=axis, label="mask AUROC")
    figure.savefig(out / "became.png", dpi=110)

    settled = _first(_scores(real, "cka_last", float), SETTLED)
    figure, axis = plt.subplots(figsize=(9, 3.4), layout="constrained")
    for run, steps, beside in zip(real, settled, np.linspace(-0.25, 0.25, len(real)), strict=True):
        axis.plot(np.add(numbers, beside), steps, "o", markersize=3, label=f"seed {run['seed']}")  # none hides another
    axis.set(xlabel="convolution layer, from input to output", ylabel="epoch")
    axis.set_title(
        f"When a layer settled: first epoch with linear CKA to its last state of {SETTLED} or more", weight="bold"
    )
    axis.set_ylim(-4, 34)
    axis.legend(frameon=False, loc="lower right", ncols=3)
    _stages(axis)
    figure.savefig(out / "settled.png", dpi=110)


def _band(axis: Any, numbers: list[int], values: np.ndarray, colour: str, label: str) -> None:
    axis.plot(numbers, values.mean(0), color=colour, linewidth=1.6, label=label)
    axis.fill_between(numbers, values.min(0), values.max(0), color=colour, alpha=0.2, linewidth=0)


def _stages(axis: Any) -> None:
    """Where the parts of the network begin."""
    starts = {
        "enc1": 1,
        "enc2": 6,
        "enc3": 11,
        "enc4": 16,
        "bottom": 21,
        "DASPP": 25,
        "dec4": 31,
        "dec3": 36,
        "dec2": 41,
        "dec1": 46,
    }
    axis.set_xlim(0, 52)
    axis.set_xticks([1, 5, 12, 24, 33, 43, 50])
    low, _ = axis.get_ylim()
    for name, start in starts.items():
        axis.axvline(start - 0.5, color="#e4e4e4", linewidth=0.8, zorder=0)
        axis.annotate(
            name, (start - 0.3, low), xytext=(0, 3), textcoords="offset points", color="#888888", fontsize=7.5
        )
