"""What the steps of a training say together: a summary of each layer a step, the table of when layers became masks."""

from dataclasses import dataclass, field

import numpy as np

from fm_callback.scores.activations import Activations
from fm_callback.scores.layer_scores import LayerStep
from fm_callback.scores.measures import Summary, measure_layer, summary

#: From this mask AUROC on, the table calls a channel a mask.
MASK = 0.9

#: On fewer cells of the object some channel of an untrained network looks like a mask: the table says so instead of a
#: step.
FEW = 30


@dataclass
class LayerHistory:
    """One layer's way through the steps of this process.

    Attributes:
        name: What the table calls the layer.
        channels: Indices of the logged channels.
        foreground: How many cells of the object stand behind a mask AUROC.
        last: The summary of each measure at the last step.
        start: The first step with a mask AUROC, and its best.
        reached: The first step at which the best mask AUROC was `MASK` or more.
    """

    name: str
    channels: tuple[int, ...]
    foreground: int
    last: dict[str, Summary] = field(default_factory=dict)
    start: tuple[int, float] | None = None
    reached: int | None = None
    _first: Activations | None = None
    _previous: Activations | None = None

    def add(self, step: int, maps: np.ndarray, numbers: np.ndarray, scores: dict[str, np.ndarray]) -> dict[str, float]:
        """Takes a step in.

        Args:
            step: The step.
            maps: uint8 (N, channels, *sizes).
            numbers: float32 (channels, 7).
            scores: float32 (channels,) for each measure.

        Returns:
            The step's value of each name of `measures.summaries`, NaN where it is not defined. Step 0, to which later
            ones are compared, is unknown in a training that another process goes on with.
        """
        self.last |= {name: summary(channel_scores) for name, channel_scores in scores.items()}
        if "mask_auroc" in scores:
            best = self.last["mask_auroc"].best
            self.start = self.start or (step, best)
            if self.reached is None and best >= MASK:
                self.reached = step
        now = Activations.of(maps, numbers)
        values = measure_layer(
            LayerStep(numbers, now, self._previous, self._first), {name: self.last[name] for name in scores}
        )
        if step == 0:  # a training that goes on has another first step: one curve, one reference
            self._first = now
        self._previous = now
        return values

    def row(self, start: tuple[int, float]) -> list[str]:
        """The layer's line of the table; see `table`."""
        last = self.last["mask_auroc"]
        channel = "-" if last.channel is None else str(self.channels[last.channel])
        if self.foreground < FEW:
            first = f"too few cells ({self.foreground})"
        elif self.reached is None:  # of a training that goes on, this process does not know the earlier steps
            first = f"not since {start[0]}" if start[0] > 0 else "never"
        else:
            first = f"{self.reached} or before" if self.reached == start[0] > 0 else str(self.reached)
        others = [
            f"{getattr(self.last[measure], part):.3f}" if measure in self.last else "-"
            for measure, part in _COLUMNS.values()
        ]
        return [self.name, first, channel, f"{start[1]:.3f}", *others]


# Two words each: TensorBoard breaks narrow columns anywhere, and a heading wider than its numbers keeps them whole.
_COLUMNS = {
    "best AUROC": ("mask_auroc", "best"),
    "median AUROC": ("mask_auroc", "median"),
    "lowest AUROC": ("mask_auroc", "lowest"),
    "mask IoU": ("mask_iou", "best"),
    "edge AUROC": ("edge_auroc", "median"),
}


def table(histories: list[LayerHistory]) -> list[list[str]] | None:
    """When each layer became a mask: a head and a row a layer; None where no layer has a mask AUROC.

    Columns: the layer; the first step at which its highest channel's mask AUROC is .9 or more, if enough cells say so;
    at the last step, the best channel and its mask AUROC beside that of the first step of this process, the median
    channel's and the lowest (near 0 a channel shows the mask just as well, as its dark side), the best mask IoU, the
    median edge AUROC. The best of many channels is above chance by chance: the first step, if that is the untrained
    network, says by how much.
    """
    scored = [(history, history.start) for history in histories if history.start is not None]
    if not scored:
        return None
    head = ["layer", f"AUROC ≥ {MASK} from step", "best channel", f"AUROC at step {scored[0][1][0]}", *_COLUMNS]
    return [head, *(history.row(start) for history, start in scored)]


def aligned(rows: list[list[str]]) -> str:
    """A table for a terminal."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def markdown(rows: list[list[str]]) -> str:
    """A table for TensorBoard's Text tab."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])
