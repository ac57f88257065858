"""How logs, runs and layers look in a notebook, and the report in one. All texts of a log are escaped."""

import base64
import html
import io
import os
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image

from fm_callback.read import choose
from fm_callback.read.log import Log, open_log
from fm_callback.read.painted import Painter, step_name, title
from fm_callback.read.report import Report
from fm_callback.read.run import Layer, Run

_MOST_ROWS, _MOST_STEPS, _SIDE = 100, 6, 96


class Shown:
    """A report in a frame: the last line of a cell shows it, and so does `display`."""

    def __init__(self, frame: str, says: str) -> None:
        self._frame, self._says = frame, says

    def _repr_html_(self) -> str:
        return self._frame

    def __repr__(self) -> str:
        return self._says


def show(
    log_dir: str | os.PathLike[str],
    height: int = 720,
    layers: choose.Choice = None,
    steps: str | Iterable[int] | None = None,
    max_mb: float = 20,
) -> Shown:
    """The report of a log in a notebook's cell: Jupyter, JupyterLab, Colab, VS Code, Kaggle.

    All of it is in the notebook, which stays whole when it is sent or published. The frame is one that can touch nothing of the notebook.

    Args:
        log_dir: A log directory, the directory of a run, or one that holds many.
        height: Of the frame, in pixels.
        layers: Numbers, names and globs, as "1,-1,dec*" or a list; all by default.
        steps: Steps, as "0,5,-1" or a list; all by default.
        max_mb: How many megabytes the notebook may grow by: steps are left out, at equal ratios, until they fit.

    Raises:
        OSError: if there is no such log.
        UnknownError: if it has no such layer or step.
        ValueError: if not even one step fits.

    >>> show("logs", layers=[1])
    <a report of logs: feature_maps, 3 steps>
    """
    report = Report(open_log(log_dir), layers, steps, max_mb * 1e6, ascii=True)
    texts: list[str] = []
    made = report.write(texts.append)
    told = "; ".join(
        f"{name}, {len(kept)} steps" + (f" of {of}, so that it fits {max_mb:g} MB" if made.thinned else "")
        for name, (kept, of) in made.steps.items()
    )
    frame = (
        f'<iframe srcdoc="{html.escape("".join(texts))}" sandbox="allow-scripts allow-downloads" '
        f'style="width: 100%; height: {int(height)}px; border: 0" title="feature maps"></iframe>'
    )
    if made.thinned:
        frame += f"<p>{html.escape(told)}</p>"
    return Shown(frame, f"<a report of {os.fspath(log_dir)}: {told}>")


def log_html(log: Log) -> str:
    """The runs of a log."""
    rows = [
        (
            run.display_name,
            _steps(run),
            len(run.layers),
            f"{run.snapshot.size / 1e6:,.1f} MB",
            "; ".join(run.problems[:3]),
        )
        for run in list(log.values())[:_MOST_ROWS]
    ]
    return _table(("run", "steps", "layers", "size", "problems"), rows, len(log), log.problems)


def run_html(run: Run) -> str:
    """The layers of a run, with what the best channel scores at first and at last."""
    layers = run.layers
    rows = []
    measure = ""
    for layer in layers[:_MOST_ROWS]:
        painter = Painter(layer)
        measure = measure or painter.measure
        first, last = (
            painter.score(step).removeprefix(painter.measure).strip() for step in (run.steps[0], run.steps[-1])
        )
        size = "×".join(map(str, layer.facts.map))
        rows.append((title(layer), layer.kind, size, len(layer.channels), f"{first} → {last}" if measure else ""))
    head = ("layer", "kind", "maps", "channels", f"best {measure}" if measure else "")
    said = [f"{run.display_name}: {_steps(run)}", *run.problems[:5]]
    return _table(head, rows, len(layers), said)


def layer_html(layer: Layer) -> str:
    """A layer in colour at some steps, with what it scores."""
    run = layer.run
    steps = choose.geometric(run.steps, _MOST_STEPS)
    painter = Painter(layer)
    cells = []
    for step in steps:
        painted, told = painter.colour(step), painter.score(step)
        shown = html.escape(painted) if isinstance(painted, str) else _image(painted)
        cells.append(
            f'<td style="text-align: center">{shown}<br>{html.escape(step_name(run, step))}<br>'
            f"{html.escape(told and f'best {told}')}</td>"
        )
    size = "×".join(map(str, layer.facts.map))
    said = f"{title(layer)}: {layer.kind}, {len(layer.channels)} channels of {size}"
    return f"<p>{html.escape(said)}</p><table><tr>{''.join(cells)}</tr></table>"


def _steps(run: Run) -> str:
    steps = run.steps
    return f"{len(steps)} steps, {steps[0]} to {steps[-1]}" if len(steps) > 1 else f"step {steps[0]}"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]], count: int, said: Iterable[str]) -> str:
    def line(cells: Sequence[object], tag: str) -> str:
        return (
            "<tr>"
            + "".join(f'<{tag} style="text-align: left">{html.escape(str(each))}</{tag}>' for each in cells)
            + "</tr>"
        )

    texts = "".join(f"<p>{html.escape(each)}</p>" for each in said)
    more = f"<p>and {count - len(rows)} more</p>" if count > len(rows) else ""
    return f"{texts}<table><thead>{line(head, 'th')}</thead><tbody>{''.join(line(row, 'td') for row in rows)}</tbody></table>{more}"


def _image(painted: np.ndarray) -> str:
    height, width = painted.shape[:2]
    by = _SIDE / max(height, width)
    size = max(1, round(width * by)), max(4, round(height * by))
    file = io.BytesIO()
    Image.fromarray(painted).resize(size, Image.Resampling.BOX).save(file, "PNG")
    return f'<img src="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}" alt="">'
