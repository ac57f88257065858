"""What the steps of a training say together: one summary of each layer a step, and the table of when layers became masks."""

import math
from dataclasses import dataclass, field

import numpy as np

from fm_callback.measures import Activations, Status, Summary, cka, dormant, effective_rank, status, summary

#: From this mask AUROC on, the table calls a channel a mask.
MASK = 0.9

#: On fewer cells of the object some channel of an untrained network looks like a mask: the table says so instead of a step.
FEW = 30


@dataclass
class LayerHistory:
    """One layer's way through the steps of this process.

    Attributes:
        name: What the table calls the layer.
        channels: Indices of the logged channels.
        foreground: How many cells of the object stand behind a mask AUROC.
        scores: The summary of each measure at each step, `{measure: {step: Summary}}`.
    """

    name: str
    channels: tuple[int, ...]
    foreground: int
    scores: dict[str, dict[int, Summary]] = field(default_factory=dict)
    _first: Activations | None = None
    _previous: Activations | None = None

    def add(self, step: int, maps: np.ndarray, numbers: np.ndarray, scores: dict[str, np.ndarray]) -> dict[str, float]:
        """Takes a step in.

        Args:
            step: The step.
            maps: uint8 (N, channels, height, width).
            numbers: float32 (channels, 7).
            scores: float32 (channels,) for each measure.

        Returns:
            The step's value of each measure of the layer, without those that are not defined: best and median channel of each
            measure (for mask AUROC the lowest, too: the best detector of the background), effective rank, linear CKA against the
            step before and against step 0 (not in a training that goes on), the share of channels that are dead or flat, and of dormant ones.
        """
        values: dict[str, float] = {}
        for measure, channel_scores in scores.items():
            found = summary(channel_scores)
            self.scores.setdefault(measure, {})[step] = found
            values |= {f"{measure}_best": found.best, f"{measure}_median": found.median}
            if measure == "mask_auroc":
                values["mask_auroc_lowest"] = found.lowest
        now = Activations.of(maps, numbers)
        values["effective_rank"] = effective_rank(now)
        if self._previous is not None:
            values["cka_previous"] = cka(self._previous, now)
        if self._first is not None:
            values["cka_first"] = cka(self._first, now)
        if step == 0:  # a training that goes on has another first step: one curve, one reference
            self._first = now
        self._previous = now
        signal = status(numbers)
        values["dead_or_flat"] = float(np.mean((signal == Status.DEAD) | (signal == Status.FLAT)))
        values["dormant"] = float(np.mean(dormant(numbers)))
        return {measure: value for measure, value in values.items() if not math.isnan(value)}

    def row(self) -> list[str]:
        """The layer's line of the table; see `table`."""
        steps = self.scores["mask_auroc"]
        reached = next((step for step, found in steps.items() if found.best >= MASK), None)
        last = list(steps.values())[-1]
        channel = "-" if last.channel is None else str(self.channels[last.channel])
        start = next(iter(steps))
        if self.foreground < FEW:
            first = f"too few cells ({self.foreground})"
        elif reached is None:
            first = "never"
        else:  # of a training that goes on, this process does not know the earlier steps
            first = f"{reached} or before" if reached == start > 0 else str(reached)
        others = [_last(self.scores.get(measure), part) for measure, part in _COLUMNS.values()]
        return [self.name, first, channel, f"{steps[start].best:.3f}", *others]


_COLUMNS = {
    "AUROC": ("mask_auroc", "best"),
    "median": ("mask_auroc", "median"),
    "IoU": ("mask_iou", "best"),
    "edge": ("edge_auroc", "median"),
}


def _last(steps: dict[int, Summary] | None, part: str) -> str:
    return "-" if not steps else f"{getattr(list(steps.values())[-1], part):.3f}"


def table(histories: list[LayerHistory]) -> list[list[str]] | None:
    """When each layer became a mask: a head and a row a layer; None where no layer has a mask AUROC.

    Columns: the layer; the first step at which its highest channel's mask AUROC is .9 or more, if enough cells say so; at
    the last step, the best channel and its mask AUROC beside that of the first step of this process, the median
    channel's, the best mask IoU, the median edge AUROC. The best of many channels is above chance by chance: the first
    step, if that is the untrained network, says by how much.
    """
    scored = [history for history in histories if history.scores.get("mask_auroc")]
    if not scored:
        return None
    start = next(iter(scored[0].scores["mask_auroc"]))
    head = ["layer", f"mask from step (AUROC ≥ {MASK})", "best channel", f"AUROC at step {start}", *_COLUMNS]
    return [head, *(history.row() for history in scored)]


def aligned(rows: list[list[str]]) -> str:
    """A table for a terminal."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def markdown(rows: list[list[str]]) -> str:
    """A table for TensorBoard's Text tab."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])
