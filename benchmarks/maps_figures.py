"""The tables and plots of what_the_maps_say.py, from its results."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from scipy.stats import spearmanr

SETTLED = 0.9
SHOWN = 0.9
NOTHING = 0.03  # readout less control of a network that learned position alone
LABELS = ("pet", "background", "border")
PARTS = {
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
    "head": 51,
}
POOLED = 27  # one cell an image: it has no places
BLUE, PALE_BLUE, ORANGE, PALE_ORANGE, GRAY = "#1f6fd6", "#8db8ee", "#c2570c", "#e3b48c", "#666666"

Runs = list[dict[str, Any]]


def _scores(runs: Runs, name: str) -> np.ndarray:
    """One number a layer of each run and step, (runs, steps, layers); NaN where a layer has none."""
    none = [np.nan] * len(runs[0]["steps"])
    return np.array([[layer.get(name, none) for layer in run["layers"]] for run in runs]).swapaxes(1, 2)


def _known(runs: Runs) -> np.ndarray:
    """What the readout knows beyond position, (runs, steps, layers)."""
    return _scores(runs, "readout") - _scores(runs, "readout_control")


def _first(table: np.ndarray, threshold: float) -> np.ndarray:
    """The first step of each run and layer at which a table (runs, steps, layers) reaches a threshold; NaN if none does."""
    reached = table >= threshold
    return np.where(reached.any(1), reached.argmax(1).astype(float), np.nan)


def _split(runs: Runs) -> tuple[Runs, Runs]:
    return [run for run in runs if not run["shuffled"]], [run for run in runs if run["shuffled"]]


def _numbers(runs: Runs) -> np.ndarray:
    return np.array([layer["number"] for layer in runs[0]["layers"]])


def _parts(runs: Runs) -> dict[str, np.ndarray]:
    """Where the layers of each part stand, all but the pooled one."""
    numbers = _numbers(runs)
    ends = [*PARTS.values(), numbers.max() + 1][1:]
    return {
        part: np.flatnonzero((numbers >= start) & (numbers < end) & (numbers != POOLED))
        for (part, start), end in zip(PARTS.items(), ends, strict=True)
    }


def tables(runs: Runs) -> str:
    """The document's tables, Markdown: lowest to highest over the seeds, and over the layers where a row is of several."""
    real, shuffled = _split(runs)
    return "\n\n".join(
        [
            f"Where pets usually are, the mean mask of the photographs trained on, scores {real[0]['position']:.3f}.",
            _held_out(real, shuffled),
            _by_part(real, shuffled),
            _facts(real, shuffled),
            _labels(real, shuffled),
            _orders(real),
            _all_layers(real, shuffled),
        ]
    )


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def _held_out(real: Runs, shuffled: Runs) -> str:
    names = ("mean_iou", *(f"iou_{label}" for label in LABELS))
    rows = [
        [what, *(_span(np.array([run["steps"][-1][f"val_{name}"] for run in those])) for name in names)]
        for what, those in (("trained", real), ("on shuffled masks", shuffled))
    ]
    return _table(["held out, last epoch", "mean IoU", *LABELS], rows)


def _by_part(real: Runs, shuffled: Runs) -> str:
    def table(what: str, score: Callable[[Runs], np.ndarray], rest: str, beyond: Callable[[Runs], np.ndarray]) -> str:
        columns = [
            states
            for each in (score, beyond)
            for states in (each(real)[:, 0], each(real)[:, -1], each(shuffled)[:, -1])
        ]
        head = ["part", f"{what}, untrained", "trained", "shuffled masks"]
        rows = [[_named(part, at), *(_span(each[:, at]) for each in columns)] for part, at in _parts(real).items()]
        return _table([*head, f"{rest}, untrained", "trained", "shuffled masks"], rows)

    readout, best, excess = (
        partial(_scores, name=name) for name in ("readout", "mask_separation_best", "mask_excess_best")
    )
    return "\n\n".join(
        [table("readout", readout, "less control", _known), table("best separation", best, "largest excess", excess)]
    )


def _named(part: str, at: np.ndarray) -> str:
    return f"{part}, #{at[0] + 1} to #{at[-1] + 1}" if len(at) > 1 else part


