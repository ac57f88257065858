"""One layer's part of a step: what is stored of its maps and numbers, and the copies for TensorBoard's own tabs."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from fm_callback.capture.plan import Plan
from fm_callback.capture.section import Section
from fm_callback.format import BEHIND, NUMBERS, LayerFacts, LayerStep, to_grid
from fm_callback.scores.concepts import Cells, Concepts
from fm_callback.scores.history import LayerHistory
from fm_callback.scores.measures import described, fields, measure, summaries
from fm_callback.write import event_copies, grid, png
from fm_callback.write.event_copies import Value

_NO_CONCEPTS = Cells()


class LayerRecord:
    """Turns one layer's maps and numbers into what is written of it.

    Attributes:
        facts: What does not change from step to step.
        history: The layer's summaries of all steps so far.
    """

    def __init__(
        self,
        plan: Plan,
        name: str,
        tag: str,
        concepts: Concepts,
        section: Section,
        images: bool,
        stored: int,
        labels: tuple[str, ...] = (),
        twice: bool = False,
    ) -> None:
        """Prepares all that stays the same.

        Args:
            plan: What is captured of the layer.
            name: Its name in the log.
            tag: Its name in TensorBoard's tags.
            concepts: What its maps are measured against, where they lie over the samples.
            section: Which plane of them is stored.
            images: Whether to make the picture for TensorBoard's Images tab.
            stored: Of how many samples, from the first, maps are stored.
            labels: Names of the labels that have a score of their own.
            twice: Whether there is a pass in training mode, too.
        """
        self._tag, self._section, self._images, self._stored = tag, section, images, stored
        self._cells = concepts.at(*plan.axes) if section.covers(plan.axes) else _NO_CONCEPTS
        self.facts = _facts(plan, name, self._cells, section, stored, twice)
        self._description = _description(plan, self.facts)
        words = described(self.facts.fields)
        self._curves = {name: _of_curve(words[name]) for name in event_copies.curves(self.facts.summaries)}
        number = "" if plan.info.number is None else f"#{plan.info.number} "
        self.history = LayerHistory(
            number + plan.info.path, plan.channels, self._cells, labels, plan.period, plan.dilation
        )

    def step(
        self,
        step: int,
        maps: np.ndarray,
        numbers: np.ndarray,
        zeros: np.ndarray | None = None,
        training: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> LayerStep:
        """What is stored of the layer at a step.

        Args:
            step: The step.
            maps: uint8 (N, channels, *sizes).
            numbers: float32 (channels, 7).
            zeros: float32 (channels,), the share of zeros behind the ReLU that follows; None where none does.
            training: Maps and numbers in training mode, if there are.
        """
        planes = self._planes(maps[: self._stored])
        pngs = [png.encode(to_grid(plane, self.facts.rows, self.facts.columns)) for plane in planes]
        scores = measure(maps, numbers, self._cells)
        found = self.history.add(step, maps, numbers, scores, training)
        behind = [] if zeros is None else [zeros]
        stored = np.column_stack([numbers, *behind, *scores.values()])
        return LayerStep(pngs, stored, np.array([*found.values()], np.float32))

    def resume(self, step: int, maps: np.ndarray, numbers: np.ndarray) -> None:
        """Takes in a step that is there already, so that the next is compared with it; arguments as for `step`."""
        self.history.add(step, maps, numbers, measure(maps, numbers, self._cells))

    def pictures(self, maps: np.ndarray, numbers: np.ndarray) -> list[Value]:
        """The copy for TensorBoard's Images tab, if it is wanted; arguments as for `step`."""
        if not self._images:
            return []
        facts = self.facts
        (plane,) = self._planes(maps[:1])
        picture = grid.picture(plane, numbers, facts.channels, facts.rows, facts.columns)
        encoded, size = png.encode(picture, grid.PALETTE), picture.shape[::-1]
        return [event_copies.image_value(self._tag, encoded, size, self._description)]

    def _planes(self, maps: np.ndarray) -> np.ndarray:
        """Of maps (N, channels, *sizes) what is stored, (N, channels, height, width)."""
        return np.moveaxis(self._section.planes(np.moveaxis(maps, 1, -1)), -1, 1)

    def scores(self, stored: LayerStep) -> dict[str, float]:
        """What goes into Keras's logs, of what `step` has just returned: by measure and layer, without what is not defined."""
        values = dict(zip(self.facts.summaries, stored.summaries.tolist(), strict=True))
        names = [name for name in ("mask_separation_best", "readout", "edge_auroc_best") if name in values]
        chosen = names[:-1] if len(names) > 1 and names[-1] == "edge_auroc_best" else names
        return {f"{name}/{self.facts.name}": values[name] for name in chosen if not math.isnan(values[name])}

    def curves(self, stored: LayerStep) -> list[Value]:
        """The copies for TensorBoard's Scalars tab, of what `step` has just returned.

        What is not defined is no point of a curve.
        """
        values = dict(zip(self.facts.summaries, stored.summaries.tolist(), strict=True))
        return [
            event_copies.scalar_value(event_copies.group(name), self._tag, values[name], description)
            for name, description in self._curves.items()
            if not math.isnan(values[name])
        ]


def _facts(plan: Plan, name: str, cells: Cells, section: Section, stored: int, twice: bool) -> LayerFacts:
    size, slices = section.size(plan.axes), section.slices(plan.axes, stored if section.at else 1)
    rows, columns = grid.layout(len(plan.channels), *size)
    return LayerFacts(
        name=name,
        path=plan.info.path,
        shape=plan.shape,
        map=size,
        channels=plan.channels,
        rows=rows,
        columns=columns,
        fields=NUMBERS + ((BEHIND,) if plan.rectifier else ()) + fields(cells),
        summaries=summaries(fields(cells), twice),
        kind=plan.info.kind,
        number=plan.info.number,
        kernel=plan.kernel,
        activation=plan.activation,
        planar=section.covers(plan.axes),
        slice=slices[0] if slices else None,
        slice_axis=(section.axis or 0) + len(plan.axes) - 3 if slices else None,
        slices=slices if section.at else (),
        prefix=plan.grid.prefix if plan.grid else 0,
        cells=cells.counts,
        images=cells.images,
        trainable=plan.trainable,
        period=plan.period,
        dilation=plan.dilation,
        order=plan.order,
    )


def _of_curve(words: Mapping[str, Any]) -> str:
    """What stands beside a curve in TensorBoard: what the measure is."""
    label, says = str(words["label"]), str(words["says"])
    return f"{label[:1].upper()}{label[1:]}: {says}"


def _description(plan: Plan, facts: LayerFacts) -> str:
    """What stands beside the picture in TensorBoard: which layer, which channels, how it is scaled."""
    number = "" if plan.info.number is None else f"Layer #{plan.info.number}: "  # a # in front would make a heading
    kernel = "" if plan.kernel is None else "×".join(map(str, plan.kernel)) + " "
    activation = f", {plan.activation}" if plan.activation else ""
    *axes, total = plan.shape
    size = "×".join(map(str, axes)) or "1"
    if facts.slice is not None:
        size += f", slice {facts.slice} of axis {facts.slice_axis}"
    if facts.prefix:
        size += f" tokens, {facts.prefix} before them left out"
    return (
        f"{number}{kernel}{plan.info.kind}{activation}, {size}, {len(plan.channels)} of {total} "
        f"channel{'' if total == 1 else 's'} of the first probe image, its number above each. Each map at its own contrast: black is the "
        f"1st percentile of its cells, white the 99th, and what lies outside is clipped; from the lowest to the highest where the two are "
        "the same"
    )
