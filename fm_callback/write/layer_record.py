"""One layer's part of a step: what is stored of its maps and numbers, and the copies for TensorBoard's own tabs."""

import math

import numpy as np

from fm_callback.capture.plan import Plan
from fm_callback.format2 import NUMBERS, LayerFacts, LayerStep, to_grid
from fm_callback.scores.concepts import Cells, Concepts
from fm_callback.scores.history import LayerHistory
from fm_callback.scores.measures import fields, measure, summaries
from fm_callback.write import event_copies, grid, png

_NO_CONCEPTS = Cells(None, None, None, None)


class LayerRecord:
    """Turns one layer's maps and numbers into what is written of it.

    Attributes:
        facts: What does not change from step to step.
        history: The layer's summaries of all steps so far.
    """

    def __init__(self, plan: Plan, name: str, tag: str, concepts: Concepts, images: bool, stored: int) -> None:
        """Prepares all that stays the same.

        Args:
            plan: What is captured of the layer.
            name: Its name in the log.
            tag: Its name in TensorBoard's tags.
            concepts: What its maps are measured against, where they lie over the picture.
            images: Whether to make the picture for TensorBoard's Images tab.
            stored: Of how many samples, from the first, maps are stored.
        """
        self._tag, self._images, self._stored = tag, images, stored
        self._cells = concepts.at(*plan.size) if plan.planar else _NO_CONCEPTS
        self.facts = _facts(plan, name, self._cells)
        self._description = _description(plan)
        number = "" if plan.info.number is None else f"#{plan.info.number} "
        self.history = LayerHistory(number + plan.info.path, plan.channels, self._cells.counts.get("foreground", 0))

    def step(self, step: int, maps: np.ndarray, numbers: np.ndarray) -> tuple[LayerStep, list[event_copies.Value]]:
        """What is stored of the layer at a step, and the copies.

        Args:
            step: The step.
            maps: uint8 (N, channels, height, width).
            numbers: float32 (channels, 7).
        """
        facts = self.facts
        pngs = [png.encode(to_grid(image, facts.rows, facts.columns)) for image in maps[: self._stored]]
        scores = measure(maps, numbers, self._cells)
        # What is not defined is no point of a curve. But what a crashed training has logged from this step on is dropped by
        # TensorBoard's fast reading path only where there is a value in its place: NaN at the first step of one that goes on.
        goes_on = step > 0 and not self.history.begun
        found = self.history.add(step, maps, numbers, scores)
        stored = LayerStep(
            pngs, np.column_stack([numbers, *scores.values()]), np.array(list(found.values()), np.float32)
        )
        copies = []
        if self._images:
            picture = grid.picture(maps[0], numbers, facts.channels, facts.rows, facts.columns)
            encoded, size = png.encode(picture, grid.PALETTE), picture.shape[::-1]
            copies.append(event_copies.image_value(self._tag, encoded, size, self._description))
        defined = {name: value for name, value in found.items() if goes_on or not math.isnan(value)}
        return stored, copies + [event_copies.scalar_value(name, self._tag, value) for name, value in defined.items()]


def _facts(plan: Plan, name: str, cells: Cells) -> LayerFacts:
    rows, columns = grid.layout(len(plan.channels), *plan.size)
    return LayerFacts(
        name=name,
        path=plan.info.path,
        shape=plan.shape,
        map=plan.size,
        channels=plan.channels,
        rows=rows,
        columns=columns,
        fields=NUMBERS + fields(cells),
        summaries=summaries(fields(cells)),
        kind=plan.info.kind,
        number=plan.info.number,
        kernel=plan.kernel,
        activation=plan.activation,
        planar=plan.planar,
        slice=plan.slice,
        cells=cells.counts,
    )


def _description(plan: Plan) -> str:
    """What stands beside the picture in TensorBoard: which layer, which channels, how it is scaled."""
    number = "" if plan.info.number is None else f"Layer #{plan.info.number}: "  # a # in front would make a heading
    kernel = "" if plan.kernel is None else "×".join(map(str, plan.kernel)) + " "
    activation = f", {plan.activation}" if plan.activation else ""
    *axes, total = plan.shape
    size = "×".join(map(str, axes)) or "1"
    return (
        f"{number}{kernel}{plan.info.kind}{activation}, {size}, {len(plan.channels)} of {total} channels of the first probe "
        "image, each map at its own contrast, its channel number above it"
    )
