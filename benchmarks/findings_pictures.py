"""Retakes the pictures of docs/findings: for each kind of finding a training of the clinic that has it, and how that looks.

    python benchmarks/findings_pictures.py [--only KIND ...]

One row a step: what is predicted of the probe's first image, and the first channels of the layer concerned, each at its own contrast
(1st to 99th percentile); what is not finite is red. Needs matplotlib.
"""

import argparse
import os
import sys
import tempfile
import textwrap
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))  # before this folder, which has a `clinic` too
sys.path.insert(0, str(ROOT / "examples"))

import numpy as np  # noqa: E402
from clinic.patients import train  # noqa: E402
from matplotlib.colors import ListedColormap  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from fm_callback import open_log  # noqa: E402
from fm_callback.read.painted import step_name  # noqa: E402

FOLDER = ROOT / "docs" / "findings"
#: For each kind the training, and the layer where the finding names none.
SHOWN = {
    "non_finite": ("overflow_in_float16", None),
    "prediction_collapsed": ("labels_shifted", "three"),
    "class_never_predicted": ("rare_class", "head"),
    "class_lost": ("class_of_weight_zero", "head"),
    "train_eval_gap": ("statistics_of_two", None),
    "dead_layer": ("rate_that_kills_relus", None),
    "unchanged_layer": ("branch_without_gradient", None),
    "position_only": ("labels_shuffled", None),
    "checkerboard": ("uneven_transposed_convolution", None),
    "gridding": ("dilations_without_smoothing", None),
    "border": ("zero_padding_of_bright_pictures", None),
    "scrambled": ("reshape_that_scrambles", None),
    "duplicate_channels": ("filters_that_begin_alike", None),
}
CHANNELS = 6
LABELS = ListedColormap(["#202028", "#4aa3df", "#f2a541"])


def main() -> None:
    """Trains, and draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SHOWN, metavar="KIND", default=list(SHOWN), help="these kinds")
    options = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    for kind in options.only:
        name, layer = SHOWN[kind]
        for seed in range(9):  # those of development: the first on which it is found
            with tempfile.TemporaryDirectory() as directory, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                train(name, seed, Path(directory))
                run = open_log(directory)[0]
                found = [each for each in run.findings() if each.kind == kind]
                if found:
                    draw(run, found[0], layer or found[0].layer, FOLDER / f"{kind}.png")
                    print(f"{kind}: {name}, seed {seed}: {found[0].headline}", flush=True)
                    break


def draw(run: Any, found: Any, name: str, path: Path) -> None:
    """A picture of a finding."""
    layer, steps = run[name], sorted({run.steps[0], run.steps[len(run.steps) // 2], run.steps[-1]} | {found.step or 0})
    masks = run.probe.labels
    columns = min(len(layer.channels), CHANNELS)
    head = ["input", "true mask"] if masks else ["input"]
    predicts = bool(masks) and run.snapshot.facts.prediction is not None
    width = len(head) + predicts + columns
    figure = Figure((1.0 * width + 0.5, 1.05 * len(steps) + 0.75), dpi=110, layout="constrained")
    figure.suptitle("\n".join(textwrap.wrap(found.headline, 19 * width)), fontsize=8, x=0.01, ha="left")
    grid = figure.subplots(len(steps), width, squeeze=False)
    for row, step in enumerate(steps):
        cells = list(grid[row])
        for each in cells:
            each.set_axis_off()
        for title, each in zip(head, cells, strict=False):
            if row == 0:
                each.set_title(title, fontsize=7)
                picture = run.probe.images[0] if title == "input" else masks[0]
                each.imshow(picture, **({} if title == "input" else {"cmap": LABELS, "vmin": 0, "vmax": 2}))
        cells = cells[len(head) :]
        when = step_name(run, step)
        cells[0].text(-0.12, 0.5, when, transform=cells[0].transAxes, rotation=90, va="center", fontsize=7)
        if predicts:
            show(cells[0], "prediction" if row == 0 else "", run.prediction(step)[0], cmap=LABELS, vmin=0, vmax=2)
            cells = cells[1:]
        maps = layer.maps(step)[0]
        for place, each in enumerate(cells):
            show(each, f"{name}, ch {layer.channels[place]}" if row == 0 else "", *contrast(maps[..., place]))
    figure.savefig(path)


def show(axes: Any, title: str, picture: np.ndarray, low: float = 0, high: float = 1, **look: Any) -> None:
    """One map; what is not finite is red."""
    axes.set_title(title, fontsize=7)
    look = look or {"cmap": gray(), "vmin": low, "vmax": high}
    axes.imshow(np.ma.masked_invalid(picture), interpolation="nearest", **look)


def gray() -> Any:
    """Gray, and red for what is not finite."""
    colours = ListedColormap(np.linspace(0, 1, 256)[:, None].repeat(3, axis=1))
    colours.set_bad("#d8404f")
    return colours


def contrast(values: np.ndarray) -> tuple[np.ndarray, float, float]:
    """A map and its 1st and 99th percentile; one value alone is dark."""
    known = values[np.isfinite(values)]
    if not known.size:
        return values, 0.0, 1.0
    low, high = np.percentile(known, [1, 99])
    return (values, low, high) if high > low else (values, low, low + 1)


if __name__ == "__main__":
    main()
