"""A figure for a paper: layers x steps, in colour, with what they score."""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fm_callback.format import printable
from fm_callback.read.painted import Painter, predicted_picture, probe_picture, step_name
from fm_callback.read.run import Run

KINDS = ".pdf", ".svg", ".png"
_WIDTH = 7.0  # inches: two columns of a paper
_LABEL, _GAP, _CAPTION, _HEAD = 1.15, 0.05, 0.15, 0.2
_MOST = 1.1
#: Words are words in a PDF, with their font inside; in an SVG they are shapes, which look alike everywhere.
_STYLE: Any = {"pdf.fonttype": 42, "svg.fonttype": "path", "font.family": "DejaVu Sans", "text.parse_math": False}


def write_sheet(
    run: Run,
    path: str | os.PathLike[str],
    layers: Sequence[int],
    steps: Sequence[int],
    image: int = 0,
    progress: Callable[[int, int], object] = lambda done, of: None,
) -> None:
    """Writes a figure of layers x steps.

    Args:
        run: The run.
        path: The file: `.pdf`, `.svg` or `.png`.
        layers: Positions of the layers in the run.
        steps: The steps.
        image: The index of the stored image.
        progress: Called with how many rows are done, and of how many.

    Raises:
        ValueError: if there is no such kind of figure.
        ImportError: if matplotlib is not installed.
    """
    if Path(path).suffix.lower() not in KINDS:
        raise ValueError(f"a sheet is a {', '.join(KINDS)} file; received {os.fspath(path)!r}")
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("a sheet is drawn by matplotlib: pip install matplotlib") from error

    painters = [Painter(layer, image) for layer in run.layers if layer.position in set(layers)]
    predictions = [predicted_picture(run, step, image) for step in steps]
    predicted = any(each is not None for each in predictions)
    cell = min((_WIDTH - _LABEL) / len(steps) - _GAP, _MOST)
    heights = ([cell] if predicted else []) + [_height(painter, cell) for painter in painters]
    width = _LABEL + len(steps) * (cell + _GAP)
    height = _HEAD + sum(heights) + (_CAPTION + _GAP) * len(heights)
    with matplotlib.rc_context(_STYLE):
        figure = Figure((width, height), dpi=300)

        def put(picture: np.ndarray | str | None, x: float, y: float, high: float, wide: float = cell) -> None:
            axes = figure.add_axes((x / width, 1 - (y + high) / height, wide / width, high / height))
            axes.set_xticks([])
            axes.set_yticks([])
            for spine in axes.spines.values():
                spine.set_visible(False)
            if isinstance(picture, np.ndarray):
                axes.imshow(picture, aspect="auto", interpolation="nearest")
            elif picture:
                axes.set_facecolor("#ececef")
                axes.text(0.5, 0.5, picture, ha="center", va="center", fontsize=6, transform=axes.transAxes)

        def write(text: str, x: float, y: float, size: float = 7, **style: Any) -> None:
            figure.text(x / width, 1 - y / height, text, fontsize=size, va="top", **style)

        for column, step in enumerate(steps):
            write(step_name(run, step), _LABEL + column * (cell + _GAP) + cell / 2, 0.03, ha="center", weight="bold")
        measure = next((painter.measure for painter in painters if painter.measure), "")
        if measure:
            write(f"best {measure}\nbelow each", 0.02, 0.02, 6, color="#444444")
        y = _HEAD
        if predicted:
            side = min(cell, _LABEL - 0.15)
            put(probe_picture(run, image), 0.02, y + cell - side, side, side)
            write("input, and prediction", 0.02, y + cell + 0.02, 6, color="#444444")
            for column, picture in enumerate(predictions):
                put(picture, _LABEL + column * (cell + _GAP), y, cell)
            y += cell + _CAPTION + _GAP
        for row, painter in enumerate(painters):
            progress(row, len(painters))
            layer, high = painter.layer, _height(painter, cell)
            write(f"#{layer.number}" if layer.number is not None else layer.kind, 0.02, y, weight="bold")
            write(_folded(printable(layer.path)), 0.02, y + 0.13, 6)
            size = "×".join(map(str, layer.facts.map))
            write(f"{size}, {len(layer.channels)} channels", 0.02, y + high + 0.02, 6, color="#444444")
            for column, step in enumerate(steps):
                x = _LABEL + column * (cell + _GAP)
                put(painter.colour(step), x, y, high)
                write(
                    painter.score(step).removeprefix(measure).strip(),
                    x + cell / 2,
                    y + high + 0.02,
                    5.5,
                    ha="center",
                    color="#444444",
                )
            y += high + _CAPTION + _GAP
        progress(len(painters), len(painters))
        figure.savefig(path, metadata={} if Path(path).suffix.lower() == ".png" else {"Creator": "fm-callback"})


def _folded(path: str) -> str:
    """A path on lines of 18 characters, broken where its parts end."""
    lines = [""]
    for part in re.findall(r"[^_/]{1,17}[_/]?|[_/]", path):
        if len(lines[-1]) + len(part) > 18:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines if len(lines) <= 4 else [*lines[:3], "…"])


def _height(painter: Painter, cell: float) -> float:
    """Inches of a row: maps keep their shape, as far as it can be drawn."""
    height, width = painter.layer.facts.map
    return cell * min(max(height / width, 1 / 6), 2)