def _facts(real: Runs, shuffled: Runs) -> str:
    numbers, pooled = _numbers(real), _numbers(real) == POOLED
    read, best, bright = (_scores(real, name) for name in ("readout", "mask_separation_best", "mask_auroc_best"))
    known, nothing = _known(real)[:, -1], _known(shuffled)[:, -1]
    deep = (numbers >= 20) & ~pooled
    far = np.abs(nothing) > NOTHING
    lines = []
    for name, table in (("readout", read[:, -1]), ("best separation", best[:, -1])):
        for threshold in (0.85, SHOWN):
            every, some = (table >= threshold).all(0), (table >= threshold).any(0)
            lines.append(
                f"{name} of {threshold} or more at the end, every seed: {_listed(numbers[every])}; some: "
                f"{_listed(numbers[some & ~every & ~pooled])}"
            )
    sooner = (_first(best, SHOWN) - _first(read, SHOWN))[:, ~pooled]
    both = sooner[~np.isnan(sooner)]
    lines += [
        f"where both came to {SHOWN}, the readout did earlier in {np.sum(both > 0)} of {len(both)} layers and seeds, later in "
        f"{np.sum(both < 0)}, by {np.median(both):.0f} epochs in the median; the readout alone came there in "
        f"{np.sum(~np.isnan(_first(read, SHOWN)[:, ~pooled])) - len(both)}",
        f"the best channel is dark at the pet in {np.sum(_dark(real))} of {_dark(real).size} layers and seeds; of "
        f"{np.sum(best[:, -1] >= SHOWN)} with a best separation of {SHOWN} or more, {np.sum(bright[:, -1] >= SHOWN)} have a "
        "bright channel of as much",
        "readout less control not above that on shuffled masks, lowest seed against highest: "
        + _listed(numbers[known.min(0) <= nothing.max(0)]),
        f"on shuffled masks, from #20 on without #{POOLED}: readout less control {_span(nothing[:, deep], 3)}, mean of the "
        f"seeds {_span(nothing[:, deep].mean(0), 3)}; further than {NOTHING} from 0: "
        + ", ".join(
            f"#{numbers[at]} ({far[:, at].sum()} of {len(far)} seeds)" for at in np.flatnonzero(far.any(0) & deep)
        ),
    ]
    wide = np.abs(_scores(real, "readout_wide")[:, -1] - read[:, -1])[:, ~pooled].mean(0)
    lines.append(
        f"the readout of 64 channels is further than .02 from that of 32, mean of the seeds: "
        f"{_listed(numbers[~pooled][wide > 0.02])}; at most {wide.max():.3f}"
    )
    return "\n".join(f"- {line}" for line in lines)


def _dark(runs: Runs) -> np.ndarray:
    """Whether the best channel at the end is dark at the pet, (runs, layers)."""
    highest, lowest = (_scores(runs, f"mask_auroc_{name}")[:, -1] for name in ("best", "lowest"))
    return 1 - lowest > highest


def _labels(real: Runs, shuffled: Runs) -> str:
    numbers, rows = _numbers(real), []
    for label in LABELS:
        found = [[layer["detected"].get(f"{label}_auroc", {}) for layer in run["layers"]] for run in real]
        since, ever = (
            np.array([[each.get(name) for each in run] for run in found], float) for name in ("since", "first")
        )
        held = ~np.isnan(since).any(0)
        theirs = _scores(shuffled, f"{label}_separation_best")[:, -1]
        row = [label, _listed(numbers[held]), _listed(numbers[~np.isnan(ever).all(0) & ~held])]
        rows.append([*row, _epochs(since[:, -1]), f"{np.nanmax(theirs):.2f}"])
    head = ["label", "detected at the end, every seed", "at some step, some seed", "by the head since epoch"]
    columns = [_scores(real, f"{label}_separation_best")[:, -1] for label in LABELS]
    columns.append(_scores(real, "border_separation_best")[:, 0])
    parts = [[_named(part, at), *(_span(each[:, at]) for each in columns)] for part, at in _parts(real).items()]
    return "\n\n".join(
        [
            _table([*head, "best separation of any layer on shuffled masks"], rows),
            _table(["part", *LABELS, "border, untrained"], parts),
        ]
    )


def _orders(real: Runs) -> str:
    depth = np.arange(len(real[0]["layers"]))
    encoder = depth < 20
    settled, edge = _first(_scores(real, "cka_last"), SETTLED), _scores(real, "edge_auroc_median")
    pairs = {
        "depth and epoch at which a layer settled, all layers": (depth, settled),
        "the same, encoder (#1 to #20)": (depth[encoder], settled[:, encoder]),
        "the same, after the encoder (#21 to #51)": (depth[~encoder], settled[:, ~encoder]),
        "depth and readout at the end": (depth, _scores(real, "readout")[:, -1]),
        "depth and best separation at the end": (depth, _scores(real, "mask_separation_best")[:, -1]),
        "depth and median edge AUROC at the end": (depth, edge[:, -1]),
        "depth and median edge AUROC before training": (depth, edge[:, 0]),
    }
    lines = ["Rank correlation (Spearman), lowest to highest of the seeds:", ""]
    for name, (x, ys) in pairs.items():
        rhos = np.array([spearmanr(x, y, nan_policy="omit").statistic for y in ys])
        lines.append(f"- {name}: {rhos.min():+.2f} to {rhos.max():+.2f}")
    return "\n".join(lines)


