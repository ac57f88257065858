"""What the steps of a training say together: a summary of each layer a step, the tables of when layers detected what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

import numpy as np

from fm_callback.scores.activations import Activations
from fm_callback.scores.concepts import Cells, excess_of, score_of
from fm_callback.scores.detection import DETECTED, FEW_CELLS, Detection, detect, enough
from fm_callback.scores.layer_scores import LayerStep
from fm_callback.scores.measures import measure_layer


@dataclass
class LayerHistory:
    """One layer's way through the steps of this process.

    Attributes:
        name: What the tables call the layer.
        channels: Indices of the logged channels.
        cells: The concepts at the size of its maps.
        labels: Names of the labels that have a score of their own: one must be told from the others.
        period: By how much its maps were enlarged, as of `LayerStep`.
        dilation: That of the layer.
        detections: Its way to the object, "mask_auroc", and to each label and named concept, by the score.
        last: Its summaries at the last step.
    """

    name: str
    channels: tuple[int, ...]
    cells: Cells = field(default_factory=Cells)
    labels: tuple[str, ...] = ()
    period: int = 0
    dilation: int = 1
    detections: dict[str, Detection] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    _first: Activations | None = None
    _previous: Activations | None = None

    def add(
        self,
        step: int,
        maps: np.ndarray,
        numbers: np.ndarray,
        scores: Mapping[str, np.ndarray],
        training: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> dict[str, float]:
        """Takes a step in.

        Args:
            step: The step.
            maps: uint8 (N, channels, *sizes).
            numbers: float32 (channels, 7).
            scores: float32 (channels,) for each measure.
            training: Maps and numbers in training mode, if there are.

        Returns:
            The step's value of each name of `measures.summaries`, NaN where it is not defined. Step 0, to which later
            ones are compared, is unknown in a training that another process goes on with.
        """
        detect(self.detections, step, scores, [score_of(label) for label in self.labels])
        now = Activations.of(maps, numbers)
        self.last = measure_layer(
            LayerStep(
                numbers,
                now,
                self._previous,
                self._first,
                scores,
                maps,
                self.cells,
                self.period,
                self.dilation,
                training,
            )
        )
        if step == 0:  # a training that goes on has another first step: one curve, one reference
            self._first = now
        self._previous = now
        return self.last


def table(histories: Sequence[LayerHistory]) -> list[list[str]] | None:
    """When each layer became a mask: a head and a row a layer; None where no layer has a mask AUROC.

    Columns: the layer; the first step at which its best channel's mask separation is .9 or more, if enough cells say so; the step
    since which, without a gap, it is; at the last step the best channel, with the side on which it shows the object where
    that is the dark one, and its separation beside that of the first step of this process; the median channel's; what the best has more
    than the control by position; the readout of all channels. The best of many channels is above chance by chance: the first step, if
    that is the untrained network, says by how much.
    """
    scored = [(each, found) for each in histories if (found := each.detections.get("mask_auroc")) and found.start]
    if not scored:
        return None
    begin = scored[0][1].start
    # Two words each: TensorBoard breaks narrow columns anywhere, and a heading wider than its numbers keeps them whole.
    head = ["layer", f"first ≥ {DETECTED}", "held since", "best channel"]
    head += [f"separation at step {begin[0] if begin else 0}", "best separation"]
    return [[*head, *_COLUMNS], *(_row(history, found) for history, found in scored)]


_COLUMNS = {
    "median separation": "mask_separation_median",
    "best excess": "mask_excess_best",
    "layer readout": "readout",
}


def _row(history: LayerHistory, found: Detection) -> list[str]:
    begin = found.start or (0, float("nan"))
    few = history.cells.counts.get("foreground", 0)
    steps = [f"too few cells ({few})", "-"] if few < FEW_CELLS else _steps(found)
    others = [_number(history.last.get(name)) for name in _COLUMNS.values()]
    return [history.name, *steps, _channel(history, found), f"{begin[1]:.3f}", _number(found.separation), *others]


_WITHOUT_MASKS = {
    "best edge": "edge_auroc_best",
    "median edge": "edge_auroc_median",
    "effective rank": "effective_rank",
    "CKA with step 0": "cka_first",
    "CKA with step before": "cka_previous",
    "dead or flat": "dead_or_flat",
}


def change_table(histories: Sequence[LayerHistory]) -> list[list[str]]:
    """What is known of each layer without an object to look for: how edge-like, how wide, how changed, how dead it is at the last step.

    Columns: the layer; the AUROC for the input's edges of its best channel and of the median one; how many directions its channels
    use; how alike it is to what it was at step 0, and one step before; the share of its channels that show one value everywhere.
    """
    head = ["layer", *_WITHOUT_MASKS]
    return [
        head,
        *([each.name, *(_number(each.last.get(name)) for name in _WITHOUT_MASKS.values())] for each in histories),
    ]


def label_table(histories: Sequence[LayerHistory]) -> list[list[str]] | None:
    """Which channel detects which label or named concept, since when: a head and a row for each; None where there is none.

    Columns: the label; the first step at which any layer detected it, and which; the step since which the layer that tells it
    best now does so; that layer, its channel, its AUROC against all other cells, and what of it is no position, see `concept_excess`. A label is detected at a separation of .9 or more, if
    no other label is told as well by .05, on 30 cells or more in two images or more.
    """
    names = list(dict.fromkeys(name for each in histories for name in each.detections if name != "mask_auroc"))
    rows = []
    for name in names:
        known = [
            (each, found) for each in histories if (found := each.detections.get(name)) and found.channel is not None
        ]
        sound = [(each, found) for each, found in known if enough(each.cells.counts, each.cells.images, name)]
        if not known:
            continue
        best, now = max(sound or known, key=lambda pair: pair[1].separation)
        detected = [(found.first, each.name) for each, found in sound if found.first is not None]
        first, layer = min(detected, key=lambda pair: pair[0]) if detected else (None, "-")
        steps = [_step(first, now), layer, _since(now)] if sound else ["too few cells", "-", "-"]
        label = name.removesuffix(score_of(""))
        numbers = now.auroc, best.last.get(excess_of(label))
        rows.append([label, *steps, best.name, _channel(best, now), *map(_number, numbers)])
    head = [
        "label",
        "first detected",
        "by layer",
        "held since",
        "best layer",
        "best channel",
        "its AUROC",
        "its excess",
    ]
    return [head, *rows] if rows else None


def _steps(found: Detection) -> list[str]:
    return [_step(found.first, found), _since(found)]


def _step(first: int | None, found: Detection) -> str:
    begin = found.start[0] if found.start else 0
    if first is None:  # of a training that goes on, this process does not know the earlier steps
        return f"not since {begin}" if begin > 0 else "never"
    return f"{first} or before" if first == begin > 0 else str(first)


def _since(found: Detection) -> str:
    begin = found.start[0] if found.start else 0
    if found.since is None:
        return "-" if found.first is None else "not now"
    return f"{found.since} or before" if found.since == begin > 0 else str(found.since)


def _channel(history: LayerHistory, found: Detection) -> str:
    if found.channel is None:
        return "-"
    return f"{history.channels[found.channel]}{' dark' if found.side == 'dark' else ''}"


def _number(value: float | None) -> str:
    return "-" if value is None or np.isnan(value) else f"{value:.3f}"


def aligned(rows: list[list[str]]) -> str:
    """A table for a terminal."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def markdown(rows: list[list[str]]) -> str:
    """A table for TensorBoard's Text tab, which breaks long words anywhere where they do not say where they may be broken."""
    places = {"|": "\\|", "_": "\\_\u200b", "separation": "sepa\u00adration"}
    cells = [[reduce(lambda text, each: text.replace(*each), places.items(), cell) for cell in row] for row in rows]
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])
