"""One layer's part of a record: what is written of its maps and numbers at a step."""

import numpy as np

from fm_callback.capture.plan import Plan
from fm_callback.format import NUMBERS, STORED_IMAGES, LayerFacts
from fm_callback.scores.concepts import Cells, Concepts
from fm_callback.scores.history import LayerHistory
from fm_callback.scores.measures import measure
from fm_callback.write import events, grid, png

_NO_CONCEPTS = Cells(None, None, None, None)


class LayerLog:
    """Turns one layer's maps and numbers into the values of its tags.

    Attributes:
        history: The layer's summaries of all steps so far.
    """

    def __init__(
        self, plan: Plan, tag: str, concepts: Concepts, step_unit: str, probe_images: int, images: bool
    ) -> None:
        """Prepares all that stays the same.

        Args:
            plan: What is captured of the layer.
            tag: Its name in tags.
            concepts: What its maps are measured against, where they are 2-D.
            step_unit: "epoch" or "batch".
            probe_images: How many images the probe has.
            images: Whether to make the picture for TensorBoard's Images tab.
        """
        self._tag, self._images = tag, images
        self._cells = concepts.at(*plan.size) if plan.planar else _NO_CONCEPTS
        self._facts = _facts(plan, self._cells, step_unit, probe_images)
        self._content = self._facts.to_json()
        self._description = _description(plan)
        number = "" if plan.info.number is None else f"#{plan.info.number} "
        self.history = LayerHistory(number + plan.info.path, plan.channels, self._cells.counts.get("foreground", 0))

    def values(self, step: int, maps: np.ndarray, numbers: np.ndarray) -> list[events.Value]:
        """All values of the layer at a step.

        Args:
            step: The step.
            maps: uint8 (N, channels, height, width).
            numbers: float32 (channels, 7).
        """
        facts = self._facts
        pngs = [png.encode(grid.tile_grid(image, facts.rows, facts.columns)) for image in maps[:STORED_IMAGES]]
        scores = measure(maps, numbers, self._cells)
        fields = np.column_stack([numbers, *(scores[name] for name in self._cells.fields)])
        values = [
            events.maps_value(self._tag, pngs, self._content),
            events.numbers_value(self._tag, fields, self._content),
        ]
        if self._images:
            picture = grid.picture(maps[0], numbers, facts.channels, facts.rows, facts.columns)
            encoded, size = png.encode(picture, grid.PALETTE), picture.shape[::-1]
            values.append(events.image_value(self._tag, encoded, size, self._description))
        summaries = self.history.add(step, maps, numbers, scores)
        return values + [events.scalar_value(name, self._tag, value) for name, value in summaries.items()]


def _facts(plan: Plan, cells: Cells, step_unit: str, probe_images: int) -> LayerFacts:
    rows, columns = grid.layout(len(plan.channels), *plan.size)
    return LayerFacts(
        number=plan.info.number,
        kind=plan.info.kind,
        path=plan.info.path,
        kernel=plan.kernel,
        activation=plan.activation,
        shape=plan.shape,
        slice=plan.slice,
        channels=plan.channels,
        rows=rows,
        columns=columns,
        fields=NUMBERS + cells.fields,
        cells=cells.counts,
        step_unit=step_unit,
        probe_images=probe_images,
        stored_images=min(probe_images, STORED_IMAGES),
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