def _all_layers(real: Runs, shuffled: Runs) -> str:
    read, best = _scores(real, "readout"), _scores(real, "mask_separation_best")
    reached, shown, settled = _first(read, SHOWN), _first(best, SHOWN), _first(_scores(real, "cka_last"), SETTLED)
    columns = {
        "readout": (_span, read[:, -1]),
        "less control": (_span, _known(real)[:, -1]),
        "less control, shuffled masks": (_span, _known(shuffled)[:, -1]),
        "readout .9 at epoch": (_epochs, reached),
        "best separation": (_span, best[:, -1]),
        "dark in": (lambda dark: f"{dark.sum()} of {len(dark)}", _dark(real)),
        "best separation, shuffled masks": (_span, _scores(shuffled, "mask_separation_best")[:, -1]),
        "largest excess": (_span, _scores(real, "mask_excess_best")[:, -1]),
        "separation .9 at epoch": (_epochs, shown),
        "border, best separation": (_span, _scores(real, "border_separation_best")[:, -1]),
        "edge AUROC, median": (_span, _scores(real, "edge_auroc_median")[:, -1]),
        "settled at epoch": (_epochs, settled),
    }
    rows = [
        [f"#{layer['number']} {layer['name']}", f"{layer['cells']:,}"]
        + [write(values[:, at]) for write, values in columns.values()]
        for at, layer in enumerate(real[0]["layers"])
    ]
    return _table(["layer", "cells of the pet", *columns], rows)


def _listed(numbers: np.ndarray) -> str:
    """Layers, those that follow each other as a range."""
    if not len(numbers):
        return "none"
    groups = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    return ", ".join(
        f"#{each[0]} to #{each[-1]}" if len(each) > 2 else ", ".join(f"#{number}" for number in each) for each in groups
    )


def _span(values: np.ndarray, digits: int = 2) -> str:
    if np.isnan(values).all():
        return "-"
    ends = np.round((np.nanmin(values), np.nanmax(values)), digits) + 0.0  # no -0
    low, high = (f"{each:.{digits}f}" for each in ends)
    return low if low == high else f"{low} to {high}"


def _epochs(steps: np.ndarray) -> str:
    """Earliest to latest, and how many seeds never came there."""
    known = steps[~np.isnan(steps)].astype(int)
    if not len(known):
        return "never"
    span = f"{known.min()}" if known.min() == known.max() else f"{known.min()} to {known.max()}"
    return span if len(known) == len(steps) else f"{span}, {len(steps) - len(known)} never"


def draw(runs: Runs, out: Path) -> None:
    """Writes depth.png, labels.png, became.png and settled.png."""
    plt.rcParams.update(
        {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.titlelocation": "left"}
    )
    real, shuffled = _split(runs)
    _depth(real, shuffled, out)
    _by_label(real, out)
    _became(real, out)
    _settled(real, out)


def _depth(real: Runs, shuffled: Runs, out: Path) -> None:
    figure, axes = plt.subplots(3, 1, figsize=(9, 9.4), sharex=True, layout="constrained")
    read, best = _scores(real, "readout"), _scores(real, "mask_separation_best")
    _band(axes[0], real, read[:, -1], BLUE, "readout of the layer")
    _band(axes[0], real, best[:, -1], ORANGE, "separation of its best channel")
    _band(axes[0], real, read[:, 0], PALE_BLUE, "readout, untrained")
    _band(axes[0], real, best[:, 0], PALE_ORANGE, "best separation, untrained")
    axes[0].axhline(real[0]["position"], color=GRAY, linewidth=0.9, linestyle="--")
    axes[0].text(0.4, real[0]["position"] + 0.006, "mean mask", color=GRAY, fontsize=8)
    axes[0].set_title("What the layer knows of the pet, and what one channel shows", weight="bold")
    axes[0].set_ylim(0.5, 1.09)
    _band(axes[1], real, _known(real)[:, -1], BLUE, "trained")
    _band(axes[1], real, _known(real)[:, 0], PALE_BLUE, "untrained")
    _band(axes[1], real, _known(shuffled)[:, -1], GRAY, "trained on shuffled masks")
    axes[1].set_title("Readout less its control: what the layer knows beyond position", weight="bold")
    excess = _scores(real, "mask_excess_best")
    _band(axes[2], real, excess[:, -1], ORANGE, "trained")
    _band(axes[2], real, excess[:, 0], PALE_ORANGE, "untrained")
    _band(axes[2], real, _scores(shuffled, "mask_excess_best")[:, -1], GRAY, "trained on shuffled masks")
    axes[2].set_title("Largest excess of a channel: what one map shows beyond position", weight="bold")
    axes[2].set_xlabel("convolution layer, from input to output")
    for axis in axes[1:]:
        axis.set_ylim(-0.07, 0.34)
        axis.axhline(0, color="#bbbbbb", linewidth=0.8, linestyle=":")
    for axis, columns in zip(axes, (2, 3, 3), strict=True):
        axis.legend(frameon=False, loc="upper left", ncols=columns)
        _stages(axis)
    figure.savefig(out / "depth.png", dpi=110)


def _by_label(real: Runs, out: Path) -> None:
    figure, axes = plt.subplots(2, 1, figsize=(9, 6), sharex=True, layout="constrained")
    for label, colour in zip(LABELS, ("#009e73", "#56b4e9", "#c2570c"), strict=True):
        _band(axes[0], real, _scores(real, f"{label}_separation_best")[:, -1], colour, label)
    _band(axes[0], real, _scores(real, "border_separation_best")[:, 0], PALE_ORANGE, "border, untrained")
    axes[0].set_title("Separation of each label from all else, best channel", weight="bold")
    axes[0].set_ylim(0.45, 1.05)
    edge = _scores(real, "edge_auroc_median")
    _band(axes[1], real, edge[:, -1], "#7b4ab5", "trained")
    _band(axes[1], real, edge[:, 0], "#c7b2e0", "untrained")
    axes[1].axhline(0.5, color="#bbbbbb", linewidth=0.8, linestyle=":")
    axes[1].set_title("Edge AUROC of each layer's median channel", weight="bold")
    axes[1].text(51.3, 0.5, "chance", va="center", color="#999999")
    axes[1].set_ylim(0.38, 0.8)
    axes[1].set_xlabel("convolution layer, from input to output")
    for axis in axes:
        axis.legend(frameon=False, loc="upper left", ncols=4)
        _stages(axis)
    figure.savefig(out / "labels.png", dpi=110)


def _became(real: Runs, out: Path) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(9, 5.2), sharey=True, layout="constrained")
    for axis, name, title in zip(
        axes, ("readout", "mask_separation_best"), ("Readout", "Separation of the best channel"), strict=True
    ):
        table = _scores(real, name).mean(0).T
        table[_numbers(real) == POOLED] = np.nan
        image = axis.imshow(table, aspect="auto", cmap="viridis", vmin=0.5, vmax=1, interpolation="nearest")
        axis.set(xlabel="epoch (0 is before training)")
        axis.set_title(title, weight="bold")
    axes[0].set_ylabel("convolution layer")
    axes[0].set_yticks([start - 1 for start in PARTS.values()], [f"{part} #{start}" for part, start in PARTS.items()])
    figure.colorbar(image, ax=axes, label=f"mean of {len(real)} seeds")
    figure.savefig(out / "became.png", dpi=110)


def _settled(real: Runs, out: Path) -> None:
    settled = _first(_scores(real, "cka_last"), SETTLED)
    settled[:, _numbers(real) == POOLED] = np.nan
    middle, low, high = np.median(settled, axis=0), settled.min(0), settled.max(0)
    figure, axis = plt.subplots(figsize=(9, 3.4), layout="constrained")
    axis.errorbar(
        _numbers(real), middle, (middle - low, high - middle), fmt="o", markersize=3.5, color=BLUE, ecolor=PALE_BLUE
    )
    axis.set(xlabel="convolution layer, from input to output", ylabel="epoch, median and range")
    axis.set_title(
        f"When a layer settled: first epoch with linear CKA to its last state of {SETTLED} or more", weight="bold"
    )
    axis.set_ylim(-4, 34)
    _stages(axis)
    figure.savefig(out / "settled.png", dpi=110)


def _band(axis: Any, runs: Runs, values: np.ndarray, colour: str, label: str) -> None:
    """Mean, lowest and highest over runs of values (runs, layers); the pooled layer is left out."""
    values = np.where(_numbers(runs) == POOLED, np.nan, values)
    shown = ~np.isnan(values).all(0)
    numbers, values = _numbers(runs)[shown], values[:, shown]
    axis.plot(numbers, values.mean(0), color=colour, linewidth=1.6, label=label)
    axis.fill_between(numbers, values.min(0), values.max(0), color=colour, alpha=0.2, linewidth=0)


def _stages(axis: Any) -> None:
    """Where the parts of the network begin."""
    axis.set_xlim(0, 52)
    axis.set_xticks([*PARTS.values()])
    low, _ = axis.get_ylim()
    for name, start in PARTS.items():
        axis.axvline(start - 0.5, color="#e4e4e4", linewidth=0.8, zorder=0)
        axis.annotate(
            name, (start - 0.3, low), xytext=(0, 3), textcoords="offset points", color="#888888", fontsize=7.5
        )
